"""Discounts: exact, once, with the list price kept."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.discount import Discount, after_discounts, discounted
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Chosen, Rank, Resolution

LIST = Quote(
    PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND), Decimal("55.04"), "x"
)


@pytest.mark.parametrize(
    ("percent", "effective"),
    [("0", "55.04"), ("37.5", "34.4"), ("12.34", "48.248064"), ("100", "0")],
)
def test_a_discount_is_taken_off_the_list_price(percent: str, effective: str) -> None:
    """Exactly, and both are kept."""
    quote = discounted(LIST, Decimal(percent))
    assert (quote.per_hour, quote.list_per_hour) == (Decimal(effective), Decimal("55.04"))
    assert quote.key == LIST.key


@pytest.mark.parametrize("percent", ["-0.1", "100.1", "NaN", "Infinity"])
def test_a_discount_is_a_part_of_the_price(percent: str) -> None:
    """Nothing is paid out, and no price is raised by one."""
    with pytest.raises(ValueError, match=r"^a discount is 0 to 100 percent$"):
        discounted(LIST, Decimal(percent))


def test_a_discount_is_not_taken_twice() -> None:
    """Not even one of nothing."""
    with pytest.raises(ValueError, match=r"^a discount is in this price already$"):
        discounted(discounted(LIST, Decimal(0)), Decimal(10))


# Discounts that are agreed, taken off what was found.

PERCENT = st.decimals(0, 100, places=3)
KEYS = st.builds(
    PriceKey,
    st.sampled_from(["aws", "gcp"]),
    st.sampled_from(["here", "there"]),
    st.sampled_from(["big", "small"]),
    st.sampled_from([PriceModel.ON_DEMAND, PriceModel.SPOT]),
)
TIMES = st.lists(st.integers(0, 60), min_size=2, max_size=2, unique=True).map(sorted)


@st.composite
def agreed(draw: st.DrawFn) -> Discount:
    """Any discount; most of its fields may be empty."""
    key, (start, end) = draw(KEYS), draw(TIMES)
    return Discount(
        name=draw(st.sampled_from("abc")),
        percent=draw(PERCENT),
        provider=draw(st.sampled_from(["", key.provider])),
        region=draw(st.sampled_from(["", key.region])),
        sku=draw(st.sampled_from(["", key.sku])),
        model=draw(st.sampled_from([None, key.model])),
        from_ns=start,
        until_ns=draw(st.sampled_from([None, end])),
    )


@st.composite
def found(draw: st.DrawFn) -> Resolution:
    """One price after the other, each of some time."""
    edges = sorted(draw(st.lists(st.integers(0, 60), min_size=2, max_size=6, unique=True)))
    key = draw(KEYS)
    chosen = []
    for start, end in itertools.pairwise(edges):
        quote = Quote(key, draw(st.decimals(0, 100, places=4)), "list", start, end)
        if draw(st.booleans()):
            quote = discounted(quote, draw(PERCENT))
        chosen.append(Chosen(draw(st.sampled_from(list(Rank))), quote))
    return Resolution(tuple(chosen))


@given(found(), st.lists(agreed(), max_size=5))
def test_at_each_instant_the_first_that_fits_is_taken_off_and_nothing_else(
    resolution: Resolution, discounts: list[Discount]
) -> None:
    """Once, for the time it holds; the list price stays, and so does what was found when."""
    paid = after_discounts(resolution, discounts)
    for at in range(61):
        before, after = resolution.at(at), paid.at(at)
        assert (before is None) == (after is None)
        if before is None or after is None:
            continue
        fitting = (each for each in discounts if each.fits(before.quote.key) and each.covers(at))
        first = next(fitting, None)
        own = before.quote.list_per_hour is not None or before.rank is Rank.OVERRIDE
        expected = before.quote if own or not first else discounted(before.quote, first.percent)
        assert (after.quote.per_hour, after.quote.list_per_hour) == (
            expected.per_hour,
            expected.list_per_hour,
        )
        assert after.discount == (first.name if first and not own else "")
        assert after.quote.per_hour <= before.quote.per_hour
        assert after.rank is before.rank


@given(found(), st.lists(agreed(), max_size=5))
def test_prices_are_cut_only_where_another_discount_begins(
    resolution: Resolution, discounts: list[Discount]
) -> None:
    """In order, and without a hole or an overlap."""
    paid = after_discounts(resolution, discounts).chosen
    bounds = {each.quote.valid_from_ns for each in resolution.chosen}
    changes = {each.from_ns for each in discounts} | {each.until_ns for each in discounts}
    for one, other in itertools.pairwise(paid):
        assert one.quote.valid_to_ns == other.quote.valid_from_ns
        assert other.quote.valid_from_ns in bounds | changes


def test_a_discount_that_begins_and_ends_in_the_middle() -> None:
    """Three stretches: before, with it, after."""
    agreement = Discount("EDP", Decimal(10), model=PriceModel.ON_DEMAND, from_ns=5, until_ns=9)
    paid = after_discounts(Resolution((Chosen(Rank.LIVE, LIST),)), [agreement])
    told = [
        (each.quote.valid_from_ns, each.quote.valid_to_ns, str(each.quote.per_hour), each.discount)
        for each in paid.chosen
    ]
    assert told == [(0, 5, "55.04", ""), (5, 9, "49.536", "EDP"), (9, None, "55.04", "")]


@pytest.mark.parametrize(
    ("percent", "until"), [("-1", None), ("101", None), ("NaN", None), ("5", 5), ("5", 4)]
)
def test_what_no_discount_can_be_is_refused(percent: str, until: int | None) -> None:
    """At once, not when it would be taken off."""
    with pytest.raises(ValueError, match="a discount"):
        Discount("x", Decimal(percent), from_ns=5, until_ns=until)


def test_a_price_is_not_cut_where_a_discount_begins_that_is_not_taken() -> None:
    """The first holds for all of the time; the second is never reached."""
    quote = Quote(PriceKey("aws", "r", "t", PriceModel.ON_DEMAND), Decimal(10), "list", 5)
    first, second = Discount("first", Decimal(10)), Discount("second", Decimal(20), from_ns=9)
    whole = Resolution((Chosen(Rank.LIVE, quote),))
    (paid,) = after_discounts(whole, [first, second]).chosen
    assert (paid.discount, paid.discount_from_ns) == ("first", 0)
    assert (paid.quote.per_hour, paid.quote.valid_from_ns) == (Decimal(9), 5)
    (dated,) = after_discounts(whole, [Discount("dated", Decimal(10), from_ns=3)]).chosen
    assert dated.discount_from_ns == 3


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"provider": "aws"}, True),
        ({"provider": "azure"}, False),
        ({"region": "us-east-1"}, True),
        ({"region": "us-east-2"}, False),
        ({"sku": "p5.48xlarge"}, True),
        ({"sku": "p5.4xlarge"}, False),
        ({"model": PriceModel.ON_DEMAND}, True),
        ({"model": PriceModel.SPOT}, False),
        ({"provider": "azure", "model": PriceModel.ON_DEMAND}, False),
        ({"provider": "aws", "region": "us-east-1", "model": PriceModel.SPOT}, False),
    ],
)
def test_a_discount_is_for_what_it_was_agreed_for(fields: dict[str, Any], fits: bool) -> None:
    """All that it names must fit; what it does not name fits all."""
    assert Discount("EDP", Decimal(100), **fields).fits(LIST.key) is fits
