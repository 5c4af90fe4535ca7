"""What is answered where: /metrics, liveness, readiness, and the live page for a person.

An ASGI application over a `Source`. Bodies are made elsewhere, so a scrape costs the same whatever
the collectors and the ledger are doing. Only what the live page polls is made here, once for each
tick that somebody looks at.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Protocol

from unitcost.exporter.serving.exposition import CONTENT_TYPE, Exposition, compress
from unitcost.exporter.serving.live.view import View
from unitcost.exporter.serving.page.assemble import Page, assemble

_log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
"""An ASGI request: method, path, headers (asgi.readthedocs.io, HTTP connection scope)."""

PIECE = 65_536
"""Bodies are sent in pieces, so a client that does not read holds one piece and not a copy."""
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
HEALTH = frozenset({"/-/healthy", "/-/ready"})
LIVE = "/api/v1/live"
"""Where the live page finds its figures; relative in the page, so that it works behind a proxy."""
_REVALIDATE = (b"cache-control", b"no-cache")


class Source(Protocol):
    """Where the answers come from. Called in the server's thread: must return at once."""

    def exposition(self) -> Exposition:
        """Give the last tick's metrics."""
        ...

    def live(self) -> View:
        """Give what the last tick left for the live page."""
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


def is_known(headers: Iterable[tuple[bytes, bytes]], etag: str) -> bool:
    """Whether the request's If-None-Match names this state (RFC 9110, 13.1.2)."""
    value = b",".join(v for name, v in headers if name == b"if-none-match").decode("latin-1")
    opaque = etag.removeprefix("W/")
    known = {item.strip().removeprefix("W/") for item in value.split(",")}
    return value.strip() == "*" or opaque in known


class _Gzipped:
    """Keeps one body compressed: made at the first request that wants it so."""

    def __init__(self) -> None:
        self._body = self._packed = b""

    def of(self, body: bytes) -> bytes:
        if self._body is not body:
            self._body, self._packed = body, compress(body)
        return self._packed


class Pages:
    """Answers requests from a `Source`; an ASGI application. Counts what it answered."""

    def __init__(self, source: Source) -> None:
        """Answer from `source`."""
        self._source = source
        self._metrics_gzipped, self._live_gzipped, self._page_gzipped = (
            _Gzipped() for _ in range(3)
        )
        self._document: tuple[View | None, bytes] = (None, b"")
        self._made: Page | None = None
        self._broken = False
        self._routes: Mapping[str, Callable[[Scope], Answer]] = {
            "/metrics": self._metrics,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
            "/": self._page,
            LIVE: self._live,
        }
        self.answered = Counter({(path, 200): 0 for path in self._routes})

    async def __call__(
        self, scope: Scope, _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        answer = self._answer(scope["method"], scope["path"], scope)
        self.count(scope["path"], answer.status)
        headers = [(b"x-content-type-options", b"nosniff"), *answer.headers]
        if answer.status != HTTPStatus.NOT_MODIFIED:  # it has neither
            headers += [
                (b"content-type", answer.content_type.encode()),
                (b"content-length", str(len(answer.body)).encode()),
            ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = answer.body
        for start in range(0, max(len(body), 1), PIECE):
            end = start + PIECE
            message = {"type": "http.response.body", "body": body[start:end]}
            await send(message | {"more_body": end < len(body)})

    def count(self, path: str, status: int) -> None:
        """Count an answer, whoever gave it."""
        self.answered[path if path in self._routes else "other", status] += 1

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
        return _packed(
            scope,
            Answer(200, CONTENT_TYPE, exposition.body),
            lambda: exposition.gzipped or self._metrics_gzipped.of(exposition.body),
        )

    def _healthy(self, _scope: Scope) -> Answer:
        if self._source.healthy():
            return _plain(HTTPStatus.OK, "healthy")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "not healthy")

    def _ready(self, _scope: Scope) -> Answer:
        ready, reason = self._source.ready()
        if ready:
            return _plain(HTTPStatus.OK, "ready")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {reason}")

    def _page(self, scope: Scope) -> Answer:
        made = self._made = self._made or assemble()
        headers = (*made.headers, _REVALIDATE, (b"etag", made.etag.encode()))
        if is_known(scope["headers"], made.etag):
            return Answer(HTTPStatus.NOT_MODIFIED, HTML, b"", headers)
        answer = Answer(200, HTML, made.body, headers)
        return _packed(scope, answer, lambda: self._page_gzipped.of(made.body))

    def _live(self, scope: Scope) -> Answer:
        view = self._source.live()
        headers = (_REVALIDATE, (b"etag", view.etag.encode()))
        if is_known(scope["headers"], view.etag):
            return Answer(HTTPStatus.NOT_MODIFIED, JSON, b"", headers)
        body = self._document_of(view)
        answer = Answer(200, JSON, body, headers)
        return _packed(scope, answer, lambda: self._live_gzipped.of(body))

    def _document_of(self, view: View) -> bytes:
        """The document of a tick, made when it is first asked for."""
        if self._document[0] is not view:
            from unitcost.exporter.serving.live.document import encode

            self._document = (view, encode(view))
        return self._document[1]


def _packed(scope: Scope, answer: Answer, gzipped: Callable[[], bytes]) -> Answer:
    """The answer, compressed where the client reads that."""
    headers = (*answer.headers, (b"vary", b"accept-encoding"))
    if not accepts_gzip(scope["headers"]):
        return replace(answer, headers=headers)
    return replace(answer, body=gzipped(), headers=(*headers, (b"content-encoding", b"gzip")))


def _plain(status: HTTPStatus, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return Answer(status.value, TEXT, f"{text}\n".encode("utf-8", "replace"), headers)
