"""Training runs in the books: met, charged, and marked at the end of each epoch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.batch import MAX_RUNS, EpochRow
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.run_progress import (
    Counts,
    Outlook,
    RunKey,
    counts_of,
    of_attempt,
    outlook_of,
    place_of,
    resumed_at,
    waited_of,
    was_there,
)
from unitcost.pricing import projection, runs
from unitcost.pricing.allocate import State
from unitcost.pricing.charge import Posting
from unitcost.pricing.layers import Counted
from unitcost.pricing.lost_money import Spent, stall
from unitcost.pricing.projection import Pace, Progress
from unitcost.pricing.runs import Cost, Place, Run
from unitcost.pricing.sample import EpochMark, Sample, Subject
from unitcost.pricing.workload import Account


@dataclass(slots=True)
class RunBook:
    """Keeps the runs of `books` up to date; `hosts` says on how many hosts each run is.

    `outlooks`: what is said this tick of the runs that have processes or files of them here.
    `spent`: what the runs' attempts were charged this tick; `unplaced`: the part of it of which
    it is not yet settled how far it brought them. `tick_ns`: how much time is charged.
    """

    books: Books
    hosts: dict[RunKey, int] = field(default_factory=dict)
    run_of: dict[str, RunKey] = field(default_factory=dict)
    outlooks: dict[RunKey, Outlook] = field(default_factory=dict)
    groups: dict[RunKey, list[Subject]] = field(default_factory=dict)
    spent: dict[Account, Spent] = field(default_factory=dict)
    unplaced: dict[Account, int] = field(default_factory=dict)
    tick_ns: int = 0

    def meet(self, subjects: Iterable[Subject], metered_since_ns: int, now_ns: int) -> None:
        """Begin runs seen for the first time, and new attempts of known ones."""
        self.spent, self.unplaced, self.groups, self.tick_ns = {}, {}, {}, 0
        self.run_of, known = {}, len(self.books.runs)
        for subject in subjects:
            if not subject.run:
                continue
            key = (subject.workload, subject.run)
            self.run_of[subject.id] = key
            self.hosts[key] = subject.hosts
            self.groups.setdefault(key, []).append(subject)
        for key, group in self.groups.items():
            for subject in group:
                self._meet(subject, key, metered_since_ns, now_ns)
        self.outlooks = {
            key: outlook_of(group, self.books.runs[key], self.outlooks.get(key))
            for key, group in self.groups.items()
        }
        if len(self.books.runs) > max(known, 2 * MAX_RUNS):
            self._forget()

    def _forget(self) -> None:
        """Keep the latest runs only, those asked for, and those with processes or files here."""
        kept = self.books.runs
        wanted = self.groups.keys() | self.books.pending.runs.keys() | self.books.linked
        by_time = sorted(kept, key=lambda key: kept[key].last_charged_ns)
        for key in by_time[:-MAX_RUNS]:
            if key not in wanted:
                del kept[key]
        self.hosts = {key: hosts for key, hosts in self.hosts.items() if key in kept}

    def _meet(self, subject: Subject, key: RunKey, metered_since_ns: int, now_ns: int) -> None:
        known, born = self.books.runs.get(key), subject.born_wall_ns
        whole = born is not None and born >= metered_since_ns
        if known is None:
            since = born if whole and born is not None else now_ns
            self.books.put_run(
                runs.begin(*key, subject.attempt, subject.resumed_epoch, since, from_birth=whole)
            )
            return
        again = subject.attempt == known.attempt
        if not runs.is_later(known, subject.attempt, born, running=subject.running, joins=False):
            return
        if again and was_there(self.groups[key], known):
            return
        self.outlooks.pop(key, None)  # the next attempt may have another number of ranks
        resumed, told_by = resumed_at(subject), born if again else None
        self.books.put_run(
            runs.resume(known, subject.attempt, resumed, from_birth=whole, born_ns=told_by)
        )

    def due(
        self, marks: Sequence[EpochMark], subjects: Iterable[Subject], until_ns: int
    ) -> list[EpochMark]:
        """Marks not taken yet, in order; one from the future waits."""
        attempts = {subject.id: subject.attempt for subject in subjects}
        found = []
        for mark in marks:
            run = self._run(mark.subject)
            if run is None or attempts.get(mark.subject) != run.attempt:
                continue
            if mark.epoch > run.last_epoch and mark.wall_ns <= until_ns:
                found.append(mark)
        return sorted(found, key=lambda mark: (mark.wall_ns, mark.epoch))

    def mark(self, marks: Iterable[EpochMark]) -> None:
        """Take marks that have come due."""
        for at in marks:
            before = self._run(at.subject)
            if before is None:
                continue
            after = runs.mark(before, at)
            if after is before:
                continue
            self.books.put_run(self._placed(after, before.last_epoch, at))
            self.books.pending.epochs.append(self._row(before, after, at))

    def _row(self, before: Run, after: Run, at: EpochMark) -> EpochRow:
        """What the ledger keeps of a mark."""
        return EpochRow(
            after.workload,
            after.run,
            after.attempt,
            at.epoch,
            at.wall_ns,
            after.total,
            before.last_epoch,
            after.epoch_cost,
            self.hosts.get((after.workload, after.run), 1),
        )

    def _placed(self, run: Run, epochs_before: float, at: EpochMark) -> Run:
        """The run at an epoch's mark: where it is then is known to the instant."""
        place = run.place
        if place.epochs is None:
            run = replace(run, place=replace(place, epochs=epochs_before))
        account = Account(run.workload, "", run.run, run.attempt)
        by_epochs = runs.counts_again(run) is Progress.EPOCHS
        pico = self.unplaced.pop(account, 0) if by_epochs else 0
        run = runs.reach(run, Place(epochs=at.epoch), pico, at_work=run.moved)
        if run.pace is None or run.pace.unit is not Progress.EPOCHS or at.wall_ns < run.since_ns:
            return run
        return replace(run, pace=projection.advance(run.pace, at.epoch, run.total.pico or 0))

    def spoil(self, accounts: Iterable[Account]) -> None:
        """These were not metered for a while: their current epoch has no cost of its own."""
        for key in {(account.workload, account.run) for account in accounts if account.run}:
            if key in self.books.runs:
                self.books.put_run(runs.spoil(self.books.runs[key]))

    def charge(self, posting: Posting, unsignalled: frozenset[Account], at_ns: int) -> None:
        """Add a posting's charges, all for the same time, to the runs they are for."""
        spent: dict[Account, Cost] = {}
        prices: dict[Account, dict[str, dict[str, int]]] = {}
        for key, amount in posting.charges.items():
            if not key.account.run:
                continue
            account = replace(key.account, model="")
            used = amount.pico if key.state is State.ACTIVE else 0
            if account in unsignalled:
                used = None
            part = Cost(amount.pico, used)
            spent[account] = spent[account].plus(part) if account in spent else part
            if self.books.is_hourly(key.price):
                price = self.books.prices[key.price].pico_per_unit or 0
                prices.setdefault(account, {}).setdefault(key.resource, {})[key.component] = price
        spans = (
            accrued.elapsed_ns
            for key, accrued in posting.accruals.items()
            if self.books.is_hourly(key.price)
        )
        span_ns = max(spans, default=0)
        self.tick_ns += span_ns
        for account, cost in spent.items():
            run = self.books.runs.get((account.workload, account.run))
            if run is None:
                continue
            self.spent[account] = self.spent.get(account, Spent()).plus(cost.pico, span_ns)
            self.unplaced[account] = self.unplaced.get(account, 0) + (cost.pico or 0)
            if cost.pico is not None and account in prices:
                run = _at_prices(run, prices[account])
            self.books.put_run(runs.charge(run, cost, at_ns))

    def correct(self, posting: Posting) -> None:
        """Take in what a price learnt late changes; epochs and projections stay as charged."""
        made: dict[RunKey, int] = {}
        for key, amount in posting.charges.items():
            if key.account.run and amount.pico:
                name = (key.account.workload, key.account.run)
                made[name] = made.get(name, 0) + amount.pico
        for name, pico in made.items():
            if (run := self.books.runs.get(name)) is not None:
                self.books.put_run(replace(run, corrected_pico=run.corrected_pico + pico))

    def end(self, samples: Iterable[Sample], units: Counted) -> None:
        """After all of a tick is charged: how far each run came for it, and how long it waited."""
        counts = counts_of(samples) if self.groups else {}
        waited = waited_of(units, {key: each.ranks for key, each in self.outlooks.items()})
        spent = self._spent()
        for key, outlook in self.outlooks.items():
            before = self.books.runs[key]
            after = self._advanced(before, self.groups[key], outlook, counts)
            if key in waited or key in spent:
                lost = stall(after.lost, waited.get(key, {}), spent.get(key, Spent()))
                after = replace(after, lost=lost)
            if after is not before:
                self.books.put_run(after)

    def _advanced(
        self, run: Run, group: Sequence[Subject], outlook: Outlook, counts: Counts
    ) -> Run:
        """The run where its present attempt is now; earlier ones may have got further than seen."""
        earlier = [subject for subject in group if subject.attempt != run.attempt]
        peak = run.peak.furthest(place_of(earlier, counts)) if earlier else run.peak
        if peak != run.peak:
            run = replace(run, peak=peak)
        place = place_of(of_attempt(group, run.attempt), counts)
        account = Account(run.workload, "", run.run, run.attempt)
        pico = self.unplaced.pop(account, 0)
        after = runs.reach(run, place, pico, at_work=outlook.at_work)
        pace = _paced(after, outlook, began=after.moved and not run.moved)
        return after if pace is after.pace else replace(after, pace=pace)

    def _spent(self) -> dict[RunKey, Spent]:
        """What each run was charged in the tick, all attempts together."""
        found: dict[RunKey, Spent] = {}
        for account, own in self.spent.items():
            key = (account.workload, account.run)
            found[key] = found.get(key, Spent()).beside(own, self.tick_ns)
        return found

    def _run(self, subject: str) -> Run | None:
        key = self.run_of.get(subject)
        return self.books.runs.get(key) if key else None


def _at_prices(run: Run, prices: Mapping[str, Mapping[str, int]]) -> Run:
    """The run with its pace at these prices: of each resource, by component."""
    if run.pace is None:
        return run
    now = {resource: sum(each.values()) for resource, each in prices.items()}
    pace = projection.priced(run.pace, now)
    return run if pace is run.pace else replace(run, pace=pace)


def _paced(run: Run, outlook: Outlook, *, began: bool) -> Pace | None:
    """The run's pace at the end of a tick, in the unit of its goal; None while it has none.

    `began`: the attempt was seen to take its first step in this tick. Where only epochs are
    counted on the way to the goal, the first of them begins there.
    """
    goal = outlook.goal(run.place)
    if goal is None:
        return None
    unit = goal[0]
    place = run.place.of(unit)
    total = run.total.pico or 0
    pace = run.pace
    if pace is None or pace.unit is not unit:
        at = place if place is not None or unit is Progress.STEPS else run.last_epoch
        return Pace(unit, at)
    if place is None:
        return pace
    if began and unit is Progress.EPOCHS and pace.since is None and place == pace.last:
        return projection.start(pace, place, total)
    return projection.advance(pace, place, total)
