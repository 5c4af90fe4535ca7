"""Readings of the real collector, each with what it took: a JSON object a line.

``python3 tests/gpu readings --count 20 --every 1``
"""

import argparse
import json
import time
from collections import Counter
from typing import Any
from unittest import mock

from unitcost.collectors.base import NeedsRestart, NoData, Reading
from unitcost.collectors.nvidia.binding import Nvml
from unitcost.collectors.nvml import NvmlCollector, Options

DEADLINE_SECONDS = 10.0


def counted(name: str, counts: Counter[str]) -> Any:
    """A patch that counts the calls a method of the binding makes, by the first argument."""
    method = getattr(Nvml, name)

    def count(self: Nvml, call: str, *arguments: Any) -> Any:
        counts[call] += 1
        return method(self, call, *arguments)

    return mock.patch.object(Nvml, name, count)


def read(collector: NvmlCollector, counts: Counter[str]) -> dict[str, Any]:
    """One reading, its microseconds of wall and of CPU time, and its calls."""
    counts.clear()
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    try:
        reading = collector.collect(time.monotonic() + DEADLINE_SECONDS)
    except (NoData, NeedsRestart) as error:
        return {"devices": [], "problems": [f"{type(error).__name__}: {error}"]}
    return {
        "wall_us": (time.perf_counter_ns() - wall) / 1000,
        "cpu_us": (time.process_time_ns() - cpu) / 1000,
        "calls": dict(counts),
        **said(reading),
    }


def said(reading: Reading) -> dict[str, Any]:
    """What matters of a reading."""
    return {
        "devices": [
            {
                "product": device.product,
                "busy": device.busy,
                "pids": [each.pid for each in device.processes or ()],
                "samples": [[each.pid, each.at_us, each.percent] for each in device.samples or ()],
            }
            for device in reading.devices or ()
        ],
        "problems": [f"{each.kind}: {each.detail}" for each in reading.problems],
    }


def main() -> None:
    """Read as often as the command line says."""
    parser = argparse.ArgumentParser(prog="readings")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--every", type=float, default=1.0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    collector = NvmlCollector(Options())
    with counted("call", counts), counted("raw", counts):
        began = time.monotonic()
        for number in range(options.count):
            time.sleep(max(0.0, began + number * options.every - time.monotonic()))
            print(json.dumps(read(collector, counts)), flush=True)
    collector.close()


if __name__ == "__main__":
    main()
