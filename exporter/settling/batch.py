"""What the settling needs of a ledger: what one gives when opened, and takes at each commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from unitcost.pricing.charge import AccrualKey, Posting
from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import Watched
from unitcost.pricing.items import Booked, Item, ItemKey
from unitcost.pricing.price import UnitPrice
from unitcost.pricing.runs import Cost, Run
from unitcost.pricing.sample import Quantity
from unitcost.pricing.workload import WorkloadKind

KEEP_HOURS = 2
"""How many clock hours before the present one have their rows kept in memory."""
RECENT_HOURS = 48
"""Accruals this young are kept in memory; older ones are looked up if a clock is set back."""
MAX_RUNS = 1000
"""Training runs kept in memory, the latest first; an older one starts anew if it ever returns."""
CounterKey = tuple[str, tuple[str, ...]]
"""A metric's name and its label values in the order of the metric's labels."""


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """A workload as the ledger knows it; `overflow`: it is booked on ``__other__``."""

    name: str
    kind: WorkloadKind
    owner: str
    first_seen_ns: int
    last_charged_ns: int
    overflow: bool = False


@dataclass(frozen=True, slots=True)
class EpochRow:
    """The run's total when an epoch ended.

    `cost`: what the epochs since `since_epoch` cost here, where that is known; `hosts`: on how many
    hosts the run is.
    """

    workload: str
    run: str
    attempt: int
    epoch: float
    at_ns: int
    total: Cost
    since_epoch: float = 0.0
    cost: Cost | None = None
    hosts: int = 1


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened to the measuring itself: a gap, a clock step, a restart."""

    at_ns: int
    kind: str
    detail: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class SlotRow:
    """What a workload and model spent and did in a few minutes from `start_ns` on; it adds up."""

    workload: str
    model: str
    start_ns: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class WatchRow:
    """What is remembered of how far a workload and model used to be off."""

    workload: str
    model: str
    memory: Mapping[Factor, Watched]


class Source(StrEnum):
    """Who states an item; one that nobody states any more is withdrawn."""

    CONFIGURATION = "configuration"
    FILE = "file"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item as it was last stated, what is booked of it, and since when it is known."""

    item: Item
    source: Source
    booked: Booked
    since_ns: int


@dataclass(frozen=True, slots=True)
class ItemChargeKey:
    """What was booked of an item in a clock hour; revision 1 are corrections."""

    hour: int
    item: ItemKey
    revision: int = 0


@dataclass(slots=True)
class ItemAmount:
    """What is added to a row: pico-dollars, and millionths of the units it is for."""

    pico: int = 0
    units_micro: int = 0


@dataclass(frozen=True, slots=True)
class UnitRow:
    """Units counted in a clock hour; `label`: outcome, token type or phase, else empty."""

    hour: int
    workload: str
    model: str
    run: str
    quantity: Quantity
    label: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The fleet's ledger has the rows of a clock hour as they were after commit `seq`."""

    hour: int
    seq: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Pico-dollars charged in all up to `at_ns`, by state; `priced`: any price held then."""

    at_ns: int
    pico: tuple[int, ...]
    priced: bool


@dataclass(slots=True)
class Batch:
    """Additions (postings, counters, units) and new states, merged until they are committed.

    `prices` are those the ledger does not have yet, `foreign` all in other currencies than the US
    dollar that the posting's charges refer to.
    """

    posting: Posting = field(default_factory=Posting)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    prices: dict[str, UnitPrice] = field(default_factory=dict)
    foreign: dict[str, UnitPrice] = field(default_factory=dict)
    workloads: dict[str, WorkloadRow] = field(default_factory=dict)
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    epochs: list[EpochRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    slots: list[SlotRow] = field(default_factory=list)
    watches: dict[tuple[str, str], WatchRow] = field(default_factory=dict)
    items: dict[ItemKey, ItemRow] = field(default_factory=dict)
    item_charges: dict[ItemChargeKey, ItemAmount] = field(default_factory=dict)
    units: dict[UnitRow, int] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    state: str = ""
    at_ns: int = 0

    def count(self, metric: str, labels: tuple[str, ...], value: int) -> None:
        """Add to a counter; adding 0 makes it exist."""
        key = (metric, labels)
        self.counters[key] = self.counters.get(key, 0) + value

    def count_unit(self, key: UnitRow, micro: int) -> None:
        """Add to the units of an hour; adding 0 says that they were looked at."""
        self.units[key] = self.units.get(key, 0) + micro

    def charge_item(self, key: ItemChargeKey, pico: int, units_micro: int) -> None:
        """Add to an item's row, if there is something to add."""
        if pico or units_micro:
            amount = self.item_charges.setdefault(key, ItemAmount())
            amount.pico += pico
            amount.units_micro += units_micro


@dataclass(frozen=True, slots=True)
class Opening:
    """What a ledger holds when it is opened; `ledger` is its name among all ledgers."""

    seq: int
    state: str
    counters: dict[CounterKey, int]
    workloads: dict[str, WorkloadRow]
    runs: dict[tuple[str, str], Run]
    elapsed: dict[AccrualKey, int]
    prices: dict[str, UnitPrice]
    open_rows: Posting
    slots: tuple[SlotRow, ...] = ()
    watches: tuple[WatchRow, ...] = ()
    items: dict[ItemKey, ItemRow] = field(default_factory=dict)
    ledger: str = ""
    moments: tuple[Moment, ...] = ()
