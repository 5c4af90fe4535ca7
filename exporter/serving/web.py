"""The HTTP server: a thread of its own that answers from a `Source` (`pages.py` has the answers).

`HttpServer` is all of it but the answers, for whoever serves something else.

docs/adr/0003-http-server.md says why it is uvicorn, and what we add to it.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvicorn

from unitcost.exporter.serving import connections as web_connections
from unitcost.exporter.serving.connections import BoundedConnection, ListenError, listen
from unitcost.exporter.serving.guard.guard import Application, Guard, Refused
from unitcost.exporter.serving.guard.watch import WebFile
from unitcost.exporter.serving.handshakes import Arriving
from unitcost.exporter.serving.pages import Pages, Source

__all__ = ["HttpServer", "ListenError", "Source", "WebFile", "WebServer"]

_log = logging.getLogger(__name__)

STOP_SECONDS = 5.0


class _Server(uvicorn.Server):
    """uvicorn's server, woken once a second (for the Date header) instead of ten times."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1.0)

    def stop(self) -> None:
        """Tell it to stop, from any thread and at any time."""
        # main_loop sets the loop and then looks at this; here it is the other way round, so one
        # of the two always sees the other.
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has already stopped
                self._loop.call_soon_threadsafe(self._told.set)


class HttpServer:
    """Serves an ASGI application from a thread of its own. May be started again once stopped.

    With a `web` file it listens as that says: TLS, users, limits. Without one anybody is let in.
    """

    def __init__(
        self,
        address: str,
        port: int,
        application: Application,
        web: WebFile | None = None,
        *,
        open_paths: frozenset[str] = frozenset(),
        refused: Refused = lambda _path, _status: None,
    ) -> None:
        """Serve at `address` (a name, IPv4 or IPv6) and `port` (0: any free one).

        `open_paths` need no password; `refused` is told of requests that were not let through.
        """
        self._address, self._port = address, port
        self._application, self._web = application, web
        self._guarding = partial(Guard, open_paths=open_paths, refused=refused)
        self._guard: Guard | None = None
        self._encrypted: set[asyncio.Transport] = set()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen and serve; return the port. Raises `ListenError` where that is impossible."""
        if self._thread is not None:
            raise RuntimeError("the web server is already running")
        sock = listen(self._address, self._port)
        server = _Server(self._configured())
        serve = partial(_serve, server, sock, self._encrypted)
        thread = threading.Thread(target=serve, name="web", daemon=True)
        # Connections made from here on wait in the socket's queue: no need to wait for the thread.
        port: int = sock.getsockname()[1]
        thread.start()
        self._server, self._thread = server, thread
        return port

    def stop(self) -> None:
        """Finish answers under way, close all connections, end the thread. Twice is no error."""
        if self._server is None or self._thread is None:
            return
        if self._guard is not None:
            self._guard.close()
        self._server.stop()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            _log.error("the web server did not stop within %s s", STOP_SECONDS)
        self._server = self._thread = None

    def _configured(self) -> uvicorn.Config:
        if self._web is None:
            return _config(self._application, BoundedConnection)
        self._guard = self._guarding(self._application, self._web)
        return _config(self._guard, partial(Arriving, self._web, self._encrypted))


class WebServer(HttpServer):
    """Serves a `Source`: its metrics, its health, and the live page."""

    def __init__(
        self,
        address: str,
        port: int,
        source: Source,
        web: WebFile | None = None,
        *,
        open_paths: frozenset[str] = frozenset(),
    ) -> None:
        """As `HttpServer`, with the pages of `source` as the application."""
        self._pages = Pages(source)
        count = self._pages.count
        super().__init__(address, port, self._pages, web, open_paths=open_paths, refused=count)

    def answered(self) -> dict[tuple[str, int], int]:
        """Count of answers so far by path (`other` for unknown ones) and status code."""
        return dict(self._pages.answered)


def _serve(server: uvicorn.Server, sock: socket.socket, encrypted: set[asyncio.Transport]) -> None:
    """Serve until told to stop; the body of the server's thread."""

    async def serve() -> None:
        await server.serve(sockets=[sock])
        # TLS waits for its clients to say goodbye, and nobody waits for that any more.
        for transport in tuple(encrypted):
            transport.abort()

    with sock:  # uvicorn leaves it open where it is told before it has begun
        asyncio.run(serve())


def _config(application: Application, protocol: Callable[..., asyncio.Protocol]) -> uvicorn.Config:
    """Configure uvicorn: HTTP/1.1 alone, no logging set-up, nothing logged per request."""
    return uvicorn.Config(
        application,
        http=protocol,  # type: ignore[arg-type] # it calls it as a class
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=web_connections.BACKLOG,
        timeout_keep_alive=web_connections.IDLE_SECONDS,
        timeout_graceful_shutdown=web_connections.GIVE_UP_SECONDS,
    )
