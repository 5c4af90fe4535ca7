"""From what was looked up to the price book that ticks charge by."""

from dataclasses import replace

from unitcost.exporter.prices.looked import Looked
from unitcost.pricing.conversion import Dollars, in_dollars
from unitcost.pricing.currency import Rates
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resolve import RANKS, Resolution


def book_of(looked: Looked) -> PriceBook:
    """The prices of a rented host in dollars after discounts, over time, and its sibling's.

    Unpriced wherever nothing was chosen, or what was chosen is billed in a currency that has no
    rate then.
    """
    return PriceBook(
        (Component.RENT,),
        prices_of(looked.paid, looked.rates),
        looked.sibling,
        prices_of(looked.sibling_paid, looked.rates),
    )


def unchanged(book: PriceBook, before: PriceBook) -> PriceBook:
    """The same book, in which a price that is only stated again is the price that it was.

    Sources state theirs anew each time they are asked. What is charged at a price finds its row
    in the ledger by when that was stated and learnt: the first time counts.
    """
    return replace(
        book,
        prices=_kept(book.prices, before.prices),
        sibling_prices=_kept(book.sibling_prices, before.sibling_prices),
    )


def _kept(prices: tuple[Price, ...], before: tuple[Price, ...]) -> tuple[Price, ...]:
    known = {price.valid_from_ns: price for price in before}
    same = (
        known[each.valid_from_ns].again(each) if each.valid_from_ns in known else None
        for each in prices
    )
    return tuple(again or price for again, price in zip(same, prices, strict=True))


def prices_of(resolution: Resolution, rates: Rates) -> tuple[Price, ...]:
    """What was chosen, in dollars."""
    return tuple(
        replace(
            _price(part),
            precedence=RANKS.index(each.rank),
            discount_from_ns=each.discount_from_ns,
        )
        for each in resolution.chosen
        for part in in_dollars(each.quote, rates)
    )


def on_demand_at(looked: Looked, instant_ns: int) -> Price | None:
    """What a host under other terms would cost on demand, in dollars; None where nobody says."""
    if not looked.on_demand.chosen:
        return None
    prices = prices_of(looked.on_demand, looked.rates)
    return next((price for price in prices if price.covers(instant_ns)), None)


def spot_above_on_demand(looked: Looked, instant_ns: int) -> tuple[Price, Price] | None:
    """What a host on Spot pays and what it would on demand, if the first is more."""
    on_demand = on_demand_at(looked, instant_ns)
    spot = book_of(looked).at(Component.RENT, instant_ns)
    if spot is None or on_demand is None or spot.model is not PriceModel.SPOT:
        return None
    return (spot, on_demand) if spot.usd_per_hour > on_demand.usd_per_hour else None


def _price(part: Dollars) -> Price:
    quote, list_price = part.quote, part.list_usd_per_hour
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
        list_usd_per_hour=part.usd_per_hour if list_price is None else list_price,
        rate=part.rate,
    )
