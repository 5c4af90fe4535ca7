"""What a ledger remembers of prices, read while it is in use and when it is not."""

import os
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.crash.settling import START, clock, observed, rules
from tests.exporter.prices.test_exchange import FRIDAY
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.prices.remembered import remembered
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote

QUOTE = Quote(PriceKey("acme", "here", "big", PriceModel.SPOT), Decimal("1.5"), "acme's list")


@pytest.fixture
def ledger(tmp_path: Path) -> tuple[Path, Keeper]:
    """A ledger that is in use, with a price and a rate."""
    path = tmp_path / "ledger.db"
    keeper = Keeper(path, "host", "host", 400)
    found = keeper.open(START)
    assert found is not None
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    settler.quotes, settler.rates = (QUOTE,), (FRIDAY,)
    settler.tick(observed(0), (), clock(0))
    assert keeper.commit(settler.books, START)
    return path, keeper


def test_it_is_read_in_use_and_at_rest_and_left_as_it_was(ledger: tuple[Path, Keeper]) -> None:
    """No file is made beside it that its owner could not open."""
    path, keeper = ledger
    in_use = sorted(os.listdir(path.parent))
    assert "ledger.db-wal" in in_use
    found = remembered(path)
    assert (found.quotes, found.rates, found.problem) == ((QUOTE,), (FRIDAY,), "")
    assert sorted(os.listdir(path.parent)) == in_use
    keeper.close()
    before = path.read_bytes()
    assert remembered(path) == found
    assert sorted(os.listdir(path.parent)) == ["ledger.db", "ledger.db.lock"]
    assert path.read_bytes() == before


def test_a_ledger_that_is_written_does_not_wait_for_us(ledger: tuple[Path, Keeper]) -> None:
    """Nor we for it."""
    path, keeper = ledger
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE state SET seq = seq + 1")
        assert remembered(path).quotes == (QUOTE,)
        writer.execute("ROLLBACK")
    keeper.close()


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    """None, junk, an empty file, one without a state, one whose state is of nobody knows what."""
    assert "there is no ledger at" in remembered(tmp_path / "none.db").problem
    assert "there is no ledger at" in remembered(tmp_path).problem
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"junk" * 1000)
    assert "cannot be read: file is not a database" in remembered(junk).problem
    for name, document in (("odd", '{"quotes": 3}'), ("odder", "{"), ("none", None)):
        path = tmp_path / f"{name}.db"
        with closing(sqlite3.connect(path)) as made, made:
            made.execute("CREATE TABLE state (id, document)")
            if document is not None:
                made.execute("INSERT INTO state VALUES (1, ?)", (document,))
        problem = remembered(path).problem
        assert (problem == "") == (document is None)
    (tmp_path / "empty.db").touch()
    assert "no such table: state" in remembered(tmp_path / "empty.db").problem
