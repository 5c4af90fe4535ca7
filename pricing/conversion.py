"""Quotes in dollars: each cut to the times in which one exchange rate holds.

A quote in dollars stays as it is. One in another currency has a price only where there is a rate;
before the first, and without any, it has none.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from unitcost.pricing.currency import DOLLAR, USD, Rate, Rates, convert
from unitcost.pricing.quote import Quote


@dataclass(frozen=True, slots=True)
class Dollars:
    """What a quote is in US dollars while one rate holds.

    `quote`: as it was billed, cut to that time, known once both it and the rate were.
    `usd_per_hour` and `list_usd_per_hour` (None where the quote has none) are rounded once, to a
    pico-dollar, unless it is in dollars anyway.
    """

    quote: Quote
    usd_per_hour: Decimal
    list_usd_per_hour: Decimal | None
    rate: Rate


def in_dollars(quote: Quote, rates: Rates) -> tuple[Dollars, ...]:
    """The quote in dollars over time, in order; nothing for the time without a rate."""
    if quote.key.currency == USD:
        return (Dollars(quote, quote.per_hour, quote.list_per_hour, DOLLAR),)
    timeline = rates.timeline(quote.key.currency)
    ends = [*(from_ns for from_ns, _ in timeline[1:]), None]
    return tuple(
        _at(part, rate)
        for (from_ns, rate), to_ns in zip(timeline, ends, strict=False)
        if (part := _cut(quote, from_ns, to_ns)) is not None
    )


def _cut(quote: Quote, from_ns: int, to_ns: int | None) -> Quote | None:
    """The part of a quote's time that lies between two instants."""
    begins = max(quote.valid_from_ns, from_ns)
    known_ends = [end for end in (quote.valid_to_ns, to_ns) if end is not None]
    ends = min(known_ends) if known_ends else None
    if ends is not None and ends <= begins:
        return None
    return replace(quote, valid_from_ns=begins, valid_to_ns=ends)


def _at(quote: Quote, rate: Rate) -> Dollars:
    list_price = None if quote.list_per_hour is None else convert(quote.list_per_hour, rate).usd
    known_ns = max(quote.known_at_ns, rate.known_at_ns)
    known = replace(quote, known_at_ns=known_ns)
    return Dollars(known, convert(quote.per_hour, rate).usd, list_price, rate)
