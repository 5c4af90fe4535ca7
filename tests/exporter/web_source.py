"""A source for the web server whose answers a test sets, and small clients of it."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from unitcost.exporter.serving.exposition import Exposition
from unitcost.exporter.serving.live.history import Past
from unitcost.exporter.serving.live.view import About, View
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.serving.web import WebServer

PATIENCE = 30.0
"""Longest wait for anything, seconds: a busy machine is no failure."""
LOOPBACK = "127.0.0.1"


class FakeSource:
    """Says what it was told to say."""

    def __init__(self, body: bytes = b"metric 1.0\n", gzipped: bytes | None = None) -> None:
        self.now = Exposition(body, gzipped)
        self.is_healthy = True
        self.readiness: tuple[bool, str] = (True, "")
        self.broken = False
        self.view = View(1, 1, Snapshot(0, {}), Past(), About(name="host"))

    def live(self) -> View:
        """What was set."""
        return self.view

    def exposition(self) -> Exposition:
        """What was set, or an exception."""
        if self.broken:
            raise RuntimeError("broken on purpose")
        return self.now

    def healthy(self) -> bool:
        """What was set."""
        return self.is_healthy

    def ready(self) -> tuple[bool, str]:
        """What was set."""
        return self.readiness


@contextmanager
def serving(source: FakeSource, address: str = LOOPBACK) -> Iterator[int]:
    """A web server on a free port; the port."""
    server = WebServer(address, 0, source)
    port = server.start()
    try:
        yield port
    finally:
        server.stop()


Answer = tuple[int, dict[str, str], bytes]


def ask(
    port: int, path: str = "/metrics", method: str = "GET", address: str = LOOPBACK, **headers: str
) -> Answer:
    """One request over a connection of its own: status, headers (lower case), body."""
    connection = http.client.HTTPConnection(address, port, timeout=PATIENCE)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        response = connection.getresponse()
        body = response.read()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, body
    finally:
        connection.close()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    """A connection that has sent these bytes."""
    sock = socket.create_connection((LOOPBACK, port), PATIENCE)
    sock.sendall(sent)
    return sock


def closed(sock: socket.socket) -> bool:
    """Whether the server has closed the connection; what it sent before is thrown away."""
    sock.setblocking(False)
    try:
        while sock.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait for it, at most `PATIENCE`; whether it came."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
