"""A real model server, a client that counts, and the real exporter between them.

The server's share is known beforehand: it uses less than it reserves, so it holds exactly its
reservation, and what that costs an hour follows from the price and the split alone.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.reservation import PRICE, RESERVE, USD_PER_HOUR, known_rate
from tests.harness import Exporter, exporter, free_port, wait_for
from unitcost.exporter.demo.config import SERVER_TABLE
from unitcost.exporter.ledger.tools import check

PERIOD = 0.5


@dataclass(slots=True)
class Client:
    """Sends requests and keeps its own count of what came back."""

    port: int
    answered: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: list[float] = field(default_factory=list)

    def ask(self, prompt: str, max_tokens: int = 8) -> None:
        """One request, answered or refused."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps({"prompt": prompt, "max_tokens": max_tokens})
        headers = {"Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request("POST", "/v1/completions", body, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        if answer.status != 200:
            self.refused += 1
            return
        self.answered += 1
        self.prompt_tokens += said["usage"]["prompt_tokens"]
        self.completion_tokens += said["usage"]["completion_tokens"]


@contextlib.contextmanager
def demo_server(port: int) -> Iterator[Client]:
    """The demo's model server, ready."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-Im", "unitcost.exporter.demo.server", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as child:
        try:
            wait_for(lambda: _healthy(port), "the model server")
            yield Client(port)
        finally:
            child.kill()


def _healthy(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    return False


def settings_for(port: int) -> dict[str, object]:
    """An exporter that meters one server with a reservation."""
    return {
        "price": PRICE,
        "period": PERIOD,
        "gather_deadline": 0.4,
        "unit_costs": {"window": 3600},
        "servers": {"demo": SERVER_TABLE},
        "workloads": [
            {
                "name": "chat",
                "endpoints": [{"url": f"http://127.0.0.1:{port}/metrics", "server": "demo"}],
                "reserve": RESERVE,
            }
        ],
    }


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Exporter, Client]]:
    """The exporter first, then the server: everything it does is inside metered time."""
    port = free_port()
    with exporter(tmp_path, **settings_for(port)) as running:
        running.wait_tick()
        time.sleep(1.1)  # the kernel tells a process's start to the second
        with demo_server(port) as client:
            wait_for(
                lambda: (
                    running.scrape().one(
                        "unitcost_requests_total", workload="chat", outcome="succeeded"
                    )
                    == 0
                ),
                "the server to be seen",
            )
            yield running, client


def test_units_equal_the_clients_own_count_and_dollars_equal_price_times_time(
    served: tuple[Exporter, Client],
) -> None:
    """Requests, tokens and $/request against what the client counted and a clock measured."""
    running, client = served
    assert running.scrape().each("unitcost_request_cost_usd") == {}
    began = time.monotonic()
    for number in range(40):
        client.ask(f"request number {number}", max_tokens=4 + number % 5)
    client.ask("refused", max_tokens=-1)

    def counted() -> bool:
        return running.scrape().total("unitcost_requests_total", workload="chat") == 41

    wait_for(counted, "all requests to be counted")
    scrape = running.wait_tick()
    elapsed = Decimal(time.monotonic() - began)
    assert (client.answered, client.refused) == (40, 1)
    for name, labels, truth in (
        ("unitcost_requests_total", {"outcome": "succeeded"}, client.answered),
        ("unitcost_requests_total", {"outcome": "failed"}, client.refused),
        ("unitcost_tokens_total", {"type": "input"}, client.prompt_tokens),
        ("unitcost_tokens_total", {"type": "output"}, client.completion_tokens),
    ):
        assert scrape.one(name, workload="chat", **labels) == truth
    per_request = scrape.one("unitcost_request_cost_usd", workload="chat", basis="allocated")
    assert per_request is not None, "\n".join(map(str, scrape.samples.items()))
    expected = known_rate() * elapsed / 3600
    one_tick = known_rate() * Decimal(PERIOD) / 3600
    assert abs(Decimal(per_request) * client.answered - expected) <= 2 * one_tick
    used = scrape.one("unitcost_request_cost_usd", workload="chat", basis="used")
    assert used is not None
    assert 0 < used < per_request
    parts = sum(
        (scrape.one("unitcost_token_cost_usd", type=kind, basis="allocated") or 0) * tokens
        for kind, tokens in (("input", client.prompt_tokens), ("output", client.completion_tokens))
    )
    assert parts == pytest.approx(per_request * client.answered, rel=1e-9)


def test_the_ledger_sums_to_price_times_elapsed_for_every_resource_and_hour(
    served: tuple[Exporter, Client],
) -> None:
    """Σ workloads + unallocated = price x elapsed, exactly, and nothing is left over."""
    running, client = served
    client.ask("once")
    running.wait_tick(2)
    assert running.stop() == 0
    assert check(running.ledger) == []
    rows = running.rows(
        "SELECT a.resource, a.hour, a.elapsed_ns, p.pico_per_unit,"
        " (SELECT SUM(pico) FROM charge c WHERE c.resource = a.resource AND c.hour = a.hour"
        "  AND c.price = a.price)"
        " FROM accrual a JOIN price p ON p.id = a.price"
    )
    assert {row[0] for row in rows} == {"cpu", "memory"}
    for _, _, elapsed_ns, per_hour, charged in rows:
        exact = Decimal(per_hour) * elapsed_ns / (3600 * 10**9)
        assert charged == exact.to_integral_value("ROUND_HALF_EVEN")
    prices = {row[0]: row[3] for row in rows}
    assert sum(prices.values()) == USD_PER_HOUR * 10**12


def test_without_requests_there_is_no_cost_per_request_and_all_of_it_is_idle(
    served: tuple[Exporter, Client],
) -> None:
    """Cost goes on as idle; the ratio is absent, not zero."""
    running, _ = served
    scrape = running.wait_tick(3)
    assert scrape.each("unitcost_request_cost_usd") == {}
    assert scrape.each("unitcost_token_cost_usd") == {}
    idle = scrape.total("unitcost_cost_usd_total", workload="chat", state="idle")
    active = scrape.total("unitcost_cost_usd_total", workload="chat", state="active")
    assert idle > 10 * active
