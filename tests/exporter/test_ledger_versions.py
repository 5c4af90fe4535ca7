"""A ledger of an older version: brought up to date at a start, whole or not at all."""

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.crash.settling import ROUND, clock, observed, rules
from unitcost.exporter.ledger import store
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.migrations import MIGRATIONS, NoWay, migrate
from unitcost.exporter.ledger.schema import SCHEMA_VERSION
from unitcost.exporter.ledger.store import LedgerConflict
from unitcost.exporter.ledger.tools import backup, check, purge
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher

LEDGERS = Path(__file__).parents[1] / "ledgers"
"""For each older version a ledger that it wrote: rounds 0 to 3 of `tests/crash/settling.py`."""
OLDER = range(1, SCHEMA_VERSION)
ROUNDS = 4


@pytest.fixture(params=OLDER)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger of an older version."""
    return write(tmp_path, request.param)


def write(folder: Path, version: int) -> Path:
    """The ledger of a version, as SQLite keeps it."""
    path = folder / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((LEDGERS / f"version-{version}.sql").read_text())
    return path


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What is in a ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def version_of(path: Path) -> str:
    """As the file says."""
    return str(rows(path, "SELECT value FROM meta WHERE name = 'schema_version'")[0][0])


def content(path: Path) -> dict[str, Any]:
    """Every row of every table, by table and column, but for the version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]  # noqa: S608
            for name in names
            if name != "meta" and not name.startswith("sqlite_")
        }


def shape(path: Path) -> dict[str, str]:
    """How each table is made, without the spaces."""
    found = rows(path, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {str(name): re.sub(r'[\s"]+', " ", str(sql)).strip() for name, sql in found}


def settle(path: Path, first: int, last: int) -> None:
    """Go on where the ledger stands."""
    keeper = Keeper(path, "host", "host", 400)
    found = keeper.open(clock(first).wall_ns)
    assert found is not None
    its_rules = replace(rules(), planning=Planning())  # older versions knew no items
    settler = Settler(its_rules, found[0], found[1], HostMeter(RuleMatcher()))
    for n in range(first, last):
        settler.tick(observed(n), (), clock(n))
        assert keeper.commit(settler.books, clock(n).wall_ns)
    keeper.close()


NEWER = {"unitcost_workload_starts_total"}
"""Counters that came without a new version of the tables."""


def test_each_version_has_a_step_to_the_next_and_a_ledger_to_try_it_on() -> None:
    """None is left out."""
    assert list(MIGRATIONS) == list(OLDER)
    assert {path.name for path in LEDGERS.iterdir()} == {f"version-{n}.sql" for n in OLDER}


def test_a_ledger_that_was_brought_up_to_date_is_as_one_made_today(
    old: Path, tmp_path: Path
) -> None:
    """The same tables with the same columns, and every figure as it was."""
    new = tmp_path / "new.db"
    settle(new, 0, ROUNDS)
    before = content(old)
    keeper = Keeper(old, "host", "host", 400)
    assert keeper.open(clock(ROUNDS).wall_ns) is not None
    keeper.close()
    assert version_of(old) == version_of(new) == str(SCHEMA_VERSION)
    after, fresh = content(old), content(new)
    # Counters that are newer than the old version begin with the next tick.
    fresh["counter"] = [row for row in fresh["counter"] if row["metric"] not in NEWER]
    unchanged = ("accrual", "charge", "counter", "epoch_mark", "event", "run", "workload")
    for table in unchanged:
        assert after[table] == before[table] == fresh[table], table
    assert after["price"] == fresh["price"]
    assert {name: shape(old).get(name) for name in shape(new)} == shape(new)
    assert check(old) == []


def test_it_goes_on_in_the_rows_that_the_old_version_began(old: Path, tmp_path: Path) -> None:
    """Prices keep their ids, so no hour is rounded twice: the end is as if nothing had changed."""
    new = tmp_path / "new.db"
    settle(new, 0, ROUNDS)
    settle(new, ROUNDS, 40)
    settle(old, ROUNDS, 40)
    there, here = content(old), content(new)
    # Since when charged time is known, so that a price learnt late can be charged, may differ.
    del there["state"], here["state"]
    # Units by hour are new: what an older version counted, it has in the totals alone.
    del there["unit_count"], here["unit_count"]
    # And with them the hours to be sent: of the hour before, the older version had only units.
    del there["unsent"], here["unsent"]
    assert there == here
    elapsed = {row[0] for row in rows(old, "SELECT elapsed_ns FROM accrual")}
    assert elapsed == {39 * ROUND}
    assert check(old) == []


def test_the_tools_take_an_old_ledger_as_it_is(old: Path, tmp_path: Path) -> None:
    """They are used before an upgrade as well: they check, copy and purge, and change no table."""
    before = shape(old)
    assert check(old) == []
    copy = tmp_path / "copy.db"
    backup(old, copy)
    assert shape(copy) == before
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE accrual SET elapsed_ns = elapsed_ns + 1000000000")
    assert all("expected" in problem for problem in check(old))
    assert purge(copy, 1) == 7
    assert shape(old) == shape(copy) == before


def test_check_says_that_a_ledger_is_newer(old: Path) -> None:
    """What its tables mean is not for us to say."""
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE meta SET value = '99'")
    (problem,) = check(old)
    assert "newer version (schema 99" in problem


@pytest.mark.parametrize(("version", "said"), [("0", "a version we do not know"), ("-1", "")])
def test_versions_that_never_were_are_refused(old: Path, version: str, said: str) -> None:
    """Left as they are; what is no number at all is a damaged file."""
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE meta SET value = ?", (version,))
    keeper = Keeper(old, "host", "host", 400)
    if said:
        with pytest.raises(LedgerConflict, match=said):
            keeper.open(clock(ROUNDS).wall_ns)
        assert version_of(old) == version
    else:
        assert keeper.open(clock(ROUNDS).wall_ns) is not None
        assert keeper.health.files_set_aside == 1
    keeper.close()


def test_all_steps_are_there_before_the_first_is_taken() -> None:
    """A gap in the middle changes nothing."""
    taken: list[Connection] = []
    step: Callable[[Connection], None] = taken.append
    with pytest.raises(NoWay):
        migrate(None, 1, 4, {1: step, 3: step})  # type: ignore[arg-type]
    assert taken == []


def test_a_step_that_fails_leaves_the_old_ledger(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps before it are undone, too; the next start tries again."""
    before, shaped, version = content(old), shape(old), version_of(old)

    def full(connection: Connection, version: int) -> None:
        migrate(connection, version)
        connection.exec_driver_sql("SELECT no_such_function()")

    monkeypatch.setattr(store, "migrate", full)
    keeper = Keeper(old, "host", "host", 400)
    assert keeper.open(clock(ROUNDS).wall_ns) is None
    assert (content(old), shape(old), version_of(old)) == (before, shaped, version)
    monkeypatch.undo()
    assert keeper.open(clock(ROUNDS).wall_ns) is not None
    keeper.close()
    assert version_of(old) == str(SCHEMA_VERSION)


KILLED = """
import os, signal, sys
from pathlib import Path
from unitcost.exporter.ledger import store
from unitcost.exporter.ledger.migrations import migrate

def and_die(connection, version):
    migrate(connection, version)
    os.kill(os.getpid(), signal.SIGKILL)

store.migrate = and_die
store.Ledger(Path(sys.argv[1]), "host", "host").open(0)
"""


@pytest.mark.crash
def test_a_kill_in_the_middle_leaves_the_old_ledger(old: Path) -> None:
    """Nothing of it is to be seen afterwards, and the next start does it all."""
    before, shaped = content(old), shape(old)
    command = [sys.executable, "-I", "-c", KILLED, str(old)]
    killed = subprocess.run(command, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (content(old), shape(old)) == (before, shaped)
    settle(old, ROUNDS, ROUNDS + 2)
    assert version_of(old) == str(SCHEMA_VERSION)
    assert check(old) == []
