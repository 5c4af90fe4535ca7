"""Hours that the fleet's ledger lacks: marked with each commit, until it has them."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.settling import ROUND, START, clock, observed, rules
from tests.places import Where
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.store import Ledger
from unitcost.exporter.settling.batch import Sent
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of

HOUR = hour_of(START)
AN_HOUR = NS_PER_HOUR // ROUND
MARKS = "SELECT hour, host, scope, seq FROM unsent ORDER BY hour"


def started(keeper: Keeper, n: int) -> Settler:
    """An exporter that starts at the end of a round."""
    found = keeper.open(clock(n).wall_ns)
    assert found is not None
    return Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))


def tick(settler: Settler, keeper: Keeper, n: int) -> None:
    """One round, committed."""
    settler.tick(observed(n), (), clock(n))
    assert keeper.commit(settler.books, clock(n).wall_ns)


def test_a_commit_marks_the_hours_that_it_changes(where: Where) -> None:
    """Also where one tick crosses the hour; the number is that of the last commit."""
    keeper = where.keeper()
    settler = started(keeper, 1)
    for n in (1, 2, 3):
        tick(settler, keeper, n)
    assert where.rows(MARKS) == [(HOUR, "host", "host", 3)]
    tick(settler, keeper, AN_HOUR + 1)
    assert where.rows(MARKS) == [(HOUR, "host", "host", 4), (HOUR + 1, "host", "host", 4)]
    keeper.close()


def test_a_mark_goes_with_the_commit_after_the_acknowledgement(where: Where) -> None:
    """Unless the hour has changed since it was read; another host's stay."""
    keeper = where.keeper()
    settler = started(keeper, 1)
    for n in (1, AN_HOUR + 1):
        tick(settler, keeper, n)
    settler.books.pending.sent.append(Sent(HOUR, 1))
    tick(settler, keeper, AN_HOUR + 2)
    assert where.rows(MARKS)[0] == (HOUR, "host", "host", 2)
    where.change("INSERT INTO unsent VALUES (1, 'another', 'host', 1)")
    settler.books.pending.sent += [Sent(HOUR, 2), Sent(HOUR + 1, 2), Sent(1, 9)]
    tick(settler, keeper, AN_HOUR + 3)
    assert where.rows(MARKS) == [(1, "another", "host", 1), (HOUR + 1, "host", "host", 4)]
    keeper.close()


def test_all_hours_of_an_older_ledger_are_to_be_sent(where: Where) -> None:
    """It was written before they were marked."""
    keeper = where.keeper()
    settler = started(keeper, 1)
    for n in (1, 2, AN_HOUR + 1):
        tick(settler, keeper, n)
    keeper.close()
    where.change("DROP TABLE unsent")
    where.change("DELETE FROM meta WHERE name = 'ledger'")
    keeper = where.keeper()
    started(keeper, AN_HOUR + 2)
    assert where.rows(MARKS) == [(HOUR, "host", "host", 3), (HOUR + 1, "host", "host", 3)]
    assert len(where.rows("SELECT value FROM meta WHERE name = 'ledger'")[0][0]) == 32
    keeper.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger's file."""
    return tmp_path / "ledger.db"


def test_a_file_that_is_written_anew_goes_on_as_the_same_ledger(file: Path) -> None:
    """The same name and the next number: the fleet's ledger has most of its rows already."""
    where = Where(file)
    keeper = where.keeper()
    settler = started(keeper, 1)
    for n in (1, 2, 3):
        tick(settler, keeper, n)
    (name,) = where.rows("SELECT value FROM meta WHERE name = 'ledger'")
    file.unlink()
    tick(settler, keeper, 4)
    assert where.rows("SELECT value FROM meta WHERE name = 'ledger'") == [name]
    assert where.rows("SELECT seq FROM state") == [(4,)]
    assert where.rows(MARKS)[-1][3] == 4
    keeper.close()


def test_a_new_file_that_could_not_be_filled_is_filled_by_the_next_commit(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything, not only with what came since."""
    where = Where(file)
    keeper = where.keeper()
    settler = started(keeper, 1)
    for n in (1, 2):
        tick(settler, keeper, n)
    file.unlink()
    broken = replace(settler.books.whole(), state=None)  # type: ignore[arg-type] # not for a table
    with monkeypatch.context() as patched:
        patched.setattr(Books, "whole", lambda _: broken)
        settler.tick(observed(3), (), clock(3))
        assert not keeper.commit(settler.books, clock(3).wall_ns)
    tick(settler, keeper, 4)
    elapsed = "SELECT SUM(elapsed_ns) FROM accrual WHERE resource = 'cpu'"
    assert where.rows(elapsed) == [(3 * ROUND,)]
    keeper.close()


def test_what_was_not_sent_is_kept_longer(where: Where) -> None:
    """But not for ever; and not where nothing is to be sent."""
    keeper = where.keeper()
    settler = started(keeper, 1)
    for n in (1, AN_HOUR + 1, 2 * AN_HOUR + 1):
        tick(settler, keeper, n)
    ledger = Ledger(where.place, "host", "host")
    where.change("DELETE FROM unsent WHERE hour = 490896")  # the first of them
    ledger.purge(HOUR + 2, hold_hours=2)
    hours = "SELECT DISTINCT hour FROM charge ORDER BY hour"
    assert where.rows(hours) == [(HOUR + 1,), (HOUR + 2,)]
    ledger.purge(HOUR + 4, hold_hours=2)
    assert where.rows(hours) == [(HOUR + 2,)]
    ledger.purge(HOUR + 4)
    assert where.rows(hours) == where.rows(MARKS) == []
    ledger.close()
    keeper.close()
