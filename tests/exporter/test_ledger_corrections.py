"""Corrections in the ledger's file: read back by the hour, checked, awaited while it is away."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.crash.learning import EVERY, LATE, book, clock, observed, rules
from tests.fakes import FakeClock
from tests.places import Places, Where
from unitcost.exporter.config.load import loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.settling.corrections import METRIC
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.charge import Posting
from unitcost.pricing.currency import Rate
from unitcost.pricing.price import PriceBook
from unitcost.pricing.timeline import hour_of

ROUNDS = 3 * LATE
LEARNT = ROUNDS // EVERY - LATE // EVERY
"""How many prices began after the first round."""


def started(keeper: Keeper, n: int) -> Settler:
    """An exporter that starts at the end of a round."""
    found = keeper.open(clock(n).wall_ns)
    assert found is not None
    return Settler(rules(n), found[0], found[1], HostMeter(RuleMatcher()))


def settle(settler: Settler, keeper: Keeper, rounds: range) -> list[bool]:
    """Round after round; which of them could be committed."""
    committed = []
    for n in rounds:
        settler.price(replace(settler.rules, book=book(n)))
        settler.tick(observed(n), (), clock(n))
        committed.append(keeper.commit(settler.books, clock(n).wall_ns))
    return committed


@pytest.fixture(scope="module")
def settled(places: Places) -> Where:
    """A ledger of a few hours whose prices were all learnt late."""
    made = places.new()
    keeper = made.keeper()
    assert all(settle(started(keeper, 0), keeper, range(ROUNDS)))
    assert keeper.health.residual_pico == 0
    keeper.close()
    return made


@pytest.fixture
def ledger(places: Places, settled: Where) -> Where:
    """A copy of it."""
    return places.copy(settled)


def test_check_says_nothing_of_corrections(ledger: Where) -> None:
    """They balance, and with them each hour costs its prices times its time."""
    assert check(ledger.place) == []
    query = "SELECT COUNT(*), SUM(pico) FROM charge WHERE revision > 0"
    ((count, corrected),) = ledger.rows(query)
    query = f"SELECT SUM(value) FROM counter WHERE metric = '{METRIC}'"  # noqa: S608 - ours
    assert ledger.rows(query) == [(corrected,)]
    query = "SELECT COUNT(*) FROM event WHERE kind = 'price_correction'"
    assert ledger.rows(query) == [(LEARNT,)]
    query = "SELECT COUNT(*) FROM charge JOIN price ON price.id = charge.price"
    assert ledger.rows(f"{query} WHERE revision > 0") == [(count,)]
    assert count > 0


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE charge SET pico = pico + 1 WHERE revision = 1", "accrued"),
        ("DELETE FROM charge WHERE revision = 2", "accrued"),
        ("UPDATE accrual SET elapsed_ns = elapsed_ns + 1000000000 WHERE revision = 1", "expected"),
    ],
)
def test_check_finds_what_was_changed_in_them(ledger: Where, tampering: str, said: str) -> None:
    """To a single pico-dollar, or second."""
    ledger.change(tampering)
    problems = check(ledger.place)
    assert problems
    assert all(said in problem for problem in problems)


def test_it_waits_for_a_ledger_that_somebody_holds(
    ledger: Where, caplog: pytest.LogCaptureFixture
) -> None:
    """A backup that locks it: nothing is committed meanwhile, and nothing is missed."""
    keeper = ledger.keeper()
    settler, learns = started(keeper, ROUNDS), ROUNDS // EVERY * EVERY + EVERY
    assert all(settle(settler, keeper, range(ROUNDS, learns)))
    with ledger.held():
        assert settle(settler, keeper, range(learns, learns + 2)) == [False, False]
        assert "ledger: cannot be read" in caplog.text
    assert settle(settler, keeper, range(learns + 2, learns + 3)) == [True]
    assert not settler.corrections.due
    keeper.close()
    assert check(ledger.place) == []


def test_an_hour_is_read_back_as_it_was_written(ledger: Where) -> None:
    """All revisions; of another host's rows in the same ledger none."""
    hour = hour_of(clock(LATE).wall_ns)
    keeper = ledger.keeper()
    rows = started(keeper, ROUNDS).books.rows_of(hour)
    assert rows is not None
    assert max(key.revision for key in rows.charges) > 0
    keeper.close()
    other = ledger.keeper(host="another")
    books = started(other, ROUNDS).books
    assert books.rows_of(hour) == Posting()
    other.close()
    assert books.rows_of(hour) is None  # it is closed


def in_euros(n: int) -> PriceBook:
    """As `book`, converted."""
    rate = Rate("EUR", Decimal(1), Decimal("1.1"), date(2026, 1, 1), 1, "test")
    known = book(n)
    return replace(known, prices=tuple(replace(each, rate=rate) for each in known.prices))


def test_what_is_taken_back_was_billed_in_the_currency_it_was_billed_in(tmp_path: Path) -> None:
    """Whatever the currency of the price that is right."""
    path = tmp_path / "ledger.db"
    keeper = Keeper(path, "host", "host", 400)
    settler = started(keeper, 0)
    for n in range(ROUNDS):
        settler.price(replace(settler.rules, book=(book if n % 14 < 7 else in_euros)(n)))
        settler.tick(observed(n), (), clock(n))
        assert keeper.commit(settler.books, clock(n).wall_ns)
    keeper.close()
    assert check(path) == []
    with closing(sqlite3.connect(path)) as connection:
        query = """SELECT price, COUNT(DISTINCT charge.currency), MAX(revision),
            MIN(charge.currency = price.currency), COUNT(DISTINCT charge.rate)
            FROM charge JOIN price ON price.id = charge.price GROUP BY price"""
        found = connection.execute(query).fetchall()
    assert all(row[1:2] + row[3:] == (1, 1, 1) for row in found)
    assert any(row[2] for row in found)


OWNED = """
timezone: UTC
price:
  owned:
    purchase_usd: 8760
    life_years: 1
    in_service: 2025-12-01T00:00:00Z
    electricity: {usd_per_kwh: 0.1, watts: 1000}
    overhead_usd_per_hour: 0.5
"""
LONGER = f"{OWNED}    changes: [{{at: 2026-01-01T01:00:00Z, life_years: 5}}]\n"


def test_a_later_estimate_of_owned_hardware_that_was_written_down_late(tmp_path: Path) -> None:
    """Amortisation is corrected from its instant on, and nothing else."""
    time, path = FakeClock(), tmp_path / "ledger.db"
    exporter = Exporter(loads(OWNED), time, Keeper(path, "h", "host", 400))
    try:
        for _ in range(13):
            exporter.tick()
            time.advance(600.0)
        exporter.reload(loads(LONGER))
        exporter.tick()
    finally:
        exporter.close()
    assert check(path) == []
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT component, hour, SUM(pico), MAX(revision) FROM accrual GROUP BY 1, 2"
        found = {(c, h): (pico, revision) for c, h, pico, revision in connection.execute(query)}
    first = min(hour for _, hour in found)
    assert found["amortisation", first] == (10**12, 0)
    pico, revision = found["amortisation", first + 1]
    # What is left after 31 days and an hour, over five years; rates are whole pico-dollars.
    assert abs(pico - Decimal(8760 - 31 * 24 - 1) / (5 * 8760) * 10**12) <= 1
    assert revision == 1
    assert {row[1] for (name, _), row in found.items() if name != "amortisation"} == {0}
