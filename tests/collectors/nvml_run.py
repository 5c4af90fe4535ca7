"""The NVML collector in a process of its own, with a pretended driver."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fake_nvml import FakeNvml

SCENARIO = Path(__file__).with_name("nvml_scenario.py")

Reading = dict[str, Any]


class NvmlRun:
    """Asks the scenario's methods by name: ``run("collect")``."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def begin(self, name: str, *arguments: Any) -> None:
        """Ask, and do not wait for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to what was asked."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the scenario died"
        return json.loads(line)

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Ask and wait."""
        self.begin(name, *arguments)
        return self.answer()

    def read(self, seconds: float = 30.0) -> Reading:
        """A reading; fails if there is none."""
        reading: Reading = self("collect", seconds)
        assert "raised" not in reading, reading
        return reading

    def read_at(self, driver: FakeNvml, seconds: float = 5.0) -> Reading:
        """Let time go by in a driver whose clock stands still, then read."""
        driver.advance(seconds)
        self("at", driver.now())
        return self.read()


@contextmanager
def run_nvml(
    environment: Mapping[str, str], module_path: Path | None = None, **options: Any
) -> Iterator[NvmlRun]:
    """Start it with options of the collector; `module_path`: where modules are found first.

    It ends when nothing more is asked, however its threads hang.
    """
    variables = {**os.environ, **environment}
    if module_path is not None:
        variables["PYTHONPATH"] = str(module_path)
    command = [sys.executable, str(SCENARIO), json.dumps(options)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
    )
    try:
        yield NvmlRun(process)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@contextmanager
def started(driver: FakeNvml, **options: Any) -> Iterator[NvmlRun]:
    """The collector, with a first reading behind it; the driver's clock stands still."""
    with run_nvml(driver.environment, **options) as run:
        run("at", driver.now())
        run.read()
        yield run


def the(found: list[Any]) -> Any:
    """The only one."""
    assert len(found) == 1, found
    return found[0]


def by_label(reading: Reading, quantity: str) -> dict[str, float]:
    """The values of a quantity by label."""
    found = [each for each in reading["samples"] if each["quantity"] == quantity]
    return {each["label"]: each["value"] for each in found}


def quantities(reading: Reading) -> set[str]:
    """What is measured."""
    return {each["quantity"] for each in reading["samples"]}


def kinds(reading: Reading) -> list[str]:
    """The kinds of the problems."""
    return [each["kind"] for each in reading["problems"]]
