"""The same rules in VictoriaMetrics' vmalert: loaded, and by the same data the same factors."""

import contextlib
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dashboards.panels import filled, queries
from tests.e2e.dashboard_world import CONFIG, QUICK, VALUES, full_page
from tests.e2e.test_prometheus import Prometheus
from tests.harness import free_port, get, wait_for
from unitcost.dashboards.build import write
from unitcost.dashboards.names import FACTORS, Recorded
from unitcost.dashboards.settings import Settings

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.environ.get("UNITCOST_LONG") != "1", reason="UNITCOST_LONG=1 runs it"),
]


@pytest.mark.parametrize("made", [Settings(), QUICK], ids=["plain", "quick"])
def test_vmalert_accepts_the_rules(
    tmp_path: Path, real_tool: Callable[[str], Path], made: Settings
) -> None:
    """Expressions and texts."""
    write(made, tmp_path)
    command = [str(real_tool("vmalert")), "-dryRun", f"-rule={tmp_path}/rules/unitcost.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "error" not in ran.stderr.lower()


@contextlib.contextmanager
def started(folder: Path, *command: str) -> Iterator[None]:
    """A program, until the block ends."""
    with open(folder / f"{Path(command[0]).name}.log", "wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            child.terminate()
            child.wait(30)


def _ready(port: int) -> bool:
    with contextlib.suppress(OSError):
        return get(port, "/health")[0] == 200
    return False


def test_victoria_metrics_finds_the_same_factors(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """Their product is the total there too, and no rule fails."""
    write(QUICK, tmp_path)
    with full_page() as page, contextlib.ExitStack() as stack:
        config = tmp_path / "prometheus.yml"
        scrape = CONFIG.format(rules="", demo=page, page=page).replace("rule_files: []", "")
        lines = [line for line in scrape.splitlines() if "evaluation_interval" not in line]
        config.write_text("\n".join(["global: {scrape_interval: 1s}", *lines]))
        store, alert = free_port(), free_port()
        stack.enter_context(
            started(
                tmp_path,
                str(real_tool("victoria-metrics")),
                f"-promscrape.config={config}",
                f"-storageDataPath={tmp_path / 'data'}",
                f"-httpListenAddr=127.0.0.1:{store}",
                "-search.latencyOffset=0s",
            )
        )
        wait_for(lambda: _ready(store), "VictoriaMetrics")
        url = f"http://127.0.0.1:{store}"
        stack.enter_context(
            started(
                tmp_path,
                str(real_tool("vmalert")),
                f"-rule={tmp_path}/rules/unitcost.yaml",
                f"-datasource.url={url}",
                f"-remoteWrite.url={url}",
                f"-remoteRead.url={url}",
                "-remoteWrite.flushInterval=100ms",
                "-notifier.url=http://127.0.0.1:9",
                f"-httpListenAddr=127.0.0.1:{alert}",
            )
        )
        running = Prometheus(store)
        factors = f'{Recorded.FACTOR}{{window="6h",workload="chat"}}'
        # A new series can be found only after some ten seconds, and seven build on each other.
        wait_for(lambda: len(running.query(factors)) >= len(FACTORS) + 2, "the factors", 300)
        values = {row["metric"]["factor"]: float(row["value"][1]) for row in running.query(factors)}
        product = 1.0
        for factor in FACTORS:
            product *= values[factor]
        assert product == pytest.approx(values["total"], rel=0.01)
        for asked in queries():
            running.query(filled(asked.expr, VALUES))  # asserts that it is no error
        with urllib.request.urlopen(f"http://127.0.0.1:{alert}/metrics") as answer:
            metrics = answer.read().decode()
        failed = [
            line
            for line in metrics.splitlines()
            if line.startswith("vmalert_recording_rules_error{") and not line.endswith(" 0")
        ]
        assert failed == []
