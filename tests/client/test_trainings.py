"""Several trainings in one job of a scheduler: which is a run of its own, and which is resumed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unitcost_client

Records = Callable[[], list[dict[str, Any]]]
Script = Callable[..., Any]
Spawn = Callable[..., Any]

START = """
import unitcost_client
from unitcost_client import _run
_run.EPOCH_WAIT = _run.EXIT_WAIT = 60
run = unitcost_client.start('mnist'); """


def test_one_training_after_another_is_another_run(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds or trials in one job of a scheduler: they repeat nothing of each other."""
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    for _ in range(3):
        unitcost_client.start("mnist").end()
    found = [(record["run"], record["attempt"]) for record in records()]
    assert found == [("4711", 0), ("4711#2", 0), ("4711#3", 0)]


def test_trainings_side_by_side_in_one_job_of_a_scheduler_are_runs_of_their_own(
    spawn: Spawn, script: Script, records: Records
) -> None:
    """A sweep over the GPUs of one allocation: the second is no restart of the first."""
    spawn(START + "run.epoch(); print('ready', flush=True); input()", SLURM_JOB_ID="4711")
    script("import unitcost_client; unitcost_client.start('mnist')", SLURM_JOB_ID="4711")
    found = [(record["run"], record["attempt"]) for record in records()]
    assert found == [("4711", 0), ("4711#2", 0)]


def test_a_later_training_of_a_job_that_was_killed_is_resumed_under_its_own_name(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, failed or said to resume: then it is the same training again."""
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    unitcost_client.start("mnist").end()
    unitcost_client.start("mnist").end("failed")
    unitcost_client.start("mnist").end()
    unitcost_client.start("mnist", step=7).end()
    found = [(record["run"], record["attempt"]) for record in records()]
    assert found == [("4711", 0), ("4711#2", 0), ("4711#2", 1), ("4711#2", 2)]


def test_a_job_that_the_scheduler_starts_anew_begins_with_its_first_training(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its script runs from the top, unless what it starts says that it resumes."""
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    unitcost_client.start("mnist").end()
    unitcost_client.start("mnist").end("failed")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    unitcost_client.start("mnist").end()
    unitcost_client.start("mnist").end()
    found = [(record["run"], record["attempt"]) for record in records()]
    assert found == [("4711", 0), ("4711#2", 0), ("4711", 1), ("4711#2", 1)]


def test_all_ranks_of_a_further_training_give_it_the_same_name(
    records: Records, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though one of them was killed when it was over; where one failed, it is the same again."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job-77")
    for state in ("killed", "failed", "ended"):
        for rank in ("0", "1"):
            monkeypatch.setenv("RANK", rank)
            unitcost_client.start("mnist").end("ended" if rank == "0" else state)
        if state == "killed":
            (killed,) = [path for path in folder.iterdir() if '"rank":1' in path.read_text()]
            text = killed.read_text().replace('"ended"', '"running"')
            killed.write_text(text.replace('"pid_started":', '"pid_started":1'))
    found = [(record["run"], record["attempt"]) for record in records()]
    assert found == [("job-77", 0)] * 2 + [("job-77#2", 0)] * 2 + [("job-77#2", 1)] * 2


@pytest.mark.parametrize("job", ["4711", "a#b", "a#2", "x" * 500])
def test_whatever_a_scheduler_calls_its_job(
    records: Records, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    """Each training has a name of its own, that fits into a record."""
    monkeypatch.setenv("JOBSET_NAME", job)
    for _ in range(11):
        unitcost_client.start("mnist").end()
    found = [record["run"] for record in records()]
    assert len(set(found)) == 11
    assert found[-1] == f"{found[0]}#11"
    assert len(found[-1]) < 128
