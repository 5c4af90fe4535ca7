"""What `unitcost central` answers: `POST /v1/charges`, its own metrics, its health.

An ASGI application. Whoever delivers is asked who they are before a byte of the body is read; the
body is bounded, and so is how many there are at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Protocol

from unitcost.exporter.central.faults import Reason, Rejected
from unitcost.exporter.central.intake import Intake
from unitcost.exporter.central.tokens import Tokens
from unitcost.exporter.fleet.protocol import MAX_BODY, PATH
from unitcost.exporter.serving.exposition import CONTENT_TYPE

WORKERS = 4
"""Deliveries that are unpacked and stored at once."""
MAX_WAITING = 32
"""Deliveries that are read or wait for a worker; one more is sent away for a while."""
RETRY_SECONDS = 10
TEXT = "text/plain; charset=utf-8"
_STATUS = {
    Reason.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Reason.WRONG_HOST: HTTPStatus.FORBIDDEN,
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.MALFORMED: HTTPStatus.BAD_REQUEST,
    Reason.UNBALANCED: HTTPStatus.BAD_REQUEST,
    Reason.CONFLICT: HTTPStatus.CONFLICT,
    Reason.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gone(Exception):
    """Whoever was sending is not there any more."""


class Source(Protocol):
    """What is told of the fleet's ledger. Called in the server's thread: must return at once."""

    def exposition(self) -> bytes:
        """Give the metrics."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether deliveries can be stored, and in one line why not."""
        ...


class CentralPages:
    """Answers agents and whoever looks after them."""

    def __init__(self, tokens: Tokens, intake: Intake, source: Source) -> None:
        self._tokens, self._intake, self._source = tokens, intake, source
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="intake")
        self._waiting = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == PATH:
            await self._charges(scope, receive, send)
            return
        routes = {
            "/metrics": lambda: (200, CONTENT_TYPE, self._source.exposition()),
            "/-/healthy": lambda: (200, TEXT, b"healthy\n"),
            "/-/ready": self._ready,
        }
        route = routes.get(scope["path"])
        if route is None:
            await _answer(send, HTTPStatus.NOT_FOUND, b"no such page\n")
        elif scope["method"] not in ("GET", "HEAD"):
            allowed = [(b"allow", b"GET, HEAD")]
            await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", allowed)
        else:
            status, kind, body = route()
            await _answer(send, status, body, kind=kind)

    def close(self) -> None:
        """End the workers, once they are done."""
        self._workers.shutdown()

    def _ready(self) -> tuple[int, str, bytes]:
        ready, why = self._source.ready()
        return (200, TEXT, b"ready\n") if ready else (503, TEXT, f"not ready: {why}\n".encode())

    async def _charges(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            allowed = [(b"allow", b"POST")]
            await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, b"only POST\n", allowed)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            outcome = await self._taken(headers, receive)
        except Gone:
            return
        except Rejected as error:
            await _answer(send, _STATUS[error.reason], f"{error}\n".encode(), _more(error.reason))
            return
        await _answer(send, HTTPStatus.OK, f"{outcome}\n".encode())

    async def _taken(self, headers: Mapping[str, str], receive: Receive) -> str:
        try:
            hosts = self._tokens.hosts(headers.get("authorization", ""))
            if not hosts:
                raise Rejected(Reason.UNAUTHORIZED, "the bearer token is missing or wrong")
            if self._waiting >= MAX_WAITING:
                raise Rejected(Reason.BUSY, "too many deliveries at once")
        except Rejected as error:
            self._intake.reject(error)
            raise
        self._waiting += 1
        try:
            body = await self._body(headers, receive)
            coding = headers.get("content-encoding", "").strip().lower()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._intake.take, body, coding, hosts)
        finally:
            self._waiting -= 1

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The whole body. Raises Rejected as soon as it is known to be too large."""
        stated = headers.get("content-length", "")
        parts: list[bytes] = []
        size = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else 0
        more = size <= MAX_BODY
        size = size if size > MAX_BODY else 0
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False) and size <= MAX_BODY
        if size > MAX_BODY:
            error = Rejected(Reason.TOO_LARGE, f"the body is larger than {MAX_BODY} bytes")
            self._intake.reject(error)
            raise error
        return b"".join(parts)


def _more(reason: Reason) -> list[tuple[bytes, bytes]]:
    if reason is Reason.UNAUTHORIZED:
        return [(b"www-authenticate", b"Bearer")]
    status = _STATUS[reason]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return [(b"retry-after", str(RETRY_SECONDS).encode())]
    # What is left of the body is not read.
    return [(b"connection", b"close")] if reason is Reason.TOO_LARGE else []


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    kind: str = TEXT,
) -> None:
    common = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    start = {"type": "http.response.start", "status": int(status)}
    await send(start | {"headers": [*common, *(headers or [])]})
    await send({"type": "http.response.body", "body": body})
