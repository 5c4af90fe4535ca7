"""Drift of training: the same identity, of steps; else of samples or tokens."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unitcost.pricing.drift import Drift, Factor, Sums, drift
from unitcost.pricing.drift_training import (
    LEAST_STEPS,
    Trained,
    TrainedUnit,
    as_requests,
    trained,
    training_limits,
    training_rules,
)
from unitcost.pricing.drift_watch import WatchRules, default_limits

MICRO = 10**6
STEP, SAMPLE, TOKEN = TrainedUnit.STEP, TrainedUnit.SAMPLE, TrainedUnit.TOKEN
BASE = Sums(
    cost=1000,
    active=600,
    idle=300,
    loading=100,
    attempted=50 * MICRO,
    succeeded=50 * MICRO,
    input=200_000 * MICRO,
    output=1600 * MICRO,
)
amounts, some = st.integers(0, 10**15), st.integers(1, 10**15)
sums = st.builds(
    lambda steps, **others: Sums(attempted=steps, succeeded=steps, **others),
    amounts,
    cost=some,
    active=some,
    idle=amounts,
    loading=amounts,
    input=amounts,
    output=amounts,
)


def compared(now: Sums, baseline: Sums = BASE) -> Drift:
    """The drift of training. Raises AssertionError where there is none."""
    by = trained(now, baseline)
    assert by is not None
    found = drift(as_requests(now, by), as_requests(baseline, by))
    assert found is not None
    return found


def changed(**now: int) -> dict[Factor, float]:
    """The factors other than 1 of a present that is like the baseline but for this."""
    found = compared(replace(BASE, **now))
    return {
        factor: round(ratio, 9) for factor, ratio in found.factors.items() if abs(ratio - 1) > 1e-9
    }


def test_each_factor_by_itself() -> None:
    """Of a step."""
    assert changed() == {}
    assert changed(cost=1200) == {Factor.PRICE: 1.2}
    assert changed(cost=2000, loading=1100) == {Factor.LOADING: 2.0}
    assert changed(active=900, idle=0) == {Factor.SPEED: 1.5, Factor.IDLE: round(1 / 1.5, 9)}
    longer = changed(input=400_000 * MICRO, active=1200, idle=600, loading=200, cost=2000)
    assert longer == {Factor.MIX: 2.0}


def test_the_cost_is_that_of_a_step() -> None:
    """Pico-dollars."""
    found = compared(replace(BASE, cost=3000))
    assert (found.unit_pico, found.baseline_pico) == (60.0, 20.0)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), Trained(STEP, TOKEN)),
        (("input",), Trained(STEP, SAMPLE)),
        (("input", "output"), Trained(STEP)),
        (("succeeded",), Trained(SAMPLE, TOKEN)),
        (("succeeded", "input"), Trained(SAMPLE)),
        (("succeeded", "output"), Trained(TOKEN)),
        (("succeeded", "input", "output"), None),
    ],
)
def test_it_is_of_what_both_have(missing: tuple[str, ...], expected: Trained | None) -> None:
    """What either lacks compares nothing."""
    less = replace(BASE, **dict.fromkeys(missing, 0))
    assert trained(less, BASE) == expected
    assert trained(BASE, less) == expected


def test_where_all_steps_are_alike_there_is_no_mix() -> None:
    """Samples that only one of both counts are no work."""
    plain = replace(BASE, input=0, output=0)
    found = compared(replace(plain, output=99 * MICRO, active=1200), plain)
    assert found.factors[Factor.MIX] == 1.0
    assert found.factors[Factor.SPEED] == 2.0


def test_sums_in_the_form_of_requests() -> None:
    """Dollars and time stay; what no step has is 0."""
    assert as_requests(BASE, Trained(SAMPLE, TOKEN)) == replace(
        BASE, attempted=1600 * MICRO, succeeded=1600 * MICRO, output=0
    )
    assert as_requests(replace(BASE, prefill=5, decode=6), Trained(STEP)) == replace(
        BASE, input=0, output=0
    )


@given(sums, sums)
def test_the_factors_multiply_to_the_ratio_and_no_step_fails(now: Sums, then: Sums) -> None:
    """For whatever was counted."""
    by = trained(now, then)
    assume(by is not None)
    assert by is not None
    found = drift(as_requests(now, by), as_requests(then, by))
    assert found is not None
    logs = [math.log(ratio) for ratio in found.factors.values()]
    assert math.isclose(sum(logs), math.log(found.ratio), rel_tol=1e-6, abs_tol=1e-6)
    assert found.factors[Factor.FAILURES] == 1.0
    count = {STEP: "succeeded", SAMPLE: "output", TOKEN: "input"}[by.unit]
    unit, base = now.cost / getattr(now, count), then.cost / getattr(then, count)
    assert math.isclose(found.ratio, unit / base, rel_tol=1e-9)


def test_it_is_watched_as_requests_are_but_for_failures_and_their_number() -> None:
    """Ten steps prove what a hundred requests do."""
    limits = dict(default_limits())
    del limits[Factor.FAILURES]
    assert dict(training_limits()) == limits
    assert training_rules() == WatchRules(training_limits(), least_requests=10)
    assert LEAST_STEPS == 10
