"""What types cannot say about a delivery: pure checks, before any of it is stored."""

from collections import Counter
from enum import StrEnum

from unitcost.exporter.fleet.protocol import Delivery
from unitcost.pricing.charge import cost_of
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of

AHEAD_HOURS = 24
"""A clock may be wrong by so much; an hour later than that is nobody's."""


class Reason(StrEnum):
    """Why a delivery is not taken, in one word; the whole set, so it can be a label."""

    UNAUTHORIZED = "unauthorized"
    WRONG_HOST = "wrong_host"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    UNBALANCED = "unbalanced"
    CONFLICT = "conflict"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


class Rejected(Exception):
    """A delivery that is not taken; the text says why, with no secret in it."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


def check(delivery: Delivery, now_ns: int) -> None:
    """Raises Rejected unless the hour is one that could have been metered, and balances."""
    if delivery.hour > hour_of(now_ns) + AHEAD_HOURS:
        raise Rejected(Reason.MALFORMED, f"hour {delivery.hour} is not yet")
    start, end = delivery.hour * NS_PER_HOUR, (delivery.hour + 1) * NS_PER_HOUR
    if not start <= delivery.from_ns < delivery.to_ns <= end:
        raise Rejected(Reason.MALFORMED, "what was metered does not lie in the hour")
    if delivery.opened > delivery.seq:
        raise Rejected(Reason.MALFORMED, "a process cannot open a later commit than its last")
    _check_signs(delivery)
    _check_keys(delivery)
    _check_balance(delivery)
    _check_prices(delivery)


def _check_signs(delivery: Delivery) -> None:
    """Only corrections take back."""
    for accrual in delivery.accruals:
        if (
            accrual.revision == 0
            and min(accrual.elapsed_ns, accrual.quantity, accrual.pico or 0) < 0
        ):
            raise Rejected(Reason.MALFORMED, f"{accrual.resource} accrued less than nothing")
    for charge in delivery.charges:
        if charge.revision == 0 and min(charge.quantity, charge.pico or 0) < 0:
            raise Rejected(Reason.MALFORMED, f"{charge.workload} was charged less than nothing")


def _check_keys(delivery: Delivery) -> None:
    """No row twice, and none without its price."""
    rows = (
        [(c.resource, c.component, c.price, c.revision) for c in delivery.accruals],
        [
            (
                *(c.resource, c.component, c.workload, c.model, c.run, c.attempt),
                *(c.state, c.method, c.price, c.currency, c.revision),
            )
            for c in delivery.charges
        ],
        [(u.workload, u.model, u.run, u.quantity, u.label) for u in delivery.units],
        [(i.id, i.workload, i.model, i.run, i.item, i.per, i.revision) for i in delivery.items],
        [(m.workload, m.run, m.attempt, m.epoch) for m in delivery.marks],
        [(p.workload, p.run, p.attempt, p.epoch) for p in delivery.parts],
        [price.id for price in delivery.prices],
        [workload.name for workload in delivery.workloads],
    )
    if any(len(set(keys)) != len(keys) for keys in rows):
        raise Rejected(Reason.MALFORMED, "a row is there twice")
    known = {price.id for price in delivery.prices}
    if any(accrual.price not in known for accrual in delivery.accruals):
        raise Rejected(Reason.MALFORMED, "a price is missing")


def _check_balance(delivery: Delivery) -> None:
    """What resources accrued is what was charged, to the pico-dollar."""
    money: Counter[tuple[object, ...]] = Counter()
    amounts: Counter[tuple[object, ...]] = Counter()
    for sign, rows in ((1, delivery.accruals), (-1, delivery.charges)):
        for row in rows:
            key = (row.resource, row.component, row.price, row.revision)
            money[key] += sign * (row.pico or 0)
            amounts[key] += sign * row.quantity
    wrong = next((key for counts in (money, amounts) for key, left in counts.items() if left), None)
    if wrong is not None:
        raise Rejected(Reason.UNBALANCED, f"{wrong[0]} {wrong[1]}: charged is not accrued")


def _check_prices(delivery: Delivery) -> None:
    """What accrued at a price is that price times its time (or its energy)."""
    prices = {price.id: price.pico_per_unit for price in delivery.prices}
    elapsed: Counter[tuple[str, str, str]] = Counter()
    money: dict[tuple[str, str, str], int | None] = {}
    for row in delivery.accruals:
        key = (row.resource, row.component.value, row.price)
        elapsed[key] += row.elapsed_ns
        before = money.setdefault(key, None)
        money[key] = before if row.pico is None else (before or 0) + row.pico
    for key, pico in money.items():
        price = prices[key[2]]
        if pico != (None if price is None else cost_of(price, elapsed[key])):
            raise Rejected(Reason.UNBALANCED, f"{key[0]} {key[1]}: not its price times its time")
