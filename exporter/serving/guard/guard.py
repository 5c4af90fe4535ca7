"""Lets requests through to an ASGI application, or not: users, rate limit, headers.

Knows nothing of the application. Whatever the path and the method are, it is asked first.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from unitcost.exporter.serving.guard.bucket import Bucket
from unitcost.exporter.serving.guard.passwords import Passwords
from unitcost.exporter.serving.guard.turns import Busy
from unitcost.exporter.serving.guard.watch import WebFile

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
Refused = Callable[[str, int], None]
"""Told the path and the status of each request that was not let through."""
Headers = tuple[tuple[bytes, bytes], ...]

CHALLENGE = (b"www-authenticate", b'Basic realm="unitcost", charset="UTF-8"')


class Guard:
    """An ASGI application before another one. `close` it before the server stops."""

    def __init__(
        self,
        application: Application,
        web: WebFile,
        *,
        open_paths: frozenset[str] = frozenset(),
        refused: Refused = lambda _path, _status: None,
    ) -> None:
        """`open_paths` are read (GET, HEAD) without limit and password; as the scope has them."""
        self._application, self._web = application, web
        self._open, self._refused = open_paths, refused
        self._bucket, self._passwords = Bucket(), Passwords()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not guarded, and so not let through")
        config = self._web.current()
        send = _adding(config.headers, send)
        if scope["path"] in self._open and scope["method"] in ("GET", "HEAD"):
            status = None
        elif not self._bucket.takes(config.rate_limit):
            status = HTTPStatus.TOO_MANY_REQUESTS
        else:
            status = await self._unknown(config.users, scope)
        if status is None:
            await self._application(scope, receive, send)
        else:
            self._refused(scope["path"], status.value)
            await _answer(status, send)

    def close(self) -> None:
        """Check no more passwords; from any thread."""
        self._passwords.close()

    async def _unknown(self, users: Mapping[bytes, bytes], scope: Scope) -> HTTPStatus | None:
        """Why a client is not let in, if so."""
        if not users:
            return None
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        client = (scope.get("client") or ("",))[0]
        try:
            good = await self._passwords.good(users, given, client)
        except Busy:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return None if good else HTTPStatus.UNAUTHORIZED


async def _answer(status: HTTPStatus, send: Send) -> None:
    body = f"{status.phrase.lower()}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status is HTTPStatus.UNAUTHORIZED:
        headers.append(CHALLENGE)
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _adding(more: Headers, send: Send) -> Send:
    """Add headers to the answer, those that it does not have itself."""
    if not more:
        return send

    async def added(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = list(message["headers"])
            names = {name.lower() for name, _ in own}
            own += [(name, value) for name, value in more if name not in names]
            message = {**message, "headers": own}
        await send(message)

    return added
