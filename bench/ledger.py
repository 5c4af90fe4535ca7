"""Growth of the ledger in a day of 16 workloads, and what a commit costs beside a bare fsync.

Run: python bench/ledger.py. A day of fake time in ticks of two minutes: rows are open for a
clock hour, so the length of a tick makes no difference to how many there are.
"""

import os
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.settling.holding import HostMeter, Observed
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT
from unitcost.pricing.sample import (
    Kind,
    Outcome,
    Process,
    Quantity,
    Sample,
    Subject,
    TokenType,
)
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.workload import WorkloadKind

SECOND = 10**9
STEP = 120 * SECOND
START = 1_767_225_600 * SECOND
WORKLOADS = 16
TICKS = 24 * 3600 * SECOND // STEP


def observed(n: int) -> Observed:
    """Sixteen servers on a host of 64 cores; every other one pauses every other hour."""
    mono = n * STEP + SECOND
    samples = [
        Sample("host", Quantity.CPU_CAPACITY, 64, mono, Kind.GAUGE),
        Sample("host", Quantity.CPU_SECONDS, 20.0 * n, mono),
        Sample("host", Quantity.MEMORY_CAPACITY, 256 * 2**30, mono, Kind.GAUGE),
    ]
    subjects, processes = [], [Process(1, 0, 0, 0, 0, 2**20)]
    for w in range(WORKLOADS):
        name, model = f"server-{w}", f"model-{w}"
        count = float(n if w % 2 else n // 60 * 30)
        subjects.append(
            Subject(
                name, f"workload-{w}", WorkloadKind.INFERENCE, pid=10 + w, started=1, ready=True
            )
        )
        requests = Quantity.REQUESTS
        samples += [
            Sample(name, requests, count, mono, label=Outcome.SUCCEEDED, model=model),
            Sample(name, requests, 0.0, mono, label=Outcome.FAILED, model=model),
            Sample(name, Quantity.TOKENS, 9 * count, mono, label=TokenType.INPUT, model=model),
            Sample(name, Quantity.TOKENS, 7 * count, mono, label=TokenType.OUTPUT, model=model),
        ]
        processes.append(Process(10 + w, 1, 1, n * SECOND * (1 + w), 0, 2**30))
    return Observed(samples, subjects, processes, [])


def rules() -> Rules:
    """A rented host."""
    price = Price(Component.RENT, Decimal("98.32"), PriceModel.OVERRIDE, "bench")
    return Rules(
        PriceBook((Component.RENT,), (price,)),
        DEFAULT_SPLIT,
        False,
        "host",
        {},
        300 * SECOND,
        10**6,
    )


def fsync_seconds(folder: Path) -> float:
    """A 16 KiB write and an fsync: what the disk itself takes."""
    with open(folder / "probe", "wb", buffering=0) as file:
        began = time.perf_counter()
        file.write(bytes(16384))
        os.fsync(file.fileno())
        return time.perf_counter() - began


def main() -> None:
    """Print growth and the median commit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keeper = Keeper(folder / "ledger.db", "host", "host", 400)
        found = keeper.open(START)
        if found is None:
            raise SystemExit("the ledger cannot be opened")
        settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
        settling, commits, disk = [], [], []
        for n in range(TICKS):
            mono = n * STEP + SECOND
            clock = ClockReading(START + n * STEP, mono, mono, "boot")
            began = time.process_time()
            settler.tick(observed(n), (), clock)
            settling.append(time.process_time() - began)
            began = time.process_time()
            keeper.commit(settler.books, clock.wall_ns)
            commits.append(time.process_time() - began)
            disk.append(fsync_seconds(folder))
        keeper.close()
        size = sum(path.stat().st_size for path in folder.glob("ledger.db*"))
    milli = 1000
    print(f"ledger: {size / 1e6:.2f} MB after a day of {WORKLOADS} workloads (target <= 5 MB)")
    print(
        f"tick: settle {statistics.median(settling) * milli:.2f} ms CPU, "
        f"commit {statistics.median(commits) * milli:.2f} ms CPU; "
        f"bare write and fsync {statistics.median(disk) * milli:.2f} ms"
    )


if __name__ == "__main__":
    main()
