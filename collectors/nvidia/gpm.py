"""GPM, the performance metrics of Hopper and newer: means between two readings.

The only way in which NVML tells how much a MIG instance works. Taking them costs power, and the
driver gives them to privileged users only.
"""

from collections.abc import Callable, Collection
from typing import Any

from unitcost.collectors.nvidia.binding import Code, Fault
from unitcost.collectors.nvidia.calls import UNSUPPORTED, Calls
from unitcost.pricing.sample import NS_PER_SECOND

ENGINE = "graphics_engine_active"
METRICS = {1: ENGINE, 2: "sm_active", 5: "tensor_active", 10: "dram_active"}
"""NVML's metric ids, all percentages, and our names."""

_MIN_SPAN_NS = NS_PER_SECOND // 10
_MAX_SPAN_NS = 120 * NS_PER_SECOND
_SLACK_PERCENT = 1.0  # means are rounded
_SAMPLE, _MIG_SAMPLE = "nvmlGpmSampleGet", "nvmlGpmMigSampleGet"
_GONE = frozenset({Code.INVALID_ARGUMENT, Code.NOT_FOUND})
_DENIED = (
    "GPM is denied: give the exporter CAP_PERFMON (drivers from R565) or CAP_SYS_ADMIN (older "
    "ones), or load the driver with NVreg_RestrictProfilingToAdminUsers=0"
)


class GpmReader:
    """Takes a sample at each reading and compares it with that of the last one."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._supported: bool | None = None
        self._whole = _Series(calls)
        self._instances: dict[int, _Series] = {}

    def read(self, handle: Any, mono_ns: int) -> dict[str, float]:
        """Ratios (0 to 1) by name, since the last reading; without those that are unknown.

        Raises GpuLost, NvmlBroken.
        """
        if not self._supports(handle):
            return {}

        def take(sample: Any) -> bool:
            return self._taken(_SAMPLE, handle, sample)

        return self._whole.read(take, mono_ns)

    def read_instances(
        self, handle: Any, gpu_instances: Collection[int], mono_ns: int
    ) -> dict[int, float]:
        """How much the engine of each GPU instance worked since the last reading, 0 to 1.

        Raises GpuLost, NvmlBroken.
        """
        if not self._supports(handle):
            return {}
        for gone in self._instances.keys() - set(gpu_instances):
            self._instances.pop(gone).close()
        found = {}
        for number in gpu_instances:
            series = self._instances.setdefault(number, _Series(self._calls))

            def take(sample: Any, number: int = number) -> bool:
                return self._taken(_MIG_SAMPLE, handle, number, sample)

            ratio = series.read(take, mono_ns).get(ENGINE)
            if ratio is not None:
                found[number] = ratio
        return found

    def close(self) -> None:
        """Give the driver its samples back."""
        for series in (self._whole, *self._instances.values()):
            series.close()
        self._instances.clear()

    def _supports(self, handle: Any) -> bool:
        if self._supported is None:
            support = self._calls.ask("nvmlGpmQueryDeviceSupport", handle)
            if support is not None:
                self._supported = bool(support.isSupportedDevice)
        return bool(self._supported)

    def _taken(self, call: str, *arguments: Any) -> bool:
        def take() -> bool:
            try:
                self._calls.nvml.call(call, *arguments)
            except Fault as fault:
                if call == _MIG_SAMPLE and fault.code in _GONE:
                    return False  # an instance may go while we look
                raise
            return True

        return bool(self._calls.attempt(call, take, if_denied=_DENIED))


class _Series:
    """Two samples of the same thing, used in turn."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._before: Any = None
        self._spare: Any = None
        self._before_ns = 0
        self._request: Any = None

    def read(self, take: Callable[[Any], bool], mono_ns: int) -> dict[str, float]:
        span_ns = mono_ns - self._before_ns
        if self._before is not None and span_ns < _MIN_SPAN_NS:
            return {}
        if self._spare is None:
            self._spare = self._calls.ask("nvmlGpmSampleAlloc")
        if self._spare is None:
            return {}
        if not take(self._spare):
            self._forget()
            return {}
        known = self._before is not None and span_ns <= _MAX_SPAN_NS
        found = self._compare() if known else {}
        self._before, self._spare, self._before_ns = self._spare, self._before, mono_ns
        return found

    def close(self) -> None:
        for sample in (self._before, self._spare):
            if sample is not None:
                self._calls.free("nvmlGpmSampleFree", sample)
        self._before = self._spare = None

    def _forget(self) -> None:
        """What is between the next sample and the last one would be more than one interval."""
        if self._before is not None:
            self._calls.free("nvmlGpmSampleFree", self._before)
            self._before = None

    def _compare(self) -> dict[str, float]:
        module = self._calls.nvml.module
        if self._request is None:
            self._request = module.c_nvmlGpmMetricsGet_t()
        request = self._request
        request.version = module.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(METRICS)
        request.sample1, request.sample2 = self._before, self._spare
        for place, id_ in enumerate(METRICS):
            request.metrics[place].metricId = id_
        if self._calls.ask("nvmlGpmMetricsGet", request) is None:
            return {}
        found = {}
        for place, name in enumerate(METRICS.values()):
            ratio = self._ratio(request.metrics[place], name)
            if ratio is not None:
                found[name] = ratio
        return found

    def _ratio(self, metric: Any, name: str) -> float | None:
        call = f"nvmlGpmMetricsGet, {name}"
        if metric.nvmlReturn in UNSUPPORTED:
            return None
        if metric.nvmlReturn != Code.SUCCESS:
            self._calls.judge(self._calls.nvml.fault(call, metric.nvmlReturn), call)
            return None
        if not 0 <= metric.value <= 100 + _SLACK_PERCENT:
            self._calls.garbage(call, "no such percentage")
            return None
        return min(1.0, float(metric.value) / 100)
