"""Settles rounds of five minutes whose prices are learnt late, until it is killed.

Usage: python learning.py LEDGER FIRST_ROUND. Every seventh round a price is learnt that has held
since an hour and a half before. Prints each committed round.
"""

import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.settling.holding import HostMeter, Observed
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT
from unitcost.pricing.sample import Kind, Process, Quantity, Sample
from unitcost.pricing.timeline import ClockReading

SECOND = 10**9
ROUND = 300 * SECOND
START = 1_767_225_600 * SECOND
EVERY, LATE = 7, 18
"""After how many rounds another price is learnt, and how many rounds late."""
USD = ("98.32", "55.04", "126.54", "68.64", "0")


def book(n: int) -> PriceBook:
    """The prices that are known at the end of round n; each begins in the middle of a round."""
    starts = [START + (EVERY * k - LATE) * ROUND + 77 * SECOND for k in range(1, n // EVERY + 1)]
    starts = [0, *(start for start in starts if start > START)]
    ends: list[int | None] = [*starts[1:], None]
    prices = (
        Price(Component.RENT, Decimal(USD[k % 5]), PriceModel.OVERRIDE, "test", start, end)
        for k, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    return PriceBook((Component.RENT,), tuple(prices))


def rules(n: int) -> Rules:
    """A rented host at these prices."""
    return Rules(
        book=book(n),
        split=DEFAULT_SPLIT,
        owned=False,
        scope="host",
        workloads={},
        window_ns=300 * SECOND,
        minimum_micro=10**6,
    )


def clock(n: int) -> ClockReading:
    """The clocks at the end of round n."""
    return ClockReading(START + n * ROUND, n * ROUND + SECOND, n * ROUND + SECOND, "boot")


def observed(n: int) -> Observed:
    """What collectors see at the end of round n: a host with a process or two."""
    mono = clock(n).mono_ns
    host = [
        Sample("host", Quantity.CPU_CAPACITY, 4, mono, Kind.GAUGE),
        Sample("host", Quantity.CPU_SECONDS, 90.0 * n, mono),
        Sample("host", Quantity.MEMORY_CAPACITY, 8 * 2**30, mono, Kind.GAUGE),
    ]
    processes = [
        Process(1, 0, 0, 0, 0, 2**20),
        Process(10, 1, 1, n * 60 * SECOND, 0, 2**30),
    ]
    return Observed(host, [], processes, [])


def main(path: Path, first: int) -> None:
    """Settle round after round."""
    keeper = Keeper(path, "host", "host", 400)
    found = keeper.open(clock(first).wall_ns)
    if found is None:
        raise SystemExit("the ledger cannot be opened")
    settler = Settler(rules(first), found[0], found[1], HostMeter(RuleMatcher()))
    n = first
    while True:
        settler.price(replace(settler.rules, book=book(n)))
        settler.tick(observed(n), (), clock(n))
        if not keeper.commit(settler.books, clock(n).wall_ns):
            raise SystemExit("the ledger cannot be written")
        print(n, flush=True)
        n += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
