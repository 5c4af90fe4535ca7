"""A pretended NVIDIA driver: our own library with NVML's ABI, for the real nvidia-ml-py to load.

    driver = pretend(tmp_path, "h100", clock=0.0)
    driver.gpu(0).power_watts = 300.0
    driver.write()
    run(script, env=driver.environment)
    assert driver.calls("nvmlDeviceGetPowerUsage", gpu=0) == 1

The process under test has to be started with `environment`: where the library is looked for is
decided when an interpreter starts. Everything else can change while it runs.
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fake_nvml_counts import ALL_DEVICES, is_alive, read_calls, read_head
from tests.fake_nvml_gpu import FakeGpu
from tests.fake_nvml_parts import Mig
from tests.fake_nvml_profiles import GpuModel, profile

SOURCES = Path(__file__).parent / "native"
LIBRARY = "libnvidia-ml.so.1"
ALL_CALLS = "*"

GPU_IS_LOST = 15
FUNCTION_NOT_FOUND = 13
XID_CRITICAL_ERROR = 8

_ALWAYS = 2**62
_VIRTUAL_EPOCH = 1_700_000_000.0
_FLAGS = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")


def _skip(reason: str) -> None:
    if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def build(folder: Path, without: Sequence[str] = (), flags: Sequence[str] = ()) -> Path:
    """Compile the library into `folder` and return the folder; skip where no compiler is.

    `without`: symbols that it shall not have, as that of an older driver.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        _skip("no C compiler is installed")
    folder.mkdir(parents=True, exist_ok=True)
    symbols = folder / "symbols.map"
    hidden = "".join(f" {name};" for name in without)
    symbols.write_text(f"{{ global: nvml*; local:{hidden} *; }};\n", encoding="ascii")
    linking = (f"-Wl,-soname,{LIBRARY}", f"-Wl,--version-script={symbols}")
    sources = map(str, sorted(SOURCES.glob("*.c")))
    command = [str(compiler), *_FLAGS, *flags, *linking, "-o", str(folder / LIBRARY), *sources]
    done = subprocess.run([*command, "-lm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@functools.cache
def library(*without: str) -> Path:
    """The folder with the library, compiled once for each set of missing symbols."""
    folder = Path(tempfile.mkdtemp(prefix="fake-nvml-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build(folder, without)


@dataclass(frozen=True)
class Fault:
    """Something ordered to go wrong, as a line of the state file."""

    kind: str
    call: str
    uuid: str
    amount: float
    after: int
    until: int

    def __str__(self) -> str:
        target = f"{self.call}@{self.uuid}" if self.uuid else self.call
        return f"{self.kind} {target} {self.amount} {self.after} {self.until}"


class FakeNvml:
    """The driver and its GPUs, as a test sees them."""

    def __init__(
        self,
        library_folder: Path,
        work_folder: Path,
        gpus: Iterable[GpuModel],
        *,
        clock: float | None = None,
        driver: str = "550.90.07",
    ) -> None:
        """With `clock` (seconds) time stands still until `advance`; without it, it is real."""
        self._library, self._folder, self._clock = library_folder, work_folder, clock
        self.driver = driver
        self.gpus = [FakeGpu(model, i, self.now) for i, model in enumerate(gpus)]
        self._faults: list[Fault] = []
        self._events: list[str] = []
        self._offset = _VIRTUAL_EPOCH if clock is not None else time.time() - time.monotonic()
        self.state_file = work_folder / "nvml.state"
        self.calls_file = work_folder / "nvml.calls"
        self.write()

    @property
    def environment(self) -> dict[str, str]:
        """What the process under test has to have in its environment."""
        others = filter(None, [os.environ.get("LD_LIBRARY_PATH")])
        return {
            "LD_LIBRARY_PATH": os.pathsep.join([str(self._library), *others]),
            "UNITCOST_FAKE_NVML_STATE": str(self.state_file),
            "UNITCOST_FAKE_NVML_CALLS": str(self.calls_file),
        }

    def gpu(self, index: int) -> FakeGpu:
        """One GPU, to be changed; `write` makes it so."""
        return self.gpus[index]

    # --- Time ------------------------------------------------------------------------------

    def now(self) -> float:
        """The seconds that the library's clock shows."""
        return time.monotonic() if self._clock is None else self._clock

    def timestamp(self, at: float) -> int:
        """The timestamp of an instant of the clock as NVML gives it, in microseconds."""
        return round((at + self._offset) * 1e6)

    def advance(self, seconds: float) -> None:
        """Let time pass, at once; what was changed before is written too."""
        assert self._clock is not None, "this driver's clock is the real one"
        self._clock += seconds
        self.write()

    # --- What goes wrong -------------------------------------------------------------------

    def fail(
        self,
        call: str,
        code: int,
        gpu: int | str | Mig | None = None,
        *,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        """Let a call (or ALL_CALLS) return `code`, after so many more calls and so many times.

        Counting needs the name of a call.
        """
        assert call != ALL_CALLS or (after == 0 and times is None)
        counted = after > 0 or times is not None
        start = self.calls(call, gpu) + after if counted else 0
        until = start + times if times is not None else _ALWAYS
        self._add(Fault("error", call, self._uuid(gpu), code, start, until))

    def missing(self, call: str) -> None:
        """Let a call say FunctionNotFound. (`build(without=...)` leaves the symbol out.)"""
        self.fail(call, FUNCTION_NOT_FOUND)

    def lose(self, gpu: int) -> None:
        """The GPU falls off the bus."""
        self.fail(ALL_CALLS, GPU_IS_LOST, gpu)

    def hang(self, call: str, seconds: float, gpu: int | str | Mig | None = None) -> None:
        """Let a call take so long, or until `clear`, in real time."""
        self._add(Fault("hang", call, self._uuid(gpu), seconds, 0, _ALWAYS))

    def slow(self, call: str, milliseconds: float, gpu: int | str | Mig | None = None) -> None:
        """Let each such call take so long, in real time."""
        self._add(Fault("slow", call, self._uuid(gpu), milliseconds, 0, _ALWAYS))

    def clear(self) -> None:
        """Nothing goes wrong any more; a call that hangs returns."""
        self._faults.clear()
        self.write()

    def xid(self, gpu: int, code: int) -> None:
        """An Xid error happens."""
        number = len(self._events) + 1
        self._events.append(f"event {number} {self.gpus[gpu].uuid} {XID_CRITICAL_ERROR} {code}")
        self.write()

    def reload_driver(self) -> None:
        """All counters begin again at zero."""
        for gpu in self.gpus:
            gpu.reload_driver()
        self.write()

    def _add(self, fault: Fault) -> None:
        self._faults.append(fault)
        self.write()

    def _uuid(self, gpu: int | str | Mig | None) -> str:
        if isinstance(gpu, Mig):
            return gpu.uuid
        if isinstance(gpu, int):
            return self.gpus[gpu].uuid
        return gpu or ""

    # --- The state file --------------------------------------------------------------------

    def _lines(self) -> Iterator[str]:
        yield f"driver {self.driver}"
        yield "cuda 12040"
        yield f"offset {self._offset!r}"
        if self._clock is not None:
            yield f"clock {self._clock!r}"
        yield from map(str, self._faults)
        yield from self._events
        for gpu in self.gpus:
            yield from gpu.lines()
        yield "end"

    def write(self) -> None:
        """Make everything so that was changed."""
        new = self.state_file.with_suffix(".new")
        new.write_text("\n".join(self._lines()) + "\n", encoding="ascii")
        os.replace(new, self.state_file)

    # --- What the library did --------------------------------------------------------------

    def calls(self, name: str, gpu: int | str | Mig | None = None) -> int:
        """How often a call was made: on one device, or in all."""
        wanted = name, self._uuid(gpu) or ALL_DEVICES
        found = (n for call, uuid, n in read_calls(self.calls_file) if (call, uuid) == wanted)
        return next(found, 0)

    def all_calls(self) -> dict[str, int]:
        """All calls that were made, and how often."""
        found = read_calls(self.calls_file)
        return {call: count for call, uuid, count in found if uuid == ALL_DEVICES}

    @property
    def initialised(self) -> bool:
        """Whether a living process holds NVML open just now."""
        head = read_head(self.calls_file)
        return head.references > 0 and is_alive(head.pid)

    @property
    def inits(self) -> int:
        """How often it was initialised, of all processes."""
        return read_head(self.calls_file).inits

    @property
    def shutdowns(self) -> int:
        """How often it was shut down, of all processes."""
        return read_head(self.calls_file).shutdowns

    @property
    def gpm_samples(self) -> int:
        """How many GPM samples were allocated and not freed."""
        return read_head(self.calls_file).gpm_samples

    @property
    def rejected_states(self) -> int:
        """How many state files the library did not understand and left alone."""
        return read_head(self.calls_file).rejected_states


def pretend(folder: Path, name: str, *, clock: float | None = None) -> FakeNvml:
    """A driver with the GPUs of a profile; `folder` is for its files."""
    return FakeNvml(library(), folder, profile(name), clock=clock)
