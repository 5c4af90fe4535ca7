"""From what was looked up to the price book that ticks charge by."""

from unitcost.pricing.conversion import Dollars, in_dollars
from unitcost.pricing.currency import Rates
from unitcost.pricing.price import Component, Price, PriceBook
from unitcost.pricing.resolve import RANKS, Resolution


def book_of(resolution: Resolution, rates: Rates) -> PriceBook:
    """The prices of a rented host in dollars, over time.

    Unpriced wherever nothing was chosen, or what was chosen is billed in a currency that has no
    rate then.
    """
    prices = (
        _price(part, RANKS.index(each.rank))
        for each in resolution.chosen
        for part in in_dollars(each.quote, rates)
    )
    return PriceBook((Component.RENT,), tuple(prices))


def _price(part: Dollars, precedence: int) -> Price:
    quote = part.quote
    return Price(
        Component.RENT,
        part.usd_per_hour,
        quote.key.model,
        quote.source,
        valid_from_ns=quote.valid_from_ns,
        valid_to_ns=quote.valid_to_ns,
        as_of_ns=quote.as_of_ns,
        known_at_ns=quote.known_at_ns,
        sku=quote.key.sku,
        region=quote.key.region,
        list_usd_per_hour=part.list_usd_per_hour,
        rate=part.rate,
        precedence=precedence,
    )
