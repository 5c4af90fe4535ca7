"""The bundle installs without a network, replaces itself, and goes without taking the ledger."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("install")]

Sh = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def unpacked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for hosts like this one, as its user unpacks it."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("this Python has no pip")
    out = tmp_path_factory.mktemp("bundle")
    command = ["sh", "deploy/bundle/make.sh", str(Path(sys.executable).parent), str(out)]
    made = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    file = Path(made.stdout.strip())
    with tarfile.open(file) as archive:
        archive.extractall(out, filter="data")
    return out / file.name.removesuffix(".tar.gz")


@pytest.fixture
def sh(tmp_path: Path) -> Sh:
    """Runs a script where no network can be reached, or at least no package index."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        alone = []
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DESTDIR": str(tmp_path / "root"),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*alone, "sh", *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def installed(prefix: Path) -> str:
    """What the installed program says of itself."""
    command = [str(prefix / "bin/unitcost"), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_installs_replaces_itself_and_leaves_the_ledger(
    unpacked: Path, tmp_path: Path, sh: Sh
) -> None:
    """A host's whole life with it."""
    prefix, root = tmp_path / "opt/unitcost", tmp_path / "root"
    options = ("--prefix", prefix, "--python", sys.executable)
    first = sh(unpacked / "install.sh", *options, "--systemd")
    assert first.returncode == 0, first.stderr
    assert installed(prefix) == first.stdout.splitlines()[0] + "\n"
    once = subprocess.run([prefix / "bin/unitcost", "once"], capture_output=True, text=True)
    assert once.returncode == 0, once.stderr
    assert 'unitcost_collector_up{collector="host"} 1' in once.stdout
    unit = (root / "etc/systemd/system/unitcost.service").read_text()
    assert f"ExecStart={prefix}/bin/unitcost run" in unit
    assert "/opt/unitcost/" not in unit.replace(str(prefix), "")
    config = root / "etc/unitcost/unitcost.yaml"
    check = [str(prefix / "bin/unitcost"), "check-config", str(config)]
    subprocess.run(check, check=True, capture_output=True)
    config.write_text("price: {usd_per_hour: 1}\n")
    ledger = root / "var/lib/unitcost/ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.touch()
    (prefix / "stale").touch()
    assert sh(unpacked / "install.sh", *options, "--systemd").returncode == 0
    assert config.read_text() == "price: {usd_per_hour: 1}\n"
    assert not (prefix / "stale").exists()
    gone = sh(prefix / "uninstall.sh", "--prefix", prefix)
    assert gone.returncode == 0, gone.stderr
    assert not prefix.exists()
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert left == {"etc/unitcost/unitcost.yaml", "var/lib/unitcost/ledger.db"}


def test_purge_takes_everything(unpacked: Path, tmp_path: Path, sh: Sh) -> None:
    """Configuration and ledger, too; and nothing that is not ours."""
    prefix, root = tmp_path / "opt/unitcost", tmp_path / "root"
    (prefix / "bin").mkdir(parents=True)
    uninstall = unpacked / "uninstall.sh"
    assert sh(uninstall, "--prefix", prefix, "--purge").returncode == 1
    for name in ("bin/unitcost", "pyvenv.cfg"):
        (prefix / name).touch()
    for name in ("etc/unitcost", "var/lib/private/unitcost", "run/unitcost/train", "etc/other"):
        (root / name).mkdir(parents=True)
    assert sh(uninstall, "--prefix", prefix, "--purge").returncode == 0
    assert not list(root.rglob("unitcost"))
    assert (root / "etc/other").exists()


def test_what_was_tampered_with_is_refused_and_an_older_one_stays(
    unpacked: Path, tmp_path: Path, sh: Sh
) -> None:
    """By the sums of all files; and by the hashes of the lock where somebody mends the sums."""
    bad = tmp_path / "bad"
    shutil.copytree(unpacked, bad)
    wheel = next((bad / "wheels").glob("h11-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"x")
    prefix = tmp_path / "unitcost"
    prefix.mkdir()
    (prefix / "pyvenv.cfg").write_text("older")
    options = ("--prefix", prefix, "--python", sys.executable)
    damaged = sh(bad / "install.sh", *options)
    assert (damaged.returncode, "damaged" in damaged.stderr) == (1, True)
    sums = bad / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if "/h11-" not in line]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    sums.write_text("\n".join([*lines, f"{digest}  ./wheels/{wheel.name}", ""]))
    refused = sh(bad / "install.sh", *options)
    assert (refused.returncode, "nothing was changed" in refused.stderr) == (1, True)
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert [path.name for path in tmp_path.glob("unitcost*")] == ["unitcost"]
    assert (prefix / "pyvenv.cfg").read_text() == "older"


@pytest.mark.parametrize("prefix", ["relative", "{tmp}"])
def test_a_place_that_is_something_else_is_left_alone(
    unpacked: Path, tmp_path: Path, sh: Sh, prefix: str
) -> None:
    """No folder is emptied that is not ours."""
    (tmp_path / "precious").touch()
    place = prefix.replace("{tmp}", str(tmp_path))
    refused = sh(unpacked / "install.sh", "--prefix", place, "--python", sys.executable)
    assert refused.returncode == 1
    assert (tmp_path / "precious").exists()


def test_pipx_installs_the_wheel_and_takes_it_away(
    unpacked: Path, wheel: Path, tmp_path: Path
) -> None:
    """In a home of its own, from the bundle's wheels; the ledger is not pipx's."""
    if os.environ.get("UNITCOST_LONG") != "1":
        pytest.skip("a long test: ./dev test-long")
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site), "pipx"]
    subprocess.run(pip, check=True, capture_output=True)
    home = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(unpacked / "wheels"),
    }
    pipx = [sys.executable, "-m", "pipx"]
    subprocess.run([*pipx, "install", str(wheel)], env=home, check=True, capture_output=True)
    program = tmp_path / ".local/bin/unitcost"
    subprocess.run([program, "--version"], env=home, check=True, capture_output=True)
    ledger = tmp_path / ".local/state/unitcost/ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.touch()
    subprocess.run([*pipx, "uninstall", "unitcost"], env=home, check=True, capture_output=True)
    assert (program.exists(), ledger.exists()) == (False, True)
