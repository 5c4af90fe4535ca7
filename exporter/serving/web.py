"""The HTTP server: a thread of its own that answers from a `Source` (`pages.py` has the answers).

docs/adr/0003-http-server.md says why it is uvicorn, and what we add to it.
"""

import asyncio
import logging
import socket
import threading
from contextlib import suppress

import uvicorn

from unitcost.exporter.serving import connections as web_connections
from unitcost.exporter.serving.connections import BoundedConnection, ListenError, listen
from unitcost.exporter.serving.pages import Pages, Source

__all__ = ["ListenError", "Source", "WebServer"]

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


class WebServer:
    """Serves a `Source` over HTTP from a thread of its own. May be started again once stopped."""

    def __init__(self, address: str, port: int, source: Source) -> None:
        """Serve `source` at `address` (a name, IPv4 or IPv6) and `port` (0: any free one)."""
        self._address = address
        self._port = port
        self._pages = Pages(source)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen and serve; return the port. Raises `ListenError` where that is impossible."""
        if self._thread is not None:
            raise RuntimeError("the web server is already running")
        sock = listen(self._address, self._port)
        server = _Server(_config(self._pages))
        thread = threading.Thread(target=_serve, args=(server, sock), name="web", daemon=True)
        # Connections made from here on wait in the socket's queue: no need to wait for the thread.
        port: int = sock.getsockname()[1]
        thread.start()
        self._server, self._thread = server, thread
        return port

    def stop(self) -> None:
        """Finish answers under way, close all connections, end the thread. Twice is no error."""
        if self._server is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            _log.error("the web server did not stop within %s s", STOP_SECONDS)
        self._server = self._thread = None

    def answered(self) -> dict[tuple[str, int], int]:
        """Count of answers so far by path (`other` for unknown ones) and status code."""
        return dict(self._pages.answered)


def _serve(server: uvicorn.Server, sock: socket.socket) -> None:
    """Serve until told to stop; the body of the server's thread."""
    with sock:  # uvicorn leaves it open where it is told before it has begun
        asyncio.run(server.serve(sockets=[sock]))


def _config(pages: Pages) -> uvicorn.Config:
    """Configure uvicorn: HTTP/1.1 alone, no logging set-up, nothing logged per request."""
    return uvicorn.Config(
        pages,
        http=BoundedConnection,
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
