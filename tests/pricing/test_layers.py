"""Which layer is billed, and under which models' names."""

from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing import layers
from unitcost.pricing.layers import Claim, LayeredKey, authority_of, billed, compared
from unitcost.pricing.sample import (
    Layer,
    Outcome,
    Phase,
    Quantity,
    Sample,
    Subject,
    TokenType,
)
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import Account, WorkloadKind

REQUESTS, TOKENS, PHASES = Quantity.REQUESTS, Quantity.TOKENS, Quantity.PHASE_SECONDS
OK = str(Outcome.SUCCEEDED)
OUT = str(TokenType.OUTPUT)


def claims(**layers: tuple[Quantity, ...]) -> list[Claim]:
    """Claims on one workload, by layer."""
    return [Claim("chat", Layer(name), frozenset(each)) for name, each in layers.items()]


def test_the_outermost_layer_that_counts_a_quantity_is_billed_for_it() -> None:
    """HAProxy counts requests alone; tokens and phases come from further in."""
    found = authority_of(claims(gateway=(REQUESTS,), engine=(REQUESTS, TOKENS, PHASES)))
    assert found["chat", REQUESTS] is Layer.GATEWAY
    assert found["chat", TOKENS] is Layer.ENGINE
    assert found["chat", PHASES] is Layer.ENGINE


def test_parts_come_from_where_their_whole_comes_from() -> None:
    """Seconds of failed requests at the gateway are no part of the engine's request seconds."""
    whole, part = Quantity.REQUEST_SECONDS, Quantity.OUTCOME_SECONDS
    found = authority_of(claims(gateway=(REQUESTS, part), engine=(whole, part)))
    assert found["chat", part] is found["chat", whole] is Layer.ENGINE


def test_a_queue_is_the_engine_s() -> None:
    """What waits at the gateway is only known to be under way."""
    waiting = Quantity.REQUESTS_WAITING
    found = authority_of(claims(gateway=(waiting,), frontend=(waiting,), engine=(waiting,)))
    assert found["chat", waiting] is Layer.ENGINE


def units(layer: Layer, model: str, *counted: tuple[Quantity, str, int]) -> dict[LayeredKey, int]:
    """What a layer counted of one model."""
    account = Account("chat", model)
    return {(layer, account, quantity, label): micro for quantity, label, micro in counted}


def names(**layers: set[str]) -> dict[tuple[str, Layer], set[str]]:
    """The models' names by layer."""
    return {("chat", Layer(name)): each for name, each in layers.items()}


BOTH = claims(gateway=(REQUESTS, TOKENS), engine=(TOKENS, PHASES))


def test_one_model_under_two_names_is_one() -> None:
    """The engine's phases tell the gateway's tokens apart."""
    counted = units(Layer.GATEWAY, "prod", (REQUESTS, OK, 5), (TOKENS, OUT, 70))
    counted |= units(Layer.ENGINE, "llama", (TOKENS, OUT, 90), (PHASES, Phase.DECODE, 3))
    found = billed(counted, authority_of(BOTH), names(gateway={"prod"}, engine={"llama"}))
    account = Account("chat", "prod")
    assert found == {
        (account, REQUESTS, OK): 5,
        (account, TOKENS, OUT): 70,
        (account, PHASES, Phase.DECODE): 3,
    }


def test_a_name_is_better_than_none() -> None:
    """A proxy that knows no models counts for the one that the engine has."""
    counted = units(Layer.GATEWAY, "", (REQUESTS, OK, 5))
    counted |= units(Layer.ENGINE, "llama", (PHASES, Phase.DECODE, 3))
    found = billed(counted, authority_of(BOTH), names(gateway={""}, engine={"llama"}))
    assert {account.model for account, _, _ in found} == {"llama"}


def test_phases_of_a_base_model_are_nobody_s_where_adapters_are_told_apart() -> None:
    """The engine knows one model, the gateway two adapters of it: then tokens decide."""
    counted = units(Layer.GATEWAY, "fr", (TOKENS, OUT, 5)) | units(
        Layer.GATEWAY, "de", (TOKENS, OUT, 6)
    )
    counted |= units(Layer.ENGINE, "llama", (PHASES, Phase.DECODE, 3))
    found = billed(counted, authority_of(BOTH), names(gateway={"fr", "de"}, engine={"llama"}))
    assert found == {
        (Account("chat", "fr"), TOKENS, OUT): 5,
        (Account("chat", "de"), TOKENS, OUT): 6,
    }


@pytest.mark.parametrize("own", [{"a"}, {"a", "b"}])
def test_names_that_agree_are_kept(own: set[str]) -> None:
    """A name that both have is not enough: an engine calls all its adapters by their base."""
    counted = units(Layer.ENGINE, "a", (PHASES, Phase.DECODE, 3))
    found = billed(counted, authority_of(BOTH), names(gateway={"a", "b"}, engine=own))
    kept = {(Account("chat", "a"), PHASES, Phase.DECODE): 3}
    assert found == (kept if own == {"a", "b"} else {})


def test_without_claims_everything_counts() -> None:
    """As training's does."""
    counted = units(Layer.ENGINE, "a", (Quantity.STEPS, "", 3))
    assert billed(counted, {}, {}) == {(Account("chat", "a"), Quantity.STEPS, ""): 3}


@given(
    st.sets(st.tuples(st.sampled_from(list(Layer)), st.sampled_from(list(Quantity))), min_size=1)
)
def test_every_quantity_that_anybody_counts_is_billed_from_one_layer_that_counts_it_or_its_whole(
    found: set[tuple[Layer, Quantity]],
) -> None:
    """Nothing that is known is lost, and nothing is billed twice."""
    said = [Claim("chat", layer, frozenset({quantity})) for layer, quantity in found]
    chosen = authority_of(said)
    assert {quantity for _, quantity in chosen} == {quantity for _, quantity in found}
    assert all(any(layer is each for each, _ in found) for layer in chosen.values())


@pytest.mark.parametrize("label", [Outcome.FAILED, Outcome.ABORTED])
def test_layers_are_compared_in_what_both_see(label: Outcome) -> None:
    """A gateway counts failures that never reach the engine."""
    counted = units(Layer.GATEWAY, "a", (REQUESTS, OK, 5), (REQUESTS, label, 9))
    counted |= units(Layer.ENGINE, "b", (TOKENS, OUT, 4), (TOKENS, TokenType.INPUT, 2))
    assert compared(counted) == {
        ("chat", REQUESTS, Layer.GATEWAY): 5,
        ("chat", TOKENS, Layer.ENGINE): 6,
    }


def test_names_are_worked_out_once_for_all_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each would take seconds of every tick: thousands of tenants, hundreds of layers."""
    work_out = Mock(wraps=layers.billing)
    monkeypatch.setattr(layers, "billing", work_out)
    who = Subject("gate", "chat", WorkloadKind.INFERENCE, layer=Layer.GATEWAY)
    meter = UnitMeter()
    for second in (1, 2):
        samples = [
            Sample("gate", TOKENS, second, second, label=OUT, model="m", tenant=f"t{number}")
            for number in range(50)
        ]
        clock = ClockReading(second, second, second, "")
        found = count(meter, [who], samples, 0, clock)
        meter = found.meter
    assert len(found.tenants) == 50
    assert work_out.call_count == 2


def test_what_is_renamed_keeps_its_run_and_attempt_and_adds_up() -> None:
    """Two replicas' units of one model, under the name of the layer that leads."""
    authority = authority_of(claims(gateway=(REQUESTS,), engine=(TOKENS,)))
    names = {("chat", Layer.GATEWAY): {"large"}, ("chat", Layer.ENGINE): {"weights"}}
    theirs = Account("chat", "weights", "run", 3)
    also = Account("chat", "large", "run", 3)
    given: dict[LayeredKey, int] = {
        (Layer.ENGINE, theirs, TOKENS, OUT): 2,
        (Layer.ENGINE, also, TOKENS, OUT): 5,
    }
    assert billed(given, authority, names) == {(also, TOKENS, OUT): 7}


def test_names_follow_tokens_where_no_layer_counts_requests() -> None:
    """And each workload's by itself, whatever the one before it was."""
    both = [Claim("chat", Layer.GATEWAY, frozenset({TOKENS}))]
    both += [Claim("chat", Layer.ENGINE, frozenset({PHASES}))]
    authority = authority_of([Claim("first", Layer.ENGINE, frozenset({PHASES})), *both])
    names = {
        ("first", Layer.ENGINE): {"a"},
        ("chat", Layer.GATEWAY): {"large"},
        ("chat", Layer.ENGINE): {"weights"},
    }
    given: dict[LayeredKey, int] = {
        (Layer.ENGINE, Account("first", "a"), PHASES, "decode"): 1,
        (Layer.ENGINE, Account("chat", "weights"), PHASES, "decode"): 2,
    }
    assert billed(given, authority, names) == {
        (Account("first", "a"), PHASES, "decode"): 1,
        (Account("chat", "large"), PHASES, "decode"): 2,
    }
