"""A web server on this host that answers as a price list does, and keeps what it was asked."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes, dict[str, str]]
"""Status, body, headers."""


@dataclass(frozen=True)
class Asked:
    """One request; `headers` by their names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """A running server: `answer` says what to say to each request."""

    url: str
    answer: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)


def ok(body: bytes | str, **headers: str) -> Answer:
    """A proper answer."""
    return 200, body.encode() if isinstance(body, str) else body, headers


@contextlib.contextmanager
def web(answer: Callable[[Asked], Answer] | Answer) -> Iterator[Web]:
    """Serve on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            served.asked.append(asked)
            status, body, more = served.answer(asked)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_POST = do_GET
        do_PUT = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A reader that has had enough is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    served = Web(
        f"http://127.0.0.1:{server.server_port}",
        answer if callable(answer) else lambda _: answer,
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
