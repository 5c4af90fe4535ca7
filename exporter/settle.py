"""Settling: one tick's readings become charges, counters and the state that follows them.

Nothing here reads a clock, a host or the ledger: what a tick needs is handed to `Settler.tick`,
what it leads to lies in `Settler.books.pending` until somebody commits it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.batch import EventRow
from unitcost.exporter.books import Books
from unitcost.exporter.holding import Held, HostMeter, Observed
from unitcost.exporter.rules import Rules
from unitcost.exporter.state import Holders, ResourceShares, State, encode
from unitcost.exporter.tally import Tally
from unitcost.exporter.training import RunBook
from unitcost.pricing.allocate import Method, Share, carried, unheld
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.charge import Posting, post, residual
from unitcost.pricing.models import model_weights, split_by_model
from unitcost.pricing.price import Component
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.resource import REST, Resource
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Sample, Subject
from unitcost.pricing.timeline import (
    Advance,
    ClockReading,
    Cover,
    Interval,
    Period,
    advance,
    cut,
)
from unitcost.pricing.units import Count, count, forget
from unitcost.pricing.workload import UNALLOCATED, UNMETERED, Account

DAY_NS = 24 * 3600 * NS_PER_SECOND
BIRTH_LIMIT_NS = DAY_NS
"""A birth longer ago proves nothing: its counters' points may have been forgotten."""
FORGET_AFTER_NS = 2 * DAY_NS
AWAY_COMPONENTS: tuple[Component, ...] = (Component.AMORTISATION, Component.OVERHEAD)
"""What an owned host goes on costing while it is down."""

Shares = Mapping[str, list[Share]]
"""Shares of each resource, by its id."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How one interval is to be charged."""

    interval: Interval
    resources: tuple[Resource, ...]
    shares: Shares
    components: tuple[Component, ...]
    partly: frozenset[Account] = frozenset()


@dataclass(slots=True)
class Settler:
    """Settles tick after tick. `present` is False until its first tick after a start."""

    rules: Rules
    books: Books
    state: State
    host: HostMeter
    present: bool = False
    tally: Tally = field(init=False)
    runs: RunBook = field(init=False)
    held: Held | None = None
    counted: Count | None = None
    clock_steps: int = 0

    def __post_init__(self) -> None:
        """Windows and runs start from the rules and the books."""
        self.tally = Tally(self.rules.window_ns, self.rules.minimum_micro)
        self.runs = RunBook(self.books)

    def tick(self, observed: Observed, marks: Sequence[EpochMark], clock: ClockReading) -> None:
        """Account for all time up to `clock` and everything that was counted."""
        step = advance(self.state.position, clock, present=self.present)
        since = _metered_since(self.state, step)
        observed = self._admitted(observed, step.position.at_ns)
        counted = self._count(observed, since, clock)
        held = self.host.hold(self.rules, observed, clock, counted.units, self.state.ready)
        self._meet_configured(held, step.position.at_ns)
        self.runs.meet(observed.subjects, since, step.position.at_ns)
        self.tally.begin(held, counted)
        measured = self._measured(held, counted)
        for cost in self._costs(step, held, measured):
            self._charge(cost, marks, observed.subjects)
        self.tally.end(self.books, counted, step.position.at_ns)
        self._note_step(step)
        self.held, self.counted, self.present = held or self.held, counted, True
        self.state = self._next_state(step, since, counted, held, measured)
        self.books.pending.state = encode(self.state)
        self.books.pending.at_ns = clock.wall_ns

    def follow(self, rules: Rules, matcher: RuleMatcher) -> None:
        """Take over new rules between two ticks."""
        self.rules = rules
        self.host.matcher = matcher
        self.tally.use(rules.window_ns, rules.minimum_micro)

    def _admitted(self, observed: Observed, now_ns: int) -> Observed:
        """The same, with workloads over the cap booked on ``__other__``."""
        subjects = tuple(
            replace(subject, workload=self._admit(subject, now_ns)) for subject in observed.subjects
        )
        return replace(observed, subjects=subjects)

    def _admit(self, subject: Subject, now_ns: int) -> str:
        rule = self.rules.workloads.get(subject.workload)
        owner = rule.owner if rule else ""
        return self.books.admit(subject.workload, subject.kind, owner, self.rules, now_ns)

    def _meet_configured(self, held: Held | None, now_ns: int) -> None:
        """Workloads of the configuration that hold something now."""
        for account in held.holders if held else ():
            rule = self.rules.workloads.get(account.workload)
            if rule is not None:
                self.books.admit(rule.name, rule.kind, rule.owner, self.rules, now_ns)

    def _count(self, observed: Observed, since_ns: int, clock: ClockReading) -> Count:
        proven = max(since_ns, clock.wall_ns - BIRTH_LIMIT_NS)
        samples: Sequence[Sample] = [s for s in observed.samples if s.subject != "host"]
        counted = count(self.state.meter, observed.subjects, samples, proven)
        keep = {subject.id for subject in observed.subjects}
        meter = forget(counted.meter, keep, clock.mono_ns - FORGET_AFTER_NS)
        return replace(counted, meter=meter)

    def _measured(self, held: Held | None, counted: Count) -> Shares | None:
        """The shares as measured, with each server's split over its models."""
        if held is None or held.shares is None:
            return None
        now, window = model_weights(counted.units), self.tally.model_weights()
        return {name: split_by_model(each, now, window) for name, each in held.shares.items()}

    def _costs(self, step: Advance, held: Held | None, measured: Shares | None) -> list[Cost]:
        """Each interval with the shares it is charged by."""
        costs = []
        for interval in step.intervals:
            if interval.cover is Cover.METERED:
                costs.append(self._metered(interval, held, measured))
            elif interval.cover is Cover.AWAY:
                costs.append(self._away(interval, held))
            else:
                costs += self._down(interval)
        return costs

    def _metered(self, interval: Interval, held: Held | None, measured: Shares | None) -> Cost:
        """Measured shares; where the host could not be read, the last ones, carried."""
        resources = held.resources if held else self._last_resources()
        if measured is None:
            measured = {
                name: [replace(share, method=Method.CARRIED) for share in each]
                for name, each in self._last_shares().items()
            }
        return Cost(interval, resources, measured, self.rules.book.components)

    def _away(self, interval: Interval, held: Held | None) -> Cost:
        """The exporter was not there: holders that still are there are carried on."""
        holders = held.holders if held else {}
        then = {each.account: each.identities for each in self.state.holders}
        kept: dict[Account, tuple[int, int]] = {}
        for account, identities in then.items():
            now = len(identities & holders.get(account, frozenset()))
            kept[account] = (now, len(identities))
        last = self._last_shares()
        by_share = {
            share.account: kept.get(_holder(share.account), (0, 1))
            for each in last.values()
            for share in each
        }
        shares = {name: carried(each, by_share) for name, each in last.items()}
        self._gap("carried" if any(now for now, _ in kept.values()) else "unmetered", interval)
        partly = frozenset(account for account, (now, count) in by_share.items() if now < count)
        return Cost(interval, self._last_resources(), shares, self.rules.book.components, partly)

    def _down(self, interval: Interval) -> list[Cost]:
        """The host itself was away: suspended or rebooted."""
        resources = self._last_resources()
        last = self._last_shares()
        partly = frozenset(share.account for each in last.values() for share in each)
        name, components = UNMETERED, self.rules.book.components
        if self.rules.owned:
            name, components = UNALLOCATED, AWAY_COMPONENTS
        elif interval.period.duration_ns > self.rules.reboot_limit_ns:
            self._gap("unknown", interval)
            return []
        self._gap("unmetered", interval)
        shares = {resource.id: unheld(1, name) for resource in resources}
        return [Cost(interval, resources, shares, components, partly)]

    def _charge(self, cost: Cost, marks: Sequence[EpochMark], subjects: Sequence[Subject]) -> None:
        """Charge one interval, cut at hours, price changes and epoch marks."""
        self.tally.spoil(cost.partly)
        self.runs.spoil(cost.partly)
        period = cost.interval.period
        due = self.runs.due(marks, subjects, period.end_ns)
        self.runs.mark([mark for mark in due if mark.wall_ns <= period.start_ns])
        instants = (*self.rules.book.changes(period), *(mark.wall_ns for mark in due))
        for part in cut(period, instants):
            posting = self._post(part, cost)
            self.books.add(posting)
            self.tally.charge(self.books, posting)
            self.runs.charge(posting, self.tally.unsignalled, part.end_ns)
            self.runs.mark([m for m in due if part.start_ns < m.wall_ns <= part.end_ns])

    def _post(self, part: Period, cost: Cost) -> Posting:
        posting = Posting()
        listed = unit_prices(self.rules.book, cost.resources, self.rules.split, part.start_ns)
        for resource, price in listed:
            if price.component not in cost.components:
                continue
            self.books.use(price)
            name = UNALLOCATED if resource.id == REST else UNMETERED
            shares = cost.shares.get(resource.id) or unheld(1, name)
            post(posting, part, resource, price, shares, self.books.elapsed_of)
        if unbalanced := residual(posting):
            raise ArithmeticError(f"charges do not sum to what accrued: {unbalanced}")
        return posting

    def _last_shares(self) -> dict[str, list[Share]]:
        return {each.resource.id: list(each.shares) for each in self.state.shares}

    def _last_resources(self) -> tuple[Resource, ...]:
        return tuple(each.resource for each in self.state.shares)

    def _gap(self, kind: str, interval: Interval) -> None:
        """Record time that was not metered, and what became of it."""
        pending = self.books.pending
        pending.count("unitcost_gap_seconds_total", (kind,), interval.period.duration_ns // 1000)
        length = interval.period.duration_ns
        event = EventRow(
            interval.period.start_ns,
            f"gap_{kind}",
            {"cover": str(interval.cover), "duration_ns": length},
        )
        pending.events.append(event)

    def _note_step(self, step: Advance) -> None:
        """Record a wall clock that was set."""
        if step.step_ns:
            self.clock_steps += 1
            event = EventRow(step.position.at_ns, "clock_step", {"step_ns": step.step_ns})
            self.books.pending.events.append(event)

    def _next_state(
        self,
        step: Advance,
        since_ns: int,
        counted: Count,
        held: Held | None,
        measured: Shares | None,
    ) -> State:
        shares, holders = self.state.shares, self.state.holders
        if held is not None:
            holders = tuple(Holders(account, found) for account, found in held.holders.items())
        if held is not None and measured is not None:
            shares = tuple(
                ResourceShares(resource, tuple(measured[resource.id]))
                for resource in held.resources
            )
        return State(
            position=step.position,
            metered_since_ns=since_ns,
            shares=shares,
            holders=holders,
            ready=held.ready if held else self.state.ready,
            points=tuple(counted.meter.points.items()),
            seen=tuple(counted.meter.seen.items()),
        )


def _holder(account: Account) -> Account:
    """The account whose processes hold what a model's account is charged for."""
    return replace(account, model="")


def _metered_since(state: State, step: Advance) -> int:
    """Since when we have been metering without a break."""
    if state.position is None:
        return step.position.at_ns
    broken = [each.period.end_ns for each in step.intervals if each.cover is not Cover.METERED]
    return max([state.metered_since_ns, *broken])
