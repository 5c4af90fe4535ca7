"""From what was looked up to the price book that ticks charge by."""

from unitcost.pricing.price import Component, Price, PriceBook
from unitcost.pricing.resolve import Chosen, Resolution


def book_of(resolution: Resolution) -> PriceBook:
    """The prices of a rented host; unpriced wherever nothing was chosen."""
    return PriceBook((Component.RENT,), tuple(_price(each) for each in resolution.chosen))


def _price(chosen: Chosen) -> Price:
    quote = chosen.quote
    return Price(
        Component.RENT,
        quote.per_hour,
        quote.key.model,
        quote.source,
        valid_from_ns=quote.valid_from_ns,
        valid_to_ns=quote.valid_to_ns,
        as_of_ns=quote.as_of_ns,
        known_at_ns=quote.known_at_ns,
        currency=quote.key.currency,
        sku=quote.key.sku,
        region=quote.key.region,
    )
