"""Budgets in the books: what each tick charges is spent of those that cover it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.item_book import Due
from unitcost.pricing.budget import Budget, Past, Remembered, Sum, Tracker
from unitcost.pricing.charge import Posting
from unitcost.pricing.timeline import NS_PER_HOUR, Period, hour_of
from unitcost.pricing.workload import OVERFLOW


@dataclass(slots=True)
class BudgetBook:
    """`new`: budgets that begin with the next tick. `owner_of`: who answers for a workload.

    `began_ns`: when this ledger began to be charged, None where that is not known.
    """

    books: Books
    owner_of: Callable[[str], str]
    began_ns: int | None
    trackers: list[Tracker] = field(default_factory=list)
    new: list[Budget] = field(default_factory=list)

    def follow(self, budgets: Iterable[Budget], kept: Sequence[Remembered] | None = None) -> None:
        """From the next tick on these are the budgets; `kept`: what outlived a restart.

        One that is defined otherwise begins anew, one that is not named any more is forgotten.
        """
        known = {each.name: each for each in (self.remembered() if kept is None else kept)}
        self.trackers, self.new = [], []
        for budget in budgets:
            tracker = Tracker.resumed(budget, known.get(budget.name))
            if tracker is None:
                self.new.append(budget)
            else:
                self.trackers.append(tracker)

    def remembered(self) -> tuple[Remembered, ...]:
        """What has to outlive a restart."""
        return tuple(tracker.remembered() for tracker in self.trackers)

    def begin(self, at_ns: int) -> None:
        """Begin new budgets at the instant up to which all is charged, with what is known before.

        While the ledger cannot be read they wait: nothing is lost, it will say what was charged.
        """
        waiting = []
        known: dict[int, Past | None] = {}
        for budget in self.new:
            tracker = Tracker(budget)
            start_ns = tracker.period(at_ns).start_ns
            try:
                if start_ns not in known:
                    known[start_ns] = self._past(start_ns, at_ns)
            except LookupError:
                waiting.append(budget)
                continue
            tracker.begin(at_ns, known[start_ns], self.owner_of)
            self.trackers.append(tracker)
        self.new = waiting

    def _past(self, from_ns: int, to_ns: int) -> Past | None:
        """What was charged in a time, committed or not."""
        if self.began_ns is not None and self.began_ns >= to_ns:
            return None
        past = self.books.archive.past(from_ns, to_ns)
        hours = range(-(-from_ns // NS_PER_HOUR), hour_of(to_ns) + 1)
        charged = dict(past.charged)
        for workload, more in _by_workload(self.books.pending.posting, hours).items():
            charged[workload] = charged.get(workload, Sum()).plus(more)
        items = dict(past.items)
        for key, amount in self.books.pending.item_charges.items():
            if key.hour in hours:
                name = key.item.workload
                items[name] = items.get(name, 0) + amount.pico
        since_ns = max(past.since_ns, self.began_ns or 0)
        return replace(past, since_ns=since_ns, charged=charged, items=items)

    def cuts(self, period: Period) -> tuple[int, ...]:
        """Where the periods of budgets begin inside of a period."""
        return tuple(sorted({at for tracker in self.trackers for at in tracker.cuts(period)}))

    def charge(self, posting: Posting, at_ns: int, *, known: bool) -> None:
        """Spend a posting, all of whose time lies in one period of each budget.

        `known`: whether it is known what that time cost.
        """
        if not self.trackers:
            return
        sums = self._with_owners(posting)
        hidden = self._hidden() if any(name == OVERFLOW for name, _, _ in sums) else ()
        for tracker in self.trackers:
            unknown = not known or any(tracker.budget.covers(*each) for each in hidden)
            spent = _covered(tracker.budget, sums)
            if unknown or spent != Sum():
                tracker.charge(at_ns, spent, unknown=unknown)

    def correct(self, posting: Posting, time: Period) -> None:
        """Spend what changes the charges of a time that is past, in periods still remembered."""
        if self.trackers:
            sums = self._with_owners(posting)
            for tracker in self.trackers:
                more = _covered(tracker.budget, sums)
                if more != Sum():
                    tracker.correct(time, more)

    def _with_owners(self, posting: Posting) -> list[tuple[str, str, Sum]]:
        """Workloads, their owners, and what they are charged."""
        sums = _by_workload(posting)
        return [(name, self.owner_of(name), each) for name, each in sums.items()]

    def end(self, now_ns: int) -> None:
        """The present period of each budget is the one of this instant, spent of or not."""
        for tracker in self.trackers:
            tracker.at(now_ns)

    def _hidden(self) -> list[tuple[str, str]]:
        """Workloads on ``__other__``, of which it is unknown what they cost, and their owners."""
        return [(row.name, row.owner) for row in self.books.workloads.values() if row.overflow]

    def charge_items(self, changes: Iterable[Due], at_ns: int) -> None:
        """Spend what fell due of items, or take back what did not."""
        if not any(tracker.budget.items for tracker in self.trackers):
            return
        by_workload: dict[str, int] = {}
        for workload, pico in changes:
            by_workload[workload] = by_workload.get(workload, 0) + pico
        sums = [
            (name, self.owner_of(name), Sum(pico, priced=True))
            for name, pico in by_workload.items()
        ]
        for tracker in self.trackers:
            spent = _covered(tracker.budget, sums) if tracker.budget.items else Sum()
            if spent != Sum():
                tracker.charge(at_ns, spent)


def _covered(budget: Budget, sums: Iterable[tuple[str, str, Sum]]) -> Sum:
    """What of some charges is spent of a budget."""
    spent = Sum()
    for workload, owner, each in sums:
        if budget.covers(workload, owner):
            spent = spent.plus(each)
    return spent


def _by_workload(posting: Posting, hours: Sequence[int] | None = None) -> Mapping[str, Sum]:
    """What a posting charges, of all hours or of some."""
    pico: dict[str, int] = {}
    unpriced: dict[str, int] = {}
    for key, amount in posting.charges.items():
        if hours is None or key.hour in hours:
            name = key.account.workload
            sums, more = (unpriced, amount.quantity) if amount.pico is None else (pico, amount.pico)
            sums[name] = sums.get(name, 0) + more
    return {
        name: Sum(pico.get(name, 0), name in pico, unpriced.get(name, 0))
        for name in pico.keys() | unpriced.keys()
    }
