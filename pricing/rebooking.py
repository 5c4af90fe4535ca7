"""Rebooking: time moves from one price to another, in rows of a further revision.

Nothing that was charged is changed: there are rows that take back at the old price, and rows that
charge at the new one. So for each price the rows of all revisions sum to price x time, rounded
once, as if it had been known in time; and to what is charged, to the last pico-dollar.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from unitcost.pricing.allocate import Method, State, unheld
from unitcost.pricing.charge import (
    AccrualKey,
    Accrued,
    Amount,
    ChargeKey,
    Posting,
    cost_of,
    quantity_of,
)
from unitcost.pricing.correction import Move
from unitcost.pricing.money import distribute
from unitcost.pricing.price import UnitPrice
from unitcost.pricing.resource import Resource
from unitcost.pricing.workload import Account

Holder = tuple[Account, State, Method]
"""Who held how, whatever it cost."""


@dataclass(frozen=True, slots=True)
class Rebooked:
    """The rows to be added, and the pico-dollars that each move makes."""

    posting: Posting
    amounts: tuple[tuple[Move, int], ...]


@dataclass(slots=True)
class _Row:
    """What stands at one price: `left_ns` and `holders` are what is left of it before the moves."""

    elapsed_ns: int = 0
    left_ns: int = 0
    holders: dict[Holder, Amount] = field(default_factory=dict)


@dataclass(slots=True)
class _Hour:
    """The rows of one hour, and what is added to them."""

    hour: int
    revision: int
    rows: dict[AccrualKey, _Row]
    posting: Posting = field(default_factory=Posting)

    def move(self, move: Move) -> int | None:
        """Book it; the pico-dollars that it adds. None where the rows do not hold what is moved."""
        weights, back = _by_nobody(), 0
        if move.old is not None:
            row = self._row(move.resource, move.old)
            weights = {holder: amount.quantity for holder, amount in row.holders.items()}
            taken = self._leave(move, move.old, row)
            if taken is None:
                return None
            back = taken
        return back if move.new is None else back + self._arrive(move, move.new, weights)

    def _leave(self, move: Move, price: UnitPrice, row: _Row) -> int | None:
        """Take time back, from everyone in proportion; so nobody gets more than they paid."""
        quantity, pico = self._add(move.resource, price, row, -move.elapsed_ns)
        row.left_ns -= move.elapsed_ns
        held = [each.quantity for each in row.holders.values()]
        paid = [each.pico or 0 for each in row.holders.values()]
        whole = row.left_ns >= 0 and held and min(*held, *paid) >= 0
        if not whole or sum(held) < -quantity or sum(paid) < -pico:
            return None
        unpriced = price.pico_per_unit is None
        parts = zip(
            row.holders.items(), distribute(-quantity, held), distribute(-pico, paid), strict=True
        )
        for (holder, left), part, cost in parts:
            back = None if unpriced else -cost
            left.add(-part, back)
            self._charge(move, price, holder, -part, back)
        return pico

    def _arrive(self, move: Move, price: UnitPrice, weights: Mapping[Holder, int]) -> int:
        """Charge time at its right price to those who held the resource."""
        row = self._row(move.resource, price)
        quantity, pico = self._add(move.resource, price, row, move.elapsed_ns)
        shares = list(weights.values()) if any(weights.values()) else [1] * len(weights)
        unpriced = price.pico_per_unit is None
        parts = zip(weights, distribute(quantity, shares), distribute(pico, shares), strict=True)
        for holder, part, cost in parts:
            self._charge(move, price, holder, part, None if unpriced else cost)
        return pico

    def _add(self, resource: Resource, price: UnitPrice, row: _Row, ns: int) -> tuple[int, int]:
        """Add time (or take it away); the quantity and the pico-dollars that this makes."""
        before, after = row.elapsed_ns, row.elapsed_ns + ns
        row.elapsed_ns = after
        quantity = quantity_of(resource, after) - quantity_of(resource, before)
        key = AccrualKey(resource.id, price.component, price.id, self.hour, self.revision)
        accrued = self.posting.accruals.setdefault(key, Accrued())
        accrued.elapsed_ns += ns
        accrued.quantity += quantity
        if price.pico_per_unit is None:
            return quantity, 0
        pico = cost_of(price.pico_per_unit, after) - cost_of(price.pico_per_unit, before)
        accrued.pico = (accrued.pico or 0) + pico
        return quantity, pico

    def _charge(
        self, move: Move, price: UnitPrice, holder: Holder, quantity: int, pico: int | None
    ) -> None:
        key = ChargeKey(
            move.resource.id, price.component, *holder, price.id, self.hour, self.revision
        )
        self.posting.charges.setdefault(key, Amount()).add(quantity, pico)

    def _row(self, resource: Resource, price: UnitPrice) -> _Row:
        key = AccrualKey(resource.id, price.component, price.id, self.hour)
        return self.rows.setdefault(key, _Row())


def _by_nobody() -> dict[Holder, int]:
    """Whose a resource is that had no part in the price."""
    return {(each.account, each.state, each.method): each.weight for each in unheld(1)}


def rebook(rows: Posting, moved: Iterable[Move], hour: int) -> Rebooked | None:
    """Move time between the rows of a clock hour, all revisions of which are given.

    Within the hour nobody knows any more who held a resource when: what moves is shared by what
    each held of it at the old price. None if the rows do not hold the time that is to move.
    """
    revision = 1 + max((key.revision for key in rows.accruals), default=0)
    desk = _Hour(hour, revision, _standing(rows))
    amounts = []
    for move in moved:
        pico = desk.move(move)
        if pico is None:
            return None
        amounts.append((move, pico))
    return Rebooked(desk.posting, tuple(amounts))


def elapsed_at(rows: Posting) -> dict[AccrualKey, int]:
    """How much time stands at each price after all revisions."""
    return {key: row.elapsed_ns for key, row in _standing(rows).items()}


def _standing(rows: Posting) -> dict[AccrualKey, _Row]:
    """What stands at each price after all revisions."""
    found: dict[AccrualKey, _Row] = {}
    for key, accrued in rows.accruals.items():
        row = found.setdefault(AccrualKey(key.resource, key.component, key.price, key.hour), _Row())
        row.elapsed_ns += accrued.elapsed_ns
        row.left_ns = row.elapsed_ns
    for charge, amount in rows.charges.items():
        key = AccrualKey(charge.resource, charge.component, charge.price, charge.hour)
        row = found.setdefault(key, _Row())
        holder = (charge.account, charge.state, charge.method)
        row.holders.setdefault(holder, Amount()).add(amount.quantity, amount.pico)
    return found
