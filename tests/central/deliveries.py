"""Hours of made-up agents: each balances, and each commit changes some of it."""

import random
from collections.abc import Iterable
from typing import Any

from tests.places import Where
from unitcost.exporter.fleet.protocol import (
    AccrualRow,
    ChargeRow,
    Delivery,
    ItemRow,
    MarkRow,
    PartRow,
    PriceRow,
    UnitRow,
    WorkloadRow,
)
from unitcost.pricing.allocate import Method, State
from unitcost.pricing.charge import cost_of
from unitcost.pricing.items import ItemType
from unitcost.pricing.money import distribute
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.sample import Quantity
from unitcost.pricing.timeline import NS_PER_HOUR

HOUR = 490_896
"""The first of 2026."""
SECOND = 10**9
PICO = 7 * 10**12 + 1
TABLES = ("accrual", "charge", "unit_count", "item_charge", "epoch_mark", "epoch_part")
PRICE = PriceRow(
    *("p", "cpu", Component.RENT, PICO, "override", "test", 0, None, 0, 0, "USD", "weights"),
    *(PriceUnit.HOUR, "1", "", 0, None),
)


def name(text: str) -> str:
    """A random name that is always the same."""
    return f"{random.Random(text).getrandbits(128):032x}"


def delivery(
    seq: int, hour: int = HOUR, host: str = "h1", ledger: str = "a", **more: Any
) -> Delivery:
    """An hour as it was after a commit: the later, the longer; owners come and go."""
    chance = random.Random(f"{host}{ledger}{hour}{seq}")
    elapsed = min(seq * 5, 3600) * SECOND
    pico = cost_of(PICO, elapsed)
    workloads = [f"w{n}" for n in range(1, 2 + chance.randrange(4))]
    weights = [1 + chance.randrange(9) for _ in workloads]
    parts = zip(workloads, distribute(pico, weights), distribute(elapsed, weights), strict=True)
    values: dict[str, Any] = {
        "protocol": 1,
        "version": "1",
        "host": host,
        "scope": "host",
        "ledger": name(ledger),
        "session": name(f"session {ledger}"),
        "opened": 0,
        "seq": seq,
        "hour": hour,
        "from_ns": hour * NS_PER_HOUR,
        "to_ns": hour * NS_PER_HOUR + max(elapsed, 1),
        "prices": (PRICE,),
        "workloads": tuple(
            WorkloadRow(each, "inference", f"owner{seq % 3}", 1, seq, 0) for each in workloads
        ),
        "accruals": (AccrualRow("cpu", Component.RENT, "p", 0, elapsed, elapsed, pico),),
        "charges": tuple(
            ChargeRow(
                *("cpu", Component.RENT, workload, "m", "", 0, State.ACTIVE, Method.EXCLUSIVE),
                *("p", "USD", 0, quantity, money, "1", seq),
            )
            for workload, money, quantity in parts
        ),
        "units": tuple(
            UnitRow(each, "m", "", Quantity.REQUESTS, "succeeded", seq * 10**6)
            for each in workloads
        ),
        "items": (ItemRow("i", "w1", "", "", ItemType.OTHER, "", 0, seq, seq, 0, seq),),
        "marks": (MarkRow("w1", "r", 0, 1.0, hour * NS_PER_HOUR, seq, None),),
        "parts": (PartRow("w1", "r", 0, 1.0, 0.0, 2, hour * NS_PER_HOUR, seq, None),),
    }
    return Delivery(**(values | more))


def content(where: Where) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of hours, by table."""
    return {table: sorted(where.rows(f"SELECT * FROM {table}"), key=repr) for table in TABLES}  # noqa: S608


def expected(deliveries: Iterable[Delivery]) -> dict[tuple[str, str, int], Delivery]:
    """Of each agent's hour the one with the highest number."""
    found: dict[tuple[str, str, int], Delivery] = {}
    for each in deliveries:
        key = (each.host, each.ledger, each.hour)
        if key not in found or found[key].seq < each.seq:
            found[key] = each
    return found


def pico_of(deliveries: Iterable[Delivery]) -> int:
    """What they charge in all."""
    return sum(charge.pico or 0 for each in deliveries for charge in each.charges)
