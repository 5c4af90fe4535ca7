"""What one reading of the host's processes costs, beside psutil reading the same.

Two hundred processes sleep while both read them, turn by turn, each reading timed in CPU seconds of
this process (user and system). psutil reads pid, parent, CPU times, start, resident and shared
memory, command line and user; it does not read the cgroup, which we do. Both remember what they
can between readings. What follows a reading (attribution, CPU time, validation) is timed too.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil

from unitcost.collectors.base import Context, Reading
from unitcost.collectors.host import HostCollector, Options
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.attribute import Claim, Rule, RuleMatcher, attribute
from unitcost.pricing.cpu_time import CpuState, count_cpu
from unitcost.pricing.workload import Account

PROCESSES = 200
ROUNDS = 40
MAX_RATIO = 0.3
"""Of psutil's CPU time."""
MAX_MS_PER_200 = 6.0
FIELDS = ["pid", "ppid", "cpu_times", "create_time", "memory_info", "cmdline", "username"]


def with_psutil() -> list[dict[str, Any]]:
    """All processes, as psutil's documentation says it is done fast."""
    return [process.info for process in psutil.process_iter(FIELDS)]


class Settling:
    """What the exporter does with a reading of the host before any price is looked at."""

    def __init__(self) -> None:
        rules = [
            Rule(Account("train"), command=r"train\.py", user="nobody"),
            Rule(Account("serve"), command="vllm serve"),
            Rule(Account("job"), cgroup=r"/slurm/job_\d+"),
        ]
        self._matcher = RuleMatcher(rules)
        self._state: CpuState | None = None

    def settle(self, reading: Reading) -> None:
        """Validate, attribute, count."""
        validate(reading)
        claim = Claim(Account("run"), reading.processes[-1].pid, reading.processes[-1].started)
        found = attribute(reading.processes, reading.listeners, [claim], self._matcher)
        self._state = count_cpu(self._state, reading.processes, found.account_of, 0).state


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1e6


def measure() -> dict[str, float]:
    """Medians over the rounds; the first rounds, in which all is new, are apart."""
    collector, settling = HostCollector(Options(), Context()), Settling()
    first = cpu_ms(lambda: collector.collect(0.0))
    with_psutil()
    collector.collect(0.0)
    ours, theirs, after = [], [], []
    for _ in range(ROUNDS):
        theirs.append(cpu_ms(with_psutil))
        ours.append(cpu_ms(lambda: collector.collect(0.0)))
        after.append(cpu_ms(partial(settling.settle, collector.collect(0.0))))
    count = len(collector.collect(0.0).processes)
    return {
        "processes": count,
        "first_reading_ms": first,
        "reading_ms": statistics.median(ours),
        "reading_ms_per_200": statistics.median(ours) * 200 / count,
        "psutil_ms": statistics.median(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs),
        "validate_attribute_count_ms": statistics.median(after),
    }


def main() -> int:
    """Print the figures as JSON; 1 if one of them is worse than promised."""
    sleepers = [subprocess.Popen(["sleep", "600"]) for _ in range(PROCESSES)]
    try:
        time.sleep(0.5)
        figures = measure()
    finally:
        for sleeper in sleepers:
            sleeper.kill()
        for sleeper in sleepers:
            sleeper.wait()
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=2))
    good = figures["ratio"] <= MAX_RATIO and figures["reading_ms_per_200"] <= MAX_MS_PER_200
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
