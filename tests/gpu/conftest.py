"""Which GPU the checks run on, and where their results go; README.md says how to run them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.machine import Machine, PretendedMachine

GPU, FAKE = "UNITCOST_GPU", "UNITCOST_GPU_FAKE"
_left_out: list[pytest.Item] = []

Report = Callable[[str, dict[str, Any]], None]


def _switched_on(variable: str) -> bool:
    return os.environ.get(variable) == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a GPU, unless that is wanted."""
    if _switched_on(GPU) or _switched_on(FAKE):
        return
    here = Path(__file__).parent
    _left_out[:] = [each for each in items if each.path.parent == here and _needs_gpu(each)]
    items[:] = [each for each in items if each not in _left_out]
    config.hook.pytest_deselected(items=_left_out)


def _needs_gpu(item: pytest.Item) -> bool:
    return "machine" in getattr(item, "fixturenames", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so in one line."""
    if _left_out:
        reason = f"{len(_left_out)} checks need an NVIDIA GPU and {GPU}=1: tests/gpu/README.md"
        terminalreporter.line(reason)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The real GPU (UNITCOST_GPU=1), or a pretended one (UNITCOST_GPU_FAKE=1)."""
    if not _switched_on(GPU):
        return PretendedMachine(tmp_path_factory.mktemp("driver"))
    found = Machine()
    if why := found.why_unusable():
        pytest.fail(f"{GPU}=1, but {why}")
    return found


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where results go."""
    given = os.environ.get("UNITCOST_GPU_OUT")
    folder = Path(given) if given else tmp_path_factory.mktemp("gpu")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def report(out: Path, machine: Machine) -> Report:
    """Adds a part to results.json, and prints it."""
    found: dict[str, Any] = {"pretended": machine.pretended}

    def add(name: str, part: dict[str, Any]) -> None:
        found[name] = part
        (out / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        for key, value in part.items():
            print(f"\n{value}" if key == "table" else f"{name}: {key} = {value}")

    return add


def seconds_of(variable: str, default: float) -> float:
    """A duration that the environment may shorten."""
    return float(os.environ.get(variable) or default)
