"""The price list: each resource's price at an instant, down to whose price it is a part of."""

from decimal import Decimal

from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.price_list import sibling_pico, unit_prices
from unitcost.pricing.resource import CPU, DEFAULT_SPLIT, MEMORY, MICRO, REST, Resource, SplitRule
from unitcost.pricing.sibling import Shape, Sibling

RENT = Component.RENT
CENT = 10**10
HOST = (Resource(CPU, 4 * MICRO), Resource(MEMORY, 16 * MICRO), Resource("gpu:a", MICRO))
SMALL = Shape(Decimal(2), Decimal(8))
LARGE = Shape(Decimal(4), Decimal(16))


def price(usd: str) -> Price:
    """A price of a whole machine."""
    return Price(RENT, Decimal(usd), PriceModel.ON_DEMAND, "test")


def listed(book: PriceBook, rule: SplitRule = DEFAULT_SPLIT) -> dict[str, int | None]:
    """Pico-dollars an hour by resource."""
    return {each.id: found.pico_per_unit for each, found in unit_prices(book, HOST, rule, 0)}


def test_a_sibling_of_half_the_size_is_worth_twice_its_price() -> None:
    """By the weights of the rule, in the list as well."""
    book = PriceBook((RENT,), (price("1"),), Sibling("half", SMALL, LARGE), (price("0.15"),))
    assert sibling_pico(book, DEFAULT_SPLIT, 0) == 30 * CENT
    found = listed(book)
    assert (found[CPU] or 0) + (found[MEMORY] or 0) == 30 * CENT
    assert found["gpu:a"] == 70 * CENT


def test_a_resource_that_is_no_part_of_the_price_has_none_of_it() -> None:
    """A GPU beside a price that CPU and memory are worth more than."""
    dear = SplitRule("dear", Decimal(1), Decimal(0))
    assert listed(PriceBook((RENT,), (price("1"),)), dear) == {
        CPU: 100 * CENT,
        MEMORY: 0,
        "gpu:a": 0,
    }


def test_a_free_host_with_a_rest_is_free() -> None:
    """The rest is listed only where it has a part or there is nothing else."""
    rule = SplitRule("test", Decimal(1), Decimal(1), Decimal("0.25"))
    assert listed(PriceBook((RENT,), (price("1"),)), rule)[REST] == 25 * CENT
    assert REST not in listed(PriceBook((RENT,), (price("0"),)), rule)
