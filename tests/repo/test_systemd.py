"""The systemd unit: systemd accepts it, it is locked down, and it runs commands that exist."""

import configparser
import os
import re
import shutil
import subprocess
from collections.abc import Callable
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


@pytest.fixture
def file(text: str, tmp_path: Path) -> Path:
    """The unit file with a program that is here."""
    program = shutil.which("true")
    assert program
    file = tmp_path / "unitcost.service"
    file.write_text(text.replace("/opt/unitcost/bin/unitcost", program), encoding="utf-8")
    return file


def complaints(verify: Path, file: Path) -> list[str]:
    """What `systemd-analyze verify` says about a unit."""
    run = subprocess.run([verify, "verify", file], capture_output=True, text=True, check=False)
    said = [line for line in run.stderr.splitlines() if "unitcost.service" in line]
    return said + [f"exit code {run.returncode}"] * bool(run.returncode)


@pytest.mark.real
def test_systemd_accepts_the_unit(file: Path, real_tool: Callable[[str], Path]) -> None:
    """And notices what is wrong: a key that it does not know."""
    analyze = real_tool("systemd-analyze")
    assert complaints(analyze, file) == []
    file.write_text(file.read_text().replace("[Service]", "[Service]\nNoSuchKey=yes"))
    assert complaints(analyze, file) != []


@pytest.mark.real
@pytest.mark.parametrize("page", ["install", "web"])
def test_systemd_accepts_the_drop_ins_on_the_pages(
    file: Path, root: Path, page: str, real_tool: Callable[[str], Path]
) -> None:
    """Secrets as credentials."""
    text = (root / f"docs/{page}.md").read_text(encoding="utf-8")
    (drop_in,) = re.findall(r"^```ini\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    place = Path(f"{file}.d")
    place.mkdir()
    (place / "secrets.conf").write_text(drop_in)
    assert complaints(real_tool("systemd-analyze"), file) == []
    (place / "secrets.conf").write_text(drop_in.replace("LoadCredential=", "LoadCredential=/"))
    assert complaints(real_tool("systemd-analyze"), file) != []


@pytest.mark.real
def test_systemd_calls_the_unit_little_exposed(
    file: Path, real_tool: Callable[[str], Path]
) -> None:
    """At most 2.5 of 10: it could do little if it were taken over."""
    command = [str(real_tool("systemd-analyze")), "security", "--offline=true", "--threshold=25"]
    run = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.real
def test_systemd_makes_the_jobs_folder(
    root: Path, tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """As the file of tmpfiles.d says."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to root")
    file = root / "deploy/systemd/unitcost.tmpfiles"
    program = str(real_tool("systemd-tmpfiles"))
    command = [program, f"--root={tmp_path}", "--create", str(file)]
    (tmp_path / "run").mkdir()
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "run/unitcost/train").stat().st_mode & 0o7777 == 0o1777


def test_the_first_configuration_is_good(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It states nothing, and says where to read on."""
    file = root / "deploy/systemd/unitcost.yaml"
    assert cli.main(["check-config", str(file)]) == 0
    assert "price: none is given" in capsys.readouterr().err


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
