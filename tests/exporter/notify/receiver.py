"""A stand-in for Slack's incoming webhooks, and for any other: keeps what it is sent."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """`status` and `headers` are what it answers with; `got` what it was sent while that is 200."""

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Any] = field(default_factory=list)
    refused: int = 0


@contextlib.contextmanager
def receiver(path: str = "/services/T000/B000/secret") -> Iterator[Receiver]:
    """It listens on this host until the end."""

    class Handler(BaseHTTPRequestHandler):
        """Answers as it is told to."""

        def do_POST(self) -> None:
            """Take a message."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != path:
                found.refused += 1
                self.send_error(404)
                return
            if found.status == 200:
                found.got.append(json.loads(body))
            else:
                found.refused += 1
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
