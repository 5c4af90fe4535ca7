"""TLS for uvicorn's connections, chosen anew for each, and bounded as they are.

uvicorn gives asyncio one ssl context for good, and asyncio tells it of a connection only when its
handshake is over. Here each new connection gets the context that holds at that moment, and counts
among the connections from its first byte on.
"""

import asyncio
import asyncio.sslproto
import ipaddress
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from unitcost.exporter.config.web.settings import ServerTls
from unitcost.exporter.serving import connections as web_connections
from unitcost.exporter.serving.connections import BoundedConnection, make_room
from unitcost.exporter.serving.guard.watch import WebFile

SHUTDOWN_SECONDS = 1.0
"""How long a client may take to say goodbye."""
_SANS = {"DNS", "IP Address", "email", "URI"}


class _Encrypted(asyncio.sslproto.SSLProtocol):
    """asyncio's TLS with a small buffer, which also tells of a connection lost in its handshake."""

    # asyncio's own size is 256 KiB, held for each connection: 64 MiB for all that there may be.
    max_size = 16_384
    lost: Callable[[], None]

    def connection_lost(self, exc: BaseException | None) -> None:
        """Say so."""
        super().connection_lost(exc)
        self.lost()


class Arriving(asyncio.Protocol):
    """A new connection: goes over to HTTP at once, or once its handshake is over."""

    def __init__(self, web: WebFile, encrypted: set[asyncio.Transport], **uvicorns: Any) -> None:
        """`encrypted`: all sockets with TLS on them. `uvicorns` is what uvicorn gives protocols."""
        self._web = web
        self._encrypted = encrypted
        self._uvicorns = uvicorns
        self._all: set[Any] = uvicorns["server_state"].connections
        self._loop = asyncio.get_running_loop()
        self._tls: ServerTls | None = None
        self._transport: asyncio.Transport | None = None
        self.worth = (False, self._loop.time())
        """As `BoundedConnection.worth`: it never sent a whole request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as it is
        """Hand it over, begin the handshake, or look at who it is once that is over."""
        if self._tls is not None:
            self._forget()
            if is_allowed(self._tls, transport.get_extra_info("peercert")):
                self._hand_over(transport)
            else:
                transport.abort()
            return
        self._tls = self._web.current().tls
        if self._tls is None:
            self._hand_over(transport)
        else:
            self._encrypt(transport, self._tls)

    def close_now(self) -> None:
        """Close at once; no longer counted from now on."""
        transport = self._transport
        self._forget()
        if transport is not None:
            transport.abort()

    shutdown = close_now

    def _forget(self) -> None:
        self._all.discard(self)
        self._transport = None

    def _lose(self, transport: asyncio.Transport) -> None:
        self._encrypted.discard(transport)
        self._forget()

    def _hand_over(self, transport: asyncio.Transport) -> None:
        http = BoundedConnection(**self._uvicorns)
        transport.set_protocol(http)
        http.connection_made(transport)

    def _encrypt(self, transport: asyncio.Transport, tls: ServerTls) -> None:
        self._transport = transport
        self._all.add(self)
        make_room(self._all, self)
        # What loop.start_tls does, but for the size; it would also lose what comes right after.
        encrypted = _Encrypted(
            self._loop,
            self,
            tls.context,
            None,  # type: ignore[arg-type] # nobody waits, which it knows
            server_side=True,
            ssl_handshake_timeout=web_connections.EXCHANGE_SECONDS,  # type: ignore[arg-type] # or a float
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._encrypted.add(transport)
        encrypted.lost = partial(self._lose, transport)
        transport.set_protocol(encrypted)
        encrypted.connection_made(transport)


def is_allowed(tls: ServerTls, certificate: Mapping[str, Any] | None) -> bool:
    """Whether a client's certificate, which was verified, has one of the names allowed."""
    if tls.allowed_sans is None:
        return True
    names = (certificate or {}).get("subjectAltName", ())
    return any(_name(kind, value) in tls.allowed_sans for kind, value in names if kind in _SANS)


def _name(kind: str, value: str) -> str:
    if kind != "IP Address":
        return value
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return ""
