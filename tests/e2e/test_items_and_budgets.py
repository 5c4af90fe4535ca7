"""Items and budgets in the real exporter: killed, reloaded, and told by a file."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Exporter, wait_for
from unitcost.exporter import cli
from unitcost.exporter.ledger.tools import booked_items, check
from unitcost.exporter.settling.state import decode
from unitcost.pricing.timeline import NS_PER_HOUR

TOTAL, CORRECTION = "unitcost_item_cost_usd_total", "unitcost_item_cost_correction_usd"
SPENT = "unitcost_budget_spent_usd"


def hours_from_now(hours: int) -> str:
    """An instant as a configuration has it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    """One that books a data set and staff, and has a budget."""
    settings: dict[str, Any] = {
        "price": {"usd_per_hour": "98.32"},
        "period": 0.2,
        "gather_deadline": 0.15,
        "time_scale": 200,
        "unit_costs": {"window": 300},
        "items_file": "items.csv",
        "items": [
            {"id": "data", "item": "data_acquisition", "workload": "tuner", "usd": 18000,
             "at": hours_from_now(-24)},
            {"id": "staff", "item": "personnel", "workload": "tuner", "usd": "7200",
             "start": hours_from_now(-1), "end": hours_from_now(1)},
        ],
        "budgets": [{"name": "host", "usd": 100, "period": "year"}],
    }  # fmt: skip
    running = Exporter(tmp_path, settings)
    try:
        yield running.start()
    finally:
        running.stop(signal.SIGKILL)


def reload(running: Exporter) -> None:
    """Have it read its configuration again."""
    running.write_config()
    assert running.process is not None
    running.process.send_signal(signal.SIGHUP)


def value(running: Exporter, metric: str, **labels: str) -> float | None:
    """What a scrape says now."""
    return running.scrape().one(metric, **labels)


def until(running: Exporter, expected: float, metric: str, **labels: str) -> None:
    """Wait for a value."""

    def there() -> bool:
        return value(running, metric, **labels) == expected

    wait_for(there, f"{metric} {labels} to be {expected}; log: {running.log}")


def check_ledger(running: Exporter) -> None:
    """Of one that is stopped: items add up, and the budget is the sum of what was charged."""
    assert check(running.ledger) == []
    ((document,),) = running.rows("SELECT document FROM state")
    (host,) = decode(document).budgets[:1]
    spent = host.spendings[0]
    first, last = spent.start_ns // NS_PER_HOUR, spent.end_ns // NS_PER_HOUR
    query = f"SELECT SUM(pico) FROM charge WHERE hour >= {first} AND hour < {last}"  # noqa: S608 - numbers
    assert running.rows(query) == [(spent.sum.pico,)]


def test_items_and_budgets_outlive_kills_and_reloads(exporter: Exporter) -> None:
    """Booked once; told by a command and a file; withdrawn without a counter that falls."""
    data = partial(until, exporter, metric=TOTAL, item="data_acquisition")
    data(18000)
    added = ["--id", "extra", "--item", "data_acquisition", "--workload", "tuner"]
    config = str(exporter.folder / "unitcost.yaml")
    at = ["--usd", "17.5", "--at", hours_from_now(-2)]
    assert cli.main(["items", "add", "--config", config, *added, *at]) == 0
    data(18017.5)
    before = exporter.scrape()
    staff = before.one(TOTAL, item="personnel")
    assert staff is not None
    assert staff > 3600
    exporter.stop(signal.SIGKILL)
    check_ledger(exporter)

    exporter.start()
    after = exporter.wait_tick()
    assert after.one(TOTAL, item="data_acquisition") == 18017.5
    assert after.total(TOTAL, item="personnel") > staff
    assert after.total(SPENT, budget="host") > before.total(SPENT, budget="host") > 0
    assert after.one("unitcost_items_file_up") == 1
    assert after.one("unitcost_items_rejected") == 0

    exporter.settings["items"] = exporter.settings["items"][1:]
    exporter.settings["budgets"].append({"name": "late", "usd": 1, "period": "year"})
    reload(exporter)
    until(exporter, -18000, CORRECTION, item="data_acquisition")
    now = exporter.wait_tick()
    assert now.one(TOTAL, item="data_acquisition") == 18017.5
    assert now.one(SPENT, budget="late") == now.one(SPENT, budget="host")
    assert now.one("unitcost_budget_spent_whole", budget="late") == 0  # the year began before
    assert exporter.stop() == 0
    check_ledger(exporter)
    booked = {key.id: each for key, each in booked_items(exporter.ledger).items()}
    assert booked["data"].correction_pico == -18000 * 10**12
    assert booked["extra"].correction_pico == 0
