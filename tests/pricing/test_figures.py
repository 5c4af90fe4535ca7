"""Figures: what is one, and division to 60 digits whatever context is set."""

from decimal import Decimal, DivisionByZero, localcontext

import pytest

from unitcost.pricing.figures import MAX_PLACES, above_zero, divide, shown, within


@pytest.mark.parametrize("text", ["1", "5", "5.00", "1.000000000001", "1E0"])
def test_both_ends_are_within(text: str) -> None:
    """A number from 1 to 5."""
    within("it", Decimal(text), 1, 5)


@pytest.mark.parametrize("text", ["0.99", "5.01", "-1", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_none_or_out_of_range_is_refused(text: str) -> None:
    """With the figure and the range in the message."""
    with pytest.raises(ValueError, match=rf"it is from 1 to 5, not {text}"):
        within("it", Decimal(text), 1, 5)


def test_digits_without_end_are_refused() -> None:
    """As a fraction such a figure would fill the memory."""
    within("it", Decimal(1).scaleb(-MAX_PLACES), 0, 5)
    for places in (MAX_PLACES + 1, 900_000):
        with pytest.raises(ValueError, match="it is from 0 to 5"):
            within("it", Decimal(f"1E-{places}"), 0, 5)


def test_above_zero_is_not_zero() -> None:
    """Nor below, nor above the most."""
    above_zero("it", Decimal("0.1"), 5)
    above_zero("it", Decimal(5), 5)
    with pytest.raises(ValueError, match="it is above 0"):
        above_zero("it", Decimal("0.0"), 5)
    for wrong in ("-1", "5.1"):
        with pytest.raises(ValueError, match="it is from 0 to 5"):
            above_zero("it", Decimal(wrong), 5)


def test_a_long_figure_is_cut_in_messages() -> None:
    """40 characters are shown whole."""
    assert shown(Decimal("1" * 40)) == "1" * 40
    assert shown(Decimal("1" * 41)) == "1" * 40 + "..."


def test_division_does_not_depend_on_the_context() -> None:
    """Sixty digits, half to even."""
    with localcontext(prec=3):
        third = divide(Decimal(2), Decimal(3))
    assert third == Decimal("0." + "6" * 59 + "7")
    with pytest.raises(DivisionByZero):
        divide(Decimal(1), Decimal(0))
