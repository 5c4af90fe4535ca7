"""A host with an exporter on it that settles its ticks, and a ledger in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.worlds import Host
from unitcost.exporter.serving.publish import Points, ledger_points
from unitcost.exporter.settling.batch import (
    Batch,
    CounterKey,
    EpochRow,
    EventRow,
    ItemAmount,
    ItemChargeKey,
    ItemRow,
    Opening,
    SlotRow,
    UnitRow,
    WatchRow,
    WorkloadRow,
)
from unitcost.exporter.settling.books import Archive, Books, open_books
from unitcost.exporter.settling.holding import HostMeter, Observed
from unitcost.exporter.settling.rules import Reservation, Rules, WorkloadRule
from unitcost.exporter.settling.settle import Settler
from unitcost.exporter.settling.state import decode
from unitcost.pricing.attribute import Rule, RuleMatcher
from unitcost.pricing.budget import Past, Sum
from unitcost.pricing.charge import AccrualKey, Accrued, Amount, ChargeKey, Posting, merge
from unitcost.pricing.drift import Sums
from unitcost.pricing.items import ItemKey
from unitcost.pricing.money import to_usd
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel, UnitPrice
from unitcost.pricing.resource import DEFAULT_SPLIT, GIB, MICRO
from unitcost.pricing.runs import Run
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.sibling import Sibling
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of
from unitcost.pricing.workload import Account, WorkloadKind

TICK = 5.0
MINUTE = 60.0
HOUR = 3600.0


def rented(*changes: tuple[int, str | None], usd: str | None = "0.3872") -> PriceBook:
    """A rented host's price, and what it changes to at which instants; None is unpriced."""
    steps = [(0, usd), *changes]
    ends: list[int | None] = [start for start, _ in steps[1:]]
    prices = tuple(
        Price(Component.RENT, Decimal(amount), PriceModel.OVERRIDE, "test", start, end)
        for (start, amount), end in zip(steps, [*ends, None], strict=True)
        if amount is not None
    )
    return PriceBook((Component.RENT,), prices)


def beside(book: PriceBook, *changes: tuple[int, str | None], usd: str | None) -> PriceBook:
    """The book with what the host's sibling without GPUs costs, as `rented` has it."""
    prices = rented(*changes, usd=usd).prices
    return replace(book, sibling=Sibling("cpu-only"), sibling_prices=prices)


def owned(amortisation: str = "0.20", electricity: str | None = "0.06") -> PriceBook:
    """An owned host's prices; without `electricity` it is unpriced."""
    amounts = {Component.AMORTISATION: amortisation, Component.ELECTRICITY: electricity}
    prices = tuple(
        Price(component, Decimal(usd), PriceModel.OWNED, "test")
        for component, usd in amounts.items()
        if usd is not None
    )
    return PriceBook(tuple(amounts), prices)


def workload_rule(
    name: str,
    cores: str = "0",
    gibs: int = 0,
    kind: WorkloadKind = WorkloadKind.INFERENCE,
    endpoint: bool = False,
    owner: str = "",
) -> WorkloadRule:
    """A workload of the configuration."""
    reservation = Reservation(int(Decimal(cores) * 1000), gibs * GIB)
    return WorkloadRule(name, kind, owner, reservation, endpoint)


def rules(
    book: PriceBook | None = None, workloads: tuple[WorkloadRule, ...] = (), owned: bool = False
) -> Rules:
    """Settling rules: a rented host unless told otherwise."""
    return Rules(
        book=book or rented(),
        split=DEFAULT_SPLIT,
        owned=owned,
        scope="host",
        workloads={each.name: each for each in workloads},
        window_ns=300 * NS_PER_SECOND,
        minimum_micro=MICRO,
    )


def elapsed_by_row(posting: Posting) -> dict[AccrualKey, int]:
    """Nanoseconds by row, all revisions together."""
    found: dict[AccrualKey, int] = {}
    for key, row in posting.accruals.items():
        first = replace(key, revision=0)
        found[first] = found.get(first, 0) + row.elapsed_ns
    return found


@dataclass
class MemoryLedger:
    """What a ledger does, without a file: adds up, replaces, and gives it all back at a start."""

    posting: Posting = field(default_factory=Posting)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    prices: dict[str, UnitPrice] = field(default_factory=dict)
    workloads: dict[str, WorkloadRow] = field(default_factory=dict)
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    epochs: list[EpochRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    slots: list[SlotRow] = field(default_factory=list)
    watches: dict[tuple[str, str], WatchRow] = field(default_factory=dict)
    items: dict[ItemKey, ItemRow] = field(default_factory=dict)
    item_charges: dict[ItemChargeKey, ItemAmount] = field(default_factory=dict)
    units: dict[UnitRow, int] = field(default_factory=dict)
    state: str = ""
    readable: bool = True

    def commit(self, batch: Batch) -> None:
        """Take in a batch."""
        for key, accrued in batch.posting.accruals.items():
            row = self.posting.accruals.setdefault(key, Accrued())
            row.elapsed_ns += accrued.elapsed_ns
            row.quantity += accrued.quantity
            if accrued.pico is not None:
                row.pico = (row.pico or 0) + accrued.pico
        for charge, amount in batch.posting.charges.items():
            total = self.posting.charges.setdefault(charge, Amount())
            total.quantity += amount.quantity
            if amount.pico is not None:
                total.pico = (total.pico or 0) + amount.pico
        for counter, value in batch.counters.items():
            self.counters[counter] = self.counters.get(counter, 0) + value
        self.prices |= batch.prices
        self.workloads |= batch.workloads
        self.runs |= batch.runs
        self.epochs += batch.epochs
        self.events += batch.events
        self.slots += batch.slots
        self.watches |= batch.watches
        self.items |= batch.items
        for item, more in batch.item_charges.items():
            sums = self.item_charges.setdefault(item, ItemAmount())
            sums.pico += more.pico
            sums.units_micro += more.units_micro
        for unit, micro in batch.units.items():
            self.units[unit] = self.units.get(unit, 0) + micro
        self.state = batch.state

    def counters_sum(self, metric: str) -> int:
        """A counter over all its series."""
        return sum(value for (name, _), value in self.counters.items() if name == metric)

    def open(self, now_ns: int) -> Books:
        """Books as an exporter that starts finds them."""
        recent = hour_of(now_ns) - 48
        elapsed = {
            key: ns for key, ns in elapsed_by_row(self.posting).items() if key.hour >= recent
        }
        opening = Opening(
            0,
            self.state,
            dict(self.counters),
            dict(self.workloads),
            dict(self.runs),
            elapsed,
            dict(self.prices),
            Posting(),
            tuple(self.slots[-100:]),
            tuple(self.watches.values()),
            dict(self.items),
        )
        hour = hour_of(now_ns)
        archive = Archive(self.runs.get, self.past)
        return open_books(
            opening, self._elapsed, self.read_hour, recent, hour, self.history, archive
        )

    def history(self, spans: Sequence[tuple[int, int]]) -> dict[tuple[str, str], Sums]:
        """The sums of slots in some spans."""
        found: dict[tuple[str, str], Sums] = {}
        for row in self.slots:
            if any(first <= row.start_ns < end for first, end in spans):
                key = row.workload, row.model
                found[key] = found.get(key, Sums()).plus(row.sums)
        return found

    def past(self, from_ns: int, to_ns: int) -> Past:
        """What was charged and booked in the clock hours from an instant's to another's."""
        first, last = -(-from_ns // NS_PER_HOUR), hour_of(to_ns)
        oldest = min((key.hour for key in self.posting.charges), default=None)
        if oldest is None:
            return Past(to_ns)
        charged: dict[str, Sum] = {}
        for key, amount in self.posting.charges.items():
            if first <= key.hour <= last:
                name, priced = key.account.workload, amount.pico is not None
                more = Sum(amount.pico or 0, priced, 0 if priced else amount.quantity)
                charged[name] = charged.get(name, Sum()).plus(more)
        gaps = (event for event in self.events if event.kind == "gap_unknown")
        unknown = any(each.at_ns + int(each.detail["duration_ns"]) > from_ns for each in gaps)
        items: dict[str, int] = {}
        for item, found in self.item_charges.items():
            if first <= item.hour <= last and item.hour:
                name = item.item.workload
                items[name] = items.get(name, 0) + found.pico
        since = max(first, oldest) * NS_PER_HOUR
        return Past(since, charged, unknown, items)

    def _elapsed(self, key: AccrualKey) -> int:
        return elapsed_by_row(self.posting).get(key, 0)

    def read_hour(self, hour: int) -> Posting | None:
        """All rows of an hour."""
        if not self.readable:
            return None
        found = Posting()
        merge(found, self.posting)
        found.charges = {key: row for key, row in found.charges.items() if key.hour == hour}
        found.accruals = {key: row for key, row in found.accruals.items() if key.hour == hour}
        return found


class Site:
    """A host with an exporter on it. `books`: all price books that it was told of."""

    def __init__(
        self,
        its_rules: Rules | None = None,
        host: Host | None = None,
        match: Mapping[str, str] = {},
        ledger: MemoryLedger | None = None,
    ) -> None:
        self.host = host or Host()
        self.rules = its_rules or rules()
        self.books = [self.rules.book]
        self.matcher = RuleMatcher([Rule(Account(name), text) for name, text in match.items()])
        self.ledger = ledger or MemoryLedger()
        self.settler = self._settler()
        self.observed = Observed()

    def _settler(self) -> Settler:
        books = self.ledger.open(self.host.clock.wall_ns)
        return Settler(self.rules, books, decode(self.ledger.state), HostMeter(self.matcher))

    def restart(self) -> None:
        """The exporter starts anew from what it had committed."""
        self.settler = self._settler()

    def settle(self, host: bool = True, commit: bool = True) -> Batch:
        """One tick now; returns what it adds to the ledger."""
        self.observed, marks = self.host.observe(host)
        clock = self.host.clock.read()
        self.settler.tick(self.observed, marks, clock)
        batch = self.settler.books.pending
        if commit:
            self.ledger.commit(batch)
            self.settler.books.committed_now(hour_of(clock.wall_ns))
        return batch

    def tick(self, count: int = 1, seconds: float = TICK, host: bool = True) -> Batch:
        """So many ticks, each after so many seconds; returns the last one's batch."""
        batch = Batch()
        for _ in range(count):
            self.host.run(seconds)
            batch = self.settle(host)
        return batch

    def away(self, seconds: float) -> None:
        """The exporter is stopped for so long while the host runs, and starts again."""
        self.host.run(seconds)
        self.restart()

    def charged(self, batch: Batch | None = None, **where: object) -> dict[tuple[str, str], int]:
        """Pico-dollars by workload and method; `where`: attributes that a charge's key must have.

        Of one batch, else of everything in the ledger.
        """
        found: dict[tuple[str, str], int] = {}
        posting = batch.posting if batch else self.ledger.posting
        for key, amount in posting.charges.items():
            if _has(key, where):
                name = (key.account.workload, str(key.method))
                found[name] = found.get(name, 0) + (amount.pico or 0)
        return found

    def usd(self, workload: str, batch: Batch | None = None, **where: object) -> Decimal:
        """Dollars charged to a workload."""
        found = self.charged(batch, **where)
        return to_usd(sum(pico for (name, _), pico in found.items() if name == workload))

    def total(self, batch: Batch | None = None) -> Decimal:
        """Dollars charged to all."""
        return to_usd(sum(self.charged(batch).values()))

    def counter(self, metric: str, *labels: str) -> int:
        """A counter's committed total over all series whose first labels these are, as stored."""
        return sum(
            value
            for (name, own), value in self.ledger.counters.items()
            if name == metric and own[: len(labels)] == labels
        )

    def units(self, workload: str, metric: str = "unitcost_requests_total") -> float:
        """Units counted so far."""
        return self.counter(metric, workload) / MICRO

    def points(self) -> Points:
        """What a scrape would see."""
        return ledger_points(self.settler, self.observed)

    def point(self, metric: str, *labels: str) -> float | None:
        """One point of it, by its first labels; None if there is none."""
        found = [v for own, v in self.points().get(metric, []) if own[: len(labels)] == labels]
        assert len(found) <= 1, f"{metric}{labels} is ambiguous"
        return found[0] if found else None


def _has(key: ChargeKey, where: Mapping[str, object]) -> bool:
    for name, value in where.items():
        holder = key.account if name in ("model", "run", "attempt") else key
        if getattr(holder, name) != value:
            return False
    return True


def hourly(site: Site, seconds: float) -> Decimal:
    """What the host costs in so many seconds, at its price now, unrounded."""
    now = site.host.clock.wall_ns
    prices = (site.rules.book.at(each, now) for each in site.rules.book.components)
    usd = sum((price.usd_per_hour for price in prices if price), Decimal(0))
    return usd * Decimal(str(seconds)) / 3600


def price_now(site: Site, usd: str | None, after_seconds: float = 0.0) -> None:
    """The configuration is reloaded: from then on another price, or none, holds."""
    at = site.host.clock.wall_ns + round(after_seconds * NS_PER_SECOND)
    site.rules = replace(site.rules, book=rented((at, usd)))
    site.books.append(site.rules.book)
    site.settler.follow(site.rules, site.matcher)


def learn(site: Site, book: PriceBook) -> None:
    """These are the prices known from now on, whenever they began."""
    site.rules = replace(site.rules, book=book)
    site.books.append(book)
    site.settler.price(site.rules)


def near(found: Decimal, expected: Decimal) -> bool:
    """Equal but for a pico-dollar of rounding in each of a few rows."""
    return abs(found - expected) < Decimal("1e-9")


CHAT = workload_rule("chat", cores="2", gibs=4, endpoint=True)
"""A server that reserves half of the cores and a quarter of the memory."""


def serving(its_rules: Rules | None = None) -> Site:
    """A rented host with one server that holds half of it; metered for a minute."""
    site = Site(its_rules or rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    for _ in range(12):
        server.work(10, seconds=2.0)
        site.tick()
    return site
