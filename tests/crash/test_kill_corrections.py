"""kill -9 around corrections: nothing is corrected twice, nothing is left at a wrong price."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import learning
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.settling.state import State, decode
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.resource import DEFAULT_SPLIT, Resource
from unitcost.pricing.timeline import Period, cut, hour_of

LONG = os.environ.get("UNITCOST_LONG") == "1"
SCRIPT = Path(learning.__file__)
RESOURCES = (Resource("cpu", 4 * 10**6), Resource("memory", 8 * 10**6))
COUNTERS = "SELECT metric, labels, value FROM counter WHERE metric LIKE '%_total'"
STANDING = """
SELECT hour, accrual.resource, price.pico_per_unit, SUM(elapsed_ns)
FROM accrual JOIN price ON price.id = accrual.price GROUP BY 1, 2, 3 HAVING SUM(elapsed_ns) != 0
"""


def _settle_until_killed(ledger: Path, first: int, seconds: float) -> None:
    command = [sys.executable, "-I", str(SCRIPT), str(ledger), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)


def _state(ledger: Path) -> State:
    with sqlite3.connect(ledger) as connection:
        return decode(connection.execute("SELECT document FROM state").fetchone()[0])


def _expected(rounds: int) -> Iterator[tuple[tuple[int, str, int | None], int]]:
    """Each stretch of time at the price that is known of it by the end of a round."""
    book = learning.book(rounds)
    whole = Period(learning.START, learning.START + rounds * learning.ROUND)
    for part in cut(whole, book.changes(whole)):
        for resource, price in unit_prices(book, RESOURCES, DEFAULT_SPLIT, part.start_ns):
            place = (hour_of(part.start_ns), resource.id, price.pico_per_unit)
            yield place, part.duration_ns


@pytest.mark.crash
def test_killed_while_it_corrects_every_second_stands_at_its_price_once(tmp_path: Path) -> None:
    """8 kills at random points (300 by flag); after each all prices of the past are right."""
    ledger = tmp_path / "ledger.db"
    chance = random.Random(55)
    first, before = 0, dict[tuple[str, str], int]()
    for _ in range(300 if LONG else 8):
        _settle_until_killed(ledger, first, chance.uniform(0, 0.08))
        assert check(ledger) == []
        state = _state(ledger)
        assert state.position is not None
        rounds = (state.position.at_ns - learning.START) // learning.ROUND
        expected: dict[tuple[int, str, int | None], int] = {}
        for place, ns in _expected(rounds):
            expected[place] = expected.get(place, 0) + ns
        with sqlite3.connect(ledger) as connection:
            found = {(h, r, p): ns for h, r, p, ns in connection.execute(STANDING)}
            counters = {(m, own): value for m, own, value in connection.execute(COUNTERS)}
        assert found == expected
        assert all(counters[name] >= value for name, value in before.items())
        first, before = rounds + chance.randrange(1, 30), counters
    with sqlite3.connect(ledger) as connection:
        assert connection.execute("SELECT MAX(revision) FROM charge").fetchone()[0] > 1
