"""Builds the images once: on a stand-in for python:3.11-slim, a small Debian with its Python."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.image.podman import PYTHON_IMAGE, SETTINGS, Podman

PACKAGES = "ca-certificates,python3,python3-venv"


def _missing(why: str) -> None:
    if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def store() -> Iterator[Path]:
    """A folder with a short name: podman puts sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="uc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def base(store: Path, real_tool: Callable[[str], Path]) -> Path:
    """A root file system with Python where the official image has it, as a tar file.

    UNITCOST_IMAGE_BASE names one that is there already.
    """
    if given := os.environ.get("UNITCOST_IMAGE_BASE"):
        return Path(given)
    debootstrap = real_tool("debootstrap")
    if os.geteuid() != 0:
        _missing("only root can make a base image here (or name one by UNITCOST_IMAGE_BASE)")
    tree = store / "debian"
    options = ("--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tree))
    made = subprocess.run([str(debootstrap), *options], capture_output=True, text=True, check=False)
    if made.returncode:
        _missing(f"debootstrap: {made.stdout[-1000:]}{made.stderr[-1000:]}")
    for cache in ("apt/archives", "debconf"):
        shutil.rmtree(tree / "var/cache" / cache)
    shutil.rmtree(tree / "var/lib/apt/lists")
    for name in ("python", "python3"):
        (tree / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    tar = store / "base.tar"
    subprocess.run(["tar", "-C", tree, "-cf", tar, "."], check=True)
    shutil.rmtree(tree)
    return tar


@pytest.fixture(scope="session")
def podman(store: Path, real_tool: Callable[[str], Path]) -> Iterator[Podman]:
    """A podman that can run containers, else skip (or fail under UNITCOST_REQUIRE_REAL=1)."""
    engine = Podman(real_tool("podman"), store)
    (store / "containers.conf").write_text(SETTINGS)
    info = engine.run("info", check=False)
    if info.returncode:
        _missing(f"podman cannot work here: {info.stderr[-1000:]}")
    yield engine
    engine.run("pod", "rm", "--all", "--force", "--time", "0", check=False)
    engine.run("system", "reset", "--force", check=False)


@pytest.fixture(scope="session")
def python_image(podman: Podman, base: Path) -> str:
    """The stand-in, under the name by which the Dockerfile asks for its base."""
    podman.run("import", str(base), PYTHON_IMAGE)
    return PYTHON_IMAGE


@pytest.fixture(scope="session")
def agent(podman: Podman, python_image: str, root: Path) -> str:
    """The image that is made without naming a target."""
    return podman.build("unitcost", root)


@pytest.fixture(scope="session")
def report(podman: Podman, python_image: str, root: Path) -> str:
    """The image with what reports need."""
    if os.environ.get("UNITCOST_LONG") != "1":
        pytest.skip("a long test: ./dev test-long")
    return podman.build("unitcost-report", root, "--target", "report")


@pytest.fixture(scope="session")
def extended(
    podman: Podman, agent: str, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The agent with something on top, as docs/install.md puts a plugin there: numpy."""
    page = (root / "docs/install.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```dockerfile\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lock = (root / "deploy/image/requirements-report.lock").read_text(encoding="utf-8")
    (numpy,) = re.findall(r"^(numpy==\S+) ; python_full_version < '3.12'", lock, re.MULTILINE)
    told = re.sub(r"FROM \S+", f"FROM {agent}", recipe).replace("unitcost-acme", numpy)
    folder = tmp_path_factory.mktemp("extended")
    (folder / "Dockerfile").write_text(told)
    return podman.build("unitcost-with-numpy", folder)
