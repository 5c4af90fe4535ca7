"""Tables of frontends and gateways against pages composed from documented names."""

import pytest

from tests.collectors.growth import Growth, grown
from tests.collectors.raw_server import capture
from unitcost.collectors.base import Target
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.servers import istio, litellm, otel_genai
from unitcost.pricing.sample import NS_PER_SECOND, Outcome, Quantity
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import WorkloadKind

OTEL_FAILURE: dict[str, float] = {"failed": 1, "seconds": 30, "timed": 1, "failed_seconds": 30}
EXPECTED: dict[str, Growth] = {
    # What was delivered; a model that nobody has only fails.
    "dynamo-frontend-1.6.1": {
        "llama": {
            "succeeded": 30 + 20,
            "failed": 2 + 1,
            "aborted": 2,
            "input": (3500 - 900) - (500 - 100),
            "cached_input": 800,
            "output": 1000,
            "seconds": 59.5,
            "timed": 55,
            "running": 3,
            "waiting": 1,
        },
        "qwen": {
            "succeeded": 5,
            "input": 100,
            "output": 50,
            "seconds": 7,
            "timed": 5,
            "running": 0,
            "waiting": 0,
        },
        "unknown_model": {"failed": 4},
    },
    "dynamo-frontend-0.2": {
        "llama": {
            "succeeded": 10,
            "failed": 2,
            "input": 360,
            "output": 240,
            "seconds": 15,
            "timed": 12,
            "running": 2,
        }
    },
    "knative-queue-proxy-1.18": {
        "iris-predictor/iris-0": {
            "succeeded": 50,
            "failed": 4 + 1,
            "seconds": (5300 + 800 + 20 - 300) / 1000,
            "timed": 55,
            "failed_seconds": 0.82,
        }
    },
    # Health checks and administration are no requests; reasoning is part of the output.
    "litellm-1.106": {
        "chat": {
            "succeeded": 30 + 15,
            "failed": 2 + 1,
            "aborted": 3,
            "input": (2000 + 700 - 1200) - 500,
            "cached_input": 1200,
            "output": 500 + 210,
            "seconds": 90,
            "timed": 45,
        },
        "embed": {
            "succeeded": 5,
            "failed": 0,
            "aborted": 0,
            "input": 50,
            "cached_input": 0,
            "output": 0,
            "seconds": 1,
            "timed": 5,
        },
    },
    # Tokens written to the cache were computed: they stay in the input.
    "envoy-ai-gateway-0.4": {
        "qwen": {
            "succeeded": 26,
            "failed": 2,
            "input": (2400 + 600 - 900) - 400,
            "cached_input": 900,
            "output": 400 + 120,
            "seconds": 55,
            "timed": 28,
            "failed_seconds": 3,
        },
        "llama": {"succeeded": 1, "input": 50, "output": 10, "seconds": 1, "timed": 1},
    },
    # An agent's call is that of the model again.
    "otel-genai-2024": {
        "qwen/,,,qwen-0613,": {
            "succeeded": 10 + 2,
            "input": 1000 + 30,
            "output": 200,
            "seconds": 20.5,
            "timed": 12,
        },
        "qwen/,,timeout,qwen-0613,": OTEL_FAILURE,
    },
    "otel-genai-2026": {
        "qwen/,,,qwen-0613,": {
            "succeeded": 10,
            "input": (1100 - 600) - 100,
            "cached_input": 600,
            "output": 200,
            "seconds": 20,
            "timed": 10,
        },
        "qwen/,,timeout,qwen-0613,": OTEL_FAILURE,
    },
    # Not what the pod itself asked of its storage; gRPC's own status counts.
    "istio-sidecar-1.24": {
        "vllm": {
            "succeeded": 50 + 2 + 7,
            "failed": 3 + 4 + 2,
            "aborted": 5 + 1,
            "seconds": (5000 + 20 + 30 + 400 + 2500 + 100 + 700 + 200) / 1000,
            "timed": 50 + 2 + 3 + 4 + 5 + 1 + 7 + 2,
            "failed_seconds": 0.03 + 0.4 + 0.2,
            "aborted_seconds": 2.6,
        }
    },
    "haproxy-2.8": {
        "llama": {"succeeded": 50 + 1, "failed": 3 + 2, "running": 2, "waiting": 3},
        "qwen": {"succeeded": 7, "failed": 2, "running": 0, "waiting": 0},
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_of_a_gateway_is_read_as_documented(name: str) -> None:
    """And no others: what is not here is unknown for that version."""
    assert grown(name) == {whose: pytest.approx(each) for whose, each in EXPECTED[name].items()}


def test_an_istio_gateway_is_read_as_the_source_it_is() -> None:
    """By name only: its page looks like a sidecar's, which would count nothing there."""
    assert grown("istio-gateway-1.24", "istio_gateway") == {
        "vllm": pytest.approx(
            {
                "succeeded": 50,
                "failed": 4,
                "aborted": 1,
                "seconds": 5.5,
                "timed": 55,
                "failed_seconds": 0.4,
                "aborted_seconds": 0.1,
            }
        ),
        "tgi": pytest.approx(
            {"succeeded": 9, "failed": 0, "seconds": 0.9, "timed": 9, "failed_seconds": 0}
        ),
    }
    assert grown("istio-gateway-1.24") == {}


def test_litellm_s_tenants_are_teams_and_never_keys() -> None:
    """The first label is the default; none that holds a key or its hash is offered."""
    table = litellm.SERVER
    assert not set(table.tenant_labels) & {"hashed_api_key", "api_key"}
    readout = read_table(make_plan(table), capture("litellm-1.106.after.synthetic"), "")
    good = {
        (key.tenant, key.model): value.value
        for field, each in readout.tenants.items()
        if (field.quantity, field.label) == (Quantity.REQUESTS, Outcome.SUCCEEDED)
        for key, value in each.items()
    }
    assert good == {("Search", "chat"): 40, ("Ads", "chat"): 15, ("Ads", "embed"): 5}


def test_clients_that_one_collector_shows_are_parts_of_their_own() -> None:
    """One starts anew or is shown no more: what the others did before is not counted again."""
    tokens = "gen_ai_client_inference_usage_output_tokens_total"

    def page(**clients: int) -> bytes:
        lines = [
            f'{tokens}{{instance="{name}",job="app",gen_ai_request_model="qwen"}} {value}\n'
            for name, value in clients.items()
        ]
        return "".join(lines).encode()

    plan = make_plan(otel_genai.SERVER)
    endpoint = Endpoint(Target("http://127.0.0.1:8889/", "chat", WorkloadKind.INFERENCE))
    meter, counted = UnitMeter(), []
    pages = (page(a=1000, b=500), page(a=1010, b=500), page(a=1020, b=7), page(a=1025))
    for second, body in enumerate(pages, 1):
        at = second * NS_PER_SECOND
        reading = endpoint.read(read_table(plan, body), Instant(at, at))
        found = count(meter, reading.subjects, reading.samples, 0, ClockReading(at, at, at, ""))
        meter = found.meter
        counted.append(sum(found.units.values()) / 10**6)
    assert counted == [0, 10, 10 + 7, 5]


def test_a_connection_that_became_a_websocket_did_not_fail() -> None:
    """Speech models are talked to so: Istio counts it with code 101."""
    labels = 'reporter="destination",destination_workload="asr",response_flags="-"'
    page = f'istio_requests_total{{{labels},response_code="101"}} 6\n'.encode()
    readout = read_table(make_plan(istio.SERVER), page)
    found = {
        field.name: sum(v.value for v in each.values()) for field, each in readout.values.items()
    }
    assert found == {"requests_succeeded": 6, "requests_failed": 0}
