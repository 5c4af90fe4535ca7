"""Amortisation by hours of work: the life sums to what was to be spread, whenever it was worked."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.amortisation import Estimate, Schedule, StraightLine, UnitsOfProduction
from unitcost.pricing.currency import DOLLAR
from unitcost.pricing.money import PICO, to_pico
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.timeline import NS_PER_HOUR, Period
from unitcost.pricing.use_price import UsePrice, use_price

D = Decimal
NOTHING = D(0)
BOUGHT = 490_000 * NS_PER_HOUR
LATER = BOUGHT + 1000 * NS_PER_HOUR


def by_hours(
    cost: Decimal, hours: Decimal, residual: Decimal = NOTHING, before: Decimal = NOTHING
) -> UsePrice:
    """A purchase that is spread over hours of work."""
    estimate = Estimate(BOUGHT, UnitsOfProduction(hours), residual)
    return use_price(Schedule(cost, (estimate,)), "test", before)


def charged(price: UsePrice, spans: list[int], used: int = 0) -> Fraction:
    """Pico-dollars of stretches of work, one after the other, each at the prices it meets."""
    pico = Fraction(0)
    for span in spans:
        while span:
            left = price.left(BOUGHT, used)
            now = span if left is None else min(span, left)
            rate = price.pico(BOUGHT, used)
            assert rate is not None
            pico += Fraction(rate * now, NS_PER_HOUR)
            used, span = used + now, span - now
    return pico


@given(
    st.decimals(0, 10**6, places=12),
    st.decimals("0.000001", 10**6, places=6),
    st.integers(0, 10),
    st.lists(st.integers(0, 10**18), max_size=4),
)
def test_a_life_of_work_costs_what_was_paid(
    cost: Decimal, hours: Decimal, tenths: int, spans: list[int]
) -> None:
    """To the last pico-dollar, in whatever pieces; after it work costs 0, which is a price."""
    residual = (cost * tenths / 10).quantize(D("1e-12"))
    price = by_hours(cost, hours, residual)
    life = round(hours * NS_PER_HOUR)
    left = max(0, life - sum(spans))
    assert charged(price, [*spans, left]) == to_pico(cost - residual)
    assert price.pico(BOUGHT, life) == 0
    assert price.left(BOUGHT, life) is None


def test_hours_that_nobody_counted_here_are_worked_already() -> None:
    """What is left is charged, no more."""
    price = by_hours(D(1000), D(100), before=D(40))
    assert price.pico(BOUGHT, 0) == 10 * PICO
    assert price.left(BOUGHT, 0) == 60 * NS_PER_HOUR
    assert charged(price, [70 * NS_PER_HOUR]) == 600 * PICO
    assert by_hours(D(1000), D(100), before=D(100)).pico(BOUGHT, 0) == 0


def test_it_is_of_the_estimates_that_count_work() -> None:
    """Each counts anew, what is left of the book value; others have no price here."""
    estimates = (
        Estimate(BOUGHT, UnitsOfProduction(D(100))),
        Estimate(LATER, UnitsOfProduction(D(50)), D(100), units_before=D(60)),
        Estimate(LATER + 5, StraightLine(D(1)), D(0), units_before=D(10)),
    )
    price = use_price(Schedule(D(1000), estimates), "test", D(30))
    assert (price.component, price.unit) == (Component.AMORTISATION, PriceUnit.ACTIVE_HOUR)
    assert price.rate(BOUGHT) == DOLLAR
    assert [price.counting_since(at) for at in (BOUGHT - 1, BOUGHT, LATER, LATER + 5)] == [
        None,
        BOUGHT,
        LATER,
        None,
    ]
    assert [price.pico(at, 0) for at in (BOUGHT - 1, BOUGHT, LATER, LATER + 5)] == [
        None,
        10 * PICO,
        6 * PICO,
        None,
    ]
    assert price.left(BOUGHT - 1, 0) is None
    assert price.left(LATER, 0) == 50 * NS_PER_HOUR
    assert price.changes(Period(0, LATER + 9)) == (BOUGHT, LATER, LATER + 5)
    assert price.changes(Period(BOUGHT, LATER)) == ()
    assert use_price(Schedule(D(1), (Estimate(1, StraightLine(D(1))),)), "test").phases == ()


def test_hours_that_cannot_be_are_refused() -> None:
    """Negative ones."""
    with pytest.raises(ValueError, match="hours"):
        by_hours(D(1), D(1), before=D(-1))


def test_a_price_by_use_says_whose_it_is() -> None:
    """As any price does."""
    assert by_hours(D(100), D(10)).source == "test"
