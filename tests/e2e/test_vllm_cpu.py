"""A real vLLM on the CPU: what it says and what the exporter bills, against the client's count."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.completions import Client
from tests.e2e.reservation import PRICE, RESERVE
from tests.e2e.vllm import MODEL, VLLMClient, vllm, vllm_program
from tests.harness import Exporter, Scrape, exporter, free_port, wait_for
from unitcost.exporter.ledger.tools import check

PERIOD = 0.5
LONG_PROMPT = "the cost of a token in the region " * 8
"""More than two blocks of the prefix cache."""
LEFT_PROMPT = "the cost"


@dataclass
class Truth:
    """What the clients of all lives counted, and how many requests they left early."""

    clients: tuple[Client, ...]
    left: int = 0
    prompt_of_left: int = 0

    def total(self, what: str) -> int:
        """The sum over all clients."""
        return sum(getattr(client, what) for client in self.clients)


def settings_for(port: int) -> dict[str, object]:
    """An exporter that meters one vLLM with a reservation."""
    return {
        "price": PRICE,
        "period": PERIOD,
        "gather_deadline": 0.4,
        "unit_costs": {"window": 3600},
        "workloads": [
            {
                "name": "chat",
                "endpoints": [{"url": f"http://127.0.0.1:{port}/metrics"}],
                "reserve": RESERVE,
            }
        ],
    }


def work(client: VLLMClient) -> None:
    """Completions with and without a cached prefix, chats, and some that are refused."""
    for number in range(12):
        assert client.complete(f"{LONG_PROMPT}{number}", 1 + number % 7).status == 200
    for number in range(8):
        assert client.chat(f"hello {number}", 1 + number % 5).status == 200
    for _ in range(3):
        assert client.complete("x" * 2000).status == 400


def counted(running: Exporter, truth: Truth) -> Scrape:
    """A scrape once all requests are there, and two ticks more."""

    def seen() -> bool:
        scrape = running.scrape()
        return scrape.total("unitcost_requests_total", workload="chat") == truth.total("answered")

    wait_for(seen, f"{truth}")
    return running.wait_tick(2)


def tokens(scrape: Scrape) -> dict[str, float]:
    """Tokens by type."""
    name = "unitcost_tokens_total"
    return {
        kind: scrape.total(name, workload="chat", model=MODEL, type=kind)
        for kind in ("input", "cached_input", "output")
    }


def check_counts(scrape: Scrape, truth: Truth) -> None:
    """Requests and tokens are the clients'; who left early has cost tokens and is no request."""
    name = "unitcost_requests_total"
    assert scrape.one(name, model=MODEL, outcome="succeeded") == truth.total("answered")
    assert scrape.one(name, model=MODEL, outcome="failed") == 0
    assert scrape.one(name, model=MODEL, outcome="aborted") == 0  # vLLM does not count them
    found = tokens(scrape)
    assert found["input"] == truth.total("input") + truth.left * truth.prompt_of_left
    assert found["cached_input"] == truth.total("cached")
    beyond = found["output"] - truth.total("output")
    assert truth.left <= beyond <= truth.left * 400


@pytest.mark.real
def test_a_real_vllm_is_billed_by_what_its_clients_counted_through_its_restart(
    tmp_path: Path,
) -> None:
    """Two lives of it: nothing is lost, nothing is counted twice, and the cache is told apart."""
    vllm_program()
    port = free_port()
    for name in ("exporter", "vllm"):
        (tmp_path / name).mkdir()
    with exporter(tmp_path / "exporter", **settings_for(port)) as running:
        running.wait_tick()
        time.sleep(1.1)  # the kernel tells a process's start to the second
        with vllm(tmp_path / "vllm", port) as first:
            short = first.complete(LEFT_PROMPT).content["usage"]["prompt_tokens"]
            work(first)
            truth = Truth((first,), prompt_of_left=short)
            check_counts(counted(running, truth), truth)
            assert truth.total("cached") >= 11 * 64
            for _ in range(3):
                first.leave(LEFT_PROMPT)
            first.wait_idle()
            truth.left = 3
            running.wait_tick(2)
            check_counts(counted(running, truth), truth)
        running.wait_tick(3)
        with vllm(tmp_path / "vllm", port) as second:
            work(second)
            truth.clients = (first, second)
            scrape = counted(running, truth)
            check_counts(scrape, truth)
        phases = {
            phase: scrape.total("unitcost_phase_seconds_total", workload="chat", phase=phase)
            for phase in ("prefill", "decode")
        }
        assert min(phases.values()) > 0
        costs = {
            kind: scrape.one("unitcost_token_cost_usd", model=MODEL, type=kind, basis="allocated")
            for kind in ("input", "output")
        }
        assert all(cost is not None and cost > 0 for cost in costs.values())
        assert running.stop() == 0
        assert check(running.ledger) == []
