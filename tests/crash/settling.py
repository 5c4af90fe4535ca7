"""Settles a made-up world as fast as it can, until it is killed. Prints each committed round.

Usage: python settling.py LEDGER FIRST_ROUND [owned]. A round is five seconds of fake time; in it, a
server counts three requests, and its process burns a second of CPU. An owned host draws 200 W,
which its processor measures; a tariff with slabs and a cheap minute prices them. Items are booked:
at once, over time, and for each request; a budget of each day is spent.
"""

import sys
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path

from unitcost.exporter.config.load import loads
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.settling.holding import HostMeter, Observed
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.rules import Reservation, Rules, WorkloadRule, rules_of
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.budget import Budget, BudgetPeriod
from unitcost.pricing.energy import Meter, Scope
from unitcost.pricing.items import Item, ItemKey, ItemType
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT
from unitcost.pricing.sample import Kind, Outcome, Process, Quantity, Sample, Subject
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.workload import WorkloadKind

SECOND = 10**9
ROUND = 5 * SECOND
REQUESTS = 3
START = 1_767_225_600 * SECOND
PRICE = Decimal("98.32")
WATTS = 200
OWNED = """
price:
  owned:
    purchase_usd: 100000
    life_years: 5
    electricity:
      tariff:
        slabs: [{per_kwh: 0.20, up_to_kwh: 0.02}, {per_kwh: 0.30}]
        windows: [{start: "00:03", end: "00:04", per_kwh: 0.10}]
      pue: 1.25
      unmetered_watts: 40
"""


def clock(n: int) -> ClockReading:
    """The clocks at the end of round n."""
    return ClockReading(START + n * ROUND, n * ROUND + SECOND, n * ROUND + SECOND, "boot")


def observed(n: int) -> Observed:
    """What collectors see at the end of round n."""
    mono = clock(n).mono_ns
    host = [
        Sample("host", Quantity.CPU_CAPACITY, 4, mono, Kind.GAUGE),
        Sample("host", Quantity.CPU_SECONDS, 1.5 * n, mono),
        Sample("host", Quantity.MEMORY_CAPACITY, 8 * 2**30, mono, Kind.GAUGE),
    ]
    count = Sample(
        "server", Quantity.REQUESTS, float(REQUESTS * n), mono, label=Outcome.SUCCEEDED, model="m"
    )
    subject = Subject("server", "chat", WorkloadKind.INFERENCE, pid=10, started=1, ready=True)
    processes = [
        Process(1, 0, 0, 0, 0, 2**20),
        Process(10, 1, 1, n * SECOND, 0, 2**30),
    ]
    return Observed([*host, count], [subject], processes, [])


def observed_owned(n: int) -> Observed:
    """The same, and what the processor has used."""
    joules = float(WATTS * n * ROUND // SECOND)
    meter = Meter("package-0", Scope.PACKAGE, ("0",), clock(n).mono_ns, joules, resource="cpu")
    return replace(observed(n), meters=(meter,))


def rules_owned() -> Rules:
    """An owned host whose energy is charged."""
    made = rules()
    owned = rules_of(loads(OWNED).settings)
    return replace(owned, workloads=made.workloads, planning=made.planning)


def item(name: str, usd: str, start: int | None, end: int | None = None, per: str = "") -> Item:
    """An item of the server's."""
    return Item(ItemKey(name, "chat", "", "", ItemType.OTHER, per), Decimal(usd), start, end)


ITEMS = (
    item("data", "18000.000000000001", START + 9 * ROUND),
    item("staff", "1234567.89", START, START + 30 * 24 * 3600 * SECOND),
    item("licence", "0.0004", None, None, "request"),
)
DAILY = Budget("daily", Decimal(100), BudgetPeriod.DAY, UTC)


def rules() -> Rules:
    """A rented host with one reserved workload."""
    price = Price(Component.RENT, PRICE, PriceModel.OVERRIDE, "test")
    reservation = Reservation(2000, 2 * 2**30)
    rule = WorkloadRule("chat", WorkloadKind.INFERENCE, "", reservation, True)
    return Rules(
        book=PriceBook((Component.RENT,), (price,)),
        split=DEFAULT_SPLIT,
        owned=False,
        scope="host",
        workloads={"chat": rule},
        window_ns=300 * SECOND,
        minimum_micro=10**6,
        planning=Planning(ITEMS, budgets=(DAILY,), shown_first_ns=0),
    )


def main(path: Path, first: int, owned: bool) -> None:
    """Settle round after round."""
    keeper = Keeper(path, "host", "host", 400)
    found = keeper.open(clock(first).wall_ns)
    if found is None:
        raise SystemExit("the ledger cannot be opened")
    its_rules = rules_owned() if owned else rules()
    settler = Settler(its_rules, found[0], found[1], HostMeter(RuleMatcher()))
    n = first
    while True:
        now = clock(n)
        settler.tick(observed_owned(n) if owned else observed(n), (), now)
        if not keeper.commit(settler.books, now.wall_ns):
            raise SystemExit("the ledger cannot be written")
        print(n, flush=True)
        n += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["owned"])
