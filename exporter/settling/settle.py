"""Settling: one tick's readings become charges, counters and the state that follows them.

Nothing here reads a clock, a host or the ledger: what a tick needs is handed to `Settler.tick`,
what it leads to lies in `Settler.books.pending` until somebody commits it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.admission import Admission
from unitcost.exporter.settling.batch import EventRow
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.corrections import Corrector, known_time
from unitcost.exporter.settling.counting import count_units, is_there, metered_since
from unitcost.exporter.settling.drift_book import DriftBook
from unitcost.exporter.settling.electricity import Electricity, electricity_of
from unitcost.exporter.settling.gaps import Cost, Shares, costs_of, note_gap, shares_after
from unitcost.exporter.settling.holding import Held, HostMeter, Observed
from unitcost.exporter.settling.memos import Memos
from unitcost.exporter.settling.plan_book import PlanBook
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.posting import post_hours
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.run_book import RunBook
from unitcost.exporter.settling.starts import count_starts
from unitcost.exporter.settling.state import Holders, ResourceShares, State, encode, follow_clock
from unitcost.exporter.settling.tally import Tally
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.charge import Posting, residual
from unitcost.pricing.charged_time import Layout
from unitcost.pricing.currency import Rate
from unitcost.pricing.models import model_weights, split_by_model
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.quote import Quote
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Subject
from unitcost.pricing.timeline import (
    Advance,
    ClockReading,
    Period,
    advance,
    cut,
)
from unitcost.pricing.training_sources import doubles
from unitcost.pricing.units import Count

JUST_BORN_NS = 10 * NS_PER_SECOND
"""Who began so shortly before new rules is new, and was not yet counted under another name."""


@dataclass(slots=True)
class Settler:
    """Settles tick after tick. `present` is False until its first tick after a start.

    `quotes`, `sibling_quotes`, `rates`: what is to be remembered of prices that were looked up.
    """

    rules: Rules
    books: Books
    state: State
    host: HostMeter
    present: bool = False
    quotes: tuple[Quote, ...] = ()
    rates: tuple[Rate, ...] = ()
    sibling_quotes: tuple[Quote, ...] = ()
    tally: Tally = field(init=False)
    memos: Memos = field(init=False)
    runs: RunBook = field(init=False)
    corrections: Corrector = field(init=False)
    drift: DriftBook = field(init=False)
    notify: str = field(init=False)
    held: Held | None = None
    counted: Count | None = None
    clock_steps: int = 0
    power: Electricity = field(init=False)
    plans: PlanBook = field(init=False)

    def __post_init__(self) -> None:
        """Windows, runs and meters start from the rules, the books and the state."""
        self.power = electricity_of(self.state, self.rules.scope)
        self.quotes, self.rates = self.state.quotes, self.state.rates
        self.sibling_quotes = self.state.sibling_quotes
        self.tally = Tally(self.rules.window_ns, self.rules.minimum_micro)
        self.memos = Memos(self.rules.window_ns)
        self.memos.resume(self.books.committed)
        self.runs = RunBook(self.books)
        self.notify = self.state.notify
        self.drift = DriftBook(self.rules.slot_ns, frozen=dict(self.state.frozen))
        self.drift.resume(self.books.slots, self.books.watches)
        kept, began_ns = self.state.budgets, self.state.began_ns
        planning = self.rules.planning
        self.plans = PlanBook.open(self.books, planning, kept, began_ns, self._owner_of)
        known = known_time(self.state)
        pod = self.rules.scope == "pod"
        self.corrections = Corrector(self.books, self.runs, self.plans, known, pod)

    def tick(self, observed: Observed, marks: Sequence[EpochMark], clock: ClockReading) -> None:
        """Account for all time up to `clock` and everything that was counted."""
        step = advance(self.state.position, clock, present=self.present)
        followed = follow_clock(self.state, clock)
        if followed is not self.state:
            self.power.start_anew()
        self.state = followed
        since = metered_since(self.state, step)
        self._correct(step)
        admission = self._admission()
        observed = admission.admitted(observed, step.position.at_ns)
        twice = doubles(observed.subjects)
        counted = count_units(self.state, observed, since, clock, twice)
        observed = replace(
            observed, subjects=[each for each in observed.subjects if each.id not in twice]
        )
        held = self.host.hold(
            self.rules,
            observed,
            clock,
            counted.units,
            lambda account, identity: admission.book(account, identity, step.position.at_ns),
            self.state,
        )
        self.runs.meet(observed.subjects, since, step.position.at_ns)
        self.tally.begin(held, counted)
        measured = self._measured(held, counted)
        self.plans.begin(self.state.position, step.position.at_ns)
        costs = costs_of(step, self.state, self.rules, held, measured)
        self.power.count(observed, costs, self.books.pending, clock.mono_ns)
        self.power.emissions.follow(self.rules.carbon)
        if costs:
            self._charge_late(costs[-1].interval.period)
        for cost in costs:
            self._charge(cost, marks, observed.subjects)
        self.runs.end(observed.samples, counted.units)
        self.tally.end(self.books, counted, step.position)
        self.plans.end(step.position.at_ns, counted.units)
        mono_ns = step.position.clock.mono_ns
        before = self.state.position or step.position
        unmetered = frozenset(self.tally.partly)
        self.drift.end(self.books, counted.units, unmetered, before.at_ns, step.position.at_ns)
        self.memos.count(self.books, self.tally, counted, self.rules, mono_ns)
        for name in {subject.workload for subject in observed.subjects if is_there(subject)}:
            self.books.charged(name, step.position.at_ns)
        count_starts(self.books, self.state, held, self.host, clock)
        self._note_step(step)
        self.held, self.counted, self.present = held or self.held, counted, True
        shares = shares_after(costs, self.state, self.rules, held, measured)
        self.state = self._next_state(step, since, counted, held, shares)
        self.books.pending.state = encode(self.state)
        self.books.pending.at_ns = clock.wall_ns

    def follow(self, rules: Rules, matcher: RuleMatcher) -> None:
        """Take over new rules between two ticks."""
        self.price(rules)
        self.host.matcher = matcher
        self.tally.use(rules.window_ns, rules.minimum_micro)
        self.memos.use(rules.window_ns)
        self.plans.follow(rules.planning)
        if self.state.position is not None:
            # What is named otherwise from now on may have been counted as something else till now.
            since = max(self.state.metered_since_ns, self.state.position.at_ns - JUST_BORN_NS)
            self.state = replace(self.state, metered_since_ns=since)

    def price(self, rules: Rules) -> None:
        """Take over rules that differ in nothing but prices, between two ticks."""
        if rules.book != self.rules.book:
            self.corrections.learn(rules.book)
        self.rules = rules

    def _correct(self, step: Advance) -> None:
        """Correct what was charged before its price was learnt."""
        if step.step_ns < 0 and step.intervals:
            self.corrections.set_back(step.intervals[0].period.start_ns)
        if not self.present:
            self.corrections.learn(self.rules.book)
        self.corrections.correct(self.rules.book, step.position.at_ns)

    def plan(self, planning: Planning) -> None:
        """Take over other items and budgets between two ticks."""
        self.rules = replace(self.rules, planning=planning)
        self.plans.follow(planning)

    def _admission(self) -> Admission:
        return Admission(self.books, self.host, self.rules)

    def _owner_of(self, workload: str) -> str:
        return self._admission().owner_of(workload)

    def _measured(self, held: Held | None, counted: Count) -> Shares:
        """The shares as measured, with each server's split over its models."""
        if held is None:
            return {}
        done = model_weights(self.tally.window_units(counted.units))
        return {name: split_by_model(each, done) for name, each in held.shares.items()}

    def _charge(self, cost: Cost, marks: Sequence[EpochMark], subjects: Sequence[Subject]) -> None:
        """Charge one interval, cut at hours, price changes and epoch marks."""
        period = cost.interval.period
        if cost.gap and period.duration_ns:
            note_gap(cost, self.books.pending)
        due = self.runs.due(marks, subjects, period.end_ns)
        self.runs.mark([mark for mark in due if mark.wall_ns <= period.start_ns])
        self.tally.spoil(cost.partly)
        self.runs.spoil(cost.partly)
        changes = (*self.rules.book.changes(period), *self.rules.metered.changes(period))
        marked = (mark.wall_ns for mark in due)
        for part in cut(period, (*changes, *marked, *self.plans.budgets.cuts(period))):
            posting = self._post(part, cost)
            self._enter(posting, part.end_ns)
            self.plans.charge(posting, part.start_ns, known=cost.gap != "unknown")
            layout = Layout(cost.resources, self.rules.split)
            self.corrections.charged(part, layout, cost.components, self.rules.book)
            self.runs.spoil(cost.partly)
            self.runs.mark([m for m in due if part.start_ns < m.wall_ns <= part.end_ns])

    def _charge_late(self, tick: Period) -> None:
        """Charge energy that was drawn before the tick: it is no part of what units cost now."""
        metered = self.rules.metered
        for part in self.power.metering.late_parts(metered, tick):
            accounts = self.power.metering.late_accounts(tick)
            self.tally.spoil(accounts)
            self.runs.spoil(accounts)
            for within in cut(part, self.plans.budgets.cuts(part)):
                posting = Posting()
                self.power.metering.post_late(posting, within, metered, self.books)
                self._enter(posting, tick.start_ns)
                self.plans.budgets.correct(posting, within)

    def _post(self, part: Period, cost: Cost) -> Posting:
        posting = Posting()
        listed = unit_prices(self.rules.book, cost.resources, self.rules.split, part.start_ns)
        post_hours(posting, part, cost, listed, self.books, pod=self.rules.scope == "pod")
        self.power.metering.post(posting, part, cost, self.rules.metered, listed, self.books)
        return posting

    def _enter(self, posting: Posting, at_ns: int) -> None:
        """Take charges into the books; those of runs are for the time up to `at_ns`."""
        if unbalanced := residual(posting):
            raise ArithmeticError(f"charges do not sum to what accrued: {unbalanced}")
        self.books.add(posting)
        self.tally.charge(self.books, posting)
        self.drift.charge(posting, frozenset(self.tally.partly), self.books.is_hourly)
        self.runs.charge(posting, self.tally.unsignalled, at_ns)

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
        shares: tuple[ResourceShares, ...],
    ) -> State:
        holders = self.state.holders
        if held is not None:
            holders = tuple(Holders(account, found) for account, found in held.holders.items())
        return State(
            position=step.position,
            metered_since_ns=since_ns,
            shares=shares,
            holders=holders,
            ready=held.ready if held else self.state.ready,
            points=tuple(counted.meter.points.items()),
            seen=tuple(counted.meter.seen.items()),
            energy=tuple(self.power.meter.points.items()),
            floors=tuple(self.power.meter.floors.items()),
            quotes=self.quotes,
            charged=self.corrections.time,
            frozen=tuple(self.drift.frozen.items()),
            notify=self.notify,
            picograms_per_kwh=self.power.emissions.picograms_per_kwh,
            micrograms_left=tuple(self.power.emissions.left.items()),
            rates=self.rates,
            sibling_quotes=self.sibling_quotes,
            places=tuple(self.power.meter.places.items()),
            owed=self.power.owed.state(),
            counts=self.power.metering.state(),
            began_ns=self.plans.budgets.began_ns,
            budgets=self.plans.budgets.remembered(),
        )
