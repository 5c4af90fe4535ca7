"""Items: what AI costs besides compute (data, labelling, staff ...), and how much of it is due.

An item is stated by somebody, never measured. How much of it is due at an instant follows from
the statement alone, so it may be asked again and again, after any pause, and stays the same. What
is booked is the most that ever was due: a statement that is lowered or withdrawn afterwards takes
nothing back, the difference is a correction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from unitcost.pricing.figures import within
from unitcost.pricing.layers import Counted
from unitcost.pricing.money import round_half_even, to_pico
from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.workload import Account

MAX_USD = Decimal(10**9)
MAX_USD_PER_UNIT = Decimal(10**6)
"""So that all units there can be come to dollars that fit 64 bits."""
MAX_PLACES = 12
"""Digits after the point: more would be less than a pico-dollar."""
_MICRO = 10**6


class ItemType(StrEnum):
    """What the money was for."""

    DATA_ACQUISITION = "data_acquisition"
    CLEANING = "cleaning"
    LABELLING = "labelling"
    STORAGE = "storage"
    EGRESS = "egress"
    PERSONNEL = "personnel"
    FAILED_RUNS = "failed_runs"
    EVALUATION = "evaluation"
    TOOLING = "tooling"
    OTHER = "other"


class ItemUnit(StrEnum):
    """What an item may be counted by. Tokens: input and output, without what a cache had."""

    REQUEST = "request"
    TOKEN = "token"  # noqa: S105 - a unit of text, not a secret
    STEP = "step"
    SAMPLE = "sample"
    EPOCH = "epoch"


SERVED = frozenset({ItemUnit.REQUEST, ItemUnit.TOKEN})
"""Units of servers, which have no runs."""


@dataclass(frozen=True, slots=True, order=True)
class ItemKey:
    """Where an item's dollars are booked, and what it counts (`per`; empty: time).

    An item that is attached to something else afterwards is another one: what was booked on the
    first stays there.
    """

    id: str
    workload: str
    model: str
    run: str
    type: ItemType
    per: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A statement: so many dollars, at an instant, over a period, or for each unit.

    `start_ns` alone: all at that instant. With `end_ns`: evenly over [start, end). With `key.per`:
    `usd` for each unit counted between them; either may be left out. Raises ValueError for an
    amount or instants that make no sense.
    """

    key: ItemKey
    usd: Decimal
    start_ns: int | None = None
    end_ns: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        within("an item in USD", self.usd, 0, MAX_USD_PER_UNIT if self.key.per else MAX_USD)
        if Decimal(self.usd).as_tuple().exponent < -MAX_PLACES:  # type: ignore[operator]
            raise ValueError(f"an item has at most {MAX_PLACES} digits after the point")
        if self.start_ns is None and not self.key.per:
            raise ValueError("an item needs an instant or a period, or a unit")
        if self.start_ns is not None and self.end_ns is not None and self.end_ns <= self.start_ns:
            raise ValueError("an item's period ends after it starts")

    def due_pico(self, now_ns: int, units_micro: int = 0) -> int:
        """Pico-dollars due by `now_ns`, of which `units_micro` millionths of units were counted.

        It never falls while time goes on, and is the whole amount from the period's end on.
        """
        pico = to_pico(self.usd)
        if self.key.per:
            return round_half_even(pico * units_micro, _MICRO)
        start = self.start_ns or 0
        if self.end_ns is None:
            return pico if now_ns >= start else 0
        length = self.end_ns - start
        return round_half_even(pico * min(max(now_ns - start, 0), length), length)

    def units_micro(self, units: Counted, until_ns: int) -> int:
        """Which of the units of a tick that ends at `until_ns` it counts, in millionths.

        A tick counts whole: units are not told apart within it.
        """
        early = self.start_ns is not None and until_ns <= self.start_ns
        late = self.end_ns is not None and until_ns > self.end_ns
        if not self.key.per or early or late:
            return 0
        return sum(
            micro
            for (account, quantity, label), micro in units.items()
            if _counts(ItemUnit(self.key.per), quantity, label) and self._is_of(account)
        )

    def _is_of(self, account: Account) -> bool:
        key = self.key
        return (
            account.workload == key.workload
            and key.model in ("", account.model)
            and key.run in ("", account.run)
        )


def _counts(unit: ItemUnit, quantity: Quantity, label: str) -> bool:
    if unit is ItemUnit.REQUEST:
        return quantity is Quantity.REQUESTS and label == Outcome.SUCCEEDED
    if unit is ItemUnit.TOKEN:
        return quantity is Quantity.TOKENS and label in (TokenType.INPUT, TokenType.OUTPUT)
    counted: Mapping[ItemUnit, Quantity] = {
        ItemUnit.STEP: Quantity.STEPS,
        ItemUnit.SAMPLE: Quantity.SAMPLES,
        ItemUnit.EPOCH: Quantity.EPOCHS,
    }
    return quantity is counted[unit]


@dataclass(frozen=True, slots=True)
class Booked:
    """What was booked of an item: `pico` never falls; `due_pico` is what is right as stated now.

    `units_micro`: what was counted for it so far.
    """

    pico: int = 0
    due_pico: int = 0
    units_micro: int = 0

    @property
    def correction_pico(self) -> int:
        """What has to be added to what was booked to have what is right: never above 0."""
        return self.due_pico - self.pico

    def to(self, due_pico: int, units_micro: int) -> "Booked":
        """The same after so much is due."""
        return Booked(max(self.pico, due_pico), due_pico, units_micro)
