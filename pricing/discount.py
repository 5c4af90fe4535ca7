"""Discounts: the one place where a price is lowered, with what it was before kept beside it."""

from dataclasses import replace
from decimal import Decimal

from unitcost.pricing.quote import Quote

MAX_PERCENT = Decimal(100)


def discounted(quote: Quote, percent: Decimal) -> Quote:
    """The quote with that many percent off; the list price stays in `list_per_hour`.

    Raises ValueError for a percentage outside 0 to 100, and for a quote that has its discount.
    """
    if not (percent.is_finite() and 0 <= percent <= MAX_PERCENT):
        raise ValueError("a discount is 0 to 100 percent")
    if quote.list_per_hour is not None:
        raise ValueError("a discount is in this price already")
    effective = quote.per_hour * (MAX_PERCENT - percent) / MAX_PERCENT
    return replace(quote, per_hour=effective, list_per_hour=quote.per_hour)
