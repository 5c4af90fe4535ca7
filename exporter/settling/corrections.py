"""Corrections in the books: time that was charged at another price than the one known now.

When the price book changes, all charged time is compared with it. What differs is rebooked hour by
hour, some at each tick, in the batch of that tick: so a crash in between repeats and loses nothing.
While the rows of an hour cannot be read, it waits.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from unitcost.exporter.log import fields
from unitcost.exporter.settling.batch import EventRow
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.plan_book import PlanBook
from unitcost.exporter.settling.run_book import RunBook
from unitcost.exporter.settling.state import State
from unitcost.pricing.charge import Posting, residual
from unitcost.pricing.charged_time import Basis, ChargedTime, Layout, Stretch
from unitcost.pricing.correction import (
    Change,
    Correction,
    Move,
    corrections,
    corrects,
    forgotten,
    held_at,
    held_moves,
    hours,
    moves,
    restated,
    within,
)
from unitcost.pricing.money import to_usd
from unitcost.pricing.price import Component, Price, PriceBook
from unitcost.pricing.rebooking import Rebooked, elapsed_at, rebook
from unitcost.pricing.timeline import NS_PER_HOUR, Period

_log = logging.getLogger(__name__)

METRIC = "unitcost_cost_correction_usd"
ROWS_A_TICK = 2000
HOURS_A_TICK = 48
"""So many rows are added at a tick, or those of one hour: a month learnt late takes minutes. And so
many hours are looked at.
"""
GONE = "its rows in the ledger are not there any more, or do not add up"


@dataclass(slots=True)
class Corrected:
    """What one change of price has made so far, between two instants."""

    from_ns: int
    to_ns: int
    pico: int = 0

    def add(self, from_ns: int, to_ns: int, pico: int) -> None:
        """More of it."""
        self.from_ns, self.to_ns = min(self.from_ns, from_ns), max(self.to_ns, to_ns)
        self.pico += pico


Done = dict[Change, Corrected]
"""What was corrected, by the change of price."""


@dataclass(slots=True)
class Corrector:
    """Knows what time was charged at, and corrects it. `due`: the hours still to be corrected.

    `pod`: rows have the time for which a pod held something.
    """

    books: Books
    runs: RunBook
    plans: PlanBook
    time: ChargedTime
    pod: bool = False
    due: deque[int] = field(default_factory=deque)
    done: Done = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)

    def charged(
        self, part: Period, layout: Layout, components: tuple[Component, ...], book: PriceBook
    ) -> None:
        """Time was charged at the prices that `book` has for it."""
        if components:
            basis = Basis(held_at(book, part.start_ns), components)
            self.time = self.time.charged(Stretch(part, layout, basis))

    def learn(self, book: PriceBook) -> None:
        """Find the time that `book` has another price for than it was charged at."""
        self.due = deque(hours(corrections(self.time.stretches(), book)))
        if self.due:
            self._tell_limit(book)

    def set_back(self, instant_ns: int) -> None:
        """The clock was set back to an instant: when what lies after it was, nobody knows."""
        self.time = self.time.until(instant_ns)

    def correct(self, book: PriceBook, now_ns: int) -> None:
        """Correct what is due: at most about `ROWS_A_TICK` rows, and at least an hour."""
        self.time = self.time.kept(now_ns)
        done: Done = {}
        gone: list[int] = []
        rows = looked_at = 0
        while self.due and rows < ROWS_A_TICK and looked_at < HOURS_A_TICK:
            hour = self.due[0]
            found = list(corrections(within(self.time, hour), book))
            standing = self.books.rows_of(hour) if found else Posting()
            if standing is None:
                break
            self.due.popleft()
            looked_at += 1
            made = self._rebooked(standing, found, hour)
            if made is None:
                gone.append(hour)
                continue
            rows += len(made.posting.charges)
            for move, pico in made.amounts:
                _note(done, move.change, Corrected(move.period.start_ns, move.period.end_ns, pico))
        self._record(done, gone, now_ns)

    def _rebooked(
        self, standing: Posting, found: Sequence[Correction], hour: int
    ) -> Rebooked | None:
        """Correct a clock hour; None where its rows are not what was charged."""
        moved = moves(found)
        if self.pod:
            moved = held_moves(moved, within(self.time, hour), elapsed_at(standing))
        made = _checked(standing, moved, hour)
        if made is None:
            self.time = forgotten(self.time, hour, found)
            return None
        for move in moved:
            for price in (move.old, move.new):
                if price is not None:
                    self.books.use(price)
        self.books.revise(made.posting)
        self.runs.correct(made.posting)
        whole = Period(hour * NS_PER_HOUR, (hour + 1) * NS_PER_HOUR)
        self.plans.budgets.correct(made.posting, whole)
        for key, amount in made.posting.charges.items():
            if amount.pico:
                labels = (key.account.workload, key.resource)
                self.books.pending.count(METRIC, labels, amount.pico)
        self.time = restated(self.time, hour, found)
        return made

    def _record(self, done: Done, gone: Sequence[int], now_ns: int) -> None:
        """An event for each change of price; a line in the log when all is corrected."""
        events = self.books.pending.events
        for change, made in done.items():
            events.append(EventRow(now_ns, "price_correction", _detail(change, made)))
            _note(self.done, change, made)
        if gone:
            events.append(EventRow(now_ns, "price_uncorrected", _detail_of_gone(gone)))
            self.gone += gone
        if self.due:
            return
        for change, made in self.done.items():
            _log.info("price learnt late: cost corrected", extra=fields(**_detail(change, made)))
        if self.gone:
            detail = fields(**_detail_of_gone(self.gone))
            _log.warning("price learnt late: hours that cannot be corrected", extra=detail)
        self.done, self.gone = {}, []

    def _tell_limit(self, book: PriceBook) -> None:
        """Say so where a price reaches back further than is known how time was charged."""
        since_ns = self.time.since_ns
        oldest = next(self.time.stretches())
        charged, at_ns = oldest.basis.book, oldest.period.start_ns
        for component in charged.components:
            price = book.at(component, since_ns - 1)
            if since_ns and corrects(price, charged.at(component, at_ns)):
                detail = fields(component=str(component), before_ns=since_ns)
                _log.warning("price learnt late: not corrected further back", extra=detail)


def known_time(state: State) -> ChargedTime:
    """What a state says of charged time; one of a version that did not keep it says nothing."""
    if state.charged is not None:
        return state.charged
    return ChargedTime(since_ns=state.position.at_ns if state.position else 0)


def _checked(standing: Posting, moved: Sequence[Move], hour: int) -> Rebooked | None:
    """What moves in the rows; None where it cannot, so that what is charged from now on is."""
    try:
        made = rebook(standing, moved, hour)
        if made is not None and (unbalanced := residual(made.posting)):
            raise ArithmeticError(f"corrections do not sum to what accrued: {unbalanced}")
    except (ArithmeticError, ValueError):  # a defect of ours
        _log.exception("price learnt late: an hour cannot be corrected", extra=fields(hour=hour))
        return None
    return made


def _note(done: Done, change: Change, made: Corrected) -> None:
    known = done.setdefault(change, Corrected(made.from_ns, made.to_ns))
    known.add(made.from_ns, made.to_ns, made.pico)


def _detail(change: Change, made: Corrected) -> dict[str, str | int]:
    return {
        "component": str(change.component),
        "from_ns": made.from_ns,
        "to_ns": made.to_ns,
        "old_usd_per_hour": _usd(change.old),
        "new_usd_per_hour": _usd(change.new),
        "source": change.new.source if change.new else "",
        "usd": str(to_usd(made.pico)),
    }


def _detail_of_gone(hours_gone: Sequence[int]) -> dict[str, str | int]:
    from_ns, to_ns = min(hours_gone) * NS_PER_HOUR, (max(hours_gone) + 1) * NS_PER_HOUR
    return {"from_ns": from_ns, "to_ns": to_ns, "hours": len(hours_gone), "reason": GONE}


def _usd(price: Price | None) -> str:
    """Empty where there is none."""
    return str(price.usd_per_hour) if price else ""
