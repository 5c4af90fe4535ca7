"""The HTTP server: /metrics, liveness, readiness, and a page with links.

It runs in a thread of its own and serves bytes made elsewhere, so a scrape costs the same
whatever the collectors and the ledger are doing (docs/adr/0003-http-server.md).
"""

import asyncio
import logging
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import uvicorn

from unitcost.exporter.serving import connections as web_connections
from unitcost.exporter.serving.connections import BoundedConnection, ListenError, listen
from unitcost.exporter.serving.exposition import CONTENT_TYPE, Exposition, compress

__all__ = ["ListenError", "Source", "WebServer"]

_log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
"""An ASGI request: method, path, headers (asgi.readthedocs.io, HTTP connection scope)."""

STOP_SECONDS = 5.0
PIECE = 65_536
"""Bodies are sent in pieces, so a client that does not read holds one piece and not a copy."""
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>unitcost</title>
<h1>unitcost</h1>
<p>What requests, tokens and epochs cost on this host.</p>
<ul>
<li><a href="/metrics">/metrics</a>: for Prometheus</li>
<li><a href="/-/healthy">/-/healthy</a>: the process works</li>
<li><a href="/-/ready">/-/ready</a>: there are figures to serve</li>
</ul>
</html>
"""


class Source(Protocol):
    """Where the answers come from. Called in the server's thread: must return at once."""

    def exposition(self) -> Exposition:
        """Give the last tick's metrics."""
        ...

    def healthy(self) -> bool:
        """Whether the process works; must not depend on collectors or the ledger."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether there are figures to serve, and in one line why not."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def accepts_gzip(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the request's Accept-Encoding allows gzip (RFC 9110, 12.5.3)."""
    value = b",".join(v for name, v in headers if name == b"accept-encoding").decode("latin-1")
    for item in value.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding in ("gzip", "x-gzip"):
            weights = [p.removeprefix("q=") for p in parameters if p.startswith("q=")]
            return not any(weight.strip("0.") == "" for weight in weights)
    return False


class Pages:
    """Answers requests from a `Source`; an ASGI application. Counts what it answered."""

    def __init__(self, source: Source) -> None:
        """Answer from `source`."""
        self._source = source
        self._compressed: tuple[bytes, bytes] = (b"", b"")
        self._broken = False
        self._routes: Mapping[str, Callable[[Scope], Answer]] = {
            "/metrics": self._metrics,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
            "/": self._page,
        }
        self.answered = Counter({(path, 200): 0 for path in self._routes})

    async def __call__(
        self, scope: Scope, _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        answer = self._answer(scope["method"], scope["path"], scope)
        path = scope["path"] if scope["path"] in self._routes else "other"
        self.answered[path, answer.status] += 1
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = answer.body
        for start in range(0, max(len(body), 1), PIECE):
            end = start + PIECE
            message = {"type": "http.response.body", "body": body[start:end]}
            await send(message | {"more_body": end < len(body)})

    def _answer(self, method: str, path: str, scope: Scope) -> Answer:
        route = self._routes.get(path)
        if route is None:
            return _plain(HTTPStatus.NOT_FOUND, "no such page")
        if method not in ("GET", "HEAD"):
            return _plain(
                HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD", ((b"allow", b"GET, HEAD"),)
            )
        try:
            answer = route(scope)
        except Exception:  # noqa: BLE001 - a broken page must not break the others; it is logged
            if not self._broken:
                _log.exception("cannot answer %s", path)
            self._broken = True
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the log")
        self._broken = False
        return answer

    def _metrics(self, scope: Scope) -> Answer:
        exposition = self._source.exposition()
        vary = ((b"vary", b"accept-encoding"),)
        if accepts_gzip(scope["headers"]):
            body = exposition.gzipped or self._gzipped(exposition.body)
            return Answer(200, CONTENT_TYPE, body, (*vary, (b"content-encoding", b"gzip")))
        return Answer(200, CONTENT_TYPE, exposition.body, vary)

    def _gzipped(self, body: bytes) -> bytes:
        """Compress a body once, at the first scrape that wants it so."""
        if self._compressed[0] is not body:
            self._compressed = (body, compress(body))
        return self._compressed[1]

    def _healthy(self, _scope: Scope) -> Answer:
        if self._source.healthy():
            return _plain(HTTPStatus.OK, "healthy")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "not healthy")

    def _ready(self, _scope: Scope) -> Answer:
        ready, reason = self._source.ready()
        if ready:
            return _plain(HTTPStatus.OK, "ready")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {reason}")

    def _page(self, _scope: Scope) -> Answer:
        return Answer(200, HTML, PAGE)


def _plain(status: HTTPStatus, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return Answer(status.value, TEXT, f"{text}\n".encode("utf-8", "replace"), headers)


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
