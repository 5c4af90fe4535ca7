"""What all tests share: hypothesis profiles, real tools, the tree and the wheel under test."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres
from tests.places import Databases, Files, Places, Where
from unitcost.exporter.ledger.engines import Database

ROOT = Path(__file__).parent.parent
LOG_TAIL = 4_000

# Examples cost time, and time is what a loaded machine has least of: no deadlines.
_RELAXED = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "ci", max_examples=200, deadline=None, derandomize=True, suppress_health_check=_RELAXED
)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=15, database=None)
settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_RELAXED)
settings.register_profile(
    "long", max_examples=10_000, deadline=None, suppress_health_check=_RELAXED
)
_PROFILE = os.environ.get("UNITCOST_PROFILE", "dev")
settings.load_profile(_PROFILE)
if not os.access(ROOT, os.W_OK):  # another user's checkout: no place to keep examples in
    settings.register_profile("unkept", settings.get_profile(_PROFILE), database=None)
    settings.load_profile("unkept")

# Where a tool is not on PATH under its own name.
_TOOL_VARIABLES = {"mlserver": "UNITCOST_MLSERVER", "helm": "UNITCOST_HELM"}


def find_tool(name: str) -> Path | None:
    """The program `name`: on PATH, or in the virtual environment its variable points to."""
    variable = os.environ.get(_TOOL_VARIABLES.get(name, ""), "")
    if variable:
        given = Path(variable)
        program = given / "bin" / name if given.is_dir() else given
        return program if os.access(program, os.X_OK) else None
    found = shutil.which(name)
    return Path(found) if found else None


@pytest.fixture(scope="session")
def real_tool() -> Callable[[str], Path]:
    """``real_tool("promtool")``: its path; else skip, or fail under UNITCOST_REQUIRE_REAL=1.

    ``mlserver`` is looked for in the folder (or file) named by UNITCOST_MLSERVER, ``helm`` in that
    of UNITCOST_HELM.
    """

    def require(name: str) -> Path:
        return find_tool(name) or _lacking(name)

    return require


def _lacking(name: str) -> NoReturn:
    message = f"{name} is not installed (CONTRIBUTING.md says how)"
    if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A real PostgreSQL for all tests of this session, in a folder that another user may enter."""
    programs = postgres.find_programs() or _lacking("postgresql")
    folder = Path(tempfile.mkdtemp(prefix="unitcost-postgres-"))
    try:
        with postgres.server(programs, folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres_server: postgres.Server) -> Database:
    """An empty database in it."""
    return postgres_server.database()


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)]
)
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Somewhere ledgers can lie: each test is run with files, and with databases."""
    if request.param == "sqlite":
        return Files(tmp_path_factory.mktemp("ledgers"))
    return Databases(request.getfixturevalue("postgres_server"))


@pytest.fixture
def where(places: Places) -> Where:
    """A new, empty place."""
    return places.new()


ONE_AT_A_TIME = ("browser", "crash", "e2e", "gpu", "helm", "image", "repo")
"""Tests that start whole programs: with two workers, one runs these, the other all else."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group what is not to run side by side (pytest-xdist, `--dist loadgroup`)."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in ONE_AT_A_TIME:
            item.add_marker(pytest.mark.xdist_group("programs"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Where a test fails, what the programs that it started said last goes into the report."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder is not None:
        for log in sorted(folder.rglob("*.log")):
            said = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
            report.sections.append((f"the end of {log.name}", said))
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


def _git_files(git: Path, *options: str) -> tuple[str, ...]:
    """What ``git ls-files`` lists and is there, as paths from the checkout's root."""
    command = [str(git), "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip("not a git checkout")
    names = {name for name in run.stdout.split("\0") if name}
    return tuple(sorted(name for name in names if os.path.lexists(ROOT / name)))


@pytest.fixture(scope="session")
def tracked(real_tool: Callable[[str], Path]) -> tuple[str, ...]:
    """The files git knows."""
    return _git_files(real_tool("git"))


@pytest.fixture(scope="session")
def candidates(real_tool: Callable[[str], Path]) -> tuple[str, ...]:
    """The files git knows, and those it would know after ``git add``; nothing it ignores."""
    return _git_files(real_tool("git"), "--cached", "--others", "--exclude-standard")


@pytest.fixture(scope="session")
def built_wheel() -> Path | None:
    """The wheel that was built for these tests and installed (UNITCOST_WHEEL), if any."""
    given = os.environ.get("UNITCOST_WHEEL")
    return Path(given) if given else None


@pytest.fixture(scope="session")
def wheel(built_wheel: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree: the one under test, else built here once."""
    if built_wheel:
        return built_wheel
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-Im", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("unitcost-*.whl")
    return built
