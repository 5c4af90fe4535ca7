"""Items and budgets under random histories: booked once, spent once, whatever happens.

The same host as in `test_settle.py`; its items and budgets are stated anew now and then.
"""

import tempfile
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings

from tests.property.test_settle import (
    BOOKS,
    STEPPED,
    TROUBLED,
    FileLedger,
    Prices,
    rules_of,
    steps,
)
from tests.sites import Site
from tests.story import Step, Story
from unitcost.exporter.settling.planning import Planning
from unitcost.pricing.budget import Budget, BudgetPeriod, Spending
from unitcost.pricing.items import Item, ItemKey, ItemType
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import NS_PER_HOUR
from unitcost.pricing.workload import OVERFLOW

HOUR = NS_PER_HOUR
SHOWN_FIRST = 3 * NS_PER_SECOND
EVENING_NS = (18 * 60 + 20) * 60 * NS_PER_SECOND
"""When a history begins, in UTC: shortly before midnight in two of the zones."""
ZONES = (timezone(timedelta(hours=5)), UTC, timezone(timedelta(hours=5, minutes=30)))
BUDGETS = tuple(
    Budget(f"{period}-{number}", Decimal(10), period, zone, owner, workload, items)
    for number, (zone, owner, workload, items) in enumerate(
        [(ZONES[0], "", "", False), (ZONES[1], "team", "", True), (ZONES[2], "", "chat-1", True)]
    )
    for period in (BudgetPeriod.DAY, BudgetPeriod.MONTH)
)


def items_of(start_ns: int, number: int) -> tuple[Item, ...]:
    """What is stated: now this, now that."""

    def item(name: str, usd: str, at: float | None, until: float | None, per: str = "") -> Item:
        workload = "job-1" if name == "data" else "chat-1"
        kind = ItemType.DATA_ACQUISITION if name == "data" else ItemType.STORAGE
        key = ItemKey(name, workload, "", "", kind, per)
        return Item(
            key,
            Decimal(usd),
            None if at is None else start_ns + round(at * HOUR),
            None if until is None else start_ns + round(until * HOUR),
        )

    every = (
        item("data", ("18000.5", "7", "0")[number % 3], -3, None),
        item("later", "3", 0.5, None),
        item("disk", ("10.000000000001", "5")[number % 2], -1, 2),
        item("huge", "1000000000", 0, 30),
    )
    licence = item("licence", ("0.1", "0.000000000001", "3")[number % 3], None, None, "request")
    return (*every[: (4, 2, 4, 1, 3, 0)[number]], licence)


class PlanStory(Story):
    """A story whose items and budgets are audited, too."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, births=False)
        today = self.host.clock.wall_ns // (24 * HOUR) * 24 * HOUR
        self.host.clock.set_wall(today + EVENING_NS)
        self.start_ns = self.host.clock.wall_ns
        self.stated = ()
        self.restate(0, BUDGETS)

    def restate(self, number: int, budgets: tuple[Budget, ...]) -> None:
        """The configuration is reloaded."""
        items = items_of(self.start_ns, number)
        planning = Planning(items=items, budgets=budgets, shown_first_ns=SHOWN_FIRST)
        self.site.rules = replace(self.site.rules, planning=planning)
        self.site.settler.plan(planning)

    def do_restate(self, number: int, seconds: float) -> None:
        """Other items; sometimes other budgets."""
        self.restate(number, BUDGETS[: (6, 6, 6, 2, 4, 6)[number]])

    def settle(self, read: bool = True, commit: bool = True) -> None:
        """A tick, and what must hold after it."""
        super().settle(read, commit)
        self.check_items(commit)
        for tracker in self.site.settler.plans.budgets.trackers:
            self.check_budget(tracker.budget, tracker.spendings)

    def check_items(self, commit: bool) -> None:
        """Booked and corrected to what is due; rows of the ledger sum to what is booked."""
        books, now = self.site.settler.books, self.now()
        stated = {item.key: item for item in self.site.rules.planning.items}
        for key, row in books.items.items():
            booked = row.booked
            assert booked.correction_pico <= 0
            shown = self.site.settler.plans.items.shown_since[key.workload, key.type]
            if not 0 <= now - shown < SHOWN_FIRST:
                item = stated.get(key)
                due = item.due_pico(now, booked.units_micro) if item else 0
                assert booked.due_pico == due, key
            if commit:
                assert self.site.ledger.items[key] == row
                rows = self.site.ledger.item_charges.items()
                own = [(each.revision, amount) for each, amount in rows if each.item == key]
                assert sum(a.pico for revision, a in own if revision == 0) == booked.pico
                assert sum(a.pico for revision, a in own if revision) == booked.correction_pico
                assert sum(a.units_micro for _, a in own) == booked.units_micro
            if key.per and commit:
                units = self.site.counter("unitcost_requests_total", key.workload)
                assert booked.units_micro == units

    def now(self) -> int:
        """The instant up to which all is charged."""
        position = self.site.settler.state.position
        assert position is not None
        return position.at_ns

    def check_budget(self, budget: Budget, spendings: list[Spending]) -> None:
        """What is spent is what the ledger's rows of the period sum to, where that can be told."""
        assert spendings[0].start_ns <= self.now() < spendings[0].end_ns
        for spending in spendings:
            if not spending.whole or spending.start_ns % HOUR:
                continue
            charged = self.charged(budget, spending)
            if budget.items:
                assert spending.sum.priced or not charged
            else:
                assert spending.sum.pico == charged, budget.name

    def charged(self, budget: Budget, spending: Spending) -> int:
        """Pico-dollars of the rows, committed or not, that lie in a period."""
        books = self.site.settler.books
        hours = range(spending.start_ns // HOUR, spending.end_ns // HOUR)
        total = 0
        for posting in (self.site.ledger.posting, books.pending.posting):
            for key, amount in posting.charges.items():
                name = key.account.workload
                assert name != OVERFLOW
                owner = self.site.settler.plans.budgets.owner_of(name)
                if key.hour in hours and budget.covers(name, owner):
                    total += amount.pico or 0
        return total


PLANNED = ("restate", "restate")
FEWER = max(1, settings().max_examples // 3)
"""The audit of a step takes longer than the step."""


@settings(max_examples=FEWER)
@given(steps(*TROUBLED, *PLANNED), BOOKS)
def test_items_and_budgets_follow_whatever_happens(history: list[Step], book: Prices) -> None:
    """Stops, crashes, sleeps, reboots, prices that change, a ledger that takes nothing."""
    PlanStory(Site(rules_of(book))).tell(history)


@settings(max_examples=FEWER)
@given(steps(*STEPPED, *PLANNED), BOOKS)
def test_so_they_do_when_the_clock_is_set(history: list[Step], book: Prices) -> None:
    """By a day and back: no counter falls, and the days that were before are found again."""
    PlanStory(Site(rules_of(book))).tell(history)


@settings(max_examples=12)
@given(steps(*STEPPED, *PLANNED), BOOKS)
def test_so_they_do_in_the_ledger_s_file(history: list[Step], book: Prices) -> None:
    """Each restart goes on from what was written."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = FileLedger(Path(folder) / "ledger.db")
        site = Site(rules_of(book), ledger=ledger)
        PlanStory(site).tell(history)
        site.restart()
        ledger.close()
