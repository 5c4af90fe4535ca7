"""Metadata services of three clouds for tests, on loopback, as strict as the real ones."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SHAPES = Path(__file__).parent / "shapes"
TOKEN = "AQAEALMFuJ3mXk3ySPUS7q4mA5iz0Nq7Cv=="  # noqa: S105 - of a test


def shape(name: str) -> Any:
    """A hand-made answer in the documented shape."""
    return json.loads((SHAPES / f"{name}.synthetic.json").read_text())


class FakeMetadata:
    """What one service has; a value that is None is not there. `requests`: what it was asked."""

    def __init__(self, cloud: str, values: dict[str, Any]) -> None:
        self.cloud = cloud
        self.values = values
        self.requests: list[tuple[str, str]] = []
        self.port = 0

    def answer(
        self, method: str, target: str, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers."""
        self.requests.append((method, target))
        if "x-forwarded-for" in headers:
            return 403, "", {}
        return {"aws": self._aws, "gcp": self._gcp, "azure": self._azure}[self.cloud](
            method, target, headers
        )

    def _aws(
        self, method: str, target: str, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        ttl = "x-aws-ec2-metadata-token-ttl-seconds"
        if (method, target) == ("PUT", "/latest/api/token"):
            seconds = headers.get(ttl, "")
            good = seconds.isdigit() and 1 <= int(seconds) <= 21600
            return (200, TOKEN, {ttl: seconds}) if good else (400, "", {})
        if method != "GET":
            return 405, "", {}
        if headers.get("x-aws-ec2-metadata-token") != TOKEN:
            return 401, "", {}
        value = self.values.get(target.removeprefix("/latest/meta-data/"))
        return (404, "<html>404</html>", {}) if value is None else (200, value, {ttl: "60"})

    def _gcp(
        self, method: str, target: str, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        said = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
        if headers.get("metadata-flavor") != "Google" or method != "GET":
            return 403, "", said
        if headers.get("host") != "metadata.google.internal":
            return 403, "", said
        value = self.values.get(target.removeprefix("/computeMetadata/v1/instance/"))
        return (404, "<html>404</html>", said) if value is None else (200, value, said)

    def _azure(
        self, method: str, target: str, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        if headers.get("metadata") != "true" or method != "GET":
            return 400, '{"error": "Bad request"}', {}
        if target != "/metadata/instance?api-version=2021-02-01":
            return 404, "", {}
        return 200, json.dumps(self.values), {"Content-Type": "application/json; charset=utf-8"}


@contextmanager
def fake_metadata(cloud: str, values: dict[str, Any] | None = None) -> Iterator[FakeMetadata]:
    """A metadata service on loopback, with the values of its shape unless others are given."""
    fake = FakeMetadata(cloud, shape(cloud) if values is None else values)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body, said = fake.answer(self.command, self.path, headers)
            self.send_response(status)
            for name, value in said.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = handle_any

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
