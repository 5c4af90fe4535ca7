"""Which of all quotes is a host's price, over time."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import MAX_USD_PER_HOUR, HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Offered, Rank, Resolution, Why, resolve

HOST = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.ON_DEMAND)
KEY = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND)


def quote(usd: str = "55.04", start: int = 0, end: int | None = None, **fields: object) -> Quote:
    """A quote of this host's kind."""
    made = Quote(KEY, Decimal(usd), "test", start, end)
    return replace(made, **fields)  # type: ignore[arg-type] # as given


def prices(found: Resolution, *instants: int) -> list[Decimal | None]:
    """The price at each instant."""
    chosen = [found.at(each) for each in instants]
    return [each.quote.per_hour if each else None for each in chosen]


def test_the_best_source_is_believed_and_the_next_fills_its_gaps() -> None:
    """Each for its own time; where nobody has one the host is unpriced."""
    live = Offered(Rank.LIVE, [quote("55.04", 10, 20)])
    card = Offered(Rank.RATE_CARD, [quote("98.32", 5, 30)])
    found = resolve(HOST, [card, live])
    assert prices(found, 4, 5, 10, 19, 20, 29, 30) == [
        None,
        Decimal("98.32"),
        Decimal("55.04"),
        Decimal("55.04"),
        Decimal("98.32"),
        Decimal("98.32"),
        None,
    ]
    mine = Offered(Rank.OVERRIDE, [quote("40")])
    over = resolve(HOST, [card, live, mine])
    assert prices(over, 4, 15, 30) == [Decimal(40)] * 3
    assert {each.why for each in over.rejected} == {Why.OUTRANKED}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"provider": "azure"}, Why.PROVIDER),
        ({"sku": "p5.4xlarge"}, Why.SKU),
        ({"region": "us-east-2"}, Why.REGION),
        ({"model": PriceModel.SPOT}, Why.MODEL),
        ({"model": PriceModel.CAPACITY_BLOCK}, Why.MODEL),
        ({"zone": "us-east-1b"}, Why.ZONE),
    ],
)
def test_a_quote_of_something_else_is_never_taken(changed: dict[str, object], why: Why) -> None:
    """However near it is; and it is told."""
    other = quote(key=replace(KEY, **changed))  # type: ignore[arg-type] # as given
    found = resolve(HOST, [Offered(Rank.LIVE, [other])])
    assert found.chosen == ()
    assert [each.why for each in found.rejected] == [why]


@pytest.mark.parametrize("rates", [frozenset(), frozenset({"AED"})])
def test_a_price_in_another_currency_is_the_price(rates: frozenset[str]) -> None:
    """It is converted elsewhere, or its dollars are unknown: nobody else is asked instead."""
    mine = Offered(Rank.OVERRIDE, [quote(key=replace(KEY, currency="AED"))])
    card = Offered(Rank.RATE_CARD, [quote("98.32")])
    (chosen,) = resolve(HOST, [card, mine], rates).chosen
    assert chosen.quote.key.currency == "AED"


def test_of_several_currencies_one_with_a_rate_is_taken() -> None:
    """Dollars first; whatever was stated last, what cannot be told in dollars stands back."""
    dollars = quote("55.04", as_of_ns=1)
    euros = quote("51", as_of_ns=1, key=replace(KEY, currency="EUR"))
    pounds = quote("43", as_of_ns=9, key=replace(KEY, currency="GBP"))
    rated = frozenset({"EUR"})
    for given_quotes, expected in (
        ([dollars, euros, pounds], "USD"),
        ([euros, dollars], "USD"),
        ([pounds, euros], "EUR"),
        ([pounds], "GBP"),
    ):
        (chosen,) = resolve(HOST, [Offered(Rank.LIVE, given_quotes)], rated).chosen
        assert chosen.quote.key.currency == expected
    newer = replace(euros, as_of_ns=2)
    (chosen,) = resolve(HOST, [Offered(Rank.LIVE, [dollars, newer])], rated).chosen
    assert chosen.quote == newer


@pytest.mark.parametrize("field", ["provider", "region", "sku", "model"])
def test_without_knowing_what_the_host_is_there_is_no_price(field: str) -> None:
    """On demand is no default, and a region is not guessed."""
    host = replace(HOST, **{field: None if field == "model" else ""})  # type: ignore[arg-type]
    found = resolve(host, [Offered(Rank.RATE_CARD, [quote()])])
    assert found.chosen == ()
    assert len(found.missing) == 1


def test_of_one_source_what_was_stated_last_holds() -> None:
    """A price learnt late takes the place of what was believed of that time."""
    first, later = quote("98.32", as_of_ns=1), quote("55.04", 10, as_of_ns=2)
    found = resolve(HOST, [Offered(Rank.LIVE, [later, first])])
    assert prices(found, 5, 10) == [Decimal("98.32"), Decimal("55.04")]


def test_what_contradicts_itself_is_not_believed() -> None:
    """Two prices for the same time, stated at once: neither, and the next source is asked."""
    live = Offered(Rank.LIVE, [quote("55.04"), quote("98.32")])
    card = Offered(Rank.RATE_CARD, [quote("60")])
    found = resolve(HOST, [live, card])
    assert prices(found, 1) == [Decimal(60)]
    assert [each.why for each in found.rejected] == [Why.OVERLAP, Why.OVERLAP]


def test_a_zone_s_own_price_comes_before_the_region_s() -> None:
    """Spot prices are each zone's."""
    zone = quote("20", key=replace(KEY, zone="us-east-1a"))
    found = resolve(HOST, [Offered(Rank.LIVE, [quote("30", as_of_ns=9), zone])])
    assert prices(found, 1) == [Decimal(20)]


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "1000001", "-Infinity"])
def test_what_no_price_can_be_is_refused(amount: str) -> None:
    """Free is a price; negative is not."""
    with pytest.raises(ValueError, match="a price is a number"):
        quote(amount)
    assert quote("0").per_hour == 0
    assert Decimal(1_000_000) == MAX_USD_PER_HOUR


spans = st.tuples(st.integers(0, 20), st.integers(1, 10), st.integers(1, 5), st.integers(0, 3))


@given(st.lists(st.tuples(spans, st.sampled_from(list(Rank))), max_size=8))
def test_prices_tile_and_follow_the_order_of_sources(
    given_quotes: list[tuple[tuple[int, int, int, int], Rank]],
) -> None:
    """No instant has two prices, and each has the best there is that is not in dispute."""
    made = [
        (rank, quote(str(usd), start, start + length, as_of_ns=stated))
        for (start, length, usd, stated), rank in given_quotes
    ]
    found = resolve(HOST, [Offered(rank, [each]) for rank, each in made])
    ordered = [each.quote for each in found.chosen]
    for earlier, later in itertools.pairwise(ordered):
        assert earlier.valid_to_ns is not None
        assert earlier.valid_to_ns <= later.valid_from_ns
    for instant in range(32):
        there = [rank for rank, each in made if each.covers(instant)]
        chosen = found.at(instant)
        assert (chosen is None) == (not there)
        if chosen is not None:
            assert list(Rank).index(chosen.rank) == min(list(Rank).index(r) for r in there)


one_source = st.lists(
    st.builds(
        lambda start, length, usd, stated: quote(
            str(usd), start, None if length is None else start + length, as_of_ns=stated
        ),
        st.integers(0, 20),
        st.none() | st.integers(1, 10),
        st.integers(1, 3),
        st.integers(0, 2),
    ),
    max_size=8,
)


@given(one_source)
def test_of_one_source_the_undisputed_that_was_stated_last_holds(quotes: list[Quote]) -> None:
    """As if each were compared with every other, instant by instant."""

    def disagree(one: Quote, other: Quote) -> bool:
        at_once = any(one.covers(at) and other.covers(at) for at in range(40))
        return at_once and one.per_hour != other.per_hour and one.as_of_ns == other.as_of_ns

    disputed = [each for each in quotes if any(disagree(each, other) for other in quotes)]
    found = resolve(HOST, [Offered(Rank.LIVE, quotes)])
    why = [each.quote for each in found.rejected if each.why is Why.OVERLAP]
    assert why == disputed
    for instant in range(40):
        told = [each for each in quotes if each.covers(instant) and each not in disputed]
        latest = max(told, key=lambda each: each.as_of_ns, default=None)
        assert prices(found, instant) == [latest.per_hour if latest else None]


def test_thousands_of_quotes_are_no_burden() -> None:
    """As of Spot prices over months: each second price is of its own minute, or all contradict."""
    many = [quote(str(1 + n % 7), n, n + 1) for n in range(3000)]
    assert (
        len(resolve(HOST, [Offered(Rank.LIVE, many), Offered(Rank.SNAPSHOT, many)]).chosen) == 3000
    )
    all_at_once = [quote(str(n + 1), n) for n in range(3000)]
    assert len(resolve(HOST, [Offered(Rank.LIVE, all_at_once)]).rejected) == 3000


def test_prices_that_follow_each_other_contradict_nothing() -> None:
    """Stated at once, the one ends when the other begins, in either order."""
    old, new = quote("98.32", 0, 10, as_of_ns=5), quote("55.04", 10, 20, as_of_ns=5)
    for rows in ([old, new], [new, old]):
        found = resolve(HOST, [Offered(Rank.LIVE, rows)])
        assert prices(found, 9, 10) == [Decimal("98.32"), Decimal("55.04")]
        assert found.rejected == ()
    overlapping = replace(new, valid_from_ns=9)
    for rows in ([old, overlapping], [overlapping, old]):
        found = resolve(HOST, [Offered(Rank.LIVE, rows)])
        assert prices(found, 8, 9, 10) == [None, None, None]
        assert {each.why for each in found.rejected} == {Why.OVERLAP}


def test_what_is_rejected_is_told_with_its_source_and_why() -> None:
    """The quote as it was, and how good the source that had it."""
    other = quote("1", key=replace(KEY, region="us-east-2"))
    best, worse = quote("2"), quote("3")
    found = resolve(HOST, [Offered(Rank.LIVE, [other, best]), Offered(Rank.RATE_CARD, [worse])])
    assert {(each.rank, each.quote, each.why) for each in found.rejected} == {
        (Rank.LIVE, other, Why.REGION),
        (Rank.RATE_CARD, worse, Why.OUTRANKED),
    }
    (chosen,) = found.chosen
    assert (chosen.rank, chosen.quote) == (Rank.LIVE, best)


def test_of_an_unknown_host_nothing_is_rejected() -> None:
    """No quote is of something else as long as it is not known what the host is."""
    unknown = replace(HOST, region="")
    found = resolve(unknown, [Offered(Rank.LIVE, [quote(), quote("1", key=replace(KEY, sku="x"))])])
    assert (found.chosen, found.rejected, found.missing) == ((), (), ("region",))


def test_what_is_missing_is_named() -> None:
    """In the words that a person reads."""
    assert resolve(HostIdentity(), []).missing == (
        "provider",
        "region",
        "instance type",
        "price model",
    )
    assert resolve(replace(HOST, sku=""), []).missing == ("instance type",)
    assert resolve(HOST, []).missing == ()


def test_what_one_source_says_twice_is_rejected_with_its_rank() -> None:
    """Both of them, as they were."""
    rows = [quote("1", as_of_ns=5), quote("2", as_of_ns=5)]
    found = resolve(HOST, [Offered(Rank.RATE_CARD, rows)])
    assert [(each.rank, each.quote) for each in found.rejected] == [
        (Rank.RATE_CARD, row) for row in rows
    ]
