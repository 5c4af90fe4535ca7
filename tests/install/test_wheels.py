"""Each locked distribution has a wheel with a locked hash for the other machine, too: arm64."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("install")]

PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


@pytest.mark.parametrize("name", ["agent", "report"])
def test_all_of_it_can_be_installed_on_arm64(root: Path, tmp_path: Path, name: str) -> None:
    """pip would take them, as far as it can tell without taking them."""
    if name == "report" and os.environ.get("UNITCOST_LONG") != "1":
        pytest.skip("a long test: ./dev test-long")
    lock = root / f"deploy/image/requirements-{name}.lock"
    report = tmp_path / "report.json"
    options = [option for each in PLATFORMS for option in ("--platform", each)]
    command = [
        *(sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--report", str(report)),
        *("--target", str(tmp_path / "none"), "--python-version", "3.11", "--no-deps"),
        *("--only-binary", ":all:", "--require-hashes", "-r", str(lock), *options),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    taken = [each["download_info"]["url"] for each in json.loads(report.read_text())["install"]]
    assert len(taken) >= 15
    assert not [url for url in taken if re.search(r"x86_64|win|macos", url.rpartition("/")[2])]
    assert [url for url in taken if url.endswith("aarch64.whl")]
