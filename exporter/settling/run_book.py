"""Training runs in the books: met, charged, and marked at the end of each epoch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.batch import EpochRow
from unitcost.exporter.settling.books import Books
from unitcost.pricing import runs
from unitcost.pricing.allocate import State
from unitcost.pricing.charge import Posting
from unitcost.pricing.runs import Cost, Run
from unitcost.pricing.sample import EpochMark, Subject
from unitcost.pricing.workload import Account

RunKey = tuple[str, str]
"""Workload and run."""


@dataclass(slots=True)
class RunBook:
    """Keeps the runs of `books` up to date; `hosts` says on how many hosts each run is."""

    books: Books
    hosts: dict[RunKey, int] = field(default_factory=dict)
    run_of: dict[str, RunKey] = field(default_factory=dict)

    def meet(self, subjects: Iterable[Subject], metered_since_ns: int, now_ns: int) -> None:
        """Begin runs seen for the first time, and new attempts of known ones."""
        for subject in subjects:
            if not subject.run:
                continue
            key = (subject.workload, subject.run)
            self.run_of[subject.id] = key
            self.hosts[key] = subject.hosts
            known = self.books.runs.get(key)
            if known is None:
                born = subject.born_wall_ns
                whole = born is not None and born >= metered_since_ns
                since = born if whole and born is not None else now_ns
                self.books.put_run(
                    runs.begin(
                        *key, subject.attempt, subject.resumed_epoch, since, from_birth=whole
                    )
                )
            elif runs.is_later(
                known, subject.attempt, subject.born_wall_ns, running=subject.running
            ):
                self.books.put_run(runs.resume(known, subject.attempt, subject.resumed_epoch))

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
            self.books.put_run(after)
            row = EpochRow(
                after.workload, after.run, after.attempt, at.epoch, at.wall_ns, after.total
            )
            self.books.pending.epochs.append(row)

    def spoil(self, accounts: Iterable[Account]) -> None:
        """These were not metered for a while: their current epoch has no cost of its own."""
        for key in {(account.workload, account.run) for account in accounts if account.run}:
            if key in self.books.runs:
                self.books.put_run(runs.spoil(self.books.runs[key]))

    def charge(self, posting: Posting, unsignalled: frozenset[Account], at_ns: int) -> None:
        """Add a posting's charges to the runs they are for."""
        spent: dict[Account, Cost] = {}
        for key, amount in posting.charges.items():
            account = key.account
            if not account.run:
                continue
            used = amount.pico if key.state is State.ACTIVE else 0
            if replace(account, model="") in unsignalled:
                used = None
            part = Cost(amount.pico, used)
            spent[account] = spent[account].plus(part) if account in spent else part
        for account, cost in spent.items():
            run = self.books.runs.get((account.workload, account.run))
            if run is not None:
                self.books.put_run(runs.charge(run, cost, at_ns))

    def _run(self, subject: str) -> Run | None:
        key = self.run_of.get(subject)
        return self.books.runs.get(key) if key else None
