"""A process that listens, for tests of discovery: ``listener.py MODE FOLDER PORT... WORDS...``.

It notes what it is asked in FOLDER/asked, one line each, and says FOLDER/ready once it listens.
Modes: ``page`` serves FOLDER/page at /metrics (503 while there is none, or what FOLDER/status
says), ``both`` does so on all addresses, those of IPv6 included, ``hang`` takes requests and says
nothing, ``raw`` speaks first and no HTTP. The words are there to be seen in its command line.
"""

import http.server
import socket
import socketserver
import sys
import threading
import time
from pathlib import Path

MODE, FOLDER = sys.argv[1], Path(sys.argv[2])
PORTS = [int(word) for word in sys.argv[3:] if word.isdigit()]


def note(line: str) -> None:
    """Remember a request."""
    with open(FOLDER / "asked", "a") as file:
        file.write(f"{line}\n")


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the page as it is now."""

    def do_GET(self) -> None:
        note(f"{self.connection.getsockname()[1]} {self.path}")
        page, status = FOLDER / "page", FOLDER / "status"
        code = int(status.read_text()) if status.exists() else 200 if page.exists() else 503
        if self.path != "/metrics":
            code = 404
        body = page.read_bytes() if code == 200 else b"no\n"
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Hang(socketserver.BaseRequestHandler):
    """Takes what comes and does not answer."""

    def handle(self) -> None:
        note("hang")
        while self.request.recv(65536):
            time.sleep(0.01)


class Raw(socketserver.BaseRequestHandler):
    """Greets like a database."""

    def handle(self) -> None:
        note("raw")
        self.request.sendall(b"\x4a\x00\x00\x00\x0a8.0.36\x00\r\n")
        self.request.recv(65536)


class Server(socketserver.ThreadingTCPServer):
    """One for each port; its threads end with the process."""

    allow_reuse_address = True
    daemon_threads = True


class ServerOfBoth(Server):
    """On IPv6 and IPv4."""

    address_family = socket.AF_INET6


if __name__ == "__main__":
    handler = {"page": Page, "both": Page, "hang": Hang, "raw": Raw}[MODE]
    kind, address = (ServerOfBoth, "::") if MODE == "both" else (Server, "127.0.0.1")
    servers = [kind((address, port), handler) for port in PORTS]
    for server in servers:
        threading.Thread(target=server.serve_forever).start()
    (FOLDER / "ready").touch()
