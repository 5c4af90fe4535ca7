"""NVIDIA GPUs by NVML: who uses them, how much they work, what they draw.

The driver's library is loaded when it is first needed and looked for again if it is not there.
Nothing here fails because of one GPU: what it does not answer is absent.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import wait

import msgspec

from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.nvidia.binding import Fault
from unitcost.collectors.nvidia.board import Clock, Wanted
from unitcost.collectors.nvidia.crew import Crew
from unitcost.collectors.nvidia.driver import Driver
from unitcost.collectors.nvidia.gpu import GpuReading, without_values
from unitcost.pricing.device import Device

PART_OF_DEADLINE = 0.9
"""How much of the time there is may be waited for a GPU: the rest is for what comes after."""
CLOSE_SECONDS = 5.0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is read of NVIDIA GPUs.

    `gpm`: also read performance metrics (Hopper and newer): how much MIG instances, SMs, tensor
    cores and memory work. It takes privileges (CAP_PERFMON, before R565 CAP_SYS_ADMIN), and some
    power. `process_samples`: read how much SM time each process used; without it, a GPU that
    several workloads share is split equally.
    """

    gpm: bool = False
    process_samples: bool = True


class NvmlCollector:
    """Reads all GPUs side by side, each in a thread of its own."""

    name = "nvml"

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        wanted = Wanted(options.gpm, options.process_samples)
        self._crew = Crew()
        self._driver = Driver(wanted, clock or Clock(), self._crew.is_idle)
        self._devices: dict[int, Device] = {}
        self._lock = threading.Lock()
        self._paused = False

    def collect(self, deadline: float) -> Reading:
        """Read everything. A GPU that fails or is late is there without values, and a problem.

        Raises NoData without a driver and while paused, NeedsRestart where the driver was
        replaced or the devices were taken away.
        """
        now = time.monotonic()
        until = now + PART_OF_DEADLINE * max(0.0, deadline - now)
        with self._lock:
            if self._paused:
                raise NoData("paused")
            try:
                session = self._driver.session(until)
            except Fault as fault:
                return Reading(problems=(fault.problem(),))
            answers = self._crew.read(session.gpus, until)
            self._judge(answers)
            return self._reading(answers)

    def pause(self) -> None:
        """Close NVML, so that a GPU can be reset or the driver be unloaded.

        Waits for a collection that goes on, then for NVML some seconds at most: it may be stuck.
        """
        self._paused = True
        with self._lock:
            closing = self._driver.close()
        if wait((closing,), timeout=CLOSE_SECONDS).done:
            closing.result()

    def resume(self) -> None:
        """Let the next collection open NVML again."""
        with self._lock:
            self._driver.reset()
            self._paused = False

    def close(self) -> None:
        """Close NVML and end the threads; nothing can be read after that."""
        self.pause()
        with self._lock:
            self._crew.end()
            self._driver.end()

    def _judge(self, answers: Sequence[GpuReading]) -> None:
        """What the GPUs' answers say of NVML as a whole. Raises NeedsRestart."""
        broken = next((each.broken for each in answers if each.broken is not None), None)
        if broken is not None:
            self._driver.broke(broken)
        elif answers and all(each.all_unknown for each in answers):
            self._driver.all_unknown()
        elif not answers or any(each.device is not None for each in answers):
            self._driver.healthy()

    def _reading(self, answers: Sequence[GpuReading]) -> Reading:
        fresh = {each.device.id for each in answers if each.device is not None}
        devices = []
        for index, answer in enumerate(answers):
            device = answer.device
            if device is not None:
                self._devices[index] = device
            elif (known := self._devices.get(index)) is not None and known.id not in fresh:
                device = without_values(known, answer.lost)
            if device is not None:
                devices.append(device)
        return Reading(
            samples=tuple(sample for each in answers for sample in each.samples),
            problems=tuple(problem for each in answers for problem in each.problems),
            devices=tuple(devices),
            meters=tuple(meter for each in answers for meter in each.meters),
        )


def make_collector(options: Options, context: Context) -> NvmlCollector:
    """The collector of this host's NVIDIA GPUs; what other collectors know is nothing to it."""
    return NvmlCollector(options)
