"""A real Prometheus scrapes the real exporter: over restarts, its increase equals the ledger."""

import contextlib
import http.client
import json
import signal
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Exporter, exporter, free_port, get, wait_for

CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: unitcost
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
QUICK = {"price": {"usd_per_hour": "98.32"}, "period": 0.5, "gather_deadline": 0.3}
LEDGER_COUNTER = """
SELECT value FROM counter WHERE metric = 'unitcost_cost_usd_total'
AND labels LIKE '["__unallocated__"%"memory", "idle"]'
"""
LEDGER_CHARGES = """
SELECT SUM(pico) FROM charge WHERE workload = '__unallocated__' AND resource = 'memory'
"""
SERIES = 'unitcost_cost_usd_total{workload="__unallocated__",resource="memory"}'


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus on a loopback port."""

    port: int

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        status, text = get(self.port, path)
        assert status == 200, text
        result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return result

    def value(self, expression: str) -> float:
        """The one value of an instant query."""
        (row,) = self.query(expression)
        return float(row["value"][1])

    def alive(self) -> bool:
        """Whether it is ready."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return get(self.port, "/-/ready")[0] == 200
        return False


@contextlib.contextmanager
def prometheus(binary: Path, folder: Path, target: int) -> Iterator[Prometheus]:
    """A Prometheus that scrapes one port."""
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(port=target))
    port = free_port()
    command = [
        str(binary),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=log, stderr=log) as child:
        try:
            running = Prometheus(port)
            wait_for(running.alive, "Prometheus")
            yield running
        finally:
            child.kill()


def _raw(running: Prometheus, series: str) -> list[float]:
    """All samples of a series, in order."""
    (row,) = running.query(f"{series}[1h]")
    return [float(value) for _, value in row["values"]]


@pytest.mark.real
def test_increase_over_restarts_equals_the_ledger(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """Killed twice and ended once, the counter goes on where it was: no reset, no jump."""
    binary = real_tool("prometheus")
    with exporter(tmp_path, **QUICK) as running:
        first = running.wait_tick().one("unitcost_cost_usd_total", **_labels())
        assert first is not None
        with prometheus(binary, tmp_path / "prometheus", running.port) as server:
            wait_for(lambda: server.query(SERIES), "the first scrape")
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                running.wait_tick(2)
                running.stop(number)
                running.start()
            _wait_scraped(running, server)
            samples = _raw(server, SERIES)
            assert server.value(f"resets({SERIES}[1h])") == 0
            assert samples == sorted(samples)
            increase = samples[-1] - samples[0]
            assert server.value(f"increase({SERIES}[1h])") == pytest.approx(increase, rel=0.1)
        # What was charged up to each commit is in the ledger; the last scrape is one of these.
        assert samples[0] >= first
        running.stop()
        ((counted,),) = running.rows(LEDGER_COUNTER)
        ((charged,),) = running.rows(LEDGER_CHARGES)
        assert counted == charged
        last = running.start().scrape().one("unitcost_cost_usd_total", **_labels())
        assert last is not None
        assert last >= charged / 1e12 >= samples[-1]


def _labels() -> dict[str, str]:
    return {"workload": "__unallocated__", "resource": "memory"}


def _wait_scraped(running: Exporter, server: Prometheus) -> None:
    """Until Prometheus has what the exporter says after this moment."""
    now = running.wait_tick().one("unitcost_cost_usd_total", **_labels())
    assert now is not None
    wait_for(lambda: server.query(f"{SERIES} >= {now}"), "Prometheus to catch up")


@pytest.mark.real
def test_promtool_finds_nothing_to_say(tmp_path: Path, real_tool: Callable[[str], Path]) -> None:
    """`promtool check metrics` on what a running exporter serves."""
    promtool = real_tool("promtool")
    with exporter(tmp_path, **QUICK) as running:
        running.wait_tick(2)
        _, text = get(running.port)
    result = subprocess.run(
        [str(promtool), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
