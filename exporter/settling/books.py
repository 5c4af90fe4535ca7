"""The books: what the ledger holds, kept in memory beside it, and what is not committed yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.batch import (
    KEEP_HOURS,
    RECENT_HOURS,
    Batch,
    CounterKey,
    ItemAmount,
    ItemChargeKey,
    ItemRow,
    Moment,
    Opening,
    SlotRow,
    WatchRow,
    WorkloadRow,
)
from unitcost.exporter.settling.rules import Rules
from unitcost.pricing.budget import Past
from unitcost.pricing.charge import AccrualKey, Posting, merge
from unitcost.pricing.currency import USD
from unitcost.pricing.drift import Sums
from unitcost.pricing.items import ItemKey
from unitcost.pricing.price import PriceUnit, UnitPrice
from unitcost.pricing.runs import Run
from unitcost.pricing.workload import OVERFLOW, RESERVED, WorkloadKind

MAX_TOTAL = 2**62
"""Counters stop here, well inside of 64 bits: only broken servers count that far."""
Lookup = Callable[[AccrualKey], int]
"""Nanoseconds (or microjoules) accrued in a row that is not in memory, with its revisions."""
ReadHour = Callable[[int], Posting | None]
"""All committed rows of a clock hour; None while they cannot be read."""
History = Callable[[Sequence[tuple[int, int]]], Mapping[tuple[str, str], Sums]]
"""What each workload and model spent and did in some spans of time (nanoseconds, ends excluded)."""


def no_history(_spans: Sequence[tuple[int, int]]) -> Mapping[tuple[str, str], Sums]:
    """Where there is no ledger to look it up in."""
    return {}


RunKey = tuple[str, str]
"""Workload and run."""


def _no_run(key: RunKey) -> Run | None:
    return None


def _no_past(from_ns: int, to_ns: int) -> Past:
    return Past(to_ns)


@dataclass(frozen=True, slots=True)
class Archive:
    """What is in the ledger and not in memory; raises LookupError where it cannot be read now.

    `run`: one of the runs that are too old to be read at a start. `past`: what was charged and
    booked in a time, by workload.
    """

    run: Callable[[RunKey], Run | None] = _no_run
    past: Callable[[int, int], Past] = _no_past


@dataclass(slots=True)
class Books:
    """Totals as committed, and everything since in one batch that grows until it is committed.

    `elapsed` and `workloads`, `runs`, `items` include what is pending; `committed` does not.
    `open_rows` are the rows of the last hours (from `open_since_hour` on), whole, so that a lost
    file can be written anew. `linked`: runs that somebody asks for, however old they are.
    """

    committed: dict[CounterKey, int]
    workloads: dict[str, WorkloadRow]
    runs: dict[tuple[str, str], Run]
    elapsed: dict[AccrualKey, int]
    prices: dict[str, UnitPrice]
    lookup: Lookup
    read_hour: ReadHour
    recent_since_hour: int
    open_since_hour: int
    history: History = no_history
    pending: Batch = field(default_factory=Batch)
    open_rows: Posting = field(default_factory=Posting)
    slots: tuple[SlotRow, ...] = ()
    watches: tuple[WatchRow, ...] = ()
    moments: tuple[Moment, ...] = ()
    items: dict[ItemKey, ItemRow] = field(default_factory=dict)
    archive: Archive = field(default_factory=Archive)
    linked: set[RunKey] = field(default_factory=set)

    def elapsed_of(self, key: AccrualKey) -> int:
        """Nanoseconds (or microjoules) in a row and its revisions, committed or not."""
        known = self.elapsed.get(key)
        if known is None:
            old = key.hour < self.recent_since_hour
            known = self.elapsed[key] = self.lookup(key) + self._pending(key) if old else 0
        return known

    def _pending(self, key: AccrualKey) -> int:
        """Nanoseconds that revisions add to an old row, which are not committed yet."""
        rows = self.pending.posting.accruals.items()
        return sum(row.elapsed_ns for each, row in rows if replace(each, revision=0) == key)

    def add(self, posting: Posting) -> None:
        """Take in a posting whose rows were built on `elapsed_of`."""
        for key, accrued in posting.accruals.items():
            self.elapsed[key] = self.elapsed_of(key) + accrued.elapsed_ns
        merge(self.pending.posting, posting)
        merge(self.open_rows, posting)

    def rows_of(self, hour: int) -> Posting | None:
        """All rows of a clock hour, committed or not; None while they cannot be read."""
        found = self.read_hour(hour)
        if found is not None:
            merge(found, _of_hours(self.pending.posting, hour, hour))
        return found

    def revise(self, posting: Posting) -> None:
        """Take in rows of a further revision, whatever hour they are of."""
        for key, accrued in posting.accruals.items():
            first = replace(key, revision=0)
            if first in self.elapsed or key.hour >= self.recent_since_hour:
                self.elapsed[first] = self.elapsed.get(first, 0) + accrued.elapsed_ns
        merge(self.pending.posting, posting)
        merge(self.open_rows, _of_hours(posting, self.open_since_hour))

    def use(self, price: UnitPrice) -> None:
        """Make sure that a price which charges refer to is in the ledger."""
        if price.id not in self.prices:
            self.prices[price.id] = price
            self.pending.prices[price.id] = price
        if price.currency != USD:
            self.pending.foreign[price.id] = price

    def is_hourly(self, price: str) -> bool:
        """Whether a price in use is for time: then its rows tell how long."""
        return self.prices[price].unit is PriceUnit.HOUR

    def count_units(self, metric: str, labels: tuple[str, ...], micro: int) -> int:
        """Add units to a counter; one that would pass `MAX_TOTAL` stays. Returns what was added."""
        added = micro if self.total(metric, labels) + micro <= MAX_TOTAL else 0
        self.pending.count(metric, labels, added)
        return added

    def total(self, metric: str, labels: tuple[str, ...]) -> int:
        """A counter, committed or not."""
        key = (metric, labels)
        return self.committed.get(key, 0) + self.pending.counters.get(key, 0)

    def put_item(self, row: ItemRow) -> None:
        """An item's new state."""
        self.items[row.item.key] = self.pending.items[row.item.key] = row

    def link(self, key: RunKey) -> Run | None:
        """A run, however old; it stays in memory from then on."""
        if key not in self.linked:
            try:
                found = self.runs.get(key) or self.archive.run(key)
            except LookupError:
                return None
            self.linked.add(key)
            if found is not None:
                self.runs[key] = found
        return self.runs.get(key)

    def put_run(self, run: Run) -> None:
        """A run's new state."""
        self.runs[run.workload, run.run] = run
        self.pending.runs[run.workload, run.run] = run

    def admit(self, name: str, kind: WorkloadKind, owner: str, rules: Rules, now_ns: int) -> str:
        """The name a workload is booked on: its own, or ``__other__`` if it is one too many.

        Where it was born it stays. Its kind stays too, since counters have it as a label.
        """
        if name in RESERVED:
            return name
        row = self.workloads.get(name)
        if row is None:
            full = len(self.live(rules, now_ns)) >= rules.max_workloads
            row = WorkloadRow(name, kind, owner, now_ns, now_ns, full)
            self.workloads[name] = self.pending.workloads[name] = row
        elif row.owner != owner:
            row = replace(row, owner=owner)
            self.workloads[name] = self.pending.workloads[name] = row
        return OVERFLOW if row.overflow else name

    def charged(self, name: str, now_ns: int) -> None:
        """A workload was charged, or was there without holding anything, up to `now_ns`."""
        row = self.workloads.get(name)
        if row is not None:
            row = replace(row, last_charged_ns=now_ns)
            self.workloads[name] = self.pending.workloads[name] = row

    def live(self, rules: Rules, now_ns: int) -> dict[str, WorkloadRow]:
        """Workloads that are not retired and not booked on ``__other__``."""
        since = now_ns - rules.retire_after_ns
        return {
            name: row
            for name, row in self.workloads.items()
            if row.last_charged_ns > since and not row.overflow
        }

    def kind_of(self, name: str) -> WorkloadKind:
        """What kind a workload is; the reserved ones are `OTHER`."""
        row = self.workloads.get(name)
        return row.kind if row else WorkloadKind.OTHER

    def committed_now(self, hour: int) -> None:
        """The pending batch is in the ledger: make it part of the totals, and start a new one."""
        for key, value in self.pending.counters.items():
            self.committed[key] = self.committed.get(key, 0) + value
        self.pending = Batch(state=self.pending.state, at_ns=self.pending.at_ns)
        self.open_since_hour = hour - KEEP_HOURS
        self.open_rows = _of_hours(self.open_rows, self.open_since_hour)
        if hour - RECENT_HOURS > self.recent_since_hour:
            self.recent_since_hour = since = hour - RECENT_HOURS
            self.elapsed = {key: ns for key, ns in self.elapsed.items() if key.hour >= since}

    def whole(self) -> Batch:
        """Everything a new ledger must hold to go on: totals, states and the open rows."""
        counters = dict(self.committed)
        for key, value in self.pending.counters.items():
            counters[key] = counters.get(key, 0) + value
        used = {key.price for key in self.open_rows.accruals}
        prices = {name: price for name, price in self.prices.items() if name in used}
        return Batch(
            posting=self.open_rows,
            counters=counters,
            prices=prices,
            foreign={name: price for name, price in prices.items() if price.currency != USD},
            workloads=dict(self.workloads),
            runs=dict(self.runs),
            epochs=list(self.pending.epochs),
            units=dict(self.pending.units),
            sent=list(self.pending.sent),
            moments=list(self.pending.moments),
            events=list(self.pending.events),
            slots=list(self.pending.slots),
            watches=dict(self.pending.watches),
            items=dict(self.items),
            item_charges=self._brought_forward(),
            state=self.pending.state,
            at_ns=self.pending.at_ns,
        )

    def _brought_forward(self) -> dict[ItemChargeKey, ItemAmount]:
        """All that is booked of items, where the rows of single hours are lost."""
        rows: dict[ItemChargeKey, ItemAmount] = {}
        for key, row in self.items.items():
            booked = row.booked
            rows[ItemChargeKey(0, key)] = ItemAmount(booked.pico, booked.units_micro)
            rows[ItemChargeKey(0, key, 1)] = ItemAmount(booked.correction_pico)
        return rows


def _of_hours(posting: Posting, first: int, last: int | None = None) -> Posting:
    """A posting's rows of the clock hours from `first` on, to `last` if there is one."""

    def wanted(hour: int) -> bool:
        return hour >= first and (last is None or hour <= last)

    return Posting(
        {key: row for key, row in posting.charges.items() if wanted(key.hour)},
        {key: row for key, row in posting.accruals.items() if wanted(key.hour)},
    )


def open_books(
    opening: Opening,
    lookup: Lookup,
    read_hour: ReadHour,
    recent_since_hour: int,
    hour: int,
    history: History = no_history,
    archive: Archive | None = None,
) -> Books:
    """Books as a ledger was found in a clock hour."""
    return Books(
        committed=dict(opening.counters),
        workloads=dict(opening.workloads),
        runs=dict(opening.runs),
        elapsed=dict(opening.elapsed),
        prices=dict(opening.prices),
        lookup=lookup,
        read_hour=read_hour,
        recent_since_hour=recent_since_hour,
        open_since_hour=hour - KEEP_HOURS,
        history=history,
        slots=opening.slots,
        watches=opening.watches,
        moments=opening.moments,
        open_rows=opening.open_rows,
        items=dict(opening.items),
        archive=archive or Archive(),
    )
