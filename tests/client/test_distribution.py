"""The client as a distribution of its own: small, typed, without dependencies."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import unitcost_client


@pytest.fixture(scope="module")
def wheel_files(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the wheel built from this tree holds, by name."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-Im", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root / "client", check=True, capture_output=True)
    (built,) = folder.glob("unitcost_client-*.whl")
    with zipfile.ZipFile(built) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_its_licence(
    wheel_files: dict[str, str], candidates: tuple[str, ...], root: Path
) -> None:
    """All of it and nothing else."""
    package = {name for name in wheel_files if name.startswith("unitcost_client/")}
    prefix = "client/unitcost_client/"
    assert package == {n.removeprefix("client/") for n in candidates if n.startswith(prefix)}
    assert "unitcost_client/py.typed" in package
    (licence,) = (text for name, text in wheel_files.items() if name.endswith("/LICENSE"))
    assert licence == (root / "LICENSE").read_text(encoding="utf-8")


def test_the_metadata_ask_for_nothing(wheel_files: dict[str, str], root: Path) -> None:
    """No dependency; the version that the module and pyproject.toml give."""
    (text,) = (text for name, text in wheel_files.items() if name.endswith("/METADATA"))
    metadata = Parser().parsestr(text)
    project = tomllib.loads((root / "client/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata.get_all("Requires-Dist") is None
    assert metadata["Version"] == project["version"] == unitcost_client.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
