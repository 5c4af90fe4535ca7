"""Units in the ledger: by the clock hour in which they were counted, until that is purged."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.crash.settling import ROUND, clock, observed, rules
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.tools import purge
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.timeline import NS_PER_HOUR

HOUR = 3600 * 10**9 // ROUND
SUMS = "SELECT hour, quantity, label, SUM(micro) FROM unit_count GROUP BY 1, 2, 3"


def settle(path: Path, *rounds: int) -> None:
    """Rounds of an exporter that starts anew."""
    keeper = Keeper(path, "host", "host", 400)
    found = keeper.open(clock(rounds[0]).wall_ns)
    assert found is not None
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    for n in rounds:
        settler.tick(observed(n), (), clock(n))
        assert keeper.commit(settler.books, clock(n).wall_ns)
    keeper.close()


def rows(path: Path, query: str = SUMS) -> list[tuple[object, ...]]:
    """What is in the ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_each_hour_has_what_was_counted_in_it(tmp_path: Path) -> None:
    """All hours together are the counters; a tick that ends with an hour is in that hour."""
    path = tmp_path / "ledger.db"
    settle(path, *range(0, 2 * HOUR, HOUR // 6))
    settle(path, *range(2 * HOUR, 3 * HOUR, HOUR // 6))
    hours = [row[0] for row in rows(path, "SELECT DISTINCT hour FROM unit_count ORDER BY hour")]
    first = clock(0).wall_ns // NS_PER_HOUR
    assert hours == [first - 1, first, first + 1, first + 2]
    said = sum(int(str(row[3])) for row in rows(path) if row[1:3] == ("requests", "succeeded"))
    ((counted,),) = rows(path, "SELECT value FROM counter WHERE metric = 'unitcost_requests_total'")
    assert said == counted == 3 * 10**6 * (3 * HOUR - HOUR // 6)


def test_old_hours_are_purged(tmp_path: Path) -> None:
    """With the charges of the same hours."""
    path = tmp_path / "ledger.db"
    settle(path, *range(0, 120, 60))
    assert rows(path)
    purge(path, 1)
    assert rows(path) == []
