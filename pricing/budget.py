"""Budgets: what was spent in the present day, week, month, quarter or year of a local calendar.

A budget keeps what it saw in a few periods, not in one: a clock that is set into another period
and back finds what was spent there before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from unitcost.pricing.local_time import day_start_ns, local_date
from unitcost.pricing.timeline import Period

MAX_PERIODS = 3
"""How many periods of a budget are remembered, the one charged last first."""


class BudgetPeriod(StrEnum):
    """How long a budget is for; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


def period_at(kind: BudgetPeriod, instant_ns: int, zone: tzinfo) -> Period:
    """The local day, week, month, quarter or year that an instant lies in."""
    first = _first_day(kind, local_date(instant_ns, zone))
    # Where clocks are set back over midnight they show the day before again: it is over.
    while (end := day_start_ns(_following(kind, first), zone)) <= instant_ns:
        first = _following(kind, first)
    return Period(day_start_ns(first, zone), end)


def _first_day(kind: BudgetPeriod, day: date) -> date:
    if kind is BudgetPeriod.DAY:
        return day
    if kind is BudgetPeriod.WEEK:
        return day - timedelta(days=day.weekday())
    if kind is BudgetPeriod.MONTH:
        return day.replace(day=1)
    if kind is BudgetPeriod.QUARTER:
        return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    return date(day.year, 1, 1)


def _following(kind: BudgetPeriod, first: date) -> date:
    """The first day of the next period; none is longer than 366 days."""
    days = {
        BudgetPeriod.DAY: 1,
        BudgetPeriod.WEEK: 7,
        BudgetPeriod.MONTH: 31,
        BudgetPeriod.QUARTER: 92,
        BudgetPeriod.YEAR: 366,
    }
    return _first_day(kind, first + timedelta(days=days[kind]))


@dataclass(frozen=True, slots=True)
class Budget:
    """So many dollars for each period: of one workload, of an owner's, or of the whole host.

    `items`: whether items that are attached to its workloads count too.
    """

    name: str
    usd: Decimal
    period: BudgetPeriod
    zone: tzinfo
    owner: str = ""
    workload: str = ""
    items: bool = False

    @property
    def of_host(self) -> bool:
        """Whether it covers everything the host is charged for."""
        return not (self.owner or self.workload)

    @property
    def definition(self) -> tuple[str, ...]:
        """All that changes what is spent of it; the amount does not."""
        items = "items" if self.items else ""
        return (self.period, str(self.zone), self.owner, self.workload, items)

    def covers(self, workload: str, owner: str) -> bool:
        """Whether what a workload is charged is spent of it."""
        if self.workload:
            return workload == self.workload
        return not self.owner or owner == self.owner


@dataclass(frozen=True, slots=True)
class Sum:
    """What was charged: `pico` where there is a price, and how much of a resource without one.

    `priced`: some of it has a price, be it 0. `unpriced`: resource-seconds in millionths.
    """

    pico: int = 0
    priced: bool = False
    unpriced: int = 0

    def plus(self, other: "Sum") -> "Sum":
        """Both together."""
        priced = self.priced or other.priced
        return Sum(self.pico + other.pico, priced, self.unpriced + other.unpriced)


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent in one period, of which everything since `since_ns` was seen.

    `unknown`: there was time of which it is not known what was charged for it.
    """

    start_ns: int
    end_ns: int
    since_ns: int
    sum: Sum = Sum()
    unknown: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is all that was spent in the period so far, not only the least it can be."""
        return self.since_ns <= self.start_ns and not self.unknown and not self.sum.unpriced

    @property
    def spent_pico(self) -> int | None:
        """Pico-dollars; None where nothing that was charged has a price."""
        lacking = self.unknown or self.sum.unpriced
        return None if lacking and not self.sum.priced else self.sum.pico

    def plus(self, more: Sum, *, unknown: bool = False) -> "Spending":
        """The same and what was charged on top."""
        return replace(self, sum=self.sum.plus(more), unknown=self.unknown or unknown)

    def corrected(self, time: Period, more: Sum) -> "Spending":
        """The same after the charges of a time (of a clock hour, say) were changed.

        Of a time that lies in it only in part nobody knows which part is meant. Then it stays the
        least that it can be.
        """
        if time.end_ns <= self.since_ns or time.start_ns >= self.end_ns:
            return self
        if self.since_ns <= time.start_ns and time.end_ns <= self.end_ns:
            return self.plus(more)
        return self.plus(Sum(min(more.pico, 0)), unknown=True)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What outlives a restart of one budget."""

    name: str
    definition: tuple[str, ...]
    spendings: tuple[Spending, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What was charged by workload from `since_ns` on, before a budget was there.

    `unknown`: there was time of which it is not known what was charged for it. `items`: what was
    booked of items in that time, in pico-dollars.
    """

    since_ns: int
    charged: Mapping[str, Sum] = field(default_factory=dict)
    unknown: bool = False
    items: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Tracker:
    """Follows one budget. `spendings`: the period charged last comes first."""

    budget: Budget
    spendings: list[Spending] = field(default_factory=list)

    @classmethod
    def resumed(cls, budget: Budget, remembered: Remembered | None) -> "Tracker | None":
        """Go on with what is remembered; None where that was of another budget, or is nothing."""
        if remembered is None or remembered.definition != budget.definition:
            return None
        return cls(budget, list(remembered.spendings))

    def remembered(self) -> Remembered:
        """What has to outlive a restart."""
        return Remembered(self.budget.name, self.budget.definition, tuple(self.spendings))

    def begin(self, at_ns: int, past: Past | None, owner_of: Callable[[str], str]) -> None:
        """Begin with the period of `at_ns`, and with what is known of it from before."""
        period = self.period(at_ns)
        self.spendings = [Spending(period.start_ns, period.end_ns, at_ns)]
        if past is None:
            return
        since_ns = min(at_ns, max(past.since_ns, period.start_ns))
        found = Spending(period.start_ns, period.end_ns, since_ns, unknown=past.unknown)
        for workload, charged in past.charged.items():
            if self.budget.covers(workload, owner_of(workload)):
                found = found.plus(charged)
        for workload, pico in past.items.items() if self.budget.items else ():
            if self.budget.covers(workload, owner_of(workload)):
                found = found.plus(Sum(pico, priced=True))
        self.spendings = [found]

    def cuts(self, period: Period) -> Iterator[int]:
        """Instants inside a period at which another one of the budget begins."""
        at = period.start_ns
        while (end := self.period(at).end_ns) < period.end_ns:
            yield end
            at = end

    def at(self, at_ns: int) -> Spending:
        """What is spent in the period of an instant; from here on the one charged last.

        A period later than all before was followed from its start. An earlier one that is not
        remembered any more was not.
        """
        for index, spending in enumerate(self.spendings):
            if spending.start_ns <= at_ns < spending.end_ns:
                self.spendings.insert(0, self.spendings.pop(index))
                return spending
        period = self.period(at_ns)
        later = all(each.end_ns <= period.start_ns for each in self.spendings)
        since = period.start_ns if later and self.spendings else at_ns
        found = Spending(period.start_ns, period.end_ns, since)
        self.spendings = [found, *self.spendings[: MAX_PERIODS - 1]]
        return found

    def charge(self, at_ns: int, charged: Sum, *, unknown: bool = False) -> None:
        """Count what was charged for time that begins at `at_ns` and ends within its period."""
        self.spendings[0] = self.at(at_ns).plus(charged, unknown=unknown)

    def correct(self, time: Period, more: Sum) -> None:
        """Count what changes the charges of a time, in periods that are remembered."""
        self.spendings = [each.corrected(time, more) for each in self.spendings]

    def period(self, at_ns: int) -> Period:
        """The budget's period that an instant lies in."""
        for each in self.spendings:
            if each.start_ns <= at_ns < each.end_ns:
                return Period(each.start_ns, each.end_ns)
        return period_at(self.budget.period, at_ns, self.budget.zone)
