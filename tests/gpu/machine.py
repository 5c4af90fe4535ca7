"""The GPU under test: a real one, or a pretended one on which the same checks are tried out."""

import contextlib
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fake_nvml import pretend

LAUNCHER = Path(__file__).parent
CUDA, CPU, NO_DEVICE = "cuda", "cpu", "none"
START_SECONDS = 180.0
"""The first import of torch from a cold disk takes its time."""
COOL_SECONDS = 20.0
POWERS = (310.0, 420.0, 380.0, 505.0)


@dataclass(frozen=True)
class Load:
    """A process at work; `device` is where, as it says itself."""

    process: "subprocess.Popen[str]"
    device: str

    @property
    def pid(self) -> int:
        """Its process id, as this process sees it."""
        return self.process.pid

    def tell(self, line: str) -> None:
        """Send it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def heard(self) -> str:
        """Wait for its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, f"the load ended with {self.process.wait(10)}; its errors are above"
        return line


class Machine:
    """One with a real GPU: what its driver says needs no help from here."""

    pretended = False
    environment: Mapping[str, str] = {}
    work = "torch"
    """What loads do (`loads.py`)."""

    def works(self, pid: int, sm: int) -> None:
        """A process began to use the GPU, `sm` percent of it if it were alone."""

    def rests(self, pid: int) -> None:
        """The process is gone."""

    def stir(self) -> None:
        """Called now and then while a load that varies runs."""

    def cool_down(self) -> None:
        """Let a load that ended leave the power: the mean of a second lags, clocks fall slowly."""
        time.sleep(COOL_SECONDS)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a module of this folder with arguments; its stdin and stdout are pipes."""
        return subprocess.Popen(
            [sys.executable, str(LAUNCHER), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )

    def run(self, *words: str) -> list[Any]:
        """Run one to its end; what it printed, JSON a line. Raises AssertionError if it failed."""
        with self.begin(*words) as process:
            out, _ = process.communicate()
        assert process.returncode == 0, f"{words[0]} ended with {process.returncode}: see above"
        return [json.loads(line) for line in out.splitlines()]

    @contextlib.contextmanager
    def load(self, *words: str, sm: int = 90) -> Iterator[Load]:
        """A process that works until the block ends."""
        process = self.begin(*words, "--work", self.work)
        load = Load(process, "")
        try:
            ready, device = load.heard().split()
            assert ready == "ready"
            self.works(process.pid, sm)
            yield Load(process, device)
        finally:
            process.kill()
            process.communicate()
            self.rests(process.pid)

    def is_right_device(self, device: str) -> bool:
        """Whether a load runs where it should."""
        return device == CUDA

    def why_unusable(self) -> str:
        """Why no GPU can be read here; empty if one can."""
        with self.begin("readings", "--count", "1") as process:
            out, _ = process.communicate()
        if process.returncode:
            return "the collector cannot be run: its error is above"
        reading = json.loads(out)
        return "" if reading["devices"] else f"no GPU answers: {reading['problems']}"


class PretendedMachine(Machine):
    """One whose driver is a pretended one; loads run on the CPU, or only sleep without torch."""

    pretended = True

    def __init__(self, folder: Path, work: str = "") -> None:
        self.driver = pretend(folder, "h100")
        self.gpu = self.driver.gpu(0)
        self.environment = self.driver.environment
        there = importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")
        self.work = work or ("torch" if there else "sleep")
        self._powers = itertools.cycle(POWERS)

    def works(self, pid: int, sm: int) -> None:
        self.gpu.run(pid, memory=1 << 30, sm=sm)
        self._settle()

    def rests(self, pid: int) -> None:
        self.gpu.stop(pid)
        self._settle()

    def stir(self) -> None:
        self.gpu.power_watts = next(self._powers)
        self.driver.write()

    def cool_down(self) -> None:
        pass  # its power falls at once

    def is_right_device(self, device: str) -> bool:
        return device in (CPU, NO_DEVICE)

    def _settle(self) -> None:
        running = bool(self.gpu.processes)
        self.gpu.utilization = (90, 20) if running else (0, 0)
        self.gpu.power_watts = 400.0 if running else self.gpu.model.idle_watts
        self.driver.write()
