"""Workloads that can be made to drift: real servers under a real load, exporters, the rules, Slack.

A day is a minute here. `SETTINGS` are the rules' own, as `unitcost dashboards build --set` takes
them; the exporters have the same day.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.alertmanager import alertmanager
from tests.e2e.processes import ask, started
from tests.e2e.test_prometheus import Prometheus
from tests.exporter.notify.receiver import Receiver, receiver
from tests.harness import Exporter, free_port
from unitcost.dashboards.settings import DAY
from unitcost.exporter.demo.config import SERVER_TABLE

SECONDS = 60.0
"""How long a day is."""
SETTINGS: Mapping[str, float] = {
    "interval": 1,
    "scatter_interval": 1,
    "rate_window": 5,
    "window_10m": 3,
    "window_30m": 6,
    "window_1h": 6,
    "window_6h": 15,
    "baseline_window": 6,
    "day": SECONDS,
    "week": 3600,
    # Wider than usual: on a busy machine servers are read late, and seconds are minutes here.
    "floor_mix": 0.15,
    "floor_failures": 0.1,
    "floor_idle": 0.3,
    "floor_speed": 0.45,
    "minimum_requests": 20,
    # Not what this is about: all of them idle for the most part.
    "idle_usd_per_day": 1e9,
    "unallocated_usd_per_day": 1e9,
    "group_wait": 0.2,
    "group_interval": 1,
}
USD_PER_HOUR, DEARER = "2000", "3000"
MODEL = "demo-1m"
BEHIND = 5.0
"""How many seconds of requests are made up for by a client that was held up."""

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}
rule_files: ["{rules}"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: unitcost
    static_configs: [{{targets: [{targets}]}}]
"""


@dataclass
class Workload:
    """A server and its one client. `rate`: requests a second; `prompt`: its tokens."""

    name: str
    port: int = 0
    rate: float = 20.0
    prompt: int = 100
    stopped: threading.Event = field(default_factory=threading.Event)

    def tell(self, **changed: float) -> None:
        """Make the server slower, or let requests fail."""
        assert ask(self.port, "/control", changed).status == 200

    def settings(self) -> dict[str, Any]:
        """The workload as the exporter's configuration has it."""
        endpoint = {"url": f"http://127.0.0.1:{self.port}/metrics", "server": "demo"}
        return {
            "name": self.name,
            "owner": "search",
            "match": {"port": self.port},
            "endpoints": [endpoint | {"model": MODEL}],
            "reserve": {"memory_gib": 0.25},
        }

    def ask_steadily(self) -> None:
        """Send one request after the other, evenly, until it is stopped."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        due = time.monotonic()
        while not self.stopped.wait(max(0.0, due - time.monotonic())):
            body = json.dumps({"prompt": "x" * self.prompt, "max_tokens": 10})
            connection.request("POST", "/v1/completions", body)
            connection.getresponse().read()
            due = max(due + 1 / self.rate, time.monotonic() - BEHIND)
        connection.close()

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[None]:
        """The server, and its client, until the end."""
        folder.mkdir()
        script = Path(__file__).with_name("drifting_server.py")
        listens = folder / "port"
        command: list[str | Path] = [sys.executable, "-I", script, listens]
        with started(command, folder, lambda: listens.exists() and listens.read_text()):
            self.port = int(listens.read_text())
            client = threading.Thread(target=self.ask_steadily, name=self.name)
            client.start()
            try:
                yield
            finally:
                self.stopped.set()
                client.join()


@dataclass(frozen=True, slots=True)
class World:
    """What is running."""

    prometheus: Prometheus
    slack: Receiver
    exporters: Mapping[str, Exporter]

    def set_price(self, name: str, usd_per_hour: str) -> None:
        """Write another price into an exporter's configuration, and tell it."""
        running = self.exporters[name]
        running.settings["price"]["usd_per_hour"] = usd_per_hour
        running.write_config()
        assert running.process is not None
        running.process.send_signal(1)

    def factors(self, series: str) -> dict[tuple[str, str], float]:
        """Values of factors by workload and factor."""
        return {
            (row["metric"]["workload"], row["metric"]["factor"]): float(row["value"][1])
            for row in self.prometheus.query(series)
        }


def exporter_settings(workloads: list[Workload]) -> dict[str, Any]:
    """A host whose memory is all that costs something: nobody else's work changes what is held."""
    not_told = ("requests_running", "requests_waiting")
    table = {name: value for name, value in SERVER_TABLE.items() if name not in not_told}
    decode = {"metric": "demo_decode_seconds_total"}
    table["request_seconds"] = [{"metric": "demo_prefill_seconds_total", "plus": [decode]}]
    return {
        "price": {
            "usd_per_hour": USD_PER_HOUR,
            "split": {"usd_per_core_hour": 0, "usd_per_gib_hour": "0.0042"},
        },
        "period": 0.4,
        "gather_deadline": 0.35,
        "time_scale": DAY / SECONDS,
        "unit_costs": {"window": 5 * DAY / SECONDS},
        "workloads": [each.settings() for each in workloads],
        "servers": {"demo": table},
    }


def build(folder: Path, slack_url: str) -> None:
    """`unitcost dashboards build`, as one runs it."""
    (folder / "slack-url").write_text(slack_url)
    settings = {**SETTINGS, "slack_url_file": folder / "slack-url"}
    given = [f"--set={name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-Im", "unitcost.exporter", "dashboards", "build", "-o", str(folder)]
    subprocess.run([*command, *given], check=True, capture_output=True)


@contextlib.contextmanager
def world(
    folder: Path, real_tool: Callable[[str], Path], hosts: Mapping[str, list[Workload]]
) -> Iterator[World]:
    """Everything, one exporter for each of the hosts."""
    with contextlib.ExitStack() as stack:
        slack = stack.enter_context(receiver())
        build(folder, slack.url)
        exporters = {}
        for host, workloads in hosts.items():
            for each in workloads:
                stack.enter_context(each.running(folder / each.name))
            (folder / host).mkdir()
            exporters[host] = Exporter(folder / host, exporter_settings(workloads))
            stack.callback(exporters[host].stop)
            exporters[host].start()
        port = stack.enter_context(alertmanager(real_tool, folder / "alertmanager"))
        targets = ", ".join(f'"127.0.0.1:{each.port}"' for each in exporters.values())
        config = folder / "prometheus.yml"
        rules = folder / "rules" / "unitcost.yaml"
        config.write_text(CONFIG.format(rules=rules, alertmanager=port, targets=targets))
        web = free_port()
        command: list[str | Path] = [
            real_tool("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{web}",
        ]
        running = Prometheus(web)
        stack.enter_context(started(command, folder, running.alive))
        yield World(running, slack, exporters)
