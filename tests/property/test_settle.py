"""Settling under random histories: every dollar once, every unit once, whatever happens.

A host lives through ticks of any length, gaps, crashes, suspends, reboots and set clocks, while
servers and jobs come, work, fail and go, prices change and collectors fail. After each tick an
auditor (`tests/audit.py`) checks all that must hold.
"""

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sites import (
    MemoryLedger,
    Site,
    beside,
    elapsed_by_row,
    owned,
    rented,
    rules,
    workload_rule,
)
from tests.story import Step, Story
from tests.worlds import Host
from unitcost.exporter.ledger.store import Ledger
from unitcost.exporter.settling.batch import RECENT_HOURS, Batch, CounterKey
from unitcost.exporter.settling.books import Books, open_books
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.tally import COUNTERS
from unitcost.pricing.price import PriceBook
from unitcost.pricing.sample import NS_PER_SECOND, Quantity
from unitcost.pricing.timeline import hour_of

CONFIGURED = (
    workload_rule("chat-1", cores="3", gibs=10, endpoint=True),
    workload_rule("chat-2", cores="2", gibs=8, endpoint=True),
    workload_rule("job-1", cores="0.5", gibs=1),
)
LENGTHS = st.sampled_from([0.001, 0.25, 5.0, 5.0, 59.9, 900.0, 1803.7])
NUMBERS = st.integers(0, 5)


def steps(*names: str) -> st.SearchStrategy[list[Step]]:
    """Histories of these things; ticks are the most frequent."""
    step = st.tuples(st.sampled_from(["tick", "tick", "work", "work", *names]), NUMBERS, LENGTHS)
    sizes = st.integers(0, 40)
    return sizes.flatmap(lambda size: st.lists(step, min_size=size, max_size=size))


CALM = ("unread", "away", "crash", "stuck", "serve", "kill", "mute", "train", "advance", "epoch")
TROUBLED = (*CALM, "hush", "load", "suspend", "reboot", "price", "late")
STEPPED = (*TROUBLED, "step", "step")


START = Host().clock.wall_ns
SIBLING = tuple(
    (START + 7 * number * NS_PER_SECOND, ("0.5", None, "2", "0.1")[number % 4])
    for number in range(1, 60)
)
"""What the host's sibling costs: known and less, unknown, or as much, every seven seconds."""

BOOKS = st.sampled_from(
    [
        (rented(), False),
        (beside(rented(usd="2"), *SIBLING, usd="0.3"), False),
        (rented(usd="0.0000001"), False),
        (rented(usd=None), False),
        (owned(), True),
        (owned(electricity=None), True),
    ]
)


Prices = tuple[PriceBook, bool]
"""A price book, and whether the host is owned."""


def rules_of(book: Prices) -> Rules:
    """Rules with these prices and with reservations beyond what the host has."""
    return rules(book[0], CONFIGURED, owned=book[1])


@given(steps(*CALM), BOOKS)
def test_every_dollar_and_every_unit_counts_once(history: list[Step], book: Prices) -> None:
    """While the exporter is stopped, killed, or cannot read the host."""
    Story(Site(rules_of(book))).tell(history)


@given(steps(*TROUBLED), BOOKS)
def test_so_they_do_when_the_host_sleeps_reboots_or_changes_its_price(
    history: list[Step], book: Prices
) -> None:
    """Time that nobody can vouch for is left out, and no other."""
    Story(Site(rules_of(book))).tell(history)


@given(steps(*STEPPED), BOOKS)
def test_so_they_do_when_the_clock_is_set(history: list[Step], book: Prices) -> None:
    """By seconds, an hour or a day, forward and back."""
    Story(Site(rules_of(book)), births=False).tell(history)


@pytest.mark.parametrize("then", [[], [("tick", 0, 5.0)], [("stuck", 0, 5.0), ("advance", 1, 5.0)]])
def test_a_host_that_sleeps_after_a_tick_that_could_not_be_committed(then: list[Step]) -> None:
    """Births between that tick and the sleep prove nothing; those after it do."""
    asleep = [("stuck", 0, 5.0), ("train", 1, 0.25), ("advance", 1, 0.25), ("suspend", 0, 5.0)]
    Story(Site(rules_of((rented(), False)))).tell(asleep + then)


def units_by_hour(path: Path) -> dict[CounterKey, int]:
    """What a ledger's rows of all hours sum to, by counter."""
    query = (
        "SELECT workload, model, quantity, label, SUM(micro) FROM unit_count GROUP BY 1, 2, 3, 4"
    )
    with closing(sqlite3.connect(path)) as connection:
        return {
            (COUNTERS[Quantity(quantity)], (workload, model, *([label] if label else []))): micro
            for workload, model, quantity, label, micro in connection.execute(query)
        }


def units_counted(counters: Mapping[CounterKey, int]) -> dict[CounterKey, int]:
    """The counters of units alone."""
    return {key: value for key, value in counters.items() if key[0] in COUNTERS.values()}


class FileLedger(MemoryLedger):
    """The real ledger on a real file, compared with the one in memory at each start."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: Ledger | None = None

    def commit(self, batch: Batch) -> None:
        """Into both."""
        assert self._file is not None
        self._file.commit(batch)
        super().commit(batch)

    def open(self, now_ns: int) -> Books:
        """What the file holds, which is what was committed."""
        self.close()
        self._file = Ledger(self._path, "host-1", "host")
        found = self._file.open(now_ns)
        assert found.state == self.state
        assert found.counters == self.counters
        assert found.workloads == self.workloads
        assert found.runs == self.runs
        hour = hour_of(now_ns)
        since = hour - RECENT_HOURS
        assert found.items == self.items
        assert found.elapsed == {
            key: ns for key, ns in elapsed_by_row(self.posting).items() if key.hour >= since
        }
        assert self._file.residual(0) == 0
        assert units_by_hour(self._path) == units_counted(self.counters)
        return open_books(found, self._file.elapsed, self._file.hour, since, hour)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


@settings(max_examples=12)
@given(steps(*STEPPED), BOOKS)
def test_so_they_do_in_the_ledger_s_file(history: list[Step], book: Prices) -> None:
    """Each restart goes on from what was written."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = FileLedger(Path(folder) / "ledger.db")
        site = Site(rules_of(book), ledger=ledger)
        Story(site, births=False).tell(history)
        site.restart()
        ledger.close()
