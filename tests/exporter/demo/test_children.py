"""The demo's children end with it, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from unitcost.exporter.demo.children import ChildFailed, Children

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""

PARENT = """
import sys, time
from pathlib import Path
from unitcost.exporter.demo.children import Children
children = Children(Path(sys.argv[1]))
for name in ("one", "two"):
    children.start(name, "http.server", ["--bind", "127.0.0.1", "0"], {})
print(*children.pids.values(), flush=True)
time.sleep(600)
"""


def gone(pid: int, seconds: float = 30.0) -> bool:
    """Whether the process has ended, a zombie counting as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_stop_ends_a_child_that_ignores_sigterm_and_its_own_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Children(tmp_path) as children:
        children.start("stubborn", "stubborn", [], {})
        pid = children.pids["stubborn"]
        log = tmp_path / "stubborn.log"
        deadline = time.monotonic() + 30
        while not log.read_text().endswith("\n") and time.monotonic() < deadline:
            time.sleep(0.02)
        grandchild = int(log.read_text())
        assert os.getpgid(pid) == pid
        children.check()
    assert gone(pid)
    assert gone(grandchild)
    assert children.pids == {}


def test_a_child_that_ends_by_itself_is_reported_with_what_it_said(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("reader", "json.tool", ["--no-such-option"], {})
        assert gone(children.pids["reader"])
        with pytest.raises(ChildFailed, match=r"(?s)reader ended by itself .*no-such-option"):
            children.check()


def test_a_child_gets_the_environment_asked_for_and_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "teller.py").write_text("import os; print(os.environ['A'], os.environ['B'])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("A", "ours")
    with Children(tmp_path) as children:
        children.start("teller", "teller", [], {"B": "given"})
        deadline = time.monotonic() + 30
        while not (tmp_path / "teller.log").read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert (tmp_path / "teller.log").read_text() == "ours given\n"


def test_kill_9_of_the_parent_leaves_no_child_running(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
        os.kill(parent.pid, signal.SIGKILL)
    finally:
        parent.kill()
        parent.wait(30)
        if parent.stdout:
            parent.stdout.close()
    assert all(gone(pid) for pid in pids)
