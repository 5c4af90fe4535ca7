"""Runs the NVML collector as it is told on stdin, a JSON list a line, and answers in JSON lines.

A process of its own, started with the pretended driver's environment: what library an interpreter
finds is decided when it starts. `NvmlRun` is the other end.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from unitcost.collectors.base import Context, NeedsRestart, NoData
from unitcost.collectors.nvidia.board import Clock
from unitcost.collectors.nvml import NvmlCollector, Options, make_collector
from unitcost.exporter.gathering.validate import validate


class Time:
    """Real time plus what was skipped; or, once it is set, only what it is set to."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self.at: float | None = None

    def mono_ns(self) -> int:
        """Nanoseconds as the collector sees them."""
        now = time.monotonic() + self.skipped if self.at is None else self.at
        return round(now * 1e9)

    def wall_us(self) -> int:
        """Microseconds since 1970, by the pretended driver's virtual clock if it has one."""
        return time.time_ns() // 1000 if self.at is None else round((1.7e9 + self.at) * 1e6)


class Scenario:
    """What can be asked of it: its public methods."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.time = Time()
        self.options = msgspec.convert(options, Options)
        self.collector = self._make()
        assert isinstance(make_collector(Options(), Context()), NvmlCollector)

    def _make(self) -> NvmlCollector:
        return NvmlCollector(self.options, Clock(self.time.mono_ns, self.time.wall_us))

    def anew(self) -> None:
        """Another collector in the same process."""
        self.collector.close()
        self.collector = self._make()

    def collect(self, seconds: float = 30.0) -> dict[str, Any]:
        """One reading, as validation passes it; or what was raised instead."""
        started = time.monotonic()
        try:
            reading = validate(self.collector.collect(started + seconds))
        except (NoData, NeedsRestart) as error:
            return {"raised": type(error).__name__, "detail": str(error)}
        found: dict[str, Any] = msgspec.to_builtins(reading)
        return {**found, "seconds": time.monotonic() - started}

    def many(self, times: int) -> float:
        """So many readings; returns the CPU seconds each took."""
        started = time.process_time()
        for _ in range(times):
            self.collector.collect(time.monotonic() + 30.0)
        return (time.process_time() - started) / times

    def sleep(self, seconds: float) -> None:
        """Let time really go by."""
        time.sleep(seconds)

    def skip(self, seconds: float) -> None:
        """Let the collector think that time went by."""
        self.time.skipped += seconds

    def at(self, seconds: float) -> None:
        """Set the time, for a driver whose clock stands still."""
        self.time.at = seconds

    def pause(self) -> None:
        """Close NVML."""
        self.collector.pause()

    def pause_while_collecting(self) -> str:
        """Begin a collection, and pause meanwhile."""
        thread = threading.Thread(target=self.collect)
        thread.start()
        self.collector.pause()
        thread.join()
        return "joined"

    def resume(self) -> None:
        """Let NVML be opened again."""
        self.collector.resume()

    def close(self) -> None:
        """End it all."""
        self.collector.close()

    def threads(self) -> list[str]:
        """The names of the threads there are."""
        return sorted(thread.name for thread in threading.enumerate())

    def modules(self) -> bool:
        """Whether the binding was imported."""
        return "pynvml" in sys.modules


def main() -> None:
    """Answer each line until there are no more."""
    scenario = Scenario(json.loads(sys.argv[1]))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        method: Callable[..., Any] = getattr(scenario, name)
        print(json.dumps(method(*arguments)), flush=True)


if __name__ == "__main__":
    main()
