"""The exporter and its items file: what is read is booked, what is not is told."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Scrape, parse, wait_for
from unitcost.exporter.clock import SystemClock
from unitcost.exporter.config.load import Loaded, loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper

HEADER = "id,item,workload,usd,at\n"
ROWS = (
    "extra,labelling,tuner,17.5,2026-01-01T00:00:00Z\n"
    "data,labelling,tuner,1,2026-01-01T00:00:00Z\n"
    "junk,coffee,tuner,1,2026-01-01T00:00:00Z\n"
)
CONFIG = """
price: {usd_per_hour: 1}
ledger: {path: ledger.db}
time_scale: 1000
period: 0.2
gather_deadline: 0.1
collectors: {openmetrics: {discover: false}}
items: [{id: data, item: labelling, workload: tuner, usd: 100, at: "2026-01-01T00:00:00Z"}]
"""


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str], Loaded]:
    """Reads a configuration that lies in the test's folder."""
    path = tmp_path / "items.csv"
    path.write_text(HEADER + ROWS)
    os.utime(path, (1, 1))
    return lambda text: loads(
        text, source=str(tmp_path / "unitcost.yaml"), folder=tmp_path, environ={}
    )


def tick_until(running: Exporter, condition: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape after a tick of which that is true."""

    def tick() -> Scrape | None:
        running.tick()
        scrape = parse(running.exposition().body.decode())
        return scrape if condition(scrape) else None

    found = wait_for(tick, "the scrape that is wanted")
    assert isinstance(found, Scrape)
    return found


def booked(usd: float) -> Callable[[Scrape], bool]:
    """Whether so much is booked."""
    return lambda scrape: scrape.one("unitcost_item_cost_usd_total", item="labelling") == usd


def test_what_a_file_says_is_booked_beside_the_configuration_s(
    tmp_path: Path, configured: Callable[[str], Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    """What is taken or makes no sense is counted; a file that is away changes nothing."""
    with_file = configured(f"{CONFIG}items_file: items.csv\n")
    keeper = Keeper(tmp_path / "ledger.db", "host", "host", 400)
    running = Exporter(with_file, SystemClock(), keeper)
    try:
        scrape = tick_until(running, booked(117.5))
        assert scrape.one("unitcost_items_rejected") == 2
        assert scrape.one("unitcost_items_file_up") == 1
        running.reload(with_file)
        assert tick_until(running, booked(117.5)).one("unitcost_items_rejected") == 2
        said = [each.message for each in caplog.records if each.levelno == logging.WARNING]
        assert len([each for each in said if each.startswith("items")]) == 2
        (tmp_path / "items.csv").unlink()
        away = tick_until(running, lambda now: now.one("unitcost_items_file_up") == 0)
        assert away.one("unitcost_item_cost_correction_usd", item="labelling") == 0
        running.reload(configured(CONFIG))
        without = tick_until(running, lambda now: now.one("unitcost_items_file_up") is None)
        assert without.one("unitcost_items_rejected") == 0
        assert without.one("unitcost_item_cost_correction_usd", item="labelling") == -17.5
        running.reload(configured(CONFIG.partition("items:")[0]))
        none = tick_until(running, lambda now: now.one("unitcost_items_rejected") is None)
        assert none.one("unitcost_item_cost_usd_total", item="labelling") == 117.5
        assert none.one("unitcost_item_cost_correction_usd", item="labelling") == -117.5
    finally:
        running.close()
