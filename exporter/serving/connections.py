"""Listening, and connections that cannot be held for ever.

uvicorn serves the HTTP; what it lacks is a limit in time for a request that never ends and a
limit in number that turns away the slow ones instead of the next scrape. Both are here.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Iterable, Set
from typing import Any, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol

EXCHANGE_SECONDS = 10.0
"""Longest time from a request's first byte (or from connecting) to its answer's last byte."""
IDLE_SECONDS = 120
"""How long a connection may wait for its next request: more than most scrape intervals."""
MAX_CONNECTIONS = 256
"""One more closes another: first one that never sent a whole request, then the oldest."""
STOP_SECONDS = 0.3
"""How long answers under way may still take when the server is stopped."""
GIVE_UP_SECONDS = 1
"""When uvicorn then cancels what is left, which should be nothing."""
BACKLOG = 128
"""Also how many connections are accepted in one go, so file descriptors cannot run out."""


class ListenError(Exception):
    """The address cannot be listened on; the message is one line for a person."""


_REASONS = {
    errno.EADDRINUSE: "another program is listening there",
    errno.EACCES: "not permitted (a port below 1024 needs CAP_NET_BIND_SERVICE)",
    errno.EPERM: "not permitted",
    errno.EADDRNOTAVAIL: "this host has no such address",
    errno.EAFNOSUPPORT: "this host does not support that kind of address",
}


def listen(address: str, port: int) -> socket.socket:
    """Open a listening TCP socket; `::` also accepts IPv4. Raises `ListenError`."""
    host = address.removeprefix("[").removesuffix("]")
    if not 0 <= port <= 65_535:  # getaddrinfo would take it modulo 65,536
        raise ListenError(f"cannot listen on {address} port {port}: there is no such port")
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, name = found[0]
        both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        sock = socket.create_server(name[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {address} port {port}: {_reason(error)}") from error
    # Inherited by its connections. asyncio does it only for sockets it made itself, and without
    # it an answer waits 40 ms for a delayed ACK.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"the address cannot be resolved ({error.strerror})"
    if isinstance(error, OSError) and error.errno is not None:
        return _REASONS.get(error.errno, os.strerror(error.errno))
    return " ".join(str(error).split())


class Bounded(Protocol):
    """A connection that may be turned away for another one."""

    @property
    def worth(self) -> tuple[bool, float]:
        """Least is closed first."""
        ...

    def close_now(self) -> None:
        """Close at once, and be counted no longer."""
        ...


def make_room(connections: Set[Any], newest: Bounded) -> None:
    """Close the connection of least worth, other than the newest, where there are too many."""
    if len(connections) > MAX_CONNECTIONS:
        others: Iterable[Bounded] = (each for each in connections if each is not newest)
        min(others, key=lambda each: each.worth).close_now()


class BoundedConnection(H11Protocol):
    """uvicorn's connection, with a limit on how long an exchange takes and on their number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*args, **kwargs)
        self._limit: asyncio.TimerHandle | None = None
        self._answered_at: float | None = None
        self._made_at = self.loop.time()

    @property
    def worth(self) -> tuple[bool, float]:
        """Least is closed first: those that never sent a whole request, oldest first."""
        return self._answered_at is not None, self._answered_at or self._made_at

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """Start the clock, and close another connection where there are too many."""
        super().connection_made(transport)
        self._start_limit()
        make_room(self.connections, self)

    def data_received(self, data: bytes) -> None:
        """Start the clock with a request's first byte."""
        if self._limit is None:
            self._start_limit()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Stop the clock; uvicorn's own limit for idle connections goes on."""
        self._answered_at = self.loop.time()
        self._stop_limit()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_limit()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Let an answer under way finish, but not for long: called when the server stops."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False
        self.loop.call_later(STOP_SECONDS, self.transport.abort)

    def close_now(self) -> None:
        """Close at once, unsent bytes lost; no longer counted from now on."""
        self.connections.discard(self)
        self.transport.abort()

    def _start_limit(self) -> None:
        self._limit = self.loop.call_later(EXCHANGE_SECONDS, self.close_now)

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
