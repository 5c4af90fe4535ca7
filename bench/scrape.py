"""Scrape time against the peers: node_exporter, and prometheus_client's own server.

    python bench/scrape.py

The same keep-alive client takes turns with ours and theirs, in one run. Ours renders a new tick
every 5 s, as it does when it runs. One line for each figure: name, ours, theirs, ratio, target.
Both are asked as Prometheus asks (gzip) and plainly.
"""

import http.client
import itertools
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from unitcost.exporter.serving.exposition import Exposition, Renderer
from unitcost.exporter.serving.live.history import Past
from unitcost.exporter.serving.live.view import About, View
from unitcost.exporter.serving.metrics import METRICS
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.serving.web import WebServer

PERIOD = 5.0
NODE_COLLECTORS = (
    "cpu", "meminfo", "loadavg", "stat", "netdev", "vmstat", "filefd", "uname", "time", "sockstat",
)  # fmt: skip
NODE_TARGET, CLIENT_TARGET = 0.35, 0.15


@dataclass
class Peer:
    """A server in a process of its own, and a connection to it that is kept."""

    process: subprocess.Popen[str]
    port: int

    def __post_init__(self) -> None:
        """Connect at the first scrape."""
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def scrape(self, headers: dict[str, str]) -> bytes:
        """Fetch /metrics once."""
        self.connection.request("GET", "/metrics", headers=headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"status {response.status}")
        return body

    def rss_mib(self) -> float:
        """Resident memory of its process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if "VmRSS" in line)


def series_of(text: bytes) -> int:
    """How many series an exposition has."""
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))


@contextmanager
def started(command: list[str], port: int = 0, answers: bool = True) -> Iterator[Peer]:
    """Run a server that prints its port, or listens on `port`; wait until it `answers`."""
    errors = subprocess.DEVNULL if port else None
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True)
    try:
        line = process.stdout.readline() if process.stdout and not port else ""
        peer = Peer(process, port or int(line))
        for attempt in itertools.count() if answers else ():
            try:
                peer.scrape({})
                break
            except OSError:
                peer.connection.close()
                if attempt > 100:
                    raise
                time.sleep(0.1)
        yield peer
    finally:
        process.kill()
        process.wait()


@contextmanager
def node_exporter(program: str) -> Iterator[Peer]:
    """node_exporter with collectors that every Linux host has, topped up to 500 series."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--collector.{name}" for name in NODE_COLLECTORS]
        flags += [f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults"]
        with started([program, *flags], port) as peer:
            have = series_of(peer.scrape({}))
        lines = "".join(f'bench_gauge{{number="{n}"}} {n}.5\n' for n in range(max(500 - have, 0)))
        Path(folder, "more.prom").write_text(f"# HELP bench_gauge More.\n{lines}")
        flags += ["--collector.textfile", f"--collector.textfile.directory={folder}"]
        with started([program, *flags], port) as peer:
            yield peer


def take_turns(ours: Peer, theirs: Peer, headers: dict[str, str], count: int) -> list[float]:
    """Median milliseconds of a scrape of each, in turns of ten."""
    taken: list[list[float]] = [[], []]
    for _ in range(count // 10 + 1):
        for peer, times in zip((ours, theirs), taken, strict=True):
            for _ in range(10):
                start = time.perf_counter()
                peer.scrape(headers)
                times.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(times[10:]) for times in taken]  # the first turn warms up


def compare(name: str, ours: Peer, theirs: Peer, target: float, count: int) -> bool:
    """Print the figures of one comparison; whether all are within the target."""
    counts = series_of(ours.scrape({})), series_of(theirs.scrape({}))
    print(f"{name}: series, ours {counts[0]}, theirs {counts[1]}")
    good = True
    for how, headers in (("gzip", {"Accept-Encoding": "gzip"}), ("plain", {})):
        own, other = take_turns(ours, theirs, headers, count)
        good = good and own / other <= target
        print(
            f"{name}, {how}: ours {own:.2f} ms, theirs {other:.2f} ms, "
            f"ratio {own / other:.3f}, target <= {target}"
        )
    print(f"{name}: RSS, ours {ours.rss_mib():.1f} MiB, theirs {theirs.rss_mib():.1f} MiB")
    return good


def points(count: int, tick: int) -> dict[str, list[Any]]:
    """About `count` series over all metrics that have labels, with values that move."""
    labelled = [m for m in METRICS if m.labels and m.name != "unitcost_series_dropped_total"]
    made: dict[str, list[Any]] = {}
    for number in range(count):
        metric = labelled[number % len(labelled)]
        labels = tuple(f"{label}-{number // len(labelled)}" for label in metric.labels)
        made.setdefault(metric.name, []).append((labels, number * 0.123456789 + tick))
    return made


def serve_ours(count: int) -> None:
    """Serve `count` series as the exporter does; a new tick every 5 s."""

    class Source:
        """The last tick."""

        def __init__(self) -> None:
            self.renderer, self.ticks = Renderer(), itertools.count()
            self.tick()

        def tick(self) -> None:
            snapshot = Snapshot(time.time_ns(), points(count, next(self.ticks)))
            self.now = Exposition(self.renderer.render(snapshot))

        def exposition(self) -> Exposition:
            return self.now

        def live(self) -> View:
            return View(0, 0, Snapshot(0, {}), Past(), About())

        def healthy(self) -> bool:
            return True

        def ready(self) -> tuple[bool, str]:
            return True, ""

    source = Source()
    print(WebServer("127.0.0.1", 0, source).start(), flush=True)
    while True:
        time.sleep(PERIOD)
        source.tick()


def registry_of(count: int) -> CollectorRegistry:
    """The same series for prometheus_client, as families that cost nothing to collect."""
    families: list[CounterMetricFamily | GaugeMetricFamily] = []
    series = points(count, 0)
    for metric in METRICS:
        kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
        name = metric.name.removesuffix("_total")
        families.append(family := kind(name, metric.help, labels=metric.labels))
        for labels, value in series.get(metric.name, ()):
            family.add_metric(labels, value)

    class Fixed(Collector):
        """Gives the families."""

        def collect(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
            return families

    registry = CollectorRegistry()
    registry.register(Fixed())
    return registry


def serve_theirs(count: int) -> None:
    """Serve `count` series with prometheus_client's own server."""
    server, _ = start_http_server(0, "127.0.0.1", registry_of(count))
    print(server.server_port, flush=True)
    threading.Event().wait()


def median_ms(action: Callable[[], object], count: int) -> float:
    """Median milliseconds of a call."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


def compare_rendering(count: int) -> None:
    """Print what a tick pays so that scrapes do not: rendering, against prometheus_client's."""
    renderer, registry = Renderer(), registry_of(count)
    ticks = iter([Snapshot(0, points(count, tick)) for tick in range(11)])
    renderer.render(next(ticks))
    own = median_ms(lambda: renderer.render(next(ticks)), 10)
    other = median_ms(lambda: generate_latest(registry), 10)
    print(
        f"rendering {count:,} series, once per tick: ours {own:.2f} ms, "
        f"prometheus_client {other:.2f} ms, ratio {own / other:.3f}"
    )


def main() -> int:
    """Measure both comparisons; 1 if a figure misses its target."""
    this = [sys.executable, str(Path(__file__).resolve())]
    good = True
    program = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if program:
        with started([*this, "ours", "500"]) as ours, node_exporter(program) as theirs:
            good = compare("500 series against node_exporter", ours, theirs, NODE_TARGET, 200)
    else:
        print("500 series against node_exporter: node_exporter is not installed")
    with started([*this, "ours", "10000"]) as ours, started([*this, "theirs", "10000"]) as theirs:
        name = "10,000 series against prometheus_client"
        good = compare(name, ours, theirs, CLIENT_TARGET, 40) and good
    compare_rendering(10_000)
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"ours": serve_ours, "theirs": serve_theirs}[sys.argv[1]](int(sys.argv[2]))
    else:
        sys.exit(main())
