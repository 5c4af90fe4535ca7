"""The processes on a GPU, and how much of its SM time each of them used."""

import ctypes
import functools
import itertools
from collections.abc import Callable
from typing import Any

from unitcost.collectors.nvidia.binding import Nvml
from unitcost.collectors.nvidia.calls import Calls
from unitcost.collectors.nvidia.lists import Buffer
from unitcost.collectors.nvidia.mig import MigState
from unitcost.pricing.device import DeviceProcess, SmSample

_NOT_IN_MIG = 0xFFFFFFFF
_MAX_BYTES = 2**53
"""More than any device has; the driver says 2**64 - 1 where it does not know."""
_KINDS = ("Compute", "MPSCompute", "Graphics")
_WITH_MIG, _OF_INSTANCE = " with MIG on", " of an instance"
"""Ways to ask, each of which may be refused alone."""
_DENIED = "only privileged users see all processes while MIG is on; each instance is asked instead"
_Row = tuple[int, int | None, int, int, bool]
"""Pid, bytes, GPU instance, compute instance, whether it only draws."""
_NEWER, _OLDER = "nvmlDeviceGetProcessesUtilizationInfo", "nvmlDeviceGetProcessUtilization"


class ProcessReader:
    """Reads the lists of processes with contexts: compute, compute under MPS, graphics."""

    def __init__(self, calls: Calls) -> None:
        lists = [_List(calls, f"nvmlDeviceGet{kind}RunningProcesses") for kind in _KINDS]
        self._compute, self._mps, self._graphics = lists

    def read(
        self, handle: Any, mig: MigState, doubt: Callable[[], None]
    ) -> tuple[DeviceProcess, ...] | None:
        """All processes, each once for an instance; None where who computes cannot be read.

        Calls `doubt` if a process is on an instance that is not known. Raises GpuLost, NvmlBroken.
        """
        rows = self._rows(handle, _WITH_MIG if mig.on else "")
        if rows is None and mig.on:  # the whole is for privileged users, each part is not
            parts = [self._rows(each, _OF_INSTANCE) for _, each in mig.handles]
            known = [part for part in parts if part is not None]
            rows = list(itertools.chain(*known)) if parts and len(known) == len(parts) else None
        if rows is None:
            return None
        found: dict[tuple[int, str], DeviceProcess] = {}
        for pid, memory, gpu_instance, compute_instance, graphics in rows:
            instance: str | None = ""
            if mig.on and gpu_instance != _NOT_IN_MIG:
                instance = mig.instance_of(gpu_instance, compute_instance)
            if instance is None:
                doubt()
            process = DeviceProcess(pid, memory, instance or "", graphics)
            found.setdefault((pid, process.instance), process)
        return tuple(found.values())

    def _rows(self, handle: Any, how: str) -> list[_Row] | None:
        compute = self._compute.read(handle, how)
        if compute is None:
            return None
        mps = self._mps.read(handle, how)
        if mps is None and not self._mps.missing(how):
            return None
        graphics = self._graphics.read(handle, how) or []
        return [*compute, *(mps or ()), *((*row[:-1], True) for row in graphics)]


class _List:
    """One list of processes; an older driver has it under an older name."""

    def __init__(self, calls: Calls, call: str) -> None:
        self._calls, self._names = calls, (f"{call}_v3", f"{call}_v2")
        self._buffer = Buffer(calls.nvml, call, calls.nvml.module.c_nvmlProcessInfo_v3_t)

    def missing(self, how: str) -> bool:
        """Whether the driver has no such list."""
        return all(self._calls.refused(name + how) for name in self._names)

    def read(self, handle: Any, how: str) -> list[_Row] | None:
        for name in self._names:
            if self._calls.refused(name + how):
                continue
            take = functools.partial(self._rows, name, handle)
            rows = self._calls.attempt(name + how, take, _DENIED if how == _WITH_MIG else "")
            if rows is not None or not self._calls.refused(name + how):
                return rows
        return None

    def _rows(self, name: str, handle: Any) -> list[_Row]:
        def fill(array: Any, count: Any) -> int:
            return self._calls.nvml.raw(name, handle, ctypes.byref(count), array)

        return [
            (
                each.pid,
                _bytes(each.usedGpuMemory),
                each.gpuInstanceId,
                each.computeInstanceId,
                False,
            )
            for each in self._buffer.fill(fill)
        ]


def _bytes(memory: int) -> int | None:
    return memory if memory <= _MAX_BYTES else None


class SampleReader:
    """Reads the driver's samples of SM time, each once.

    The first reading only begins: what was sampled before it says nothing of an interval.
    """

    def __init__(self, calls: Calls, wall_us: Callable[[], int]) -> None:
        self._calls, self._wall_us = calls, wall_us
        self._newest = wall_us()
        self._sources = (_InfoSamples(calls.nvml), _PlainSamples(calls.nvml))

    def skip(self) -> None:
        """Leave out what was sampled until now."""
        self._newest = self._wall_us()

    def read(self, handle: Any) -> tuple[SmSample, ...] | None:
        """All samples since the last reading; None where there never are any, or that failed.

        Raises GpuLost, NvmlBroken.
        """
        since = min(self._newest, self._wall_us())  # the wall clock may have been set back
        for source in self._sources:
            samples = self._calls.attempt(
                source.name,
                functools.partial(source.read, handle, since),
                if_denied="the driver shows processes' usage only to privileged users",
            )
            if samples is not None:
                return self._fresh(source.name, samples, since)
            if not self._calls.refused(source.name):
                return None
        return None

    def _fresh(
        self, call: str, samples: list[tuple[int, int, int]], since: int
    ) -> tuple[SmSample, ...]:
        """Rings hold stale entries, and numbers that are no percentages."""
        fresh = [each for each in samples if each[1] > since]
        good = [each for each in fresh if each[2] <= 100 and each[1] < 2**63]
        if len(good) < len(fresh):
            self._calls.garbage(call, "a sample of more than 100 percent")
        self._newest = max((at for _, at, _ in good), default=since)
        return tuple(SmSample(*each) for each in good)


class _InfoSamples:
    """As drivers from 550 on give them: (pid, microseconds, percent)."""

    name = _NEWER

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._buffer = Buffer(nvml, _NEWER, nvml.module.c_nvmlProcessUtilizationInfo_v1_t, 128)

    def read(self, handle: Any, since: int) -> list[tuple[int, int, int]]:
        def fill(array: Any, count: Any) -> int:
            request = self._nvml.module.c_nvmlProcessesUtilizationInfo_v1_t()
            request.version = self._nvml.module.ProcessesUtilizationInfo_v1
            request.processSamplesCount, request.lastSeenTimeStamp = count.value, since
            request.procUtilArray = array
            code = self._nvml.raw(_NEWER, handle, ctypes.byref(request))
            count.value = request.processSamplesCount
            return code

        return [(each.pid, each.timeStamp, each.smUtil) for each in self._buffer.fill(fill)]


class _PlainSamples:
    """As all drivers give them: (pid, microseconds, percent)."""

    name = _OLDER

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._buffer = Buffer(nvml, _OLDER, nvml.module.c_nvmlProcessUtilizationSample_t, 128)

    def read(self, handle: Any, since: int) -> list[tuple[int, int, int]]:
        last_seen = ctypes.c_ulonglong(since)

        def fill(array: Any, count: Any) -> int:
            return self._nvml.raw(_OLDER, handle, array, ctypes.byref(count), last_seen)

        return [(each.pid, each.timeStamp, each.smUtil) for each in self._buffer.fill(fill)]
