"""A real MLServer: what a request costs, against the client's own count and a clock."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.mlserver import MODEL, Ports, mlserver, mlserver_program
from tests.e2e.reservation import PRICE, RESERVE, known_rate
from tests.harness import exporter, wait_for
from unitcost.exporter.ledger.tools import check

PERIOD = 0.5


@pytest.mark.real
def test_requests_equal_the_clients_count_and_dollars_equal_price_times_time(
    tmp_path: Path,
) -> None:
    """$/request x the client's count = price x the reservation's share x measured time."""
    mlserver_program()
    ports = Ports()
    settings = {
        "price": PRICE,
        "period": PERIOD,
        "gather_deadline": 0.4,
        "unit_costs": {"window": 3600},
        "workloads": [
            {
                "name": "iris",
                "endpoints": [{"url": f"http://127.0.0.1:{ports.metrics_port}/metrics"}],
                "reserve": RESERVE,
            }
        ],
    }
    (tmp_path / "exporter").mkdir()
    with exporter(tmp_path / "exporter", **settings) as running:
        running.wait_tick()
        time.sleep(1.1)  # the kernel tells a process's start to the second
        (tmp_path / "mlserver").mkdir()
        with mlserver(tmp_path / "mlserver", ports) as server:
            running.wait_tick(3)
            assert running.scrape().each("unitcost_request_cost_usd") == {}
            began = time.monotonic()
            good = server.infer(30)
            bad = sum(status >= 400 for status in server.post(3, features=1))
            assert (good, bad) == (30, 3)

            def counted() -> bool:
                scrape = running.scrape()
                return scrape.total("unitcost_requests_total", workload="iris") == good + bad

            wait_for(counted, "all requests to be counted")
            scrape = running.wait_tick()
            elapsed = Decimal(time.monotonic() - began)
        name = "unitcost_requests_total"
        assert scrape.one(name, model=MODEL, outcome="succeeded") == good
        assert scrape.one(name, model=MODEL, outcome="failed") == bad
        cost = scrape.one("unitcost_request_cost_usd", model=MODEL, basis="allocated")
        assert cost is not None
        expected = known_rate() * elapsed / 3600
        one_tick = known_rate() * Decimal(PERIOD) / 3600
        assert abs(Decimal(cost) * good - expected) <= 2 * one_tick
        assert running.stop() == 0
        assert check(running.ledger) == []
