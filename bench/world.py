"""A busy host for the benchmarks: processes that idle, and servers whose counters move."""

import http.server
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

CAPTURE = Path(__file__).parent.parent / "tests" / "captures" / "vllm-cpu.after.prom"
_TOKENS = re.compile(rb"^(vllm:(?:generation|prompt)_tokens_total\{[^}]*\}) .*$", re.MULTILINE)


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    body = b""
    scrapes = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve the capture with token counters that grow at every scrape."""
        server = cast(_Server, self.server)
        server.scrapes += 1
        tokens = b"\\1 %d" % (1000 * server.scrapes)
        body = _TOKENS.sub(tokens, server.body)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve_captures(count: int) -> None:
    """Serve `count` endpoints until standard input ends; prints their ports."""
    servers = []
    for _ in range(count):
        server = _Server(("127.0.0.1", 0), _Handler)
        server.body = CAPTURE.read_bytes()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    print(*(server.server_address[1] for server in servers), flush=True)
    sys.stdin.read()


@contextmanager
def endpoints(count: int) -> Iterator[list[int]]:
    """Ports of `count` vLLM-like endpoints, each served by a process of its own."""
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            command = [sys.executable, __file__, "1"]
            pipe = subprocess.PIPE
            child = stack.enter_context(
                subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
            )
            stack.callback(child.terminate)
            if child.stdout is None:
                raise RuntimeError("the endpoint has no output")
            ports.append(int(child.stdout.readline()))
        yield ports


@contextmanager
def processes(count: int, name: str = "bench-workload") -> Iterator[list[int]]:
    """Pids of about `count` processes that sleep; every tenth has `name` in its command line."""
    with ExitStack() as stack:
        pids = []
        for index in range(count):
            command = ["sleep", "3600"]
            if index % 10 == 0:
                command = ["python3", "-c", "input()", f"{name}-{index // 10}"]
            child = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            stack.callback(child.kill)
            pids.append(child.pid)
        yield pids


if __name__ == "__main__":
    serve_captures(int(sys.argv[1]))
