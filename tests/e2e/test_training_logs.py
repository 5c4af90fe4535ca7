"""Logs as real frameworks write them, read as they are written: steps and epochs are their own.

By flag: UNITCOST_FRAMEWORKS names a virtual environment with torch, transformers, lightning and
tensorboardX (CPU).
"""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.framework_jobs import HUGGING_FACE, LIGHTNING
from unitcost.collectors.training_logs import JobLogs, Options, TrainingLogs
from unitcost.pricing.sample import Quantity

FRAMEWORKS = os.environ.get("UNITCOST_FRAMEWORKS", "")

pytestmark = pytest.mark.skipif(
    not FRAMEWORKS, reason="UNITCOST_FRAMEWORKS names no environment with torch and others"
)


@pytest.mark.parametrize(
    ("script", "logs", "format_"),
    [
        (LIGHTNING, "csv", "lightning_csv"),
        (LIGHTNING, "tensorboard", "tensorboard"),
        (HUGGING_FACE, "tensorboard", "tensorboard"),
        (HUGGING_FACE, "checkpoints", "trainer_state"),
    ],
)
def test_steps_and_epochs_are_the_frameworks_own(
    tmp_path: Path, script: str, logs: str, format_: str
) -> None:
    """In the end; and never more of them before."""
    folder = tmp_path / "logs"
    folder.mkdir()
    collector = TrainingLogs(Options(jobs=(JobLogs(job="tuner", path=str(folder)),)))
    environment = {**os.environ, "TENSORBOARD_LOGGING_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    command = [str(Path(FRAMEWORKS) / "bin" / "python"), "-c", script, str(folder), logs]
    with (tmp_path / "said").open("wb") as said:
        job = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        seen = []
        while job.poll() is None:
            seen.append(_counts(collector))
            time.sleep(0.1)
    text = (tmp_path / "said").read_text()
    assert job.returncode == 0, text
    steps, epochs = json.loads(text.splitlines()[-1])
    assert _counts(collector) == (steps, epochs)
    assert max(seen)[0] <= steps
    reading = collector.collect(time.monotonic() + 5)
    assert reading.problems == ()
    assert all(f"/{format_}/" in subject.id for subject in reading.subjects)


def _counts(collector: TrainingLogs) -> tuple[float, float]:
    samples = collector.collect(time.monotonic() + 5).samples
    found = [
        sum(sample.value for sample in samples if sample.quantity is quantity)
        for quantity in (Quantity.STEPS, Quantity.EPOCHS)
    ]
    return found[0], found[1]
