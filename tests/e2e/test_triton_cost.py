"""A real Triton: what a request costs, against the client's own count and a clock.

It counts a request once however many rows it has, and does not count what it refuses.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.reservation import PRICE, RESERVE, known_rate
from tests.e2e.triton import MODEL, Ports, TritonServer, triton, triton_python
from tests.harness import Exporter, Scrape, exporter, wait_for
from unitcost.exporter.ledger.tools import check

PERIOD = 0.5
ROWS = (1, 2, 3, 8)
PICO = Decimal("1e-12")
"""USD; charges are whole numbers of it, so a float's last digit is rounded away."""


def settings_for(ports: Ports) -> dict[str, object]:
    """An exporter that meters one Triton with a reservation."""
    url = f"http://127.0.0.1:{ports.metrics_port}/metrics"
    return {
        "price": PRICE,
        "period": PERIOD,
        "gather_deadline": 0.4,
        "unit_costs": {"window": 3600},
        "workloads": [
            {
                "name": "vision",
                "endpoints": [{"url": url}],
                "reserve": RESERVE,
            }
        ],
    }


def send(server: TritonServer, count: int) -> None:
    """So many good requests, of one to eight rows."""
    assert all(server.post(ROWS[index % len(ROWS)]) == 200 for index in range(count))


def counted(running: Exporter, wanted: Mapping[str, int]) -> Scrape:
    """A scrape after the exporter has seen so many requests of each outcome, and a tick more."""

    def seen() -> bool:
        scrape = running.scrape()
        name = "unitcost_requests_total"
        return all(
            scrape.one(name, model=MODEL, outcome=outcome) == count
            for outcome, count in wanted.items()
        )

    wait_for(seen, f"requests {wanted}")
    return running.wait_tick()


def charged(scrape: Scrape) -> Decimal:
    """All that the workload was charged, busy or idle."""
    return Decimal(scrape.total("unitcost_cost_usd_total", workload="vision")).quantize(PICO)


def attributed(scrape: Scrape, requests: int) -> Decimal:
    """$/request times the client's own count of good requests."""
    cost = scrape.one("unitcost_request_cost_usd", model=MODEL, basis="allocated")
    assert cost is not None
    return (Decimal(cost) * requests).quantize(PICO)


@pytest.mark.real
def test_requests_equal_the_clients_count_and_their_cost_is_what_was_charged(
    tmp_path: Path,
) -> None:
    """$/request x requests = price x share x time; and, to the pico, what was charged meanwhile."""
    triton_python()
    ports = Ports()
    for name in ("exporter", "triton"):
        (tmp_path / name).mkdir()
    with exporter(tmp_path / "exporter", **settings_for(ports)) as running:
        running.wait_tick()
        time.sleep(1.1)  # the kernel tells a process's start to the second
        with triton(tmp_path / "triton", ports) as server:
            counted(running, {"succeeded": 0})
            before = running.wait_tick()
            assert before.each("unitcost_request_cost_usd") == {}
            began = time.monotonic()
            send(server, 30)
            assert [server.post(value=-1.0) for _ in range(3)] == [500] * 3
            assert [server.post(features=5) for _ in range(4)] == [400] * 4
            first = counted(running, {"succeeded": 30, "failed": 3})
            send(server, 20)
            assert server.is_live()
            second = counted(running, {"succeeded": 50, "failed": 3})
            elapsed = Decimal(time.monotonic() - began)
            idle = running.wait_tick(2)
        assert running.stop() == 0
        assert check(running.ledger) == []
    spent = attributed(second, 50) - attributed(first, 30)
    assert spent == charged(second) - charged(first)
    waited = attributed(idle, 50) - attributed(second, 50)
    assert waited == charged(idle) - charged(second)
    assert waited > 0
    assert attributed(second, 50) <= charged(second) - charged(before)
    one_tick = known_rate() * Decimal(PERIOD) / 3600
    assert abs(attributed(second, 50) - known_rate() * elapsed / 3600) <= 2 * one_tick
