"""A web server behind a web configuration, and small clients of it."""

import base64
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.exporter.web.certificates import Pair, World
from tests.exporter.web_source import LOOPBACK, PATIENCE, FakeSource
from unitcost.exporter.serving.guard.watch import WebFile
from unitcost.exporter.serving.web import WebServer

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    port: int
    server: WebServer
    file: WebFile


@contextmanager
def served(
    folder: Path, text: str, *, source: FakeSource | None = None, health: bool = False
) -> Iterator[Served]:
    """Serve as a web configuration in `folder` says."""
    path = folder / "web.yml"
    path.write_text(text)
    file = WebFile(str(path))
    paths = frozenset({"/-/healthy", "/-/ready"} if health else ())
    server = WebServer(LOOPBACK, 0, source or FakeSource(), file, open_paths=paths)
    try:
        yield Served(server.start(), server, file)
    finally:
        server.stop()


def basic(user: str, password: str) -> str:
    """A value of the Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> Answer:
    """One request over plain HTTP."""
    return _answer(
        http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE), method, path, headers
    )


def ask_tls(port: int, context: ssl.SSLContext, path: str = "/metrics", **headers: str) -> Answer:
    """One request over TLS."""
    connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=PATIENCE, context=context)
    return _answer(connection, "GET", path, headers)


def _answer(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> Answer:
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, body
    finally:
        connection.close()


def raw(port: int, sent: bytes) -> bytes:
    """All that comes back for these bytes, sent as they are, the last of which end it."""
    got = b""
    with socket.create_connection((LOOPBACK, port), PATIENCE) as sock, suppress(ConnectionError):
        sock.sendall(sent)
        while piece := sock.recv(65_536):
            got += piece
    return got


def client(certificates: World, pair: Pair | None = None) -> ssl.SSLContext:
    """A client that trusts the good authority, with or without a certificate of its own."""
    context = ssl.create_default_context(cafile=str(certificates.good.cert))
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context
