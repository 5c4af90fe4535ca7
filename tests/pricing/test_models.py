"""Several models on one server: their parts sum to what the server held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import Method, Share, State
from unitcost.pricing.layers import Counted
from unitcost.pricing.models import model_weights, split_by_model, split_methods
from unitcost.pricing.sample import Outcome, Phase, Quantity, TokenType
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, Account

BIG, SMALL = Account("chat", "big"), Account("chat", "small")
WORKLOADS = ["chat", "other", "job", SYSTEM, UNALLOCATED]
KEYS = st.sampled_from(
    [
        (Quantity.PHASE_SECONDS, Phase.PREFILL),
        (Quantity.PHASE_SECONDS, Phase.DECODE),
        (Quantity.TOKENS, TokenType.OUTPUT),
        (Quantity.REQUESTS, Outcome.SUCCEEDED),
        (Quantity.REQUESTS, Outcome.FAILED),
        (Quantity.STEPS, ""),
    ]
)
ACCOUNTS = st.builds(
    Account,
    st.sampled_from(WORKLOADS[:3]),
    st.sampled_from(["", "big", "small"]),
    st.sampled_from(["", "", "r"]),
)
COUNTED = st.dictionaries(st.tuples(ACCOUNTS, KEYS), st.integers(0, 10**9), max_size=8).map(
    lambda found: {(account, *key): micro for (account, key), micro in found.items()}
)
SHARES = st.lists(
    st.builds(
        Share,
        st.builds(Account, st.sampled_from(WORKLOADS), run=st.sampled_from(["", "r"])),
        st.sampled_from(list(State)),
        st.just(Method.CPU_TIME),
        st.integers(1, 10**12),
    ),
    max_size=6,
)


@given(SHARES, COUNTED)
def test_the_models_parts_sum_to_the_server_s_share(shares: list[Share], done: Counted) -> None:
    """In each state, exactly; runs and reserved accounts stay as they are."""
    split = split_by_model(shares, model_weights(done))
    assert sums(split) == sums(shares)
    assert all(share.weight > 0 for share in split)
    for share in split:
        if share.account.run or share.account.reserved:
            assert share in shares


def sums(shares: list[Share]) -> dict[tuple[str, str, State], int]:
    """Weights of each workload and run by state."""
    found: dict[tuple[str, str, State], int] = {}
    for share in shares:
        key = (share.account.workload, share.account.run, share.state)
        found[key] = found.get(key, 0) + share.weight
    return found


def share(state: State = State.ACTIVE, weight: int = 100) -> Share:
    """What the server held."""
    return Share(Account("chat"), state, Method.CPU_TIME, weight)


def parts(split: list[Share]) -> dict[Account, int]:
    """Weights by account."""
    return {each.account: each.weight for each in split}


@pytest.mark.parametrize("state", list(State))
def test_every_state_goes_by_what_the_models_did_in_the_window(state: State) -> None:
    """Who did all of its work carries the idling too, whoever works just now."""
    done = {"chat": {BIG: 1, SMALL: 3}}
    assert parts(split_by_model([share(state)], done)) == {BIG: 25, SMALL: 75}


def test_models_that_have_not_worked_yet_share_equally() -> None:
    """An idle server's cost is not left on no model because nobody has asked it anything."""
    now = {"chat": {BIG: 0, SMALL: 0}}
    for state in State:
        assert parts(split_by_model([share(state)], now)) == {BIG: 50, SMALL: 50}
        one = {"chat": {BIG: 0}}
        assert parts(split_by_model([share(state)], one)) == {BIG: 100}


def test_where_no_model_is_known_the_share_stays_on_the_workload() -> None:
    """The server has not answered yet."""
    assert split_by_model([share()], {}) == [share()]


def test_weights_are_compute_seconds_else_tokens_else_requests() -> None:
    """One quantity for all models of a workload: the best that all which did anything have."""
    seconds = (Quantity.PHASE_SECONDS, Phase.DECODE)
    tokens, requests = (Quantity.TOKENS, TokenType.OUTPUT), (Quantity.REQUESTS, "succeeded")
    counted: Counted = {
        (BIG, *requests): 1,
        (SMALL, *requests): 9,
        (BIG, *tokens): 50,
        (SMALL, *tokens): 60,
    }
    assert model_weights(counted) == {"chat": {BIG: 50, SMALL: 60}}
    both = counted | {(BIG, *seconds): 7, (SMALL, *seconds): 0}
    assert model_weights(both) == {"chat": {BIG: 7, SMALL: 0}}
    only_requests = {key: n for key, n in counted.items() if key[1] is Quantity.REQUESTS}
    assert model_weights(only_requests) == {"chat": {BIG: 1, SMALL: 9}}
    assert model_weights({(BIG, *requests): 0}) == {"chat": {BIG: 0}}


def test_a_model_whose_server_does_not_tell_its_seconds_pays_for_its_tokens() -> None:
    """Else one on SGLang were free beside one on vLLM; names that only fail change nothing."""
    seconds = (Quantity.PHASE_SECONDS, Phase.DECODE)
    tokens, requests = (Quantity.TOKENS, TokenType.OUTPUT), (Quantity.REQUESTS, "succeeded")
    counted: Counted = {(BIG, *seconds): 7, (BIG, *tokens): 50, (SMALL, *tokens): 60}
    assert model_weights(counted) == {"chat": {BIG: 50, SMALL: 60}}
    assert split_methods(counted) == {"chat": "tokens"}
    idle = counted | {(SMALL, *tokens): 0}
    made_up = Account("chat", "made-up")
    failed: Counted = {(made_up, Quantity.REQUESTS, "failed"): 9, (made_up, *requests): 0}
    assert model_weights(idle | failed) == {"chat": {BIG: 7, SMALL: 0, made_up: 0}}
    apart: Counted = {(BIG, *seconds): 7, (SMALL, *tokens): 60}
    assert model_weights(apart) == {"chat": {BIG: 7, SMALL: 0}}


def test_only_a_server_with_several_models_is_split_by_anything() -> None:
    """By what it is; equally where they did nothing. A run's units are no model's."""
    tokens = (Quantity.TOKENS, TokenType.OUTPUT)
    other, run = Account("other", "m"), Account("chat", "m", "r")
    counted: Counted = {(BIG, *tokens): 1, (SMALL, *tokens): 0, (other, *tokens): 5}
    assert split_methods(counted) == {"chat": "tokens"}
    assert split_methods({(BIG, *tokens): 0, (SMALL, *tokens): 0}) == {"chat": "equal"}
    assert split_methods({(BIG, *tokens): 1, (run, *tokens): 1}) == {}


def test_a_model_s_work_is_the_sum_of_all_its_labels() -> None:
    """Prefill and decode; input and output."""
    counted: Counted = {
        (BIG, Quantity.PHASE_SECONDS, Phase.PREFILL): 2,
        (BIG, Quantity.PHASE_SECONDS, Phase.DECODE): 3,
        (SMALL, Quantity.PHASE_SECONDS, Phase.DECODE): 7,
    }
    assert model_weights(counted) == {"chat": {BIG: 5, SMALL: 7}}


def test_what_only_failed_or_was_only_waited_for_is_no_work() -> None:
    """A model that did nothing else does not decide by what the others are split."""
    tokens, seconds = (Quantity.TOKENS, TokenType.OUTPUT), (Quantity.PHASE_SECONDS, Phase.DECODE)
    worked: Counted = {(BIG, *seconds): 7, (BIG, *tokens): 50}
    others: Counted = {
        (SMALL, Quantity.REQUESTS, Outcome.FAILED): 9,
        (SMALL, Quantity.REQUEST_SECONDS, ""): 9,
        (SMALL, Quantity.REQUESTS, Outcome.SUCCEEDED): 0,
        (SMALL, *tokens): 0,
    }
    assert split_methods(worked | others) == {"chat": "phase_seconds"}
    served: Counted = {**worked, **others, (SMALL, *tokens): 1}
    assert split_methods(served) == {"chat": "tokens"}
    answered: Counted = {(BIG, *seconds): 7, (BIG, Quantity.REQUESTS, Outcome.SUCCEEDED): 2}
    answered[SMALL, Quantity.REQUESTS, Outcome.SUCCEEDED] = 1
    assert split_methods(answered) == {"chat": "requests"}
