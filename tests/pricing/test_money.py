"""Money: whole pico-dollars that round once and split without a remainder."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.money import PICO, distribute, round_half_even, to_pico, to_usd

PICOS = st.integers(-(10**30), 10**30)
TOTALS = st.integers(0, 10**24)
WEIGHTS = st.lists(st.one_of(st.integers(0, 5), st.integers(0, 10**30)), min_size=1, max_size=12)


@given(TOTALS, WEIGHTS.filter(any))
def test_parts_sum_to_the_total_each_within_one_of_its_exact_share(
    total: int, weights: list[int]
) -> None:
    """And what weighs nothing gets nothing."""
    parts = distribute(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
        assert weight or not part


@given(TOTALS, WEIGHTS.filter(any), st.integers(1, 10**9))
def test_a_split_depends_on_the_ratio_of_the_weights_alone(
    total: int, weights: list[int], factor: int
) -> None:
    """So the unit a weight is counted in does not matter, and the same is split the same."""
    assert distribute(total, weights) == distribute(total, [factor * each for each in weights])


@given(TOTALS, WEIGHTS.filter(any))
def test_a_larger_weight_never_gets_less(total: int, weights: list[int]) -> None:
    """Nor does an earlier one of the same size: ties go to it."""
    parts = distribute(total, weights)
    ranked = sorted(range(len(weights)), key=lambda index: (-weights[index], index))
    assert [parts[index] for index in ranked] == sorted(parts, reverse=True)


@given(st.lists(st.integers(0, 10**20), min_size=2, max_size=10).filter(any))
def test_what_can_be_split_exactly_is(parts: list[int]) -> None:
    """Parts as weights of their own sum come back."""
    assert distribute(sum(parts), parts) == parts


def test_nothing_is_split_by_weights_of_nothing() -> None:
    """But something cannot be: it would vanish."""
    assert distribute(0, [0, 0]) == [0, 0]
    assert distribute(0, []) == []
    with pytest.raises(ValueError, match=r"^nothing to distribute by: all weights are zero$"):
        distribute(1, [0, 0])
    with pytest.raises(ValueError, match=r"^nothing to distribute by: all weights are zero$"):
        distribute(1, [])


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [2, -1]), (0, [-1])])
def test_nothing_negative_is_split(total: int, weights: list[int]) -> None:
    """A negative charge would be somebody else's dollar."""
    with pytest.raises(ValueError, match=r"^neither the total nor a weight may be negative$"):
        distribute(total, weights)


@given(PICOS)
def test_pico_dollars_survive_the_way_to_dollars_and_back(pico: int) -> None:
    """Exactly, however many there are."""
    assert to_pico(to_usd(pico)) == pico
    assert Fraction(to_usd(pico)) == Fraction(pico, PICO)


@given(st.decimals(-(10**15), 10**15, allow_nan=False, allow_infinity=False))
def test_dollars_round_to_the_nearest_pico_dollar(usd: Decimal) -> None:
    """Half to even, so that many roundings have no direction."""
    assert to_pico(usd) == round(Fraction(usd) * PICO)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Never a made-up number."""
    with pytest.raises(ValueError, match=f"^not an amount of money: {text}$"):
        to_pico(Decimal(text))


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_rounding_is_to_the_nearest_ties_to_even(numerator: int, denominator: int) -> None:
    """As `round` does it, without a float on the way."""
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))
    half = 2 * numerator + 1
    assert round_half_even(half * denominator, 2 * denominator) == round(Fraction(half, 2))


def test_amounts_longer_than_a_decimal_usually_is_are_exact() -> None:
    """28 digits are not enough for a year of a large fleet in pico-dollars of another currency."""
    text = "123456789012345678901234567890.123456789012"
    assert to_pico(Decimal(text)) == int(text.replace(".", ""))
    assert to_usd(int(text.replace(".", ""))) == Decimal(text)
    assert to_pico(Decimal(text + "5")) == int(text.replace(".", ""))
    assert to_pico(Decimal(text + "51")) == int(text.replace(".", "")) + 1
