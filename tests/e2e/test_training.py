"""A real training process with the real client, metered by the real exporter.

The job holds exactly what it reserves, so an epoch costs the known rate times the time between
its marks, which the client wrote down.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.reservation import PRICE, RESERVE, known_rate
from tests.harness import Exporter, Scrape, exporter, wait_for
from unitcost.exporter.ledger.tools import check

SCRIPT = """
import sys, time, unitcost_client
resumed, last, die = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "die"
run = unitcost_client.start(job="tuner", run="night", epoch=resumed, step=10 * resumed)
for epoch in range(resumed, last):
    for step in range(10):
        time.sleep(0.1)
        run.step(samples=4)
        if die and epoch == last - 1 and step == 5:
            import os, signal
            time.sleep(1.1)
            os.kill(os.getpid(), signal.SIGKILL)
    run.epoch()
time.sleep(2)
"""


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter that reads state files from a folder of its own."""
    (tmp_path / "train").mkdir()
    settings = {
        "price": PRICE,
        "period": 0.5,
        "gather_deadline": 0.4,
        "unit_costs": {"window": 3600},
        "collectors": {"training": {"directories": [str(tmp_path / "train")]}},
        "workloads": [{"name": "tuner", "kind": "training", "reserve": RESERVE}],
    }
    with exporter(tmp_path, **settings) as running:
        running.wait_tick()
        yield running


def _train(running: Exporter, first: int, last: int, end: str = "well") -> None:
    environment = {**os.environ, "UNITCOST_STATE_DIR": str(running.folder / "train")}
    command = [sys.executable, "-Ic", SCRIPT, str(first), str(last), end]
    code = subprocess.run(command, env=environment, check=False, timeout=120).returncode
    assert code == (-9 if end == "die" else 0)


def _marks(running: Exporter) -> dict[int, int]:
    """Epoch numbers and the nanosecond at which each ended, as the clients wrote them."""
    found = {}
    for path in (running.folder / "train").glob("*.json"):
        for epoch, wall_ns in json.loads(path.read_text())["epoch_marks"]:
            found[int(epoch)] = wall_ns
    return found


def _wait_epochs(running: Exporter, count: int) -> Scrape:
    def counted() -> bool:
        return running.scrape().one("unitcost_epochs_total", workload="tuner") == count

    wait_for(counted, f"{count} epochs")
    return running.wait_tick()


def test_an_epoch_costs_what_was_held_between_its_marks(metered: Exporter) -> None:
    """Exact to a millionth: ticks are cut at the marks, wherever they fall."""
    _train(metered, 0, 3)
    scrape = _wait_epochs(metered, 3)
    assert scrape.one("unitcost_steps_total", workload="tuner") == 30
    assert scrape.one("unitcost_samples_total", workload="tuner") == 120
    assert scrape.one("unitcost_epoch_last", workload="tuner", run="night") == 3
    marks = _marks(metered)
    seconds = Decimal(marks[3] - marks[2]) / 10**9
    expected = float(known_rate() * seconds / 3600)
    cost = scrape.one("unitcost_epoch_cost_usd", workload="tuner", basis="allocated")
    assert cost == pytest.approx(expected, rel=1e-6)
    part = scrape.one("unitcost_epoch_cost_part_usd", workload="tuner", run="night")
    assert part == pytest.approx(cost)
    assert scrape.one("unitcost_step_cost_usd", workload="tuner", basis="allocated") is not None


def test_a_killed_run_that_resumes_goes_on_with_its_cost_and_counts_no_epoch_twice(
    metered: Exporter,
) -> None:
    """Attempt 0 dies in its third epoch; attempt 1 takes up at epoch 2."""
    _train(metered, 0, 3, "die")
    _wait_epochs(metered, 2)
    before = metered.wait_tick(2).one("unitcost_run_cost_usd", workload="tuner", run="night")
    assert before is not None
    _train(metered, 2, 4)
    scrape = _wait_epochs(metered, 4)
    after = scrape.one("unitcost_run_cost_usd", workload="tuner", run="night")
    assert after is not None
    assert after > before > 0
    assert scrape.one("unitcost_epoch_last", workload="tuner", run="night") == 4
    marks = _marks(metered)
    expected = float(known_rate() * Decimal(marks[4] - marks[3]) / 10**9 / 3600)
    cost = scrape.one("unitcost_epoch_cost_usd", workload="tuner", basis="allocated")
    assert cost == pytest.approx(expected, rel=1e-6)
    attempts = metered.rows("SELECT DISTINCT attempt FROM charge WHERE workload = 'tuner'")
    assert sorted(attempts) == [(0,), (1,)]
    metered.stop()
    assert check(metered.ledger) == []
