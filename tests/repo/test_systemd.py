"""The systemd unit: systemd accepts it, it is locked down, and it runs commands that exist."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from unitcost.exporter import cli


class Unit(configparser.RawConfigParser):
    """A unit file without keys given twice."""

    def optionxform(self, optionstr: str) -> str:
        """Keys keep their capitals."""
        return optionstr


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """The unit file."""
    return (root / "deploy/systemd/unitcost.service").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def unit(text: str) -> Unit:
    """The unit file, parsed; a line that is no setting raises."""
    parsed = Unit(delimiters=("=",), comment_prefixes=("#",), strict=True)
    parsed.read_string(text)
    return parsed


def test_systemd_accepts_the_unit(text: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing about it."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("no systemd-analyze here; the other tests read the file")
    program = shutil.which("true")
    assert program
    file = tmp_path / "unitcost.service"
    file.write_text(text.replace("/opt/unitcost/bin/unitcost", program), encoding="utf-8")
    run = subprocess.run([verify, "verify", str(file)], capture_output=True, text=True, check=False)
    complaints = [line for line in run.stderr.splitlines() if "unitcost.service" in line]
    assert (run.returncode, complaints) == (0, [])


def test_the_unit_runs_without_rights(unit: Unit) -> None:
    """No user of its own to make, no capability, a read-only system, one folder to write to."""
    service = unit["Service"]
    assert service["DynamicUser"] == service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "unitcost"


def test_the_unit_keeps_in_sight_what_is_to_be_measured(unit: Unit) -> None:
    """Hiding other users' processes or the network would make the meter blind."""
    service = unit["Service"]
    hiding = ("ProtectProc", "PrivateUsers", "PrivatePIDs", "PrivateNetwork", "ProcSubset")
    assert [name for name in hiding if name in service] == []


def test_the_unit_s_commands_exist(unit: Unit, capsys: pytest.CaptureFixture[str]) -> None:
    """Its first words after the program are commands of the command line."""
    for key in ("ExecStart", "ExecStartPre"):
        program, command, *_ = unit["Service"][key].split()
        assert program.endswith("/unitcost")
        assert cli.main([command, "--help"]) == 0
    assert "usage: unitcost" in capsys.readouterr().out


def test_the_jobs_folder_is_open_to_all_and_nobody_can_remove_others_files(root: Path) -> None:
    """Mode 1777, as /tmp has it."""
    lines = (root / "deploy/systemd/unitcost.tmpfiles").read_text(encoding="utf-8").splitlines()
    entries = [line.split() for line in lines if line and not line.startswith("#")]
    assert ["d", "/run/unitcost/train", "1777", "root", "root", "-"] in entries
