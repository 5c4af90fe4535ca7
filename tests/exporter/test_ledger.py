"""The ledger's file: versions, retention, a second writer, and the tools for operators."""

from pathlib import Path

import pytest

from tests.crash.settling import ROUND, START, clock, observed, rules
from tests.places import Places, Where
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.schema import SCHEMA_VERSION
from unitcost.exporter.ledger.store import LedgerConflict
from unitcost.exporter.ledger.tools import backup, check, purge
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.timeline import hour_of

ROUNDS = 3 * 3600 * 10**9 // ROUND // 60
"""Three hours of fake time, in steps of sixty rounds."""


def _settle(keeper: Keeper, rounds: range) -> Settler:
    found = keeper.open(clock(rounds.start).wall_ns)
    assert found is not None
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    for n in rounds:
        settler.tick(observed(n), (), clock(n))
        assert keeper.commit(settler.books, clock(n).wall_ns)
    return settler


@pytest.fixture(scope="module")
def settled(places: Places) -> Where:
    """A ledger of three hours."""
    made = places.new()
    keeper = made.keeper()
    _settle(keeper, range(0, 60 * ROUNDS, 60))
    keeper.close()
    return made


@pytest.fixture
def ledger(places: Places, settled: Where) -> Where:
    """A copy of it."""
    return places.copy(settled)


def test_check_says_nothing_of_a_good_ledger(ledger: Where) -> None:
    """Hours, resources, components and prices all balance."""
    assert check(ledger.place) == []


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE charge SET pico = pico + 1 WHERE workload = 'chat'", "accrued"),
        ("DELETE FROM charge WHERE workload = '__unallocated__'", "accrued"),
        ("UPDATE charge SET quantity = quantity + 1", "accrued"),
        ("UPDATE accrual SET elapsed_ns = elapsed_ns + 1000000000", "expected"),
        ("UPDATE price SET pico_per_unit = pico_per_unit + 1", "expected"),
        ("UPDATE item_charge SET pico = pico + 1 WHERE id = 'staff'", "item staff"),
        ("UPDATE item_charge SET units = units + 1 WHERE id = 'licence'", "item licence"),
        ("UPDATE item SET due_pico = '1' WHERE id = 'data'", "item data"),
        ("DELETE FROM item WHERE id = 'data'", "item data"),
    ],
)
def test_check_finds_a_single_pico_dollar(ledger: Where, tampering: str, said: str) -> None:
    """Whatever is changed by hand shows."""
    ledger.change(tampering)
    problems = check(ledger.place)
    assert problems
    assert all(said in problem for problem in problems)


def test_check_names_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    """One line, no traceback."""
    path = tmp_path / "junk.db"
    path.write_bytes(b"junk" * 1000)
    (problem,) = check(path)
    assert "not a database" in problem


def test_backup_copies_a_ledger_that_is_in_use(tmp_path: Path) -> None:
    """Whole, and never over a file that is there."""
    path, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    keeper = Keeper(path, "host", "host", 400)
    _settle(keeper, range(0, 600, 60))
    backup(path, copy)
    assert check(copy) == []
    with pytest.raises(FileExistsError):
        backup(path, copy)
    keeper.close()


def test_purge_takes_old_hours_and_leaves_the_totals(ledger: Where) -> None:
    """The fake hours are long ago by now; counters stay as they were."""
    counters = sorted(ledger.rows("SELECT * FROM counter"))
    assert purge(ledger.place, 1) > 0
    assert ledger.rows("SELECT COUNT(*) FROM charge") == [(0,)]
    assert ledger.rows("SELECT COUNT(*) FROM accrual") == [(0,)]
    assert sorted(ledger.rows("SELECT * FROM counter")) == counters


def test_purge_brings_forward_what_was_booked_of_items(ledger: Where) -> None:
    """Their hours go, their sums stay; twice is as once."""
    query = "SELECT id, revision, SUM(usd), SUM(pico), SUM(units) FROM item_charge GROUP BY 1, 2"
    before = sorted(ledger.rows(query))
    assert len(ledger.rows("SELECT DISTINCT hour FROM item_charge")) > 1
    for _ in range(2):
        purge(ledger.place, 1)
        assert sorted(ledger.rows(query)) == before
        assert ledger.rows("SELECT DISTINCT hour FROM item_charge") == [(0,)]
        assert check(ledger.place) == []


def test_a_ledger_from_before_there_were_items_is_whole(ledger: Where) -> None:
    """It has no tables of them."""
    ledger.change("DROP TABLE item")
    ledger.change("DROP TABLE item_charge")
    assert check(ledger.place) == []


def test_retention_is_kept_while_running(where: Where) -> None:
    """Hours older than the days to keep go, the open ones stay."""
    keeper = where.keeper(retention_days=0, care_seconds=3600)
    settler = _settle(keeper, range(0, 60 * ROUNDS, 60))
    hours = {row[0] for row in where.rows("SELECT hour FROM charge")}
    assert hours == {hour_of(clock(60 * ROUNDS - 60).wall_ns)}
    assert settler.state.position is not None
    keeper.close()


def test_a_ledger_of_a_newer_version_is_left_alone(ledger: Where) -> None:
    """Refused with both versions named, not migrated backwards."""
    ledger.change("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    keeper = ledger.keeper()
    with pytest.raises(LedgerConflict, match=f"schema 99, we know {SCHEMA_VERSION}"):
        keeper.open(START)
    keeper.close()


def test_a_batch_is_refused_where_somebody_else_has_written(ledger: Where) -> None:
    """The sequence does not fit: nothing is added, and it is no ordinary write error."""
    keeper = ledger.keeper()
    first = 60 * ROUNDS
    settler = _settle(keeper, range(first, first + 60, 60))
    ledger.change("UPDATE state SET seq = seq + 1")
    before = ledger.rows("SELECT SUM(pico) FROM charge")
    settler.tick(observed(first + 60), (), clock(first + 60))
    with pytest.raises(LedgerConflict, match="another process"):
        keeper.commit(settler.books, clock(first + 60).wall_ns)
    assert ledger.rows("SELECT SUM(pico) FROM charge") == before
    keeper.close()
