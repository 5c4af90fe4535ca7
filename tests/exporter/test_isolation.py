"""One broken thing breaks one thing: collectors that go wrong cost their own series only."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.exporter.bad_collectors import BAD, NO_CONTEXT, found
from tests.harness import get, parse
from unitcost.exporter.clock import SystemClock
from unitcost.exporter.config.load import loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.serving.web import WebServer


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter with one good collector and five bad ones."""
    loaded = loads(
        f"price: {{usd_per_hour: 10}}\nperiod: 1\ngather_deadline: 0.5\n"
        f"ledger: {{path: {tmp_path}/ledger.db}}"
    )
    loaded = replace(loaded, collectors=found(), collector_options={}, context=NO_CONTEXT)
    keeper = Keeper(tmp_path / "ledger.db", "host", "host", 400)
    exporter = Exporter(loaded, SystemClock(), keeper)
    yield exporter
    exporter.close()


def test_the_good_collector_is_served_and_each_bad_one_says_so(broken: Exporter) -> None:
    """Cost goes on; the bad ones are at 0, each with its own kind of error."""
    for _ in range(3):
        broken.tick()
    scrape = parse(broken.exposition().body.decode())
    assert scrape.one("unitcost_collector_up", collector="host") == 1
    assert scrape.total("unitcost_cost_usd_total") > 0
    assert scrape.one("unitcost_conservation_residual_usd") == 0
    for name in BAD:
        assert scrape.one("unitcost_collector_up", collector=name) == 0, name
    kinds = {
        dict(labels)["collector"]: dict(labels)["kind"]
        for labels in scrape.each("unitcost_collector_errors_total")
    }
    assert kinds == {
        "unimportable": "import",
        "raises": "raised",
        "exits": "raised",
        "hangs": "timeout",
        "junk": "junk",
    }


def test_a_hung_collector_is_not_started_again(broken: Exporter) -> None:
    """One thread hangs, not one for each tick, and only the first tick waits for it."""
    broken.tick()
    before = threading.active_count()
    for _ in range(3):
        broken.tick()
    assert threading.active_count() == before


def test_metrics_are_served_while_a_tick_is_stuck(broken: Exporter) -> None:
    """A scrape reads what the last tick left, whatever the present one is doing."""
    broken.tick()
    server = WebServer("127.0.0.1", 0, broken)
    port = server.start()
    ticking = threading.Thread(target=broken.tick)
    ticking.start()
    try:
        for _ in range(20):
            status, text = get(port)
            assert status == 200
            assert "unitcost_collector_up" in text
        assert get(port, "/-/healthy")[0] == 200
    finally:
        ticking.join()
        server.stop()
