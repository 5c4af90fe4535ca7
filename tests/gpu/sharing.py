"""Two processes on one GPU: whose SM time it was, as the collector reads it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.gpu.machine import Machine
from unitcost.pricing.device import SmSample
from unitcost.pricing.sm_time import PER_PERCENT, sm_millionths

SAMPLE_LIMIT = 100.0


@dataclass(frozen=True)
class Second:
    """One reading: percent of SM time and number of samples by pid, and all pids on the GPU."""

    percent: Mapping[int, float]
    samples: Mapping[int, int]
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Sharing:
    """Readings, and the two processes that were there."""

    steady: int
    half: int
    seconds: tuple[Second, ...]
    problems: tuple[str, ...] = ()

    def mean(self, pid: int) -> float:
        """Percent of SM time over all readings."""
        return statistics.fmean(each.percent.get(pid, 0.0) for each in self.seconds)

    @property
    def sums(self) -> list[float]:
        """Percent of both, reading by reading."""
        return [sum(each.percent.get(pid, 0.0) for pid in self._both) for each in self.seconds]

    @property
    def _both(self) -> tuple[int, int]:
        return self.steady, self.half

    def faults(self) -> list[str]:
        """What is not as it has to be."""
        found = list(self.problems)
        for name, pid in zip(("steady", "half"), self._both, strict=True):
            if not any(pid in each.pids for each in self.seconds):
                others = sorted({other for each in self.seconds for other in each.pids})
                found.append(f"{name} ({pid}) is in no list of processes; there are {others}")
            if not any(each.samples.get(pid) for each in self.seconds):
                found.append(f"{name} ({pid}) has no sample")
        if (total := statistics.fmean(self.sums)) > SAMPLE_LIMIT:
            found.append(f"both together used {total:.1f} % of the SM time")
        if self.mean(self.steady) <= self.mean(self.half):
            found.append("the one that pauses used as much as the one that does not")
        return found

    def table(self) -> str:
        """In Markdown; what both had in each reading."""
        lines = ["| reading | steady % | samples | half % | samples | sum % |", "|---" * 6 + "|"]
        for number, each in enumerate(self.seconds, 1):
            cells = [
                f"{each.percent.get(pid, 0.0):.1f} | {each.samples.get(pid, 0)}"
                for pid in self._both
            ]
            lines.append(f"| {number} | {' | '.join(cells)} | {self.sums[number - 1]:.1f} |")
        return "\n".join(lines)

    def summary(self) -> dict[str, Any]:
        """For the results."""
        samples = [each.samples.get(pid, 0) for each in self.seconds for pid in self._both]
        return {
            "readings": len(self.seconds),
            "steady_percent": round(self.mean(self.steady), 2),
            "half_percent": round(self.mean(self.half), 2),
            "greatest_sum_percent": max(self.sums),
            "readings_above_100": sum(each > SAMPLE_LIMIT for each in self.sums),
            "samples_in_a_reading": [min(samples), max(samples)],
            "table": self.table(),
        }


def second_of(device: Mapping[str, Any]) -> Second:
    """What a reading of a device says, by the rule that prices are split by."""
    samples = [SmSample(*each) for each in device["samples"]]
    shares = sm_millionths(samples)
    return Second(
        {pid: share / PER_PERCENT for pid, share in shares.items()},
        {pid: sum(each.pid == pid for each in samples) for pid in shares},
        tuple(device["pids"]),
    )


def measure(machine: Machine, readings: int, every: float = 1.0) -> Sharing:
    """Let two processes work, one of them half the time, and read so often."""
    with (
        machine.load("loads", "steady", sm=60) as steady,
        machine.load("loads", "half", sm=30) as half,
    ):
        for load in (steady, half):
            assert machine.is_right_device(load.device), f"a load runs on {load.device}"
        found = machine.run("readings", "--count", str(readings + 1), "--every", str(every))
    return sharing_of(steady.pid, half.pid, found[1:])  # the first one only begins


def sharing_of(steady: int, half: int, readings: Sequence[Mapping[str, Any]]) -> Sharing:
    """From readings as `readings.py` prints them; of several GPUs the one that both are on."""
    seconds, problems = [], []
    for reading in readings:
        problems.extend(reading["problems"])
        on = [each for each in reading["devices"] if {steady, half} & set(each["pids"])]
        device = (on or reading["devices"] or [{"samples": [], "pids": []}])[0]
        seconds.append(second_of(device))
    return Sharing(steady, half, tuple(seconds), tuple(dict.fromkeys(problems)))
