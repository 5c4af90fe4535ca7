"""Folders that cannot be written, are full, vanish, hang or lie: training goes on unharmed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import unitcost_client
from unitcost_client import _folder, _statefile
from unitcost_client._folder import Folder, choose_folder

Records = Callable[[], list[dict[str, Any]]]
Script = Callable[..., Any]
Eventually = Callable[[Callable[[], bool]], None]

LOOP = """
import os, unitcost_client
run = unitcost_client.start('mnist')
other = unitcost_client.start('mnist')
for epoch in range(3):
    for batch in run.steps(range(1000)): other.step()
    run.epoch()
print(run._steps)
"""


@pytest.mark.parametrize("place", ["/proc/self", "/dev/null/state", "/proc/1/fd/unitcost"])
def test_a_folder_that_cannot_be_written_is_said_once_and_training_goes_on(
    script: Script, place: str
) -> None:
    """One line on standard error, however many runs and attempts to write there are."""
    done = script(LOOP, UNITCOST_STATE_DIR=place)
    assert (done.returncode, done.stdout) == (0, "3000\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("unitcost: no state file in ")


def test_a_folder_without_the_right_to_write_is_said_once(script: Script, tmp_path: Path) -> None:
    """An ordinary user's case."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o555)
    done = script(LOOP, UNITCOST_STATE_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "3000\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_working_folder_that_is_gone_stops_nobody(script: Script, tmp_path: Path) -> None:
    """A relative name means nothing then."""
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n{LOOP}"
    runtime = tmp_path / "runtime"  # else this machine's own folder is where it ends up
    runtime.mkdir(mode=0o700)
    names = {"HOME": "/nonexistent", "XDG_RUNTIME_DIR": str(runtime)}
    done = script(code, UNITCOST_STATE_DIR="relative", **names)
    assert (done.returncode, done.stdout) == (0, "3000\n")


def test_a_users_logging_that_fails_stops_nobody(script: Script) -> None:
    """The one warning goes through their handlers."""
    handler = """
import logging
class Bad(logging.Handler):
    def handle(self, record): raise RuntimeError
logging.getLogger().addHandler(Bad())
"""
    done = script(handler + LOOP, UNITCOST_STATE_DIR="/dev/null/state")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3000\n", "")


FULL = """
import resource, unitcost_client
from unitcost_client import _run
_run.EPOCH_WAIT = 60
run = unitcost_client.start('mnist')
run.step(1)
run.epoch()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
run.step(10)
run.epoch()
print('full', flush=True)
input()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print('free', flush=True)
input()
"""


@pytest.fixture
def talk(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A training process whose disk is full until it is told that it is not."""
    command = [sys.executable, "-I", "-W", "error", "-c", FULL]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield process
        process.kill()


def test_a_full_disk_keeps_the_old_record_and_gets_the_new_one_when_there_is_room(
    talk: subprocess.Popen[str], folder: Path, records: Records, eventually: Eventually
) -> None:
    """Nothing is lost, nothing half written lies about, and nobody has to call anything."""
    assert talk.stdin is not None
    assert talk.stdout is not None
    assert talk.stdout.readline() == "full\n"
    (record,) = records()
    assert (record["steps"], record["epochs"]) == (1, 1)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    talk.stdin.write("go on\n")
    talk.stdin.flush()
    assert talk.stdout.readline() == "free\n"
    eventually(lambda: records()[0]["steps"] == 11)
    assert records()[0]["epochs"] == 2


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few pages, where we may mount one."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only a root that may mount can make a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_file_system_is_the_same(
    tiny_disk: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """A real one, filled by somebody else."""
    monkeypatch.setenv("UNITCOST_STATE_DIR", str(tiny_disk))
    run = unitcost_client.start("mnist")
    (path,) = tiny_disk.iterdir()
    with pytest.raises(OSError, match="No space left"):
        (tiny_disk / "filler").write_bytes(b"x" * 100_000)
    before = path.read_bytes()
    run.step(5)
    run.epoch()
    assert path.read_bytes() == before
    (tiny_disk / "filler").unlink()
    eventually(lambda: path.read_bytes() != before)
    assert b'"steps":5,"epochs":1' in path.read_bytes()
    run.end()


def test_a_folder_that_vanishes_comes_back_with_the_totals(folder: Path, records: Records) -> None:
    """Someone cleaned up too much."""
    run = unitcost_client.start("mnist")
    folder.rename(folder.with_name("elsewhere"))
    run.step(3)
    run.epoch()
    assert (records()[0]["steps"], records()[0]["epochs"]) == (3, 1)
    run.end()


def test_a_file_system_that_hangs_holds_up_neither_steps_nor_epochs_nor_the_end(
    script: Script,
) -> None:
    """Writing hangs for an hour here; were each epoch to wait for it, 3,000 would take minutes."""
    hang = """
import time
from unitcost_client import _statefile
_statefile.write = lambda *_: time.sleep(3600)
"""
    loop = LOOP.replace("range(3)", "range(3000)").replace("range(1000)", "range(1)")
    done = script(hang + loop)  # which gives up after a minute
    assert (done.returncode, done.stdout) == (0, "3000\n")


def test_the_folder_is_the_one_named_then_the_systems_then_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In that order, as far as they can be written."""
    system = tmp_path / "system"
    runtime = tmp_path / "runtime"
    monkeypatch.setattr(_folder, "SYSTEM", str(system))
    env = {"UNITCOST_STATE_DIR": "/named", "XDG_RUNTIME_DIR": str(runtime)}
    assert choose_folder(env).path == "/named"
    del env["UNITCOST_STATE_DIR"]
    assert choose_folder(env).path == _folder.own_folder().path
    own = _folder.own_folder()
    assert (own.base, own.below) == ("/tmp", (f"unitcost-{os.geteuid()}", "train"))  # noqa: S108 - a name
    assert not own.make
    runtime.mkdir()
    assert choose_folder(env).path == f"{runtime}/unitcost/train"
    system.mkdir()
    assert choose_folder(env).path == str(system)


def own(base: Path) -> Folder:
    """As under /tmp."""
    return Folder(str(base), ("unitcost-7", "train"))


def test_the_users_own_folder_is_made_for_him_alone(tmp_path: Path) -> None:
    """Nobody else may write there or look in."""
    own(tmp_path).open().close()
    for path in (tmp_path / "unitcost-7", tmp_path / "unitcost-7/train"):
        assert path.stat().st_mode & 0o777 == 0o700
    _statefile.write(own(tmp_path), "train-x-1-1.json", b"{}")
    assert (tmp_path / "unitcost-7/train/train-x-1-1.json").read_bytes() == b"{}"


@pytest.mark.parametrize("level", ["unitcost-7", "unitcost-7/train"])
def test_a_link_in_place_of_the_users_folder_is_refused(tmp_path: Path, level: str) -> None:
    """Someone got there first, under /tmp, and wants our files elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / level).parent.mkdir(exist_ok=True, mode=0o700)
    (tmp_path / level).symlink_to(elsewhere)
    with pytest.raises(OSError):  # noqa: PT011 - which error it is, is the kernel's choice
        _statefile.write(own(tmp_path), "train-x-1-1.json", b"{}")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("level", ["unitcost-7", "unitcost-7/train"])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, level: str) -> None:
    """Even our own."""
    (tmp_path / "unitcost-7/train").mkdir(parents=True)
    (tmp_path / level).chmod(0o777)
    with pytest.raises(PermissionError):
        _statefile.write(own(tmp_path), "train-x-1-1.json", b"{}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    """He could read, change or replace what we write."""
    (tmp_path / "unitcost-7").mkdir(mode=0o700)
    os.chown(tmp_path / "unitcost-7", 12345, 12345)
    with pytest.raises(PermissionError):
        _statefile.write(own(tmp_path), "train-x-1-1.json", b"{}")


def test_links_among_the_files_are_replaced_and_never_followed(tmp_path: Path) -> None:
    """Neither the file nor the temporary one can be used to overwrite something else."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state = tmp_path / "state"
    state.mkdir()
    (state / "train-x-1-1.json").symlink_to(victim)
    (state / ".train-x-1-1.json.tmp").symlink_to(victim)
    _statefile.write(Folder(str(state)), "train-x-1-1.json", b"{}")
    assert victim.read_text() == "precious"
    assert (state / "train-x-1-1.json").read_bytes() == b"{}"
    assert sorted(path.name for path in state.iterdir()) == ["train-x-1-1.json"]


def test_a_start_clears_the_users_old_files_and_only_those(
    folder: Path, eventually: Eventually
) -> None:
    """A week old, named as ours, and of a process that is gone."""
    folder.mkdir()
    gone = 2**31 - 1
    old = time.time() - _statefile.KEEP_SECONDS - 60
    names = {
        f"train-x-{gone}-1.json": old,
        f".train-x-{gone}-2.json.tmp": old,
        f"train-x-{gone}-3.json": time.time() - 3600,
        f"train-x-{os.getpid()}-4.json": old,
        "notes.json": old,
    }
    for name, stamp in names.items():
        (folder / name).write_bytes(b"{}")
        os.utime(folder / name, (stamp, stamp))
    run = unitcost_client.start("new")
    eventually(lambda: not (folder / f"train-x-{gone}-1.json").exists())
    run.end()
    left = {path.name for path in folder.iterdir() if "-new-" not in path.name}
    assert left == {f"train-x-{gone}-3.json", f"train-x-{os.getpid()}-4.json", "notes.json"}
