"""The client on systems that have less than Linux, played by taking it away: Windows, macOS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TAKEN = (
    *("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "geteuid", "getuid", "getegid"),
    *("fchmod", "fork", "register_at_fork", "chown", "mkfifo", "posix_spawn"),
)
"""What `os` has on Linux and not on Windows, as far as a client might want it."""

WINDOWS = f"""
import builtins, os, sys
for name in {TAKEN!r}:
    delattr(os, name)
os.supports_dir_fd = os.supports_follow_symlinks = set()
there = builtins.__import__

def importing(name, *rest, **more):
    if name in ("fcntl", "pwd", "grp", "resource", "termios"):
        raise ModuleNotFoundError(name)
    return there(name, *rest, **more)

builtins.__import__ = importing

access = os.access

def without_proc(real):
    def function(path, *rest, **more):
        assert not isinstance(path, int), "Windows has no descriptors of folders"
        assert more.pop("dir_fd", None) is more.pop("src_dir_fd", None) is None
        if str(path).startswith(("/proc", "/run", "/tmp/unitcost-")):
            if real is access:
                return False
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path, *rest, **more)
    return function

for name in ("open", "stat", "listdir", "mkdir", "replace", "rename", "unlink", "access"):
    setattr(os, name, without_proc(getattr(os, name)))
builtins.open = without_proc(builtins.open)
"""

JOB = """
import unitcost_client
run = unitcost_client.start("windows-job", epoch={epoch})
for _ in range(3):
    for _ in run.steps(range(5)):
        pass
    run.epoch()
run.end()
"""


def train(folder: Path, prelude: str, epoch: int = 0, **environment: str) -> str:
    """A training process; what it complains of."""
    run = subprocess.run(
        [sys.executable, "-c", prelude + JOB.format(epoch=epoch)],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


def records(folder: Path) -> list[dict[str, object]]:
    """The state files in a folder, oldest first."""
    files = sorted(folder.glob("train-windows-job-*.json"), key=lambda file: file.stat().st_mtime)
    assert [file.name for file in folder.iterdir() if file.name.endswith(".tmp")] == []
    return [json.loads(file.read_text()) for file in files]


def test_without_what_windows_lacks_it_writes_the_same_record(tmp_path: Path) -> None:
    """In the user's profile, and by the path of the folder."""
    assert train(tmp_path, WINDOWS, LOCALAPPDATA=str(tmp_path / "profile")) == ""
    (record,) = records(tmp_path / "profile/unitcost/train")
    assert (record["state"], record["epochs"], record["steps"]) == ("ended", 3.0, 15)
    assert train(tmp_path, "", UNITCOST_STATE_DIR=str(tmp_path / "linux")) == ""
    (linux,) = records(tmp_path / "linux")
    assert record.keys() == linux.keys()
    assert (record["pid_started"], record["pid_namespace"]) == (None, None)


def test_a_resumed_job_finds_its_run_there(tmp_path: Path) -> None:
    """Earlier files are read by path as well."""
    place = str(tmp_path / "state")
    train(tmp_path, WINDOWS, UNITCOST_STATE_DIR=place)
    train(tmp_path, WINDOWS, epoch=3, UNITCOST_STATE_DIR=place)
    first, second = records(tmp_path / "state")
    assert first["run"] == second["run"]
    assert (first["attempt"], second["attempt"]) == (0, 1)


def test_a_folder_that_cannot_be_made_costs_one_line(tmp_path: Path) -> None:
    """And not the training."""
    (tmp_path / "file").touch()
    said = train(tmp_path, WINDOWS, UNITCOST_STATE_DIR=str(tmp_path / "file/state"))
    assert said.count("\n") == 1
    assert "no state file" in said


@pytest.mark.parametrize("module", ["", ".lightning", ".huggingface", ".keras", ".ray"])
def test_it_can_be_imported_there(tmp_path: Path, module: str) -> None:
    """As far as its framework is there."""
    code = f"{WINDOWS}\nimport unitcost_client{module}"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    missing = run.stderr.rpartition("ModuleNotFoundError: No module named ")[2]
    assert run.returncode == 0 or not missing.startswith(("'unitcost", "fcntl")), run.stderr
    assert run.returncode == 0 or (module and missing), run.stderr
