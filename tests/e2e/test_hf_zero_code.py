"""Hugging Face's real Trainer reports to the real exporter by environment variables alone.

By flag: UNITCOST_FRAMEWORKS names a virtual environment with torch and transformers (CPU).
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hf_job import JOB
from tests.e2e.reservation import PRICE
from tests.harness import Exporter, exporter, free_port, wait_for
from unitcost.exporter.ledger.tools import check

FRAMEWORKS = os.environ.get("UNITCOST_FRAMEWORKS", "")
PYTHON = Path(FRAMEWORKS) / "bin" / "python"
STEPS_PER_EPOCH = 8
UNTIL_FIRST_POST = 20
"""Steps of at most so many are done before a job posts for the first time, after 5 s."""

pytestmark = pytest.mark.skipif(
    not FRAMEWORKS, reason="UNITCOST_FRAMEWORKS names no environment with torch and transformers"
)


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter with a sink."""
    settings = {
        "price": PRICE,
        "period": 0.5,
        "gather_deadline": 0.4,
        "collectors": {
            "training": {"directories": [str(tmp_path / "train")]},
            "training_sink": {"port": free_port(), "token_file": str(tmp_path / "token")},
        },
    }
    (tmp_path / "token").write_text("a-secret\n")
    with exporter(tmp_path, **settings) as running:
        running.wait_tick()
        yield running


class Trainer:
    """The job, and the last step and epoch that it said itself."""

    def __init__(
        self, running: Exporter, epochs: int, seconds: float, stop: int = 0, *more: str
    ) -> None:
        sink = running.settings["collectors"]["training_sink"]
        environment = {
            **os.environ,
            "KUBEFLOW_TRAINER_SERVER_URL": f"http://127.0.0.1:{sink['port']}/v1/jobs/tuner",
            "KUBEFLOW_TRAINER_SERVER_TOKEN": sink["token_file"],
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        command = [str(PYTHON), "-c", JOB, str(running.folder / "out")]
        self.process = subprocess.Popen(
            [*command, str(epochs), str(seconds), str(stop), *more],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.at: tuple[int, float] = (0, 0.0)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line)
                with contextlib.suppress(ValueError, TypeError):
                    step, epoch = json.loads(line)
                    self.at = (step, epoch)

    def finish(self) -> tuple[int, float]:
        """Where it was at its end."""
        assert self.process.wait(300) == 0, "".join(self.said)
        self._reader.join(10)
        return self.at

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self._reader.join(10)


def counted(running: Exporter) -> tuple[float | None, float | None]:
    """Steps and epochs as the exporter has them."""
    scrape = running.scrape()
    names = ("unitcost_steps_total", "unitcost_epochs_total")
    steps, epochs = (scrape.one(name, workload="tuner") for name in names)
    return steps, epochs


def test_steps_and_epochs_are_the_trainers_own(metered: Exporter) -> None:
    """Its process is charged, and each epoch marked."""
    trainer = Trainer(metered, 4, 0.5)
    end = trainer.finish()
    assert end == (4 * STEPS_PER_EPOCH, 4.0)
    wait_for(lambda: counted(metered) == end, f"{end}; {counted(metered)}")
    scrape = metered.wait_tick(2)
    (labels,) = scrape.each("unitcost_run_cost_usd", workload="tuner")
    assert dict(labels)["run"].startswith(f"hf-{trainer.process.pid}-")
    assert scrape.total("unitcost_run_cost_usd", workload="tuner") > 0
    assert scrape.one("unitcost_epoch_last", workload="tuner") == 4
    assert scrape.total("unitcost_cost_usd_total", workload="tuner", state="active") > 0
    metered.stop()
    assert "a-secret" not in metered.log
    assert check(metered.ledger) == []


def test_a_job_that_is_killed_keeps_what_it_posted(metered: Exporter) -> None:
    """At most what it did in the five seconds since its last post is missing."""
    trainer = Trainer(metered, 100, 0.25)
    wait_for(lambda: trainer.at[0] >= 50, "50 steps", 120)
    trainer.kill()
    at = trainer.at[0]

    def settled() -> bool:
        return bool(metered.scrape().each("unitcost_steps_total", workload="tuner"))

    wait_for(settled, "its steps")
    metered.wait_tick(2)
    steps, epochs = counted(metered)
    assert steps is not None
    assert epochs is not None
    assert at - 22 <= steps <= at
    assert epochs == pytest.approx(steps / STEPS_PER_EPOCH, abs=0.006)


def test_an_exporter_that_is_killed_goes_on_with_the_same_job(metered: Exporter) -> None:
    """In the end no step is missing, and none counted twice."""
    trainer = Trainer(metered, 10, 0.35)
    wait_for(lambda: (counted(metered)[0] or 0) > 20, "steps", 120)
    assert metered.process is not None
    metered.process.kill()
    metered.process.wait()
    metered.start()
    end = trainer.finish()
    assert end == (10 * STEPS_PER_EPOCH, 10.0)
    wait_for(lambda: counted(metered) == end, f"{end}; {counted(metered)}")
    assert metered.wait_tick().one("unitcost_epoch_last", workload="tuner") == 10


def test_a_training_that_ends_early_has_no_steps_made_up(metered: Exporter) -> None:
    """Epochs are exact; steps after the last post are not known."""
    end = Trainer(metered, 50, 0.4, stop=3).finish()
    assert end == (3 * STEPS_PER_EPOCH, 3.0)
    wait_for(lambda: counted(metered)[1] == 3.0, "three epochs")
    steps = counted(metered)[0]
    assert steps is not None
    assert end[0] - 13 <= steps <= end[0]


def test_a_resumed_job_counts_what_it_does_itself(metered: Exporter) -> None:
    """Where it resumed the callback does not say: it is counted from its first post on."""
    trainer = Trainer(metered, 20, 0.35, 0, "save")
    wait_for(lambda: trainer.at[0] >= 60, "60 steps", 120)
    trainer.kill()
    metered.wait_tick(3)
    before = counted(metered)[0]
    assert before is not None
    resumed_at = trainer.at[0] // STEPS_PER_EPOCH * STEPS_PER_EPOCH
    end = Trainer(metered, 20, 0.35, 0, "resume").finish()
    assert end == (20 * STEPS_PER_EPOCH, 20.0)
    metered.wait_tick(3)
    after = counted(metered)[0]
    assert after is not None
    itself = end[0] - resumed_at
    assert itself - UNTIL_FIRST_POST <= after - before <= itself
    assert metered.scrape().each("unitcost_epoch_last", workload="tuner")
