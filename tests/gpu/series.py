"""What a GPU says over time: power, energy, utilisation, memory, samples of processes."""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.gpu.raw_calls import Filled, fields
from unitcost.collectors.nvidia.binding import Fault, Nvml, load
from unitcost.collectors.nvidia.fields import Field, FieldId

Row = dict[str, Any]

EVERY_SECONDS = 0.1
POWER_FIELDS = {
    "energy_mj": Field(FieldId.ENERGY),
    "average_mw": Field(FieldId.POWER_AVERAGE),
    "instant_mw": Field(FieldId.POWER_INSTANT),
}
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


class Watcher:
    """Reads one GPU again and again."""

    def __init__(self, nvml: Nvml, handle: Any) -> None:
        self._nvml, self._handle, self._filled = nvml, handle, Filled(nvml, handle)
        now_us = time.time_ns() // 1000
        self._newest: dict[str, int] = dict.fromkeys(("readings", "infos", "samples"), now_us)

    def power(self) -> Row:
        """Energy counter and powers, at one instant (`t`, seconds of the monotonic clock)."""
        row: Row = {"t": time.monotonic(), "wall_us": time.time_ns() // 1000}
        values = self._try(lambda: fields(self._nvml, self._handle, tuple(POWER_FIELDS.values())))
        for name, value in zip(POWER_FIELDS, values or (), strict=False):
            row[name] = _number(value)
        row["usage_mw"] = self._ask("nvmlDeviceGetPowerUsage")
        if row.get("energy_mj") is None:
            row["energy_mj"] = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return row

    def everything(self) -> Row:
        """The same, and all else that changes."""
        row = self.power()
        rates, memory = self._ask("nvmlDeviceGetUtilizationRates"), self._memory()
        row["gpu_percent"] = rates and rates.gpu
        row["memory_percent"] = rates and rates.memory
        row["memory_used"] = memory and memory.used
        row["readings"] = self._new("readings", self._filled.readings, _reading)
        row["infos"] = self._new("infos", self._filled.infos, _sample)
        row["samples"] = self._new("samples", self._filled.plain_samples, _sample)
        return row

    def _memory(self) -> Any:
        version = self._nvml.module.nvmlMemory_v2
        return self._try(
            lambda: self._nvml.call("nvmlDeviceGetMemoryInfo", self._handle, version)
        ) or self._ask("nvmlDeviceGetMemoryInfo")

    def _ask(self, call: str) -> Any:
        return self._try(lambda: self._nvml.call(call, self._handle))

    def _try(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Fault:
            return None

    def _new(
        self, name: str, take: Callable[[int], list[Any]], short: Callable[[Any], list[int]]
    ) -> dict[str, Any]:
        """What came since the newest one of the last time; its instant is always the first."""
        since = self._newest[name]
        try:
            items = [short(each) for each in take(since)]
        except Fault as fault:
            return {"since": since, "code": int(fault.code), "items": []}
        self._newest[name] = max([since, *(each[0] for each in items)])
        return {"since": since, "code": 0, "items": items}


def _number(value: Any) -> Any:
    if value.nvmlReturn or not 0 <= value.valueType < len(_MEMBERS):
        return None
    return getattr(value.value, _MEMBERS[value.valueType])


def _reading(item: Any) -> list[int]:
    return [item.timeStamp, item.sampleValue.uiVal]


def _sample(item: Any) -> list[int]:
    return [item.timeStamp, item.pid, item.smUtil, item.memUtil]


def watch(take: Callable[[], Row], seconds: float, every: float = EVERY_SECONDS) -> Iterator[Row]:
    """Rows at even distances for so long, the first and the last instant included."""
    began = time.monotonic()
    for number in range(round(seconds / every) + 1):
        time.sleep(max(0.0, began + number * every - time.monotonic()))
        yield take()


def habits(rows: Sequence[Row], name: str) -> dict[str, Any]:
    """How samples came: how many in a call, how far apart, how old, and whether any came twice."""
    calls = [row[name] for row in rows]
    by_pid: dict[int, list[int]] = {}
    for at, *rest in itertools.chain.from_iterable(each["items"] for each in calls):
        by_pid.setdefault(rest[0] if name != "readings" else 0, []).append(at)
    ages = [
        (row["wall_us"] - max(item[0] for item in row[name]["items"])) / 1000
        for row in rows
        if row[name]["items"]
    ]
    return {
        "calls": len(calls),
        "codes": sorted({each["code"] for each in calls}),
        "calls_with_samples": len(ages),
        "in_a_call": spread([len(each["items"]) for each in calls if each["items"]]),
        "not_newer_than_last_seen": sum(
            item[0] <= each["since"] for each in calls for item in each["items"]
        ),
        "age_of_newest_ms": spread(ages),
        "pids": [_habits_of(each["items"] for each in calls if each["items"])]
        if name == "readings"
        else [{"pid": pid, **_apart(ats)} for pid, ats in sorted(by_pid.items())],
    }


def _habits_of(calls: Iterable[list[list[int]]]) -> dict[str, Any]:
    return _apart([item[0] for items in calls for item in items])


def _apart(instants_us: list[int]) -> dict[str, Any]:
    distinct = sorted(set(instants_us))
    apart = [(b - a) / 1000 for a, b in itertools.pairwise(distinct)]
    repeated = len(instants_us) - len(distinct)
    return {"samples": len(instants_us), "repeated": repeated, "apart_ms": spread(apart)}


def spread(values: Sequence[float]) -> Mapping[str, float]:
    """Least, median, 99th percentile and greatest; empty of nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    found = ordered[0], statistics.median(ordered), p99, ordered[-1]
    return dict(zip(("min", "median", "p99", "max"), (round(v, 3) for v in found), strict=True))


def open_gpu() -> tuple[Nvml, Any]:
    """NVML, initialised, and the first GPU. Raises Fault, NoData."""
    nvml = load()
    nvml.call("nvmlInit")
    return nvml, nvml.call("nvmlDeviceGetHandleByIndex", 0)


def main() -> None:
    """Print rows of power, a JSON object a line."""
    parser = argparse.ArgumentParser(prog="series")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--every", type=float, default=EVERY_SECONDS)
    options = parser.parse_args()
    for row in watch(Watcher(*open_gpu()).power, options.seconds, options.every):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
