"""Real training processes: scripts that use the client, and what they leave behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Records = Callable[[], list[dict[str, Any]]]
Script = Callable[..., subprocess.CompletedProcess[str]]
Spawn = Callable[..., subprocess.Popen[str]]

PATIENCE = 60.0
_LAUNCHERS = (
    *("TORCHELASTIC", "PET_", "SLURM_", "FLUX_", "OMPI_", "MV2_", "PALS_", "PMI_", "MPI_LOCAL"),
    *("UNITCOST_JOB", "UNITCOST_STATE", "XDG_RUNTIME"),
)
_RANKS = {
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK"),
    *("JOBSET_NAME", "JOB_COMPLETION_INDEX"),
}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs the tests, the client finds no launcher unless a test says so."""
    for name in list(os.environ):
        if name.startswith(_LAUNCHERS) or name in _RANKS:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine this loaded, half a second may not be enough for a write."""
    monkeypatch.setattr("unitcost_client._run.EPOCH_WAIT", PATIENCE)
    monkeypatch.setattr("unitcost_client._run.EXIT_WAIT", PATIENCE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the client writes, in this process and in its children."""
    path = tmp_path / "state"
    monkeypatch.setenv("UNITCOST_STATE_DIR", str(path))
    return path


@pytest.fixture
def records(folder: Path) -> Records:
    """Reads all records, in the order the runs started."""

    def read() -> list[dict[str, Any]]:
        found = [json.loads(path.read_bytes()) for path in folder.glob("train-*.json")]
        return sorted(found, key=lambda record: int(record["started_ns"]))

    return read


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds; fails if it takes a minute."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it did not come true"
            time.sleep(0.02)

    return wait


@pytest.fixture
def script(folder: Path) -> Script:
    """Runs a Python script to its end; variables can be added to its environment."""

    def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-W", "error", "-c", code]
        return subprocess.run(
            command,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


@pytest.fixture
def spawn(folder: Path) -> Iterator[Spawn]:
    """Starts a Python script and returns once it has printed a line; kills it in the end."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-W", "error", "-c", code]
        process = subprocess.Popen(
            command,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
