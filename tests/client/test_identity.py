"""Which rank, which run and which attempt a process says it is."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import unitcost_client

Records = Callable[[], list[dict[str, Any]]]
Script = Callable[..., Any]
Spawn = Callable[..., Any]

TORCHRUN = {
    "RANK": "9",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "16",
    "LOCAL_WORLD_SIZE": "8",
    "TORCHELASTIC_RUN_ID": "job-77",
    "TORCHELASTIC_RESTART_COUNT": "2",
}
SRUN = {
    "SLURM_JOB_ID": "4711",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS": "8",
    "SLURM_RESTART_COUNT": "1",
}
BATCH = {"SLURM_JOB_ID": "4711", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}
MPIRUN = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
HYDRA = {
    "PMI_RANK": "4",
    "PMI_SIZE": "5",
    "MPI_LOCALRANKID": "1",
    "MPI_LOCALNRANKS": "2",
}
PMI2 = {**SRUN, "SLURM_PROCID": "5", "PMI_RANK": "5", "PMI_SIZE": "8"}
DAEMON = {**SRUN, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0"}
MVAPICH = {
    "MV2_COMM_WORLD_RANK": "3",
    "MV2_COMM_WORLD_LOCAL_RANK": "1",
    "MV2_COMM_WORLD_SIZE": "4",
    "MV2_COMM_WORLD_LOCAL_SIZE": "2",
}
PALS = {
    "PALS_RANKID": "13",
    "PALS_LOCAL_RANKID": "1",
    "PALS_LOCAL_SIZE": "12",
    "PMI_RANK": "13",
    "PMI_SIZE": "24",
}
FLUX = {
    "FLUX_TASK_RANK": "6",
    "FLUX_TASK_LOCAL_ID": "2",
    "FLUX_JOB_SIZE": "8",
    "FLUX_JOB_NNODES": "2",
    "FLUX_JOB_ID": "f2Yx",
}
POD = {"PET_NODE_RANK": "2", "PET_NNODES": "3", "PET_NPROC_PER_NODE": "1", "JOBSET_NAME": "bert"}
ARRAY = {"SLURM_JOB_ID": "4713", "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "2"}
LIGHTNING = {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("env", "rank", "local", "world", "near"),
    [
        ({}, 0, 0, 1, None),
        (TORCHRUN, 9, 1, 16, 8),
        (SRUN, 5, 1, 8, 4),
        (BATCH, 0, 0, 1, None),
        (MPIRUN, 3, 1, 4, 2),
        (HYDRA, 4, 1, 5, 2),
        (PMI2, 5, 1, 8, 4),
        ({**DAEMON, **HYDRA}, 4, 1, 5, 2),
        ({**DAEMON, **MPIRUN}, 3, 1, 4, 2),
        (MVAPICH, 3, 1, 4, 2),
        (PALS, 13, 1, 24, 12),
        (FLUX, 6, 2, 8, 4),
        (POD, 2, 0, 3, 1),
        ({**POD, **TORCHRUN}, 9, 1, 16, 8),
        ({**POD, "PET_NPROC_PER_NODE": "auto"}, 0, 0, 1, None),
        ({"JOB_COMPLETION_INDEX": "4"}, 0, 0, 1, None),
        (LIGHTNING, 1, 1, 2, None),
        ({**LIGHTNING, "NODE_RANK": "", "JOB_COMPLETION_INDEX": "1"}, None, 1, 2, None),
        ({**LIGHTNING, "NODE_RANK": "1", "WORLD_SIZE": "4"}, None, 1, 4, None),
        ({**SRUN, **TORCHRUN}, 9, 1, 16, 8),
        ({"RANK": "3"}, 3, None, 4, None),
        ({"RANK": "-1", "WORLD_SIZE": "x", "LOCAL_RANK": "٣"}, 0, 0, 1, None),
    ],
    ids=[
        "alone",
        "torchrun",
        "srun",
        "a batch script without srun",
        "mpirun",
        "Intel MPI or MPICH",
        "srun with PMI 2",
        "Intel's mpirun in a job of Slurm",
        "mpirun in a job of Slurm",
        "MVAPICH2",
        "PALS",
        "Flux",
        "one process for each pod",
        "torchrun in a pod",
        "a pod whose launcher starts nobody knows how many",
        "one of many independent pods",
        "lightning",
        "lightning in the second pod",
        "lightning on the second node",
        "torchrun under srun",
        "a rank and nothing else",
        "nonsense",
    ],
)
def test_the_place_is_taken_from_the_launcher(
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    env: Mapping[str, str],
    rank: int | None,
    local: int | None,
    world: int,
    near: int | None,
) -> None:
    """Each launcher has its own variables."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    unitcost_client.start("mnist").end()
    (record,) = records()
    assert (record["rank"], record["local_rank"]) == (rank, local)
    assert (record["world_size"], record["local_world_size"]) == (world, near)


@pytest.mark.parametrize(
    ("env", "run", "attempt"),
    [
        (TORCHRUN, "job-77", 2),
        (SRUN, "4711", 1),
        ({**SRUN, "TORCHELASTIC_RUN_ID": "none"}, "4711", 1),
        ({"JOBSET_NAME": "bert"}, "bert", 0),
        (ARRAY, "4711_2", 0),
        ({**ARRAY, "SLURM_RESTART_COUNT": "3"}, "4711_2", 3),
        (FLUX, "f2Yx", 0),
    ],
)
def test_the_scheduler_names_the_run_and_counts_its_restarts(
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    env: Mapping[str, str],
    run: str,
    attempt: int,
) -> None:
    """Where the user does not."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    unitcost_client.start("mnist").end()
    unitcost_client.start("other", run="mine").end()
    first, second = records()
    assert (first["run"], first["attempt"]) == (run, attempt)
    assert (second["run"], second["attempt"]) == ("mine", attempt)


def test_each_start_from_zero_is_a_run_of_its_own(records: Records) -> None:
    """Where neither the user nor a scheduler names it."""
    for _ in range(3):
        unitcost_client.start("mnist").end()
    assert len({record["run"] for record in records()}) == 3
    assert {record["attempt"] for record in records()} == {0}


def test_each_start_of_a_named_run_is_one_more_attempt(records: Records) -> None:
    """And of that run only: other jobs and other runs count for themselves."""
    for job, run in [("a", "x"), ("a", "x"), ("a", "y"), ("a-1", "x"), ("a", "x")]:
        unitcost_client.start(job, run=run, epoch=1).end()
    assert [record["attempt"] for record in records()] == [0, 1, 0, 0, 2]


def test_a_scheduler_that_starts_counting_anew_does_not_repeat_an_attempt(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun launched again for a run that the user named counts from 0 again."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    unitcost_client.start("mnist", run="mine").end()
    unitcost_client.start("mnist", run="mine", epoch=2).end()
    assert [record["attempt"] for record in records()] == [0, 1]


def test_ranks_of_one_attempt_agree_on_its_number(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order they start; a rank that joins later joins the latest attempt."""
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in ("0", "1", "1", "0", "2"):
        monkeypatch.setenv("RANK", rank)
        unitcost_client.start("mnist", run="mine").end()
    attempts = [(record["rank"], record["attempt"]) for record in records()]
    assert attempts == [(0, 0), (1, 0), (1, 1), (0, 1), (2, 1)]


START = """
import unitcost_client
from unitcost_client import _run
_run.EPOCH_WAIT = _run.EXIT_WAIT = 60
run = unitcost_client.start('mnist'); """


def test_ranks_that_are_not_known_yet_are_told_apart_by_their_place_on_the_host(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Lightning's second node: they are one attempt, not one after the other."""
    for name, value in {"WORLD_SIZE": "4", "NODE_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    for local in ("0", "1", "1", "0"):
        monkeypatch.setenv("LOCAL_RANK", local)
        unitcost_client.start("mnist", run="mine").end()
    attempts = [(record["local_rank"], record["attempt"]) for record in records()]
    assert attempts == [(0, 0), (1, 0), (1, 1), (0, 1)]


def test_local_ranks_that_nobody_named_share_one_run(script: Script, records: Records) -> None:
    """They have the launcher in common."""
    for rank in ("0", "1"):
        script(START, RANK=rank, WORLD_SIZE="2")
    first, second = records()
    assert first["run"] == second["run"]
    assert (first["attempt"], second["attempt"]) == (0, 0)


def test_a_process_that_starts_the_other_ranks_shares_its_run_with_them(
    script: Script, records: Records
) -> None:
    """As Lightning does: the first rank is the parent of the others."""
    child = "import unitcost_client; unitcost_client.start('mnist')"
    parent = (
        "import os, subprocess, sys; os.environ.update(LOCAL_RANK='0', WORLD_SIZE='2');"
        f"{child};"
        f"subprocess.run([sys.executable, '-I', '-c', {child!r}], "
        "env={**os.environ, 'LOCAL_RANK': '1'}, check=True)"
    )
    assert script(parent).returncode == 0
    first, second = records()
    assert (first["rank"], second["rank"]) == (0, 1)
    assert first["run"] == second["run"]


def test_a_killed_job_that_resumes_goes_on_with_its_run(
    spawn: Spawn, script: Script, records: Records
) -> None:
    """Though nobody named it: its predecessor left its file."""
    process = spawn(START + "run.epoch(); print('ready', flush=True); input()")
    process.send_signal(signal.SIGKILL)
    process.wait()
    for epoch in (1, 1, 2):
        script(f"import unitcost_client; unitcost_client.start('mnist', epoch={epoch}).epoch()")
    assert len({record["run"] for record in records()}) == 1
    assert [record["attempt"] for record in records()] == [0, 1, 2, 3]
    assert [record["resumed_epoch"] for record in records()] == [0, 1, 1, 2]


def test_a_job_that_resumes_beside_a_living_one_is_a_run_of_its_own(
    spawn: Spawn, script: Script, records: Records
) -> None:
    """It may be another experiment of the same name; nothing says that it is the same run."""
    spawn(START + "run.epoch(); print('ready', flush=True); input()")
    script("import unitcost_client; unitcost_client.start('mnist', epoch=1)")
    assert len({record["run"] for record in records()}) == 2


def test_junk_among_the_files_disturbs_no_start(folder: Path, records: Records) -> None:
    """Broken, foreign, huge and dangling files are passed over."""
    folder.mkdir()
    junk = {
        "1": b"",
        "2": b"\xff\xfe{",
        "3": b"[]",
        "4": b"[" * 60_000,
        "5": b'{"job":"mnist","run":"mine","attempt":"many"}',
        "6": b"{" + b" " * 100_000,
    }
    for number, data in junk.items():
        (folder / f"train-mnist-7-{number}.json").write_bytes(data)
    (folder / "train-mnist-7-7.json").symlink_to("/nowhere")
    (folder / "train-mnist-7-8.json").mkdir()
    os.mkfifo(folder / "train-mnist-7-9.json")
    run = unitcost_client.start("mnist", run="mine", epoch=1)
    run.end()
    written = [path for path in folder.iterdir() if f"-{os.getpid()}-" in path.name]
    assert len(written) == 1
