"""The adapters in real training jobs: what they count is what the framework itself counts.

By flag: UNITCOST_LONG=1, and UNITCOST_FRAMEWORKS names a virtual environment with torch (CPU),
lightning, transformers, keras and accelerate; with jax and ray[train] more of them run.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unitcost_client
from tests.client import jobs
from tests.e2e.processes import long_tool
from unitcost.collectors.training import Options, TrainingCollector
from unitcost.pricing.sample import Quantity

Records = Callable[[], list[dict[str, Any]]]
Job = Callable[..., dict[str, Any]]

PATIENCE = 300.0


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where jobs leave their checkpoints."""
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def job(tmp_path: Path, folder: Path, work: Path) -> Job:
    """Runs a job to its end; returns the counts it printed, or nothing if it was to fail."""
    python = long_tool("UNITCOST_FRAMEWORKS", "python")
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "unitcost_client").symlink_to(Path(unitcost_client.__file__).parent)

    def run(code: str, ends: int = 0, **options: Any) -> dict[str, Any]:
        script = work / "fit.py"
        script.write_text(code)
        ended = subprocess.run(
            [python, script, json.dumps({"folder": str(work), **options})],
            env={**os.environ, "PYTHONPATH": str(beside), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == ends, ended.stderr[-3000:]
        assert "unitcost:" not in ended.stderr
        return {} if ends else json.loads(ended.stdout.strip().splitlines()[-1])

    return run


def need(module: str) -> None:
    """Skip where the environment lacks what not every one needs."""
    python = long_tool("UNITCOST_FRAMEWORKS", "python")
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"UNITCOST_FRAMEWORKS has no {module}")


def billed(folder: Path) -> dict[Quantity, float]:
    """Epochs and steps as the exporter adds them up over all processes."""
    sums: dict[Quantity, float] = {Quantity.EPOCHS: 0, Quantity.STEPS: 0}
    reading = TrainingCollector(Options(directories=(str(folder),))).collect(time.monotonic() + 60)
    assert reading.problems == ()
    for sample in reading.samples:
        if sample.quantity in sums:
            sums[sample.quantity] += sample.value
    return sums


def test_huggingface_steps_epochs_tokens_and_stalls(
    job: Job, records: Records, folder: Path
) -> None:
    """An update is one step though it takes two batches; loading and saving are slow on purpose."""
    counts = job(jobs.HUGGINGFACE, loading=0.01, saving=0.2)
    (record,) = records()
    assert (record["steps"], record["total_steps"]) == (counts["steps"], counts["goal"])
    assert (record["epochs"], record["total_epochs"]) == (counts["epochs"], 3)
    assert record["tokens"] == counts["tokens"] == 3 * 26 * 8
    assert [epoch for epoch, _ in record["epoch_marks"]] == [1, 2, 3]
    assert record["state"] == "ended"
    assert billed(folder) == {Quantity.EPOCHS: 3, Quantity.STEPS: 21}
    stalls, seconds = record["stalls"], (record["now_ns"] - record["started_ns"]) / 1e9
    assert stalls["data_loading"] >= 3 * 26 * 0.01
    assert stalls["checkpoint"] >= 6 * 0.2
    assert sum(stalls.values()) < seconds


def test_huggingface_stopped_by_a_number_of_steps(job: Job, records: Records) -> None:
    """A fraction of an epoch, as the trainer says; epochs are no goal then."""
    counts = job(jobs.HUGGINGFACE, max_steps=9)
    (record,) = records()
    assert (record["steps"], record["total_steps"]) == (counts["steps"], 9)
    assert record["epochs"] == pytest.approx(counts["epochs"])
    assert 1 < record["epochs"] < 2
    assert record["total_epochs"] is None


def test_huggingface_killed_and_resumed_is_one_run(
    job: Job, records: Records, work: Path, folder: Path
) -> None:
    """It begins again at its checkpoint; the step between that and its death is done twice."""
    job(jobs.HUGGINGFACE, ends=-signal.SIGKILL, die_at=13)
    counts = job(jobs.HUGGINGFACE, resume=str(work / "checkpoint-12"))
    first, second = records()
    assert (first["steps"], first["state"]) == (13, "running")
    assert first["run"] == second["run"]
    assert (first["attempt"], second["attempt"]) == (0, 1)
    assert (second["resumed_step"], second["steps"]) == (12, counts["steps"])
    assert second["resumed_epoch"] == pytest.approx(1 + 10 / 13)
    assert second["epochs"] == counts["epochs"] == 3
    assert first["tokens"] + second["tokens"] == counts["tokens"] + 2 * 2 * 8
    assert billed(folder)[Quantity.STEPS] == 21 + 1


def test_lightning_steps_epochs_and_stalls(job: Job, records: Records) -> None:
    """Updates, not batches; the sanity check and validation are neither steps nor stalls."""
    counts = job(jobs.LIGHTNING, loading=0.01, saving=0.2, validating=0.4)
    (record,) = records()
    assert record["steps"] == counts["steps"] == record["total_steps"] == 12
    assert record["epochs"] == counts["epochs"] == record["total_epochs"] == 3
    assert [epoch for epoch, _ in record["epoch_marks"]] == [1, 2, 3]
    assert record["state"] == "ended"
    stalls, seconds = record["stalls"], (record["now_ns"] - record["started_ns"]) / 1e9
    assert stalls["data_loading"] >= 3 * 16 * 0.01
    assert stalls["checkpoint"] >= 3 * 0.2
    assert sum(stalls.values()) < seconds - 3 * 0.4


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_lightning_on_two_ranks(job: Job, records: Records, folder: Path, strategy: str) -> None:
    """However it starts them: two files of one run, whose epochs are counted once."""
    counts = job(jobs.LIGHTNING, ranks=2, strategy=strategy)
    found = records()
    assert sorted(record["rank"] for record in found) == [0, 1]
    assert len({record["run"] for record in found}) == 1
    for record in found:
        assert (record["world_size"], record["local_world_size"]) == (2, 2)
        assert record["state"] == "ended"
    assert billed(folder) == {
        Quantity.EPOCHS: counts["epochs"],
        Quantity.STEPS: counts["steps"],
    }


def test_lightning_killed_and_resumed_is_one_run(
    job: Job, records: Records, work: Path, folder: Path
) -> None:
    """In the middle of an epoch: the steps repeated are known, and no epoch is counted twice."""
    job(jobs.LIGHTNING, ends=-signal.SIGKILL, die_at=7, save_every=6)
    (saved,) = work.glob("*.ckpt")
    counts = job(jobs.LIGHTNING, resume=str(saved))
    first, second = records()
    assert (first["steps"], first["epochs"], first["state"]) == (7, 1, "running")
    assert first["run"] == second["run"]
    assert (first["attempt"], second["attempt"]) == (0, 1)
    assert (second["resumed_step"], second["resumed_epoch"]) == (6, 1)
    assert (second["steps"], second["epochs"]) == (counts["steps"], counts["epochs"]) == (12, 3)
    assert billed(folder) == {Quantity.EPOCHS: 3, Quantity.STEPS: 12 + 1}


def test_lightning_cut_off_in_an_epoch_does_not_count_it(job: Job, records: Records) -> None:
    """Lightning itself calls it an epoch; it has seen half of the data."""
    counts = job(jobs.LIGHTNING, max_steps=6)
    (record,) = records()
    assert record["steps"] == counts["steps"] == record["total_steps"] == 6
    assert record["epochs"] == 1


def test_lightning_that_raises_has_failed(job: Job, records: Records) -> None:
    """Though somebody may catch the exception."""
    job(jobs.LIGHTNING, ends=1, raise_at=5)
    (record,) = records()
    assert (record["steps"], record["state"]) == (5, "failed")


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 30),
        ({"accumulate": 2}, 15),
        ({"accumulate": 4}, 7),
        ({"backend": "jax"}, 30),
        ({"backend": "jax", "accumulate": 2}, 15),
        ({"backend": "jax", "at_once": 4}, 30),
    ],
    ids=[
        "plain",
        "accumulating",
        "accumulating over epochs",
        "on JAX",
        "accumulating on JAX",
        "four batches as one",
    ],
)
def test_keras_steps_and_epochs(
    job: Job, records: Records, options: dict[str, Any], steps: int
) -> None:
    """Updates as the optimizer counts them, whatever a batch is; validation is no step."""
    need(options.get("backend", "torch"))
    counts = job(jobs.KERAS, **options)
    (record,) = records()
    assert record["steps"] == counts["steps"] == steps
    assert record["epochs"] == counts["epochs"] == record["total_epochs"] == 3
    assert record["total_steps"] == steps
    assert [epoch for epoch, _ in record["epoch_marks"]] == [1, 2, 3]
    assert (record["stalls"], record["state"]) == ({}, "ended")


def test_keras_killed_and_resumed_is_one_run(job: Job, records: Records, folder: Path) -> None:
    """From the epoch that `BackupAndRestore` has kept."""
    job(jobs.KERAS, ends=-signal.SIGKILL, die_at=1)
    counts = job(jobs.KERAS)
    first, second = records()
    assert first["run"] == second["run"]
    assert (first["attempt"], second["attempt"]) == (0, 1)
    assert (first["epochs"], second["resumed_epoch"]) == (2, 2)
    assert (second["resumed_step"], second["steps"]) == (20, counts["steps"])
    assert second["epochs"] == counts["epochs"] == 3
    assert billed(folder) == {Quantity.EPOCHS: 3, Quantity.STEPS: 30}


def test_ray_train_on_two_workers(job: Job, records: Records, folder: Path) -> None:
    """Ranks and the run's name from Ray; a report holds the workers until all have made it."""
    need("ray.train")
    job(jobs.RAY)
    found = records()
    assert sorted(record["rank"] for record in found) == [0, 1]
    for record in found:
        assert (record["job"], record["run"], record["world_size"]) == ("ray", "tuned", 2)
        assert (record["steps"], record["epochs"], record["total_epochs"]) == (10, 2, 2)
        waits = "checkpoint" if record["rank"] == 0 else "straggler"
        assert set(record["stalls"]) == {"data_loading", waits}
    assert billed(folder) == {Quantity.EPOCHS: 2, Quantity.STEPS: 10}
