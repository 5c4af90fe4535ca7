"""How much a GPU works, how much of its memory is used, and what holds it back."""

import ctypes
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from unitcost.collectors.nvidia.binding import Code, Nvml
from unitcost.collectors.nvidia.calls import Calls
from unitcost.collectors.nvidia.fields import Field, FieldId
from unitcost.collectors.nvidia.lists import MAX_ITEMS, Buffer
from unitcost.pricing.sample import NS_PER_SECOND, Kind, Quantity, Sample

_SAMPLES, _RATES = "nvmlDeviceGetSamples", "nvmlDeviceGetUtilizationRates"
_GPU_UTILIZATION = 1  # the type of sample (NVML_GPU_UTILIZATION_SAMPLES)
_MAX_BYTES = 2**53

THROTTLED = {
    FieldId.THROTTLED_SW_POWER_CAP: "sw_power_cap",
    FieldId.THROTTLED_SW_THERMAL: "sw_thermal",
    FieldId.THROTTLED_HW_THERMAL: "hw_thermal",
    FieldId.THROTTLED_HW_POWER_BRAKE: "hw_power_brake",
}
THROTTLING = {
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "hw_power_brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons."""


class Utilization:
    """Part of the time in which a kernel ran: over all the driver's samples since the last time."""

    def __init__(self, calls: Calls, wall_us: Callable[[], int]) -> None:
        self._calls, self._wall_us = calls, wall_us
        self._newest = wall_us()
        self._buffer: Buffer | None = None

    def read(self, handle: Any) -> float | None:
        """0 to 1; None where it is unknown. Raises GpuLost, NvmlBroken."""
        since = min(self._newest, self._wall_us())  # the wall clock may have been set back
        samples = self._calls.attempt(_SAMPLES, lambda: self._samples(handle, since)) or []
        fresh = [each for each in samples if each[0] > since]
        good = [percent for _, percent in fresh if percent <= 100]
        self._newest = max((at for at, _ in fresh), default=since)
        if len(good) < len(fresh):
            self._calls.garbage(_SAMPLES, "a utilisation of more than 100 percent")
        if good:
            return statistics.fmean(good) / 100
        return self._rate(handle)

    def _rate(self, handle: Any) -> float | None:
        rates = self._calls.ask(_RATES, handle)
        if rates is None:
            return None
        if rates.gpu > 100:
            self._calls.garbage(_RATES, "a utilisation of more than 100 percent")
            return None
        return float(rates.gpu) / 100

    def _samples(self, handle: Any, since: int) -> list[tuple[int, int]]:
        """Pairs of microseconds and percent."""
        nvml, kind = self._calls.nvml, ctypes.c_uint()
        last_seen, type_ = ctypes.c_ulonglong(since), ctypes.c_uint(_GPU_UTILIZATION)
        if self._buffer is None:
            self._buffer = self._whole_ring(nvml, handle, last_seen)
        found = self._buffer.fill(
            lambda array, count: nvml.raw(
                _SAMPLES, handle, type_, last_seen, ctypes.byref(kind), ctypes.byref(count), array
            )
        )
        return [(each.timeStamp, each.sampleValue.uiVal) for each in found]

    def _whole_ring(self, nvml: Nvml, handle: Any, last_seen: Any) -> Buffer:
        """Room for all that the driver keeps: too little would be filled without a word."""
        kind, count = ctypes.c_uint(), ctypes.c_uint()
        type_ = ctypes.c_uint(_GPU_UTILIZATION)
        arguments = (handle, type_, last_seen, ctypes.byref(kind), ctypes.byref(count), None)
        code = nvml.raw(_SAMPLES, *arguments)
        if code not in (Code.SUCCESS, Code.NOT_FOUND):
            raise nvml.fault(_SAMPLES, code)
        room = min(max(count.value, 128), MAX_ITEMS)
        return Buffer(nvml, _SAMPLES, nvml.module.c_nvmlSample_t, room)


def memory(calls: Calls, handle: Any, subject: str, mono_ns: int) -> tuple[Sample, ...]:
    """Bytes used and bytes there are. Raises GpuLost, NvmlBroken."""
    call = "nvmlDeviceGetMemoryInfo"
    version = calls.nvml.module.nvmlMemory_v2
    info = calls.attempt(f"{call}_v2", lambda: calls.nvml.call(call, handle, version))
    if info is None and calls.refused(f"{call}_v2"):
        info = calls.ask(call, handle)
    if info is None:
        return ()
    if not 0 < info.total <= _MAX_BYTES or info.used > info.total:
        calls.garbage(call, "no such memory")
        return ()
    used, total = Quantity.DEVICE_MEMORY_USED, Quantity.DEVICE_MEMORY_CAPACITY
    return (
        Sample(subject, used, float(info.used), mono_ns, Kind.GAUGE),
        Sample(subject, total, float(info.total), mono_ns, Kind.GAUGE),
    )


def throttling(calls: Calls, handle: Any, subject: str, mono_ns: int) -> tuple[Sample, ...]:
    """For each reason whether it holds the clocks down now. Raises GpuLost, NvmlBroken."""
    newer = "nvmlDeviceGetCurrentClocksEventReasons"
    reasons = calls.ask(newer, handle)
    if reasons is None and calls.refused(newer):
        reasons = calls.ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    if reasons is None:
        return ()
    quantity = Quantity.DEVICE_THROTTLING
    return tuple(
        Sample(subject, quantity, float(bool(reasons & bit)), mono_ns, Kind.GAUGE, label)
        for bit, label in THROTTLING.items()
    )


def throttled(values: Mapping[Field, float], subject: str, mono_ns: int) -> tuple[Sample, ...]:
    """Seconds in which each reason held the clocks down, from fields in nanoseconds."""
    return tuple(
        Sample(
            subject,
            Quantity.DEVICE_THROTTLED,
            values[Field(id_)] / NS_PER_SECOND,
            mono_ns,
            label=label,
        )
        for id_, label in THROTTLED.items()
        if values.get(Field(id_), -1) >= 0
    )
