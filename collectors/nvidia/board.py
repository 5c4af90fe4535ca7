"""A GPU that was found: reads each of its parts, in about ten calls to the driver."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from unitcost.collectors.nvidia import usage
from unitcost.collectors.nvidia.calls import Calls
from unitcost.collectors.nvidia.fields import OF_GPU, OF_MODULE, Field, Fields
from unitcost.collectors.nvidia.gpm import ENGINE, GpmReader
from unitcost.collectors.nvidia.mig import MigReader, MigState
from unitcost.collectors.nvidia.power import PowerReader
from unitcost.collectors.nvidia.processes import ProcessReader, SampleReader
from unitcost.pricing.device import Device, DeviceProcess, SmSample
from unitcost.pricing.energy import Meter
from unitcost.pricing.sample import Kind, Quantity, Sample

BY_GPM, BY_UTILIZATION = "gpm_engine_active", "gpu_utilization"
"""What told how busy a device was (`Device.busy_signal`)."""


def _wall_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Clock:
    """`mono_ns` counts nanoseconds, `wall_us` microseconds since 1970 as the driver counts them."""

    mono_ns: Callable[[], int] = time.monotonic_ns
    wall_us: Callable[[], int] = _wall_us


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read beyond what is always read."""

    gpm: bool = False
    process_samples: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reading of a GPU gave."""

    device: Device
    meters: tuple[Meter, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """How much it worked, as far as it can be seen."""

    busy: float | None = None
    signal: str = ""
    samples: tuple[Sample, ...] = ()
    sm_samples: tuple[SmSample, ...] | None = None


class Board:
    """Has the facts that do not change, and a reader for each of those that do."""

    def __init__(
        self,
        calls: Calls,
        handle: Any,
        uuid: str,
        index: int,
        wanted: Wanted,
        generation: str,
        clock: Clock,
    ) -> None:
        self._calls, self._handle, self._index, self._clock = calls, handle, index, clock
        self.id = f"gpu:{uuid}"
        self._facts: dict[str, Any] = {}
        superchip = self._fact("nvmlDeviceGetC2cModeInfoV")
        in_module = bool(superchip is not None and superchip.isC2cEnabled)
        fields: tuple[Field, ...] = OF_GPU + OF_MODULE if in_module else OF_GPU
        self._fields = Fields(calls, fields)
        self._power = PowerReader(calls, self._fields, uuid, in_module, generation)
        self._mig = MigReader(calls)
        self._processes = ProcessReader(calls)
        self._utilization = usage.Utilization(calls, clock.wall_us)
        self._sm_samples = SampleReader(calls, clock.wall_us) if wanted.process_samples else None
        self._gpm = GpmReader(calls) if wanted.gpm else None

    def read(self) -> Seen:
        """Read all parts; those that fail are absent. Raises GpuLost, NvmlBroken."""
        mono_ns = self._clock.mono_ns()
        values = self._fields.read(self._handle)
        meters = self._power.read(self._handle, values, mono_ns)
        samples = usage.throttled(values, self.id, mono_ns)
        samples += usage.memory(self._calls, self._handle, self.id, mono_ns)
        samples += usage.throttling(self._calls, self._handle, self.id, mono_ns)
        samples += self._limit(meters, mono_ns)
        mig = self._mig.read(self._handle, mono_ns)
        device = self._device(mig or MigState())
        if mig is None:  # whose processes these are cannot be told
            return Seen(device, meters, samples)
        device = replace(device, processes=self._list_processes(mig))
        if mig.on:
            return Seen(self._with_instances(device, mig, mono_ns), meters, samples)
        work = self._work(mono_ns)
        device = replace(device, busy=work.busy, busy_signal=work.signal, samples=work.sm_samples)
        return Seen(device, meters, samples + work.samples)

    def close(self) -> None:
        """Give back what the driver gave."""
        if self._gpm is not None:
            self._gpm.close()

    def _device(self, mig: MigState) -> Device:
        name, minor = self._fact("nvmlDeviceGetName"), self._fact("nvmlDeviceGetMinorNumber")
        return Device(
            self.id,
            product=name or "NVIDIA GPU",
            index=self._index,
            minor=minor,
            slices=mig.slices,
            instances=mig.instances,
        )

    def _fact(self, call: str) -> Any:
        """Asked until it is answered, then remembered."""
        if call not in self._facts:
            answer = self._calls.ask(call, self._handle)
            if answer is None and not self._calls.refused(call):
                return None
            self._facts[call] = answer
        return self._facts[call]

    def _limit(self, meters: tuple[Meter, ...], mono_ns: int) -> tuple[Sample, ...]:
        limits = (each.limit_watts for each in meters if each.limit_watts is not None)
        quantity = Quantity.DEVICE_POWER_LIMIT
        return tuple(Sample(self.id, quantity, each, mono_ns, Kind.GAUGE) for each in limits)

    def _list_processes(self, mig: MigState) -> tuple[DeviceProcess, ...] | None:
        return self._processes.read(self._handle, mig, self._mig.doubt)

    def _with_instances(self, device: Device, mig: MigState, mono_ns: int) -> Device:
        """While MIG is on only GPM tells how much an instance works."""
        if self._sm_samples is not None:
            self._sm_samples.skip()
        if self._gpm is None:
            return device
        numbers = sorted({each.gpu_instance for each in mig.instances})
        busy = self._gpm.read_instances(self._handle, numbers, mono_ns)
        instances = tuple(
            replace(each, busy=busy[each.gpu_instance], busy_signal=BY_GPM)
            if each.gpu_instance in busy
            else each
            for each in mig.instances
        )
        return replace(device, instances=instances)

    def _work(self, mono_ns: int) -> _Work:
        gauge, samples = Kind.GAUGE, []
        ran = self._utilization.read(self._handle)
        if ran is not None:
            samples.append(Sample(self.id, Quantity.DEVICE_UTILIZATION, ran, mono_ns, gauge))
        metrics = self._gpm.read(self._handle, mono_ns) if self._gpm is not None else {}
        for name, ratio in metrics.items():
            samples.append(Sample(self.id, Quantity.DEVICE_METRIC, ratio, mono_ns, gauge, name))
        sm_samples = self._sm_samples.read(self._handle) if self._sm_samples is not None else None
        busy, signal = (metrics[ENGINE], BY_GPM) if ENGINE in metrics else (ran, BY_UTILIZATION)
        return _Work(busy, signal if busy is not None else "", tuple(samples), sm_samples)
