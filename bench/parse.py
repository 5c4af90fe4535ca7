"""What reading model servers costs: the parse, and eight endpoints of 50 kB; each against a peer.

Peers, in the same run and on the same bytes: prometheus_client's parser; http.client with a
connection kept alive. The servers run in a process of their own. The values are compared first.
"""

import http.client
import http.server
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from unitcost.collectors.base import Context, Target
from unitcost.collectors.fetch import fetch
from unitcost.collectors.openmetrics import Options, make_collector
from unitcost.collectors.page.exposition import read
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.servers.vllm import SERVER
from unitcost.pricing.workload import WorkloadKind

CAPTURE = Path(__file__).parent.parent / "tests" / "captures" / "vllm-cpu.after.prom"
ENDPOINTS = 8
ROUNDS = 41
COLLECT_ALLOWED_MS = 25.0


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the capture and keeps connections."""

    protocol_version = "HTTP/1.1"
    content = b""

    def do_GET(self) -> None:
        """The capture, in one write."""
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.content)}\r\n\r\n".encode()
        self.wfile.write(head + self.content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def serve() -> None:
    """Serve until terminated; the port goes to standard output."""
    Handler.content = CAPTURE.read_bytes()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        print(server.server_port, flush=True)
        server.serve_forever()


def cpu(work: Callable[[], object]) -> float:
    """Milliseconds of this process's CPU for one call: the median."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        rounds.append((time.process_time() - began) * 1e3)
    return statistics.median(rounds)


def check_values(body: bytes) -> None:
    """The wanted samples are the same by both parsers."""
    wanted = make_plan(SERVER).wanted
    ours = [tuple(s) for samples in read(body, wanted).samples.values() for s in samples]
    peer = [
        (sample.name, sample.labels, float(sample.value))
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name in wanted
    ]
    if len(ours) < 10 or sorted(ours, key=repr) != sorted(peer, key=repr):
        raise SystemExit("the values differ: nothing to compare")


def measure(port: int) -> list[tuple[str, float, float, str, float]]:
    """(what, milliseconds, the peer's, the peer, largest ratio allowed) of each figure."""
    body = CAPTURE.read_bytes()
    check_values(body)
    text, plan = body.decode(), make_plan(SERVER)
    urls = [f"http://127.0.0.1:{port}/{number}" for number in range(ENDPOINTS)]
    targets = tuple(Target(url, "w", WorkloadKind.INFERENCE) for url in urls)
    collector = make_collector(Options(), Context(targets=targets))
    kept = [http.client.HTTPConnection("127.0.0.1", port) for _ in urls]

    def get_kept(connection: http.client.HTTPConnection) -> bytes:
        connection.request("GET", "/0")
        return connection.getresponse().read()

    def collect_plainly() -> None:
        for connection in kept:
            list(text_string_to_metric_families(get_kept(connection).decode()))

    if problems := collector.collect(time.monotonic() + 10).problems:
        raise SystemExit(f"not all endpoints can be read: {problems[0].detail}")
    parser = cpu(lambda: list(text_string_to_metric_families(text)))
    return [
        ("the wanted samples", cpu(lambda: read(body, plan.wanted)), parser, "its parser", 0.1),
        ("what the table says", cpu(lambda: read_table(plan, body)), parser, "its parser", 0.15),
        ("one GET", cpu(lambda: fetch(urls[0])), cpu(lambda: get_kept(kept[0])), "kept alive", 8),
        (
            f"collect {ENDPOINTS} endpoints",
            cpu(lambda: collector.collect(time.monotonic() + 10)),
            cpu(collect_plainly),
            "kept alive and its parser",
            0.3,
        ),
    ]


def main() -> int:
    """Print each figure and its ratio; 1 if one is above what is allowed."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        figures = measure(int(server.stdout.readline() if server.stdout else 0))
        server.terminate()
    print(f"CPU for an exposition of {CAPTURE.stat().st_size} bytes; prometheus_client is the peer")
    worst = 0
    for what, own, peer, name, allowed in figures:
        ratio = own / peer
        worst = max(worst, int(ratio > allowed))
        print(
            f"{what:20} {own:7.3f} ms = {ratio:5.3f} x {name} ({peer:.3f} ms), allowed {allowed:g}"
        )
    collected = figures[-1][1]
    print(f"all endpoints: {collected:.1f} ms, allowed {COLLECT_ALLOWED_MS:g}")
    return max(worst, int(collected > COLLECT_ALLOWED_MS))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(main())
