"""Real llama-server behind a real LiteLLM: two layers that count the same work.

LiteLLM knows the requests and whose they were, llama-server the seconds. They count tokens apart
from each other and must agree with each other and with the answers' own `usage`.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.collectors.reading import target, values
from tests.e2e.completions import Client
from tests.e2e.llm_servers import (
    BROKEN,
    KEY,
    MODEL,
    Ports,
    litellm,
    litellm_program,
    llama_program,
    llama_server,
)
from tests.e2e.reservation import PRICE, RESERVE
from tests.harness import Exporter, Scrape, exporter, wait_for
from unitcost.collectors.base import Context, Reading, Target
from unitcost.collectors.openmetrics import OpenMetricsCollector, Options
from unitcost.exporter.ledger.tools import check
from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.workload import WorkloadKind

PERIOD = 0.5
PATIENCE = 30.0
RATIO = "unitcost_layer_disagreement_ratio"


@dataclass(frozen=True)
class Stage:
    """The folder of all, and where the servers will listen."""

    folder: Path
    ports: Ports

    @property
    def key_file(self) -> Path:
        """The gateway's key; its metrics want it too."""
        path = self.folder / "key"
        path.write_text(KEY)
        return path


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A folder and free ports, where both programs are installed."""
    llama_program()
    litellm_program()
    return Stage(tmp_path, Ports())


def settings_for(stage: Stage) -> dict[str, object]:
    """An exporter that meters one workload, counted in two layers, with a reservation."""
    engine = {"url": stage.ports.llama_metrics}
    gateway = {
        "url": stage.ports.litellm_metrics,
        "bearer_token_file": str(stage.key_file),
    }
    return {
        "price": PRICE,
        "period": PERIOD,
        "gather_deadline": 0.4,
        "unit_costs": {"window": 3600},
        "workloads": [
            {
                "name": "chat",
                "endpoints": [engine, gateway],
                "tenants": {"label": "end_user"},
                "reserve": RESERVE,
            }
        ],
    }


def counted(running: Exporter, truth: Client) -> Scrape:
    """A scrape once all that the client counted is there, and a tick more."""

    def seen() -> bool:
        scrape = running.scrape()
        requests = scrape.total("unitcost_requests_total", workload="chat")
        output = scrape.total("unitcost_tokens_total", workload="chat", type="output")
        return requests == truth.answered + truth.refused and output == truth.output

    wait_for(seen, f"{truth}")
    return running.wait_tick(2)


def check_counts(scrape: Scrape, truth: Client) -> None:
    """Requests and each type of token are what the client counted; both layers agree."""
    name = "unitcost_requests_total"
    assert scrape.one(name, model=MODEL, outcome="succeeded") == truth.answered
    assert scrape.total(name, workload="chat", outcome="failed") == truth.refused
    assert {
        kind: scrape.total("unitcost_tokens_total", workload="chat", type=kind)
        for kind in ("input", "cached_input", "output")
    } == {"input": truth.input, "cached_input": truth.cached, "output": truth.output}
    assert scrape.one(RATIO, workload="chat", layer="engine", quantity="tokens") == 0
    for quantity in ("requests", "tokens"):
        name = "unitcost_billed_layer_info"
        assert scrape.one(name, workload="chat", layer="gateway", quantity=quantity) == 1


def collected(collector: OpenMetricsCollector) -> dict[str, Reading]:
    """One reading of both, told apart by the table that read them."""
    reading = collector.collect(time.monotonic() + PATIENCE)
    assert reading.problems == ()
    return {
        str(subject.layer): Reading(
            tuple(each for each in reading.samples if each.subject == subject.id), (subject,)
        )
        for subject in reading.subjects
    }


def tokens(reading: Reading) -> dict[str, float]:
    """Tokens by type, over all models."""
    sums: dict[str, float] = {}
    for (kind, _, _), value in values(reading, Quantity.TOKENS).items():
        sums[str(kind)] = sums.get(str(kind), 0.0) + value
    return sums


@pytest.mark.real
def test_both_layers_read_at_once_equal_the_clients_own_count(stage: Stage) -> None:
    """The engine's tokens, the gateway's tokens and requests, and what the answers said."""
    targets = (
        target(stage.ports.llama_metrics),
        Target(
            stage.ports.litellm_metrics,
            "chat",
            WorkloadKind.INFERENCE,
            bearer_token_file=str(stage.key_file),
        ),
    )
    collector = OpenMetricsCollector(Options(timeout=PATIENCE), Context(targets=targets))
    with llama_server(stage.folder, stage.ports), litellm(stage.folder, stage.ports) as client:
        assert set(collected(collector)) == {"engine", "gateway"}
        client.chats(50)
        assert [client.chat("x", model=BROKEN).status for _ in range(3)] == [500] * 3
        found = collected(collector)
    truth = {
        TokenType.INPUT: client.input,
        TokenType.CACHED_INPUT: client.cached,
        TokenType.OUTPUT: client.output,
    }
    assert min(truth.values()) > 50
    assert tokens(found["engine"]) == tokens(found["gateway"]) == truth
    requests = values(found["gateway"], Quantity.REQUESTS)
    assert requests[Outcome.SUCCEEDED, MODEL, ""] == client.answered == 50
    assert requests[Outcome.FAILED, BROKEN, ""] == client.refused == 3
    assert values(found["engine"], Quantity.REQUESTS) == {}
    assert sum(values(found["engine"], Quantity.PHASE_SECONDS).values()) > 0


@pytest.mark.real
def test_the_gateway_is_billed_and_the_engine_agrees_through_its_restart(stage: Stage) -> None:
    """Nothing is counted twice, and nothing of it moves when the engine starts anew."""
    (stage.folder / "exporter").mkdir()
    with exporter(stage.folder / "exporter", **settings_for(stage)) as running:
        running.wait_tick()
        time.sleep(1.1)  # the kernel tells a process's start to the second
        with litellm(stage.folder, stage.ports) as client:
            with llama_server(stage.folder, stage.ports):
                running.wait_tick(3)
                client.chats(30, user="alice")
                client.chats(20, user="bob")
                assert [client.chat("x", model=BROKEN).status for _ in range(3)] == [500] * 3
                assert [client.chat("x", model="nosuch").status for _ in range(2)] == [400] * 2
                check_counts(counted(running, client), client)
            running.wait_tick(2)
            with llama_server(stage.folder, stage.ports) as direct:
                client.chats(12, user="alice")
                scrape = counted(running, client)
                check_counts(scrape, client)
                for tenant, requests in client.by_user.items():
                    name = "unitcost_tenant_requests_total"
                    assert scrape.total(name, workload="chat", tenant=tenant) == requests
                direct.chats(6)
                scrape = running.wait_tick(3)
        total = client.input + client.cached + client.output
        past = direct.input + direct.cached + direct.output
        ratio = scrape.one(RATIO, workload="chat", layer="engine", quantity="tokens")
        assert ratio == pytest.approx(past / total)
        assert scrape.total("unitcost_tokens_total", workload="chat") == total
        cost = scrape.one("unitcost_request_cost_usd", model=MODEL, basis="allocated")
        assert cost is not None
        assert cost > 0
        assert KEY not in running.log
        assert running.stop() == 0
        assert check(running.ledger) == []
