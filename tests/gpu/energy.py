"""The energy counter against the power, integrated over time by the trapezoid rule."""

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.gpu.machine import Machine
from tests.gpu.series import EVERY_SECONDS

TOLERANCE = 0.02
POWERS = ("average_mw", "instant_mw", "usage_mw")
STIR_SECONDS = 0.5


@dataclass(frozen=True)
class Comparison:
    """Joules that the counter rose by, and joules of each power that was there throughout."""

    seconds: float
    longest_gap: float
    counted: float
    integrated: Mapping[str, float]
    watts: tuple[float, float]
    """The least and the greatest power seen."""

    @property
    def compared(self) -> str:
        """The power the exporter takes where there is no counter: field 185, else the reading."""
        return "average_mw" if "average_mw" in self.integrated else "usage_mw"

    def deviation(self, power: str) -> float:
        """By which part of the integral the counter is off."""
        joules = self.integrated[power]
        return self.counted / joules - 1 if joules else float("inf")

    def faults(self, tolerance: float = TOLERANCE) -> list[str]:
        """What is wrong with the counter; nothing if it is right."""
        if self.compared not in self.integrated:
            return ["no power could be read"]
        off = self.deviation(self.compared)
        if abs(off) > tolerance:
            return [f"the counter is off by {off:+.2%} of {self.compared}, more than {tolerance}"]
        return []

    def summary(self) -> dict[str, Any]:
        """For the results."""
        off = {power: round(self.deviation(power), 5) for power in self.integrated}
        return {
            "seconds": round(self.seconds, 2),
            "longest_gap_seconds": round(self.longest_gap, 3),
            "joules": round(self.counted, 1),
            "watts": self.watts,
            "compared": self.compared,
            "deviation": off,
        }


def compare(rows: Sequence[Mapping[str, Any]]) -> Comparison:
    """Take rows of `Watcher.power` together. Raises AssertionError without a counter."""
    assert len(rows) > 1, "nothing was read"
    assert all(row["energy_mj"] is not None for row in rows), "the energy counter is not read"
    times = [row["t"] for row in rows]
    seen = [row[power] / 1000 for power in POWERS for row in rows if row.get(power) is not None]
    integrated = {
        power: integral([(row["t"], row[power] / 1000) for row in rows])
        for power in POWERS
        if all(row.get(power) is not None for row in rows)
    }
    return Comparison(
        seconds=times[-1] - times[0],
        longest_gap=max(after - before for before, after in itertools.pairwise(times)),
        counted=(rows[-1]["energy_mj"] - rows[0]["energy_mj"]) / 1000,
        integrated=integrated,
        watts=(min(seen, default=0.0), max(seen, default=0.0)),
    )


def integral(points: Sequence[tuple[float, float]]) -> float:
    """By the trapezoid rule, over pairs of seconds and watts."""
    return sum(
        (after - before) * (one + other) / 2
        for (before, one), (after, other) in itertools.pairwise(points)
    )


def measure(
    machine: Machine, seconds: float, *, varied: bool, every: float = EVERY_SECONDS
) -> Comparison:
    """Compare for so long. `varied`: a load goes on, its power changes."""
    words = "series", "--seconds", str(seconds), "--every", str(every)
    if varied:
        machine.stir()
    with machine.begin(*words) as process:
        while varied and process.poll() is None:
            time.sleep(STIR_SECONDS)
            machine.stir()
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert process.returncode == 0, "the driver could not be read; its error is above"
    return compare([json.loads(line) for line in lines])
