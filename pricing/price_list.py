"""Unit prices of every resource at an instant: the price book, split over the resources."""

from collections.abc import Sequence

from unitcost.pricing.money import distribute
from unitcost.pricing.price import Component, PriceBook, UnitPrice, unit_price
from unitcost.pricing.resource import REST, Resource, SplitRule, split_host, takes_sibling

REST_RESOURCE = Resource(REST, 10**6)
"""Whatever of a host is priced but is none of its resources: one unit of it."""


def unit_prices(
    book: PriceBook, resources: Sequence[Resource], rule: SplitRule, instant_ns: int
) -> list[tuple[Resource, UnitPrice]]:
    """One unit price for each resource and component; each component's sum to its price exactly.

    All components are split alike, by the parts of the host's whole price: by that of its sibling
    where the book has one that fits, else by the rule's weights, and each unit price names which.
    A component without a price at that instant is unpriced on every resource. A host whose
    resources are unknown has its whole price on `rest`. Where nobody knows how many GPUs a host
    has (`rest` has a capacity of 0) these are unpriced, and all else too unless it surely has some.
    """
    found = [(component, book.at(component, instant_ns)) for component in book.components]
    total = sum(price.pico_per_hour for _, price in found if price)
    sibling = sibling_pico(book, rule, instant_ns)
    fits = takes_sibling(total, resources, rule, sibling)
    name = book.sibling.rule_name if fits and book.sibling else rule.name
    parts = split_host(total, resources, rule, sibling)
    hidden = _without_price(resources)
    everything = [resource for resource in resources if resource.id != REST]
    if REST in parts or REST in hidden or not everything:
        everything.append(REST_RESOURCE)
    listed = []
    for component, price in found:
        amounts = _amounts(price.pico_per_hour if price else None, everything, parts)
        before = _amounts(price.list_pico_per_hour if price else None, everything, parts)
        for resource, pico, list_pico in zip(everything, amounts, before, strict=True):
            if resource.id in hidden:
                pico = list_pico = None
            each = unit_price(resource, component, pico, price, name, list_pico)
            listed.append((resource, each))
    return listed


def _without_price(resources: Sequence[Resource]) -> set[str]:
    """Resources whose part of a host's price cannot be known, by id."""
    if not any(each.id == REST and not each.capacity_micro for each in resources):
        return set()
    gpus = {each.id for each in resources if each.is_gpu}
    return gpus | {REST} if gpus else {REST, *(each.id for each in resources)}


def sibling_pico(book: PriceBook, rule: SplitRule, instant_ns: int) -> int | None:
    """What the host's CPU and memory cost by its sibling at an instant, pico-dollars an hour.

    None where the sibling has no price then, or one under other terms or in another currency
    than the host's rent.
    """
    rent, price = book.at(Component.RENT, instant_ns), book.sibling_at(instant_ns)
    if rent is None or price is None or book.sibling is None:
        return None
    if (rent.model, rent.currency) != (price.model, price.currency):
        return None
    return book.sibling.cpu_and_memory(price.pico_per_hour, rule)


def list_prices(listed: Sequence[tuple[Resource, UnitPrice]]) -> dict[str, int]:
    """What each resource would cost before discounts, pico-dollars an hour, by resource.

    `listed` are all unit prices of one instant. Empty where nobody said what the list price of
    some component is, or where one is not by the hour.
    """
    found: dict[str, int] = {}
    for resource, price in listed:
        if price.list_pico_per_unit is None:
            return {}
        found[resource.id] = found.get(resource.id, 0) + price.list_pico_per_unit
    return found


def _amounts(
    pico: int | None, resources: Sequence[Resource], parts: dict[str, int]
) -> Sequence[int | None]:
    """Each resource's part of an amount of one component; None where that is not known."""
    if pico is None:
        return [None] * len(resources)
    weights = [parts.get(resource.id, 0) for resource in resources]
    if not any(weights):
        weights = [1] * len(resources)
    return distribute(pico, weights)
