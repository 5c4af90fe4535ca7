"""What a run costs over crashes, by a real training process, its client and a real exporter.

The job holds exactly what it reserves, so a second costs the known rate.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.reservation import PRICE, RESERVE, known_rate
from tests.harness import Exporter, Scrape, exporter, wait_for

GOAL, CRASH, CHECKPOINT = 60, 35, 20
SCRIPT = f"""
import os, signal, sys, time, unitcost_client
resumed, attempt = int(sys.argv[1]), sys.argv[2]
run = unitcost_client.start(job="tuner", run="night", step=resumed, total_steps={GOAL})
time.sleep(1)
for step in range(resumed + 1, {GOAL} + 1):
    time.sleep(0.1)
    run.step()
    if step == {CHECKPOINT}:
        with run.stalled("checkpoint"):
            time.sleep(2)
    if step == {CRASH} and attempt == "first":
        time.sleep(1.5)
        os.kill(os.getpid(), signal.SIGKILL)
time.sleep(1.5)
"""


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter that reads state files from a folder of its own."""
    (tmp_path / "train").mkdir()
    settings = {
        "price": PRICE,
        "period": 0.5,
        "gather_deadline": 0.4,
        "collectors": {"training": {"directories": [str(tmp_path / "train")]}},
        "workloads": [{"name": "tuner", "kind": "training", "reserve": RESERVE}],
    }
    with exporter(tmp_path, **settings) as running:
        running.wait_tick()
        yield running


def _start(running: Exporter, step: int, attempt: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "UNITCOST_STATE_DIR": str(running.folder / "train")}
    return subprocess.Popen([sys.executable, "-Ic", SCRIPT, str(step), attempt], env=environment)


def _of_run(scrape: Scrape, metric: str, **labels: str) -> float | None:
    return scrape.one(f"unitcost_run_{metric}", workload="tuner", run="night", **labels)


def _wait_attempts(running: Exporter, attempts: int) -> None:
    wait_for(lambda: _of_run(running.scrape(), "attempts") == attempts, f"attempt {attempts}")


def _with_bounds(running: Exporter) -> Scrape | None:
    """A scrape with a projection: there is none while it could be that the run has ended."""
    scrape = running.scrape()
    return scrape if _of_run(scrape, "projected_cost_usd", bound="high") is not None else None


def test_what_a_crash_costs(metered: Exporter) -> None:
    """The job is killed at step 35 and resumed at 20; so is the exporter, while it repeats."""
    second = float(known_rate() / 3600)
    first = _start(metered, 0, "first")
    _wait_attempts(metered, 1)
    assert first.wait(60) == -signal.SIGKILL
    scrape = metered.wait_tick(2)
    assert _of_run(scrape, "progress_ratio") == pytest.approx(CRASH / GOAL)
    assert _of_run(scrape, "repeated_cost_usd_total") == 0
    waited = _of_run(scrape, "stall_cost_usd_total", reason="checkpoint")
    assert waited == pytest.approx(2 * second, rel=0.15)
    scrape = wait_for(lambda: _with_bounds(metered), "that it is known to have failed")
    low, expected, high = (
        _of_run(scrape, "projected_cost_usd", bound=each) for each in ("low", "expected", "high")
    )
    assert low is not None
    assert expected is not None
    assert high is not None
    assert 0 < low <= expected <= high

    before = _of_run(scrape, "cost_usd")
    again = _start(metered, CHECKPOINT, "second")
    _wait_attempts(metered, 2)
    assert metered.process is not None
    metered.process.kill()
    metered.process.wait()
    metered.start()
    assert again.wait(60) == 0
    scrape = metered.wait_tick(3)
    cost = _of_run(scrape, "cost_usd")
    repeated = _of_run(scrape, "repeated_cost_usd_total")
    assert cost is not None
    assert repeated is not None
    assert before is not None
    # 15 of 40 steps, of which the first begins within a tick; and it loaded and idled for 2.5 s.
    assert 0.9 * second <= repeated <= 0.6 * (cost - before)
    assert _of_run(scrape, "stall_cost_usd_total", reason="checkpoint") == waited
    assert _of_run(scrape, "progress_ratio") == 1
    for bound in ("low", "expected", "high"):
        assert _of_run(scrape, "projected_cost_usd", bound=bound) == cost
    assert repeated + (waited or 0) < cost
