"""Not on Linux: what can work does, and the rest says in one line why it does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unitcost.exporter import cli

# What Python has on Linux and not on macOS, as far as an exporter might want it.
MACOS = """
import os, select, sys, time
for module, names in (
    (os, ("sched_getaffinity", "sched_setaffinity", "O_PATH", "O_TMPFILE", "memfd_create")),
    (os, ("pidfd_open", "posix_fadvise", "eventfd", "O_NOATIME", "O_DIRECT", "getrandom")),
    (select, ("epoll",)),
    (time, ("CLOCK_BOOTTIME",)),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
"""

IMPORTS = """
import pkgutil, unitcost.collectors, unitcost.dashboards, unitcost.exporter, unitcost.pricing
for package in (
    unitcost.collectors, unitcost.dashboards, unitcost.exporter, unitcost.pricing
):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            __import__(found.name)
"""


def on_macos(code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs Python code where much of Linux is missing."""
    command = [sys.executable, "-Ic", MACOS + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_every_module_can_be_imported(tmp_path: Path) -> None:
    """What is missing is missed when it is used, by whoever uses it."""
    run = on_macos(IMPORTS, tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", ["run", "once", "doctor", "demo"])
def test_what_reads_linux_says_so(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with where to read on."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cli.main([command]) == cli.FAILED
    said = capsys.readouterr().err
    assert said.startswith(f"unitcost {command}: this needs Linux; docs/install.md")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("check-config", "unitcost.yaml"), ("plugins",), ("dashboards", "build", "-o.")]
)
def test_what_reads_files_works(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A configuration can be checked and dashboards be built on a laptop."""
    (tmp_path / "unitcost.yaml").write_text("price: {usd_per_hour: 1}\n")
    code = f"from unitcost.exporter import cli; sys.exit(cli.main({list(arguments)!r}))"
    run = on_macos(code, tmp_path)
    assert run.returncode == 0, run.stderr


def test_the_demo_says_so_where_there_is_no_proc(tmp_path: Path) -> None:
    """Instead of a table in which nothing is known."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-r", "--mount"]
    hide = [*alone, "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*hide, "true"], check=False).returncode:
        pytest.skip("/proc cannot be hidden here")
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "demo", "--seconds", "1"]
    run = subprocess.run([*hide, *command], capture_output=True, text=True, check=False)
    said = "unitcost demo: there is no /proc here, which it reads; mount procfs\n"
    assert (run.returncode, run.stdout, run.stderr) == (1, "", said)
