"""What resources cost an hour, by list and after discounts, and how those who say so are doing."""

from collections.abc import Sequence
from fractions import Fraction

from unitcost.exporter.prices.book import on_demand_at
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.serving.publish_metered import with_metered
from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.allocate import Share
from unitcost.pricing.money import PICO
from unitcost.pricing.pod import held_weights
from unitcost.pricing.price import PriceBook, UnitPrice
from unitcost.pricing.price_list import list_prices, unit_prices
from unitcost.pricing.sample import NS_PER_SECOND

Points = dict[str, list[Point]]
ALL = Fraction(1)


def price_points(settler: Settler, now_ns: int) -> Points:
    """What each resource costs an hour now, or that it is unpriced."""
    book = settler.rules.book
    resources = tuple(each.resource for each in settler.state.shares)
    listed = unit_prices(book, resources, settler.rules.split, now_ns)
    parts = {each.resource.id: _part(settler, each.shares) for each in settler.state.shares}
    listed = [each for each in listed if parts.get(each[0].id, ALL)]
    by_resource: dict[str, list[UnitPrice]] = {}
    for resource, price in listed:
        by_resource.setdefault(resource.id, []).append(price)
    points: Points = {
        "unitcost_price_split_info": [
            ((rule,), 1.0) for rule in sorted({price.rule for _, price in listed})
        ],
        "unitcost_resource_unpriced": with_metered(
            [
                ((price.resource, str(price.component)), float(price.pico_per_unit is None))
                for _, price in listed
            ],
            settler,
        ),
    }
    before_discounts = list_prices(listed)
    for name, prices in by_resource.items():
        labels = _labels(name, prices, book, now_ns)
        amounts = [price.pico_per_unit for price in prices if price.pico_per_unit is not None]
        if len(amounts) == len(prices):
            point = (labels, float(sum(amounts) * parts.get(name, ALL)) / PICO)
            points.setdefault("unitcost_price_usd_per_hour", []).append(point)
        if name in before_discounts:
            point = (labels, float(before_discounts[name] * parts.get(name, ALL)) / PICO)
            points.setdefault("unitcost_list_price_usd_per_hour", []).append(point)
        now = (book.at(price.component, now_ns) for price in prices)
        if as_of := max((price.stated_ns for price in now if price), default=0):
            stamped = ((name,), as_of / NS_PER_SECOND)
            points.setdefault("unitcost_price_as_of_timestamp_seconds", []).append(stamped)
    return points


def _part(settler: Settler, shares: Sequence[Share]) -> Fraction:
    """Which part of a resource is charged: in a pod, what it holds just now; else all of it."""
    if settler.rules.scope != "pod":
        return ALL
    held, whole = held_weights(shares)
    return Fraction(held, whole) if whole else Fraction(0)


def _labels(
    resource: str, prices: Sequence[UnitPrice], book: PriceBook, now_ns: int
) -> tuple[str, ...]:
    """Of which resource a price is, of what host, under which terms and by whom."""
    now = book.at(prices[0].component, now_ns)
    sku, region = (now.sku, now.region) if now else ("", "")
    return (resource, sku, region, prices[0].model, prices[0].source)


def lookup_points(looked: Looked | None, now_ns: int) -> Points:
    """How each price source is doing, and what the host would cost on demand."""
    if looked is None:
        return {}
    asked = [
        each
        for each in looked.sources
        if not each.not_here and (each.errors or each.last_success_ns is not None)
    ]
    points: Points = {
        "unitcost_price_source_up": [((each.name,), float(not each.error)) for each in asked],
        "unitcost_price_source_errors_total": [
            ((each.name,), float(each.errors)) for each in asked
        ],
        "unitcost_price_source_last_success_timestamp_seconds": [
            ((each.name,), each.last_success_ns / NS_PER_SECOND)
            for each in asked
            if each.last_success_ns is not None
        ],
    }
    price = on_demand_at(looked, now_ns)
    if price is not None:
        labels = (price.sku, price.region, price.source)
        points["unitcost_on_demand_price_usd_per_hour"] = [(labels, float(price.usd_per_hour))]
    return points
