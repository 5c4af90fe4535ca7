"""A real Prometheus with our rules, and two hosts that it scrapes, to ask panels' queries of.

One host is the demo: a real server and a real training. What no demo has (GPUs, tenants, meters of
power, several layers) comes from a second page: the exporter's own renderer, fed with a point of
every metric, whose counters grow. The rules run at a compressed time scale on both.
"""

import contextlib
import http.server
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tests.dashboards.panels import Asked, filled
from tests.e2e.test_prometheus import Prometheus
from tests.exporter.full_snapshot import LABEL_VALUES
from tests.harness import free_port, get, wait_for
from unitcost.dashboards.build import write
from unitcost.dashboards.names import FACTORS, Recorded
from unitcost.dashboards.settings import Settings
from unitcost.exporter.serving.exposition import Renderer
from unitcost.exporter.serving.metric import Metric
from unitcost.exporter.serving.metrics import METRICS
from unitcost.exporter.serving.snapshot import Point, Snapshot

NS = 1_000_000_000
QUICK = Settings(
    interval=1,
    scatter_interval=1,
    rate_window=4,
    window_10m=2,
    window_30m=3,
    window_1h=4,
    window_6h=5,
    baseline_window=4,
    day=5,
    week=600,
    scatter_window=6,
)
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: unitcost
    static_configs: [{{targets: ["127.0.0.1:{demo}", "127.0.0.1:{page}"]}}]
"""
VALUES = {
    "__rate_interval": "8s",
    "__range": "20s",
    "cluster": ".*",
    "job": ".+",
    "instance": ".+",
    "owner": ".*",
    "workload": ".+",
    "model": ".*",
    "run": ".+",
    "basis:text": "allocated",
    "basis:raw": "active|idle|loading",
    "currency": "USD",
    "window": "30m",
}

MANY = LABEL_VALUES | {
    "kind": ("inference", "training"),
    "resource": ("cpu", "gpu:GPU-1"),
    "workload": ("chat", "__unallocated__"),
    "reason": ("failed", "data_loading"),
    "currency": ("EUR",),
    "price_model": ("override", "spot"),
}
GROWTH = {"unitcost_requests_total": 40.0, "unitcost_held_seconds_total": 1.0}
"""By how much a counter grows in a second where that matters: requests above their minimum."""


def points_of(metric: Metric, seconds: float) -> list[Point]:
    """A point for each combination of labels; times are a little ago, ratios a half."""
    values = [MANY[label] for label in metric.labels]
    now = time.time()
    if metric.type == "counter":
        value = GROWTH.get(metric.name, 0.5) * seconds
    elif metric.name.endswith("_timestamp_seconds"):
        value = now - 30
    else:
        value = 0.5 if metric.name.endswith("_ratio") else 1.0
    return [(labels, value * (1 + index)) for index, labels in enumerate(product(*values))]


class _Page(http.server.BaseHTTPRequestHandler):
    """Serves what an exporter that has everything would."""

    started = time.monotonic()

    def do_GET(self) -> None:
        seconds = 100 + time.monotonic() - self.started
        points = {metric.name: points_of(metric, seconds) for metric in METRICS}
        del points["unitcost_series_dropped_total"]  # the renderer's own
        body = Renderer().render(Snapshot(time.time_ns(), points))
        process = "process_cpu_seconds_total {0}\nprocess_resident_memory_bytes 6e7\n"
        body += process.format(seconds).encode() + b"process_start_time_seconds 1.7e9\n"
        body += f'unitcost_http_requests_total{{path="/metrics",code="200"}} {seconds}\n'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextlib.contextmanager
def full_page() -> Iterator[int]:
    """That page on a loopback port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[int]:
    """`unitcost demo`, until it is ended."""
    port = free_port()
    command = [sys.executable, "-Im", "unitcost.exporter", "demo", "--json", "--port", str(port)]
    with (
        open(folder / "demo.log", "wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as child,
    ):
        try:
            yield port
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


def _has(port: int, text: str) -> bool:
    with contextlib.suppress(OSError):
        return text in get(port)[1]
    return False


@dataclass(frozen=True, slots=True)
class World:
    """The Prometheus, and which of its targets is which."""

    prometheus: Prometheus
    demo: str
    page: str

    def ask(self, asked: Asked, **changed: str) -> list[dict[str, Any]]:
        """The answer to a panel's query now. Raises AssertionError for an error."""
        return self.prometheus.query(filled(asked.expr, VALUES | changed))

    def ask_range(self, asked: Asked) -> list[dict[str, Any]]:
        """The same over the last seconds, as Grafana draws it."""
        now = time.time()
        given = {"query": filled(asked.expr, VALUES), "start": now - 10, "end": now, "step": 2}
        path = "/api/v1/query_range?" + urllib.parse.urlencode(given)
        status, text = get(self.prometheus.port, path)
        assert status == 200, f"{asked}: {text}"
        found: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return found


@contextlib.contextmanager
def dashboard_world(folder: Path, program: Path) -> Iterator[World]:
    """Both hosts, the rules, and a baseline that has formed; `program` is Prometheus."""
    write(QUICK, folder)
    with full_page() as page, demo(folder) as port:
        rules = folder / "rules" / "unitcost.yaml"
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(rules=rules, demo=port, page=page))
        web = free_port()
        command = [
            str(program),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{web}",
        ]
        with (
            open(folder / "prometheus.log", "wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as child,
        ):
            try:
                running = Prometheus(web)
                wait_for(running.alive, "Prometheus")
                wait_for(lambda: _has(port, "unitcost_epoch_cost_usd"), "the demo's first epoch")
                factors = f'{Recorded.FACTOR}{{window="6h"}}'
                wait_for(lambda: len(running.query(factors)) >= 2 * len(FACTORS), "a baseline")
                wait_for(lambda: running.query(Recorded.THRESHOLD), "thresholds")
                yield World(running, f"127.0.0.1:{port}", f"127.0.0.1:{page}")
            finally:
                child.kill()
