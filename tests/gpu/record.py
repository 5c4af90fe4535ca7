"""Records what NVML really answers: each call once, how long it takes, and a minute of values.

``python3 tests/gpu record FILE``. There is no serial number in it, and UUIDs are replaced.
"""

import argparse
import json
import re
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.gpu.raw_calls import INFO_SAMPLES, PLAIN_SAMPLES, Filled, all_calls, answer_of, instances
from tests.gpu.series import EVERY_SECONDS, Watcher, habits, open_gpu, spread, watch
from unitcost.collectors.nvidia.binding import Nvml

VERSION = 1
CALLS, SECONDS = 200, 60.0
UUID = re.compile(r"(GPU|MIG)-(?:GPU-)?[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}")


def record(calls: int = CALLS, seconds: float = SECONDS) -> dict[str, Any]:
    """Everything. Raises Fault or NoData where NVML cannot be opened."""
    nvml, handle = open_gpu()
    asked = all_calls(nvml, handle)
    rows = list(watch(Watcher(nvml, handle).everything, seconds))
    found = {
        "version": VERSION,
        "binding": version("nvidia-ml-py"),
        "answers": {name: answer_of(call) for name, call in asked.items()},
        "instances": instances(nvml, handle),
        "last_seen": last_seen(nvml, handle),
        "latency_us": {name: latency(call, calls) for name, call in asked.items()},
        "habits": {name: habits(rows, name) for name in ("readings", "infos", "samples")},
        "every_seconds": EVERY_SECONDS,
        "series": rows,
    }
    cleaned: dict[str, Any] = without_uuids(found)
    return cleaned


def latency(call: Callable[[], Any], calls: int) -> dict[str, float]:
    """How many microseconds a call takes, answered or not."""
    found = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        answer_of(call)
        found.append((time.perf_counter_ns() - began) / 1000)
    return {"calls": calls, **spread(found)}


def last_seen(nvml: Nvml, handle: Any) -> dict[str, Any]:
    """What the samples' calls make of the instant that they are told."""
    filled, now_us = Filled(nvml, handle), time.time_ns() // 1000
    instants = {"0": 0, "a second ago": now_us - 10**6, "in a second": now_us + 10**6}
    takes = {
        INFO_SAMPLES: filled.infos,
        PLAIN_SAMPLES: filled.plain_samples,
        "nvmlDeviceGetSamples": filled.readings,
    }
    return {
        name: {said: _counted(answer_of(partial(take, at))) for said, at in instants.items()}
        for name, take in takes.items()
    }


def _counted(answer: dict[str, Any]) -> dict[str, Any]:
    if "is" not in answer:
        return answer
    instants = [each["timeStamp"] for each in answer["is"]]
    return {"items": len(instants), "oldest": min(instants, default=None)}


def without_uuids(value: Any) -> Any:
    """The same with other UUIDs: the first one met is number 1, wherever it comes again."""
    known: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        number = len(known) + 1
        return known.setdefault(match[0], f"{match[1]}-00000000-0000-0000-0000-{number:012d}")

    return json.loads(UUID.sub(replaced, json.dumps(value)))


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Calls that one recording answers and the other does not, or with another error."""
    found = {}
    for name in sorted(one["answers"].keys() & other["answers"].keys()):
        kinds = tuple(each["answers"][name].get("kind", "answered") for each in (one, other))
        if kinds[0] != kinds[1]:
            found[name] = kinds
    return found


def main() -> None:
    """Write a recording."""
    parser = argparse.ArgumentParser(prog="record")
    parser.add_argument("file", type=Path)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    found = record(options.calls, options.seconds)
    lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in found.items())
    options.file.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
