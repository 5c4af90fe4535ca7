"""Captures of runs whose truth is known from the client: two layers of one, and a prefix cache."""

import pytest

from tests.collectors.raw_server import capture
from tests.collectors.reading import read_once, values
from unitcost.collectors.base import Reading
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.servers import litellm, vllm
from unitcost.pricing.sample import Outcome, Quantity, TokenType

TOKENS = {TokenType.INPUT: 435, TokenType.CACHED_INPUT: 1245, TokenType.OUTPUT: 255}
"""What the answers' `usage` said, all together."""


def grown(name: str, quantity: Quantity) -> dict[tuple[str, str], float]:
    """After minus before, by label and model; what did not grow is left out."""
    before, after = _sums(f"{name}.before", quantity), _sums(f"{name}.after", quantity)
    differences = {key: value - before.get(key, 0.0) for key, value in after.items()}
    return {key: value for key, value in differences.items() if value}


def _sums(name: str, quantity: Quantity) -> dict[tuple[str, str], float]:
    reading: Reading = read_once(capture(name))
    assert reading.problems == ()
    sums: dict[tuple[str, str], float] = {}
    for (label, model, _), value in values(reading, quantity).items():
        sums[str(label), model] = sums.get((str(label), model), 0.0) + value
    return sums


def test_the_gateway_counted_what_its_client_did() -> None:
    """Also what failed behind it, and what it was asked for and does not have."""
    assert grown("litellm", Quantity.REQUESTS) == {
        (Outcome.SUCCEEDED, "tiny-chat"): 56,
        (Outcome.FAILED, "broken"): 3,
        (Outcome.FAILED, "other"): 2,
    }
    tokens = grown("litellm", Quantity.TOKENS)
    assert tokens == {(kind, "tiny-chat"): count for kind, count in TOKENS.items()}


def test_the_engine_behind_it_counted_the_same() -> None:
    """It names no model and counts no requests."""
    name = "llama.cpp-behind-litellm"
    assert grown(name, Quantity.TOKENS) == {(kind, ""): count for kind, count in TOKENS.items()}
    assert grown(name, Quantity.REQUESTS) == {}


@pytest.mark.parametrize(("user", "requests", "output"), [("alice", 30, 141), ("bob", 20, 93)])
def test_the_gateway_tells_its_end_users_apart(user: str, requests: int, output: int) -> None:
    """Where the configuration asks for that label."""
    readout = read_table(make_plan(litellm.SERVER), capture("litellm.after"), "end_user")
    found = {
        field.name: sum(each.value for key, each in by_key.items() if key.tenant == user)
        for field, by_key in readout.tenants.items()
    }
    assert found["requests_succeeded"] == requests
    assert found["tokens_output"] == output


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_gateway_that_only_serves_its_page_is_not_said_to_run(when: str) -> None:
    """Its own gauge says 1 then, because of the request for the page."""
    assert b"litellm_in_flight_requests 1.0" in capture(f"litellm.{when}")
    (subject,) = read_once(capture(f"litellm.{when}")).subjects
    assert subject.running is None


def test_vllm_tells_cached_tokens_apart_and_counts_tokens_of_who_left() -> None:
    """Four streams of two prompt tokens were left after a token each; they are no requests."""
    left = 4
    assert grown("vllm-cpu-prefix-cache", Quantity.TOKENS) == {
        (TokenType.INPUT, "tinyllama"): 344 + 2 * left,
        (TokenType.CACHED_INPUT, "tinyllama"): 1216,
        (TokenType.OUTPUT, "tinyllama"): 107 + left,
    }
    page = capture("vllm-cpu-prefix-cache.after")
    found = read_table(make_plan(vllm.SERVER), page).values
    (aborted,) = next(v for field, v in found.items() if field.name == "aborted_tokens").values()
    assert aborted.value == left * (2 + 1)
    requests = grown("vllm-cpu-prefix-cache", Quantity.REQUESTS)
    assert requests == {(Outcome.SUCCEEDED, "tinyllama"): 30}
