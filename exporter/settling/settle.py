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
from unitcost.exporter.settling.drift_book import DriftBook
from unitcost.exporter.settling.emissions import Emissions
from unitcost.exporter.settling.energy import EnergyMeter
from unitcost.exporter.settling.gaps import Cost, Shares, costs_of, shares_after
from unitcost.exporter.settling.holding import Held, HostMeter, Observed
from unitcost.exporter.settling.memos import Memos
from unitcost.exporter.settling.metering import Metering, Sight, is_late, metering_of, shares_of
from unitcost.exporter.settling.owed import Owed, owed_of
from unitcost.exporter.settling.plan_book import PlanBook
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.run_book import RunBook
from unitcost.exporter.settling.state import Holders, ResourceShares, State, encode, follow_clock
from unitcost.exporter.settling.tally import Tally
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.charge import Posting, post, residual
from unitcost.pricing.charged_time import Layout
from unitcost.pricing.currency import Rate
from unitcost.pricing.models import model_weights, split_by_model
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.quote import Quote
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Sample, Subject
from unitcost.pricing.timeline import (
    Advance,
    ClockReading,
    Cover,
    Period,
    advance,
    cut,
)
from unitcost.pricing.training_sources import doubles
from unitcost.pricing.unit_points import forget
from unitcost.pricing.units import Count, count
from unitcost.pricing.workload import WorkloadKind

DAY_NS = 24 * 3600 * NS_PER_SECOND
BIRTH_LIMIT_NS = DAY_NS
"""A birth longer ago proves nothing: its counters' points may have been forgotten."""
FORGET_AFTER_NS = 2 * DAY_NS
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
    energy: EnergyMeter = field(init=False)
    emissions: Emissions = field(init=False)
    owed: Owed = field(init=False)
    metering: Metering = field(init=False)
    plans: PlanBook = field(init=False)

    def __post_init__(self) -> None:
        """Windows, runs and meters start from the rules, the books and the state."""
        state = self.state
        self.energy = EnergyMeter(dict(state.energy), dict(state.floors), dict(state.places))
        self.owed, self.metering = owed_of(state.owed), metering_of(state.counts)
        left = dict(self.state.micrograms_left)
        self.emissions = Emissions(self.state.picograms_per_kwh, left)
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
        self.corrections = Corrector(self.books, self.runs, self.plans, known)

    def tick(self, observed: Observed, marks: Sequence[EpochMark], clock: ClockReading) -> None:
        """Account for all time up to `clock` and everything that was counted."""
        step = advance(self.state.position, clock, present=self.present)
        followed = follow_clock(self.state, clock)
        if followed is not self.state:
            self.energy.start_anew()
            self.owed.keep(frozenset())
        self.state = followed
        since = _metered_since(self.state, step)
        self._correct(step)
        admission = self._admission()
        observed = admission.admitted(observed, step.position.at_ns)
        twice = doubles(observed.subjects)
        counted = self._count(observed, since, clock, twice)
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
        self._count_energy(observed, costs, clock.mono_ns)
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
        for name in {subject.workload for subject in observed.subjects if _is_there(subject)}:
            self.books.charged(name, step.position.at_ns)
        self._note_step(step)
        self.held, self.counted, self.present = held or self.held, counted, True
        shares = shares_after(costs, self.state, held, measured)
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

    def _count(
        self, observed: Observed, since_ns: int, clock: ClockReading, unbilled: frozenset[str]
    ) -> Count:
        proven = max(since_ns, clock.wall_ns - BIRTH_LIMIT_NS)
        samples: Sequence[Sample] = [s for s in observed.samples if s.subject != "host"]
        counted = count(self.state.meter, observed.subjects, samples, proven, clock, unbilled)
        keep = {subject.id for subject in observed.subjects}
        meter = forget(counted.meter, keep, clock.boot_ns - FORGET_AFTER_NS)
        return replace(counted, meter=meter)

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
            self._note_gap(cost)
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
        for part in self.metering.late_parts(metered, tick):
            accounts = self.metering.late_accounts(tick)
            self.tally.spoil(accounts)
            self.runs.spoil(accounts)
            for within in cut(part, self.plans.budgets.cuts(part)):
                posting = Posting()
                self.metering.post_late(posting, within, metered, self.books)
                self._enter(posting, tick.start_ns)
                self.plans.budgets.correct(posting, within)

    def _post(self, part: Period, cost: Cost) -> Posting:
        posting = Posting()
        listed = unit_prices(self.rules.book, cost.resources, self.rules.split, part.start_ns)
        for resource, price in listed:
            if price.component not in cost.components:
                continue
            self.books.use(price)
            shares = shares_of(cost, resource.id)
            post(posting, part, resource, price, shares, self.books.elapsed_of)
        self.metering.post(posting, part, cost, self.rules.metered, listed, self.books)
        return posting

    def _enter(self, posting: Posting, at_ns: int) -> None:
        """Take charges into the books; those of runs are for the time up to `at_ns`."""
        if unbalanced := residual(posting):
            raise ArithmeticError(f"charges do not sum to what accrued: {unbalanced}")
        self.books.add(posting)
        self.tally.charge(self.books, posting)
        self.drift.charge(posting, frozenset(self.tally.partly), self.books.is_hourly)
        self.runs.charge(posting, self.tally.unsignalled, at_ns)

    def _count_energy(self, observed: Observed, costs: Sequence[Cost], mono_ns: int) -> None:
        """Count the energy used since the last reading, by who held what then."""
        used = self.energy.read(observed.meters)
        if costs:
            tick = costs[-1].interval.period
            products = {each.id: (each.product, each.vendor) for each in observed.devices or ()}
            waiting = self.energy.waiting()
            self.owed.add(costs, waiting)
            drawn = []
            for late, shares in ((False, costs[-1].shares), (True, self.owed.shares())):
                own = [each for each in used if is_late(each.span_ns, tick) is late]
                pending = self.books.pending
                drawn += self.energy.count(pending, own, shares, products, self.emissions)
            self.owed.keep(waiting)
            seen = frozenset(each.id for each in observed.devices or () if not each.lost)
            sight = Sight(self.energy.metered(), self.energy.unknown(mono_ns), seen)
            self.metering.begin(drawn, tick, sight)
        self.emissions.follow(self.rules.carbon)

    def _note_gap(self, cost: Cost) -> None:
        """Record time that was not metered, and what became of it."""
        period, pending = cost.interval.period, self.books.pending
        pending.count("unitcost_gap_seconds_total", (cost.gap,), period.duration_ns // 1000)
        detail: dict[str, str | int] = {
            "cover": str(cost.interval.cover),
            "duration_ns": period.duration_ns,
        }
        pending.events.append(EventRow(period.start_ns, f"gap_{cost.gap}", detail))

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
            energy=tuple(self.energy.points.items()),
            floors=tuple(self.energy.floors.items()),
            quotes=self.quotes,
            charged=self.corrections.time,
            frozen=tuple(self.drift.frozen.items()),
            notify=self.notify,
            picograms_per_kwh=self.emissions.picograms_per_kwh,
            micrograms_left=tuple(self.emissions.left.items()),
            rates=self.rates,
            sibling_quotes=self.sibling_quotes,
            places=tuple(self.energy.places.items()),
            owed=self.owed.state(),
            counts=self.metering.state(),
            began_ns=self.plans.budgets.began_ns,
            budgets=self.plans.budgets.remembered(),
        )


def _is_there(subject: Subject) -> bool:
    """Whether a workload lives, though it may hold nothing of this host.

    The state file of a training process is there long after its end.
    """
    over = subject.kind is WorkloadKind.TRAINING and subject.running is False
    return subject.up and not over


def _metered_since(state: State, step: Advance) -> int:
    """Since when we have been metering without a break."""
    if state.position is None:
        return step.position.at_ns
    broken = [each.period.end_ns for each in step.intervals if each.cover is not Cover.METERED]
    if step.step_ns:
        # Births from before the wall clock was set lie anywhere on it: they prove nothing.
        broken.append(step.position.at_ns)
    return max([state.metered_since_ns, *broken])
