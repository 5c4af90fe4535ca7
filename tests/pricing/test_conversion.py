"""Quotes in dollars: the day's rate, exact, and nothing without one."""

import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.conversion import Dollars, in_dollars
from unitcost.pricing.currency import DOLLAR, PEGS, Rate, Rates
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote

D = Decimal
KEY = PriceKey("acme", "here", "big", PriceModel.ON_DEMAND)
EUROS = replace(KEY, currency="EUR")
DAY = date(2026, 11, 20)


def euro(usd: str, start: int, known: int = 0) -> Rate:
    """One euro in dollars from an instant on."""
    return Rate("EUR", D(1), D(usd), DAY, start, "ECB", known_at_ns=known)


def quote(per_hour: str = "2", start: int = 0, end: int | None = None, **fields: object) -> Quote:
    """A quote in euros."""
    made = Quote(EUROS, D(per_hour), "acme", start, end, known_at_ns=7)
    return replace(made, **fields)  # type: ignore[arg-type] # as given


def spans(found: tuple[Dollars, ...]) -> list[tuple[int, int | None, Decimal]]:
    """From when until when it costs what."""
    return [(e.quote.valid_from_ns, e.quote.valid_to_ns, e.usd_per_hour) for e in found]


def test_dollars_stay_as_they_are() -> None:
    """Whatever digits they have, and whatever rates there are."""
    exact = quote("1.00000000000000000001", key=KEY, list_per_hour=D(3))
    rates = Rates((euro("1.1", 10),))
    assert in_dollars(exact, rates) == (Dollars(exact, exact.per_hour, D(3), DOLLAR),)


def test_a_price_is_cut_where_the_rate_changes() -> None:
    """Each part at the rate of its day, with what was billed kept."""
    rates = Rates((euro("1.1", 10), euro("1.2", 20)))
    found = in_dollars(quote(start=5, end=30), rates)
    assert spans(found) == [(10, 20, D("2.2")), (20, 30, D("2.4"))]
    assert [each.quote.per_hour for each in found] == [2, 2]
    assert [each.quote.key.currency for each in found] == ["EUR", "EUR"]
    assert [each.rate.usd for each in found] == [D("1.1"), D("1.2")]
    assert spans(in_dollars(quote(start=12, end=15), rates)) == [(12, 15, D("2.2"))]
    assert spans(in_dollars(quote(start=25), rates)) == [(25, None, D("2.4"))]


def test_before_the_first_rate_there_is_no_price() -> None:
    """The first rate is not taken for the time before it; without any there is none at all."""
    assert in_dollars(quote(end=10), Rates((euro("1.1", 10),))) == ()
    assert in_dollars(quote(), Rates()) == ()


def test_a_price_is_known_once_it_and_its_rate_are() -> None:
    """What is learnt last of the two."""
    rates = Rates((euro("1.1", 0, known=3), euro("1.2", 20, known=21)))
    assert [each.quote.known_at_ns for each in in_dollars(quote(), rates)] == [7, 21]


def test_the_list_price_is_converted_too() -> None:
    """At the same rate."""
    (found,) = in_dollars(quote(list_per_hour=D(4)), Rates((euro("1.1", 0),)))
    assert found.list_usd_per_hour == D("4.4")
    (found,) = in_dollars(quote(), Rates((euro("1.1", 0),)))
    assert found.list_usd_per_hour is None


def test_dirhams_have_a_price_by_their_peg() -> None:
    """To a pico-dollar."""
    (found,) = in_dollars(quote("100", start=2 * 10**18, key=replace(KEY, currency="AED")), Rates())
    assert found.usd_per_hour == D("27.229407760381")
    assert found.rate == PEGS[0]


instants = st.integers(0, 40)


@given(
    st.lists(instants, max_size=6, unique=True),
    instants,
    st.none() | st.integers(1, 20),
    st.decimals("0.01", 1000, places=2),
)
def test_the_parts_tile_the_time_that_has_a_rate(
    starts: list[int], begin: int, length: int | None, amount: Decimal
) -> None:
    """Each instant has one price, that of its rate."""
    rates = Rates(tuple(euro(f"1.{start + 10}", start) for start in starts))
    end = None if length is None else begin + length
    whole = quote(str(amount), begin, end)
    found = in_dollars(whole, rates)
    for earlier, later in itertools.pairwise(found):
        assert earlier.quote.valid_to_ns == later.quote.valid_from_ns
    for instant in range(70):
        rate = rates.at("EUR", instant) if whole.covers(instant) else None
        here = [each for each in found if each.quote.covers(instant)]
        assert [each.rate for each in here] == ([rate] if rate else [])
        assert all(each.usd_per_hour == amount * each.rate.usd for each in here)
