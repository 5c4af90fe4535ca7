"""The price book of what was looked up: what is only stated again is no other price."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.exporter.prices.test_lookup import HOST, LIVE, NOW, Source
from tests.sites import Site, rules
from unitcost.exporter.prices.book import book_of, unchanged
from unitcost.exporter.prices.lookup import PriceLookup
from unitcost.pricing.discount import Discount
from unitcost.pricing.price import PriceBook
from unitcost.pricing.quote import Quote
from unitcost.pricing.resolve import Rank

MINUTE = 60 * 10**9


def asked(*quotes: Quote, discounts: tuple[Discount, ...] = ()) -> PriceBook:
    """What a source's answer comes to."""
    source = Source("live", Rank.LIVE, quotes)
    return book_of(
        PriceLookup(lambda: (HOST, ()), [source], lambda: NOW, discounts=discounts).ask_all()
    )


def test_a_price_that_is_stated_again_has_the_same_rows_in_the_ledger() -> None:
    """Else a host on Spot would begin new rows every five minutes."""
    first = asked(replace(LIVE, known_at_ns=NOW))
    later = replace(LIVE, as_of_ns=NOW, known_at_ns=NOW + 5 * MINUTE)
    book = unchanged(asked(later), first)
    assert book == first
    (price,) = book.prices
    assert (price.as_of_ns, price.known_at_ns) == (LIVE.as_of_ns, NOW)
    assert price.stated_ns == NOW


def test_another_price_is_another() -> None:
    """A change, an end, a beginning."""
    first = asked(LIVE)
    for other in (
        replace(LIVE, per_hour=Decimal(50)),
        replace(LIVE, valid_to_ns=NOW + MINUTE),
        replace(LIVE, valid_from_ns=NOW),
    ):
        assert unchanged(asked(other), first) == asked(other)
    assert unchanged(asked(), first) == asked()


def test_a_scrape_says_when_the_price_was_stated_last() -> None:
    """Though in the ledger it is the price of the first time."""
    first = asked(LIVE)
    site = Site(rules(first))
    site.settle()
    book = unchanged(asked(replace(LIVE, as_of_ns=NOW)), first)
    site.settler.price(replace(site.rules, book=book))
    site.tick()
    stamped = site.point("unitcost_price_as_of_timestamp_seconds", "cpu")
    assert stamped == pytest.approx(NOW / 1e9)
    assert {price.as_of_ns for price in site.ledger.prices.values()} == {LIVE.as_of_ns}


@pytest.mark.parametrize("since", [0, NOW - MINUTE])
def test_a_discount_is_in_the_price_with_the_day_since_which_it_is_agreed(since: int) -> None:
    """So that a price learnt late can tell whether it reaches back."""
    agreed = Discount("price.discounts[0]", Decimal(10), from_ns=since)
    last = asked(LIVE, discounts=(agreed,)).prices[-1]
    assert last.discount_from_ns == since
    assert last.usd_per_hour == LIVE.per_hour * 9 / 10
