"""What all price sources do alike: prices in succession, numbers, instants."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.prices.asking import ns
from unitcost.collectors.price_reading import (
    Dropped,
    Unusable,
    amount,
    end_ns,
    instant_ns,
    until_the_next,
)
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote

ONE = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND)
OTHER = replace(ONE, model=PriceModel.SPOT)


def quote(price: int, begins: int, ends: int | None = None, key: PriceKey = ONE) -> Quote:
    """A price of that time."""
    return Quote(key, Decimal(price), "x", valid_from_ns=begins, valid_to_ns=ends)


def spans(quotes: Sequence[Quote]) -> list[tuple[int, int, int | None]]:
    """Prices with their times."""
    return [(int(each.per_hour), each.valid_from_ns, each.valid_to_ns) for each in quotes]


@pytest.mark.parametrize(
    ("given_quotes", "expected", "disputed"),
    [
        ([quote(2, 10), quote(1, 0)], [(1, 0, 10), (2, 10, None)], 0),
        ([quote(1, 0, 5), quote(2, 10)], [(1, 0, 5), (2, 10, None)], 0),
        ([quote(1, 0), quote(1, 0)], [(1, 0, None)], 0),
        ([quote(1, 0), quote(2, 0)], [], 2),
        ([quote(1, 0, 11), quote(2, 10)], [], 2),
        ([quote(1, 0, 100), quote(2, 10, 20), quote(3, 30, 40)], [], 3),
        ([quote(1, 0, 100), quote(1, 10, 20)], [(1, 0, 100)], 0),
        ([quote(1, 0, 15), quote(1, 10, 20)], [(1, 0, 15), (1, 15, 20)], 0),
        ([quote(1, 0, 15), quote(1, 0, 20)], [(1, 0, 20)], 0),
        ([quote(1, 0), quote(2, 0, None, OTHER)], [(1, 0, None), (2, 0, None)], 0),
    ],
)
def test_prices_follow_each_other(
    given_quotes: list[Quote], expected: list[tuple[int, int, int | None]], disputed: int
) -> None:
    """Where rows contradict each other none of them is believed."""
    dropped = Dropped()
    assert spans(until_the_next(given_quotes, dropped)) == expected
    assert sum(dropped.by_reason.values()) == disputed


QUOTES = st.lists(
    st.builds(
        lambda price, begins, lasts, key: quote(
            price, begins, begins + lasts if lasts else None, key
        ),
        st.integers(0, 3),
        st.integers(0, 20),
        st.integers(0, 8),
        st.sampled_from([ONE, OTHER]),
    ),
    max_size=8,
)


@given(QUOTES)
def test_no_two_prices_of_a_kind_hold_at_once_and_none_is_made_up(quotes: list[Quote]) -> None:
    """At every instant at most one price of a kind, and it is one that some row states then."""
    found = until_the_next(quotes, Dropped())
    for key in (ONE, OTHER):
        own = [each for each in found if each.key == key]
        for earlier, later in pairwise(own):
            assert earlier.valid_to_ns is not None
            assert earlier.valid_to_ns <= later.valid_from_ns
        for instant in range(30):
            at = [each.per_hour for each in own if each.covers(instant)]
            stated = {each.per_hour for each in quotes if each.key == key and each.covers(instant)}
            assert set(at) <= stated


@given(QUOTES, st.randoms())
def test_the_order_of_rows_says_nothing(quotes: list[Quote], random: Random) -> None:
    """Whichever way an answer lists them."""
    shuffled = list(quotes)
    random.shuffle(shuffled)
    one, other = Dropped(), Dropped()
    assert until_the_next(quotes, one) == until_the_next(shuffled, other)
    assert one.by_reason == other.by_reason


@given(st.decimals(0, 1_000_000, places=12))
def test_an_amount_is_what_is_written(value: Decimal) -> None:
    """To the last digit."""
    assert f"{amount(f'{value:f}'):f}" == f"{value:f}"


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", ".5", "1.", "1_0", "0x1", "nan", "Infinity", "\u0661", "1e999", "1,5"],
)
def test_what_is_no_plain_number_is_none(text: str) -> None:
    """However Python reads it."""
    with pytest.raises(Unusable):
        amount(text)


def test_instants_have_their_zone_and_far_ends_are_none() -> None:
    """A day begins in UTC; what is before 1970 is 1970."""
    assert instant_ns("2026-01-31") == ns("2026-01-31")
    assert instant_ns("2026-01-31T04:00:00+04:00") == ns("2026-01-31")
    assert instant_ns("2026-01-31T00:00:00.123456789Z") == ns("2026-01-31T00:00:00.123456")
    assert instant_ns("0001-01-01T00:00:00Z") == 0
    assert end_ns("9999-12-31T23:59:59Z") is None
    assert end_ns("") is end_ns(None) is None
    for text in ("", "x", "2026-01-31T00:00:00", "9999-12-31", "20260131", "2026-W05-1"):
        with pytest.raises(Unusable):
            instant_ns(text)
