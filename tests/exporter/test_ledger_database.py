"""What is a database's own: its lock, connections that break, a URL that is a secret."""

from pathlib import Path

import pytest

from tests.crash.settling import ROUND, START, clock, observed, rules
from tests.places import Where
from unitcost.exporter.config.load import ConfigError, load
from unitcost.exporter.ledger.engines import Database, LedgerConflict, LedgerError
from unitcost.exporter.ledger.places import database_of, keeper_of
from unitcost.exporter.ledger.tools import backup, check
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher

SECRET = "hunter2"  # noqa: S105 - a test's
ELAPSED = "SELECT SUM(elapsed_ns) FROM accrual WHERE resource = 'cpu'"
CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
pytestmark = pytest.mark.real


def test_a_second_keeper_is_refused_until_the_first_is_gone(database: Database) -> None:
    """By the database's own lock."""
    where = Where(database)
    first, second = where.keeper(), where.keeper()
    assert first.open(START) is not None
    with pytest.raises(LedgerConflict, match="another unitcost uses this ledger"):
        second.open(START)
    first.close()
    assert second.open(START) is not None
    second.close()


def test_connections_that_are_cut_lose_and_double_nothing(database: Database) -> None:
    """Before each commit; what cannot be written now is written with the next one."""
    where = Where(database)
    keeper = where.keeper()
    found = keeper.open(clock(0).wall_ns)
    assert found is not None
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    for n in range(20):
        if n % 3 == 1:
            where.rows(CUT)
        settler.tick(observed(n), (), clock(n))
        keeper.commit(settler.books, clock(n).wall_ns)
    assert keeper.health.writable
    assert keeper.health.residual_pico == 0
    assert where.rows(ELAPSED) == [(19 * ROUND,)]
    assert check(database) == []
    keeper.close()


def test_a_server_that_is_away_is_an_error_of_one_line(database: Database) -> None:
    """Of the ledger's kind, without the password."""
    away = Database(f"postgresql://me:{SECRET}@127.0.0.1:1/db")
    assert SECRET not in repr(away) + str(away)
    (problem,) = check(away)
    assert "\n" not in problem
    assert SECRET not in problem
    assert Where(away).keeper().open(START) is None
    with pytest.raises(LedgerError, match="pg_dump"):
        backup(database, "nowhere")


@pytest.mark.parametrize(
    ("url", "said"),
    [("mysql://a:hunter2@b/c", "expected postgresql://"), ("hunter2", "expected postgresql://")],
)
def test_a_url_that_is_none_is_not_repeated(tmp_path: Path, url: str, said: str) -> None:
    """It may have a password in it."""
    (tmp_path / "url").write_text(url)
    with pytest.raises(LedgerError, match=said) as caught:
        database_of(tmp_path / "url")
    assert SECRET not in str(caught.value)


def test_the_configuration_names_a_file_with_the_url(database: Database, tmp_path: Path) -> None:
    """A path beside it is one too many."""
    (tmp_path / "url").write_text(f"{database.url}\n")
    config = tmp_path / "unitcost.yaml"
    config.write_text("ledger: {database_url_file: url}")
    keeper = keeper_of(load(config).settings)
    assert keeper.open(START) is not None
    keeper.close()
    config.write_text("ledger: {database_url_file: url, path: ledger.db}")
    with pytest.raises(ConfigError, match="a file or in a database, not both"):
        load(config)
    config.write_text("ledger: {database_url_file: missing}")
    with pytest.raises(ConfigError, match=r"database_url_file: .*cannot be read"):
        load(config)
