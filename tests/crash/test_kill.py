"""kill -9 at random points: nothing charged is lost, nothing is charged twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crash import settling
from tests.harness import Exporter
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.settling.state import decode
from unitcost.pricing.timeline import NS_PER_HOUR

LONG = os.environ.get("UNITCOST_LONG") == "1"
SCRIPT = Path(settling.__file__)


def _settle_until_killed(ledger: Path, first: int, seconds: float, *more: str) -> int:
    """The last round that was acknowledged as committed before the kill."""
    command = [sys.executable, "-I", str(SCRIPT), str(ledger), str(first), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        last = int(child.stdout.readline() or -1)
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        for line in child.stdout:
            if line.endswith("\n"):
                last = int(line)
    return last


def _totals(ledger: Path) -> tuple[int, dict[str, int], dict[str, int]]:
    """Rounds accounted for, elapsed nanoseconds by resource, and counters by metric."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("BEGIN")  # all of it as it was at one instant
        (document,) = connection.execute("SELECT document FROM state").fetchone()
        elapsed = dict(
            connection.execute("SELECT resource, SUM(elapsed_ns) FROM accrual GROUP BY resource")
        )
        counters = dict(
            connection.execute("SELECT metric, SUM(value) FROM counter GROUP BY metric")
        )
        charged = connection.execute("SELECT SUM(pico) FROM charge").fetchone()[0]
        position = decode(document).position
    assert position is not None
    counters["charged"] = charged
    return (position.at_ns - settling.START) // settling.ROUND, elapsed, counters


def _check_plans(ledger: Path) -> None:
    """Items are booked as far as they are due; a day's budget is spent by what was charged."""
    with sqlite3.connect(ledger) as connection:
        connection.execute("BEGIN")  # all of it as it was at one instant
        booked = dict(connection.execute("SELECT id, booked_pico FROM item"))
        (document,) = connection.execute("SELECT document FROM state").fetchone()
        state = decode(document)
        (daily,) = state.budgets
        spent = daily.spendings[0]
        hours = (spent.start_ns // NS_PER_HOUR, spent.end_ns // NS_PER_HOUR)
        query = "SELECT SUM(pico) FROM charge WHERE hour >= ? AND hour < ?"
        (charged,) = connection.execute(query, hours).fetchone()
    assert state.position is not None
    now = state.position.at_ns
    units = (now - settling.START) // settling.ROUND * settling.REQUESTS * 10**6
    assert booked == {item.key.id: str(item.due_pico(now, units)) for item in settling.ITEMS}
    assert spent.start_ns <= now < spent.end_ns
    assert spent.whole
    assert spent.sum.pico == (charged or 0)


@pytest.mark.crash
def test_killing_the_settling_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """50 kills at random points (1,000 by flag); after each, every total is exact."""
    ledger = tmp_path / "ledger.db"
    chance = random.Random(9841)
    first = 0
    for _ in range(1000 if LONG else 50):
        acknowledged = _settle_until_killed(ledger, first, chance.uniform(0, 0.08))
        rounds, elapsed, counters = _totals(ledger)
        assert rounds >= acknowledged, "an acknowledged commit is gone"
        assert check(ledger) == []
        assert elapsed == {"cpu": rounds * settling.ROUND, "memory": rounds * settling.ROUND}
        assert counters["unitcost_requests_total"] == rounds * settling.REQUESTS * 10**6
        assert counters["unitcost_cost_usd_total"] == counters["charged"]
        assert counters["unitcost_resource_cost_usd_total"] == counters["charged"]
        _check_plans(ledger)
        first = rounds + chance.randrange(1, 30)


@pytest.mark.crash
def test_killing_the_process_loses_and_doubles_no_joule(tmp_path: Path) -> None:
    """10 kills (100 by flag): energy, slabs and windows are where they would be without any."""
    ledger = tmp_path / "ledger.db"
    chance = random.Random(9841)
    first = 0
    for _ in range(100 if LONG else 10):
        _settle_until_killed(ledger, first, chance.uniform(0, 0.08), "owned")
        rounds, _, counters = _totals(ledger)
        assert check(ledger) == []
        assert counters["unitcost_energy_joules_total"] == rounds * 5 * settling.WATTS * 10**6
        assert counters["unitcost_cost_usd_total"] == counters["charged"]
        assert _electricity(ledger) == _by_hand(rounds)
        first = rounds + chance.randrange(1, 30)
    assert len(_by_hand(first)) == 6


def _electricity(ledger: Path) -> dict[tuple[str, int], int]:
    """Microjoules by how they were found and what they cost."""
    query = """SELECT rule, pico_per_unit, SUM(elapsed_ns) FROM accrual JOIN price ON id = price
    WHERE unit = 'kwh' GROUP BY rule, pico_per_unit"""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute(query).fetchall()
    return {(rule, pico): micro for rule, pico, micro in rows}


def _by_hand(rounds: int) -> dict[tuple[str, int], int]:
    """From midnight on: the first slab, from 00:03 the cheap minute, then what is left of it."""
    found: dict[tuple[str, int], int] = {}
    # 0.02 kWh at the meter are 57,600 J at the server, of 240 W: 240 s.
    for cents, start, end in ((20, 0, 180), (10, 180, 240), (30, 240, 10**9)):
        seconds = max(0, min(rounds * 5, end) - start)
        if seconds:
            price = cents * 10**10 * 5 // 4
            found["measured", price] = seconds * settling.WATTS * 10**6
            found["stated_draw", price] = seconds * 40 * 10**6
    return found


@pytest.mark.crash
def test_killing_the_whole_exporter_keeps_its_counters_and_its_sums(tmp_path: Path) -> None:
    """10 kills of a running exporter (1,000 by flag): totals never fall, and all sums are exact."""
    chance = random.Random(2026)
    running = Exporter(
        tmp_path,
        {"price": {"usd_per_hour": "98.32"}, "period": 0.2, "gather_deadline": 0.15},
    )
    before = 0.0
    try:
        for _ in range(1000 if LONG else 10):
            running.start()
            scrape = running.wait_tick()
            now = scrape.total("unitcost_cost_usd_total")
            assert now >= before
            assert scrape.one("unitcost_conservation_residual_usd") == 0
            time.sleep(chance.uniform(0, 0.5))
            before = running.scrape().total("unitcost_cost_usd_total")
            running.stop(signal.SIGKILL)
            assert check(running.ledger) == []
    finally:
        running.stop(signal.SIGKILL)
    ((charged,),) = running.rows("SELECT SUM(pico) FROM charge")
    assert charged >= round(before * 1e12)
