"""Points of the exchange rates at which prices in other currencies are converted now."""

from unitcost.exporter.serving.snapshot import Point
from unitcost.pricing.currency import USD, day_ns
from unitcost.pricing.metered import Metered
from unitcost.pricing.price import PriceBook
from unitcost.pricing.sample import NS_PER_SECOND


def rate_points(book: PriceBook, metered: Metered, now_ns: int) -> dict[str, list[Point]]:
    """One rate for each currency in which something of this host is billed now; none for USD."""
    now = (book.at(component, now_ns) for component in book.components)
    in_use = [price.rate for price in now if price is not None]
    in_use += [rate for price in metered.by_energy if (rate := price.rate(now_ns)) is not None]
    rates = {rate.currency: rate for rate in in_use if rate.currency != USD}
    return {
        "unitcost_fx_rate": [
            ((currency,), float(rate.units_per_usd)) for currency, rate in sorted(rates.items())
        ],
        "unitcost_fx_rate_as_of_timestamp_seconds": [
            ((currency,), day_ns(rate.on) / NS_PER_SECOND)
            for currency, rate in sorted(rates.items())
        ],
    }
