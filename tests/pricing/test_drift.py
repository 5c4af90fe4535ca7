"""The six factors: an identity, whose logarithms divide the dollars without a remainder."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unitcost.pricing.drift import Factor, Sums, Weighing, drift, together, weights_of

MICRO = 10**6
BASE = Sums(
    cost=1000,
    active=600,
    idle=300,
    loading=100,
    attempted=110 * MICRO,
    succeeded=100 * MICRO,
    input=5000 * MICRO,
    output=1000 * MICRO,
    prefill=20 * MICRO,
    decode=80 * MICRO,
)
amounts = st.integers(0, 10**15)
some = st.integers(1, 10**15)
sums = st.builds(
    Sums,
    cost=some,
    active=some,
    idle=amounts,
    loading=amounts,
    attempted=amounts,
    succeeded=some,
    input=amounts,
    output=amounts,
    prefill=amounts,
    decode=amounts,
)


def changed(**now: int) -> dict[Factor, float]:
    """The factors other than 1 of a present that is like the baseline but for this."""
    values = {name: getattr(BASE, name) for name in Sums.__slots__} | now
    found = drift(Sums(**values), BASE)
    assert found is not None
    return {
        factor: round(ratio, 9) for factor, ratio in found.factors.items() if abs(ratio - 1) > 1e-9
    }


def test_each_factor_by_itself() -> None:
    """What changed is named, and nothing else."""
    assert changed() == {}
    assert changed(cost=1200) == {Factor.PRICE: 1.2}
    assert changed(cost=1300, idle=600) == {Factor.IDLE: round(4 / 3, 9), Factor.LOADING: 0.975}
    assert changed(cost=2000, loading=1100) == {Factor.LOADING: 2.0}
    assert changed(succeeded=80 * MICRO) == {Factor.FAILURES: 1.25}
    longer = {"input": 10_000 * MICRO, "output": 2000 * MICRO, "active": 1200, "cost": 1600}
    found = changed(**longer)
    assert found[Factor.MIX] == 2.0
    assert Factor.SPEED not in found
    slower = changed(active=900, idle=0)
    assert slower == {Factor.SPEED: 1.5, Factor.IDLE: round(1 / 1.5, 9)}


def test_cached_input_is_no_work_and_phases_weigh_tokens() -> None:
    """4 ms a token of input, 80 ms one of output."""
    weights = weights_of(BASE)
    assert (weights.input, weights.output) == (0.004, 0.08)
    assert weights.weighing is Weighing.PHASE_SECONDS
    assert weights.work(BASE) == pytest.approx(100 * MICRO)


@pytest.mark.parametrize("silent", ["prefill", "decode"])
def test_without_a_phase_all_tokens_weigh_alike(silent: str) -> None:
    """One phase's seconds say nothing of the other's tokens."""
    values = {name: getattr(BASE, name) for name in Sums.__slots__} | {silent: 0}
    weights = weights_of(Sums(**values))
    assert weights.weighing is Weighing.TOKENS
    assert weights.work(BASE) == 6000 * MICRO


def test_without_tokens_requests_are_the_work() -> None:
    """Then all requests are alike: the mix never changes."""
    plain = Sums(cost=100, active=50, idle=50, attempted=10 * MICRO, succeeded=10 * MICRO)
    found = drift(plain, plain)
    assert found is not None
    assert found.weighing is Weighing.REQUESTS
    assert set(found.factors.values()) == {1.0}


@pytest.mark.parametrize("nothing", ["cost", "active", "succeeded"])
def test_without_cost_work_or_success_there_are_no_factors(nothing: str) -> None:
    """On either side."""
    values = {name: getattr(BASE, name) for name in Sums.__slots__} | {nothing: 0}
    assert drift(Sums(**values), BASE) is None
    assert drift(BASE, Sums(**values)) is None


def test_no_work_done_is_no_factor() -> None:
    """Tokens in the baseline, none now."""
    values = {name: getattr(BASE, name) for name in Sums.__slots__} | {"input": 0, "output": 0}
    assert drift(Sums(**values), BASE) is None


def test_a_server_that_does_not_count_attempts_has_no_failures() -> None:
    """Attempts are at least what succeeded."""
    values = {name: getattr(BASE, name) for name in Sums.__slots__} | {"attempted": 0}
    found = drift(Sums(**values), Sums(**values))
    assert found is not None
    assert found.factors[Factor.FAILURES] == 1.0


@given(sums, sums)
def test_the_factors_multiply_to_the_ratio_and_the_dollars_add_up(now: Sums, then: Sums) -> None:
    """For whatever was counted."""
    found = drift(now, then)
    assume(found is not None)
    assert found is not None
    logs = [math.log(ratio) for ratio in found.factors.values()]
    assert math.isclose(sum(logs), math.log(found.ratio), rel_tol=1e-6, abs_tol=1e-6)
    parts = [found.pico_per_unit(factor) for factor in Factor]
    difference = found.unit_pico - found.baseline_pico
    scale = max(found.unit_pico, found.baseline_pico) * max(1.0, *map(abs, logs))
    assert abs(sum(parts) - difference) <= 1e-5 * scale


@given(st.lists(sums, max_size=5))
def test_sums_of_parts_and_their_differences(parts: list[Sums]) -> None:
    """A stretch is the difference of two sums."""
    whole = together(parts)
    assert whole.held == sum(each.held for each in parts)
    if parts:
        assert whole.minus(together(parts[1:])) == parts[0]
