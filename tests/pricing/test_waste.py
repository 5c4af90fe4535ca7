"""Wasted work and cache savings: parts of a cost, never more than it, absent where nobody says."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.unit_cost import DECODE, INPUT, OUTPUT, PREFILL, SUCCEEDED, UnitKey, Window
from unitcost.pricing.unit_cost import Slice as Part
from unitcost.pricing.waste import WASTED, saved_pico, wasted_pico

FAILED = Outcome.FAILED
TIMED: UnitKey = (Quantity.REQUEST_SECONDS, "")
CACHED: UnitKey = (Quantity.TOKENS, TokenType.CACHED_INPUT)
LOST_SECONDS: UnitKey = (Quantity.OUTCOME_SECONDS, FAILED)
LOST_TOKENS: UnitKey = (Quantity.OUTCOME_TOKENS, FAILED)
USD = 10**12
AMOUNTS = st.integers(0, 10**12)


def window(units: dict[UnitKey, int], used: int | None = USD, pico: int | None = 2 * USD) -> Window:
    """A window that has seen these units, of a cost of two dollars of which one was active."""
    found = Window(300)
    found.add(Part(1, pico, used, {SUCCEEDED: 1, **units}))
    return found


def test_requests_that_failed_wasted_their_part_of_the_seconds() -> None:
    """Of the active cost alone: what idled is idle."""
    seen = window({TIMED: 40, INPUT: 10, OUTPUT: 10})
    assert wasted_pico(seen, FAILED, {LOST_SECONDS: 10, LOST_TOKENS: 20}) == USD // 4
    assert wasted_pico(seen, FAILED, {LOST_SECONDS: 0}) == 0


def test_without_seconds_they_wasted_their_part_of_the_tokens() -> None:
    """Input and output together."""
    seen = window({INPUT: 30, OUTPUT: 10})
    assert wasted_pico(seen, FAILED, {LOST_SECONDS: 10, LOST_TOKENS: 10}) == USD // 4
    assert wasted_pico(seen, FAILED, {LOST_TOKENS: 10}) == USD // 4


def test_nothing_is_wasted_that_nobody_tells_of() -> None:
    """A count of failures says nothing of what they cost; nor do parts without their whole."""
    seen = window({TIMED: 40, INPUT: 10, OUTPUT: 10})
    assert wasted_pico(seen, FAILED, {(Quantity.REQUESTS, FAILED): 9}) is None
    assert wasted_pico(seen, Outcome.ABORTED, {LOST_SECONDS: 10}) is None
    assert wasted_pico(window({INPUT: 10}), FAILED, {LOST_TOKENS: 5}) is None
    assert wasted_pico(window({OUTPUT: 10}), FAILED, {LOST_TOKENS: 5}) is None


def test_where_nothing_was_done_no_part_of_it_was_lost() -> None:
    """A division by nothing is unknown, not zero."""
    assert wasted_pico(window({TIMED: 0}), FAILED, {LOST_SECONDS: 10}) is None
    unpriced = window({TIMED: 40}, pico=None)
    assert wasted_pico(unpriced, FAILED, {LOST_SECONDS: 10}) is None


def test_without_busy_and_idle_nothing_is_wasted_or_saved() -> None:
    """There is no active cost to take a part of."""
    seen = window({TIMED: 40, INPUT: 30, PREFILL: 1, DECODE: 3}, used=None)
    assert wasted_pico(seen, FAILED, {LOST_SECONDS: 10}) is None
    assert saved_pico(seen, {CACHED: 10}) is None


def test_more_seconds_than_there_were_waste_all_and_no_more() -> None:
    """A request that failed now began before the window."""
    assert wasted_pico(window({TIMED: 40}), FAILED, {LOST_SECONDS: 41}) == USD
    assert wasted_pico(window({TIMED: 40}), FAILED, {LOST_SECONDS: 40}) == USD


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**15))
def test_waste_is_a_part_of_the_active_cost(lost: int, whole: int, used: int) -> None:
    """Within a pico-dollar below its share."""
    found = wasted_pico(window({TIMED: whole}, used=used, pico=used), FAILED, {LOST_SECONDS: lost})
    if not whole:
        assert found is None
        return
    assert found is not None
    assert 0 <= Fraction(used * min(lost, whole), whole) - found < 1
    assert found <= used


def test_cached_input_saved_what_computing_it_would_have_cost() -> None:
    """A quarter of the dollar went into 50 input tokens; ten more would have been a fifth of it."""
    seen = window({INPUT: 50, PREFILL: 1, DECODE: 3})
    assert saved_pico(seen, {CACHED: 10}) == USD // 20
    assert saved_pico(seen, {CACHED: 0}) == 0
    longer = window({INPUT: 50, PREFILL: 3, DECODE: 1})
    assert saved_pico(longer, {CACHED: 10}) == 3 * USD // 20


@pytest.mark.parametrize("missing", [PREFILL, DECODE])
def test_without_both_phases_nothing_is_saved(missing: UnitKey) -> None:
    """What an input token costs is not known then."""
    units = {INPUT: 50, PREFILL: 1, DECODE: 3}
    del units[missing]
    assert saved_pico(window(units), {CACHED: 10}) is None


def test_saving_is_unknown_where_a_cache_or_computed_input_is() -> None:
    """A server without a cache saves nothing that could be told."""
    units = {INPUT: 50, PREFILL: 1, DECODE: 3}
    assert saved_pico(window(units), {}) is None
    assert saved_pico(window({**units, INPUT: 0}), {CACHED: 10}) is None
    assert saved_pico(window({PREFILL: 1, DECODE: 3}), {CACHED: 10}) is None
    assert saved_pico(window({INPUT: 50, PREFILL: 0, DECODE: 0}), {CACHED: 10}) is None


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.integers(0, 10**15))
def test_savings_are_cached_tokens_at_the_price_of_computed_ones(
    cached: int, computed: int, prefill: int, decode: int, used: int
) -> None:
    """Within a pico-dollar below it."""
    units: dict[UnitKey, int] = {INPUT: computed, PREFILL: prefill, DECODE: decode}
    found = saved_pico(window(units, used=used, pico=used), {CACHED: cached})
    if not computed or not prefill + decode:
        assert found is None
        return
    assert found is not None
    share = Fraction(used * prefill, prefill + decode) * Fraction(cached, computed)
    assert 0 <= share - found < 1


def test_which_outcomes_are_waste() -> None:
    """Those that gave nobody anything."""
    assert WASTED == (Outcome.FAILED, Outcome.ABORTED)


def test_memos_are_whole_pico_dollars() -> None:
    """A third of a dollar has 12 digits after the point, and no float."""
    wasted = wasted_pico(window({TIMED: 3}), FAILED, {LOST_SECONDS: 1})
    saved = saved_pico(window({INPUT: 3, PREFILL: 1, DECODE: 0}), {CACHED: 1})
    assert wasted == saved == 333_333_333_333
    assert isinstance(wasted, int)
    assert isinstance(saved, int)
