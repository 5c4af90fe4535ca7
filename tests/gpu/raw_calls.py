"""Every call to NVML that the collector makes, each alone, its answer as the driver gave it."""

import ctypes
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from unitcost.collectors.nvidia.binding import Fault, Nvml
from unitcost.collectors.nvidia.fields import OF_GPU, OF_MODULE, Field
from unitcost.collectors.nvidia.gpm import METRICS

ROOM = 3_000
GPU_UTILIZATION = 1
INFO_SAMPLES, PLAIN_SAMPLES = (
    "nvmlDeviceGetProcessesUtilizationInfo",
    "nvmlDeviceGetProcessUtilization",
)
OF_HANDLE = (
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetName",
    "nvmlDeviceGetMinorNumber",
    "nvmlDeviceGetC2cModeInfoV",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetGpuInstanceId",
    "nvmlDeviceGetComputeInstanceId",
    "nvmlDeviceGetAttributes",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlGpmQueryDeviceSupport",
)
"""Calls that take a device's handle and nothing else."""
LISTS = tuple(
    f"nvmlDeviceGet{kind}RunningProcesses_{version}"
    for kind in ("Compute", "MPSCompute", "Graphics")
    for version in ("v3", "v2")
)

Call = Callable[[], Any]


def plain(value: Any) -> Any:
    """What ctypes and the binding give, as JSON can say it; handles and pointers are left out."""
    if isinstance(value, ctypes.Structure | ctypes.Union):
        return {field[0]: plain(getattr(value, field[0])) for field in value._fields_}
    if isinstance(value, list | tuple | ctypes.Array):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, int | float | str) else None


def answer_of(call: Call) -> dict[str, Any]:
    """``{"is": answer}``, or the code and kind of the error."""
    try:
        return {"is": plain(call())}
    except Fault as fault:
        return {"code": int(fault.code), "kind": fault.kind}


class Filled:
    """The driver's own functions that fill an array: without the binding, as the collector does."""

    def __init__(self, nvml: Nvml, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        module = nvml.module
        self._processes = (module.c_nvmlProcessInfo_v3_t * ROOM)()
        self._infos = (module.c_nvmlProcessUtilizationInfo_v1_t * ROOM)()
        self._plain = (module.c_nvmlProcessUtilizationSample_t * ROOM)()
        self._readings = (module.c_nvmlSample_t * ROOM)()

    def processes(self, symbol: str) -> list[Any]:
        """One list of processes. Raises Fault, like all here, that of NotFound included."""
        count = ctypes.c_uint(ROOM)
        arguments = self._handle, ctypes.byref(count), self._processes
        return self._checked(symbol, self._nvml.raw(symbol, *arguments), self._processes, count)

    def infos(self, since_us: int) -> list[Any]:
        """Samples of processes, as newer drivers give them."""
        module = self._nvml.module
        request = module.c_nvmlProcessesUtilizationInfo_v1_t()
        request.version = module.ProcessesUtilizationInfo_v1
        request.processSamplesCount, request.lastSeenTimeStamp = ROOM, since_us
        request.procUtilArray = self._infos
        code = self._nvml.raw(INFO_SAMPLES, self._handle, ctypes.byref(request))
        count = ctypes.c_uint(request.processSamplesCount)
        return self._checked(INFO_SAMPLES, code, self._infos, count)

    def plain_samples(self, since_us: int) -> list[Any]:
        """Samples of processes, as all drivers give them."""
        count, since = ctypes.c_uint(ROOM), ctypes.c_ulonglong(since_us)
        arguments = self._handle, self._plain, ctypes.byref(count), since
        code = self._nvml.raw(PLAIN_SAMPLES, *arguments)
        return self._checked(PLAIN_SAMPLES, code, self._plain, count)

    def readings(self, since_us: int) -> list[Any]:
        """The driver's readings of the utilisation."""
        kind, count = ctypes.c_uint(), ctypes.c_uint(ROOM)
        code = self._nvml.raw(
            "nvmlDeviceGetSamples",
            self._handle,
            ctypes.c_uint(GPU_UTILIZATION),
            ctypes.c_ulonglong(since_us),
            ctypes.byref(kind),
            ctypes.byref(count),
            self._readings,
        )
        return self._checked("nvmlDeviceGetSamples", code, self._readings, count)

    def _checked(self, symbol: str, code: int, array: Any, count: ctypes.c_uint) -> list[Any]:
        if code:
            raise self._nvml.fault(symbol, code)
        return list(array[: min(count.value, ROOM)])


class Gpm:
    """Two GPM samples, a moment apart, where the driver gives them."""

    def __init__(self, nvml: Nvml, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._samples: list[Any] = []

    def calls(self) -> Iterator[tuple[str, Call]]:
        """Names and calls, to be made in this order."""
        yield "nvmlGpmSampleAlloc, nvmlGpmSampleFree", self._allocate
        yield "nvmlGpmSampleGet", lambda: self._take("nvmlGpmSampleGet", self._handle)
        yield "nvmlGpmMigSampleGet", lambda: self._take("nvmlGpmMigSampleGet", self._handle, 0)
        yield "nvmlGpmMetricsGet", self._compare

    def _allocate(self) -> None:
        sample = self._nvml.call("nvmlGpmSampleAlloc")
        self._nvml.call("nvmlGpmSampleFree", sample)

    def _take(self, call: str, *arguments: Any) -> None:
        self._pair()
        self._nvml.call(call, *arguments, self._samples[1])

    def _pair(self) -> None:
        """The two samples, kept until the process ends; the first is taken once."""
        if not self._samples:
            made = [self._nvml.call("nvmlGpmSampleAlloc") for _ in range(2)]
            self._nvml.call("nvmlGpmSampleGet", self._handle, made[0])
            time.sleep(0.2)
            self._samples = made

    def _compare(self) -> list[Any]:
        self._take("nvmlGpmSampleGet", self._handle)
        request = self._nvml.module.c_nvmlGpmMetricsGet_t()
        request.version = self._nvml.module.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(METRICS)
        request.sample1, request.sample2 = self._samples
        for place, metric in enumerate(METRICS):
            request.metrics[place].metricId = metric
        self._nvml.call("nvmlGpmMetricsGet", request)
        found = [request.metrics[place] for place in range(len(METRICS))]
        return [
            {"metricId": each.metricId, "nvmlReturn": each.nvmlReturn, "value": each.value}
            for each in found
        ]


def fields(nvml: Nvml, handle: Any, asked: tuple[Field, ...]) -> Any:
    """Values of fields, each with a code of its own."""
    pairs = [(int(each.id), int(each.scope)) for each in asked]
    return nvml.call("nvmlDeviceGetFieldValues", handle, pairs)


def all_calls(nvml: Nvml, handle: Any) -> Mapping[str, Call]:
    """All of them by name; variants of one call have a word more."""

    ask, filled = partial(partial, nvml.call), Filled(nvml, handle)
    every = OF_GPU + OF_MODULE
    memory, slot = "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMigDeviceHandleByIndex"
    return {
        **{name: ask(name, handle) for name in OF_HANDLE},
        "nvmlDeviceGetCount": ask("nvmlDeviceGetCount"),
        "nvmlSystemGetDriverVersion": ask("nvmlSystemGetDriverVersion"),
        "nvmlDeviceGetHandleByIndex": ask("nvmlDeviceGetHandleByIndex", 0),
        slot: ask(slot, handle, 0),
        f"{memory} v2": ask(memory, handle, nvml.module.nvmlMemory_v2),
        "nvmlDeviceGetFieldValues": partial(fields, nvml, handle, every),
        **{
            f"nvmlDeviceGetFieldValues, {field}": partial(fields, nvml, handle, (field,))
            for field in every
        },
        **{symbol: partial(filled.processes, symbol) for symbol in LISTS},
        "nvmlDeviceGetSamples": partial(filled.readings, 0),
        INFO_SAMPLES: partial(filled.infos, 0),
        PLAIN_SAMPLES: partial(filled.plain_samples, 0),
        **dict(Gpm(nvml, handle).calls()),
    }


def instances(nvml: Nvml, handle: Any) -> list[dict[str, Any]]:
    """What each slot for a MIG instance says; none where MIG is off."""
    try:
        current, _ = nvml.call("nvmlDeviceGetMigMode", handle)
        slots = nvml.call("nvmlDeviceGetMaxMigDeviceCount", handle) if current else 0
    except Fault:
        return []
    found: list[dict[str, Any]] = []
    for slot in range(slots):
        try:
            inside = nvml.call("nvmlDeviceGetMigDeviceHandleByIndex", handle, slot)
        except Fault as fault:
            found.append({"slot": slot, "code": int(fault.code), "kind": fault.kind})
            continue
        found.append({"slot": slot, **_instance(nvml, inside)})
    return found


def _instance(nvml: Nvml, inside: Any) -> dict[str, Any]:
    filled = Filled(nvml, inside)
    facts = {name: answer_of(partial(nvml.call, name, inside)) for name in OF_HANDLE}
    lists = {name: answer_of(partial(filled.processes, name)) for name in LISTS}
    return {**facts, **lists}
