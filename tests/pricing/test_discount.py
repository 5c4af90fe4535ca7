"""Discounts: exact, once, with the list price kept."""

from decimal import Decimal

import pytest

from unitcost.pricing.discount import discounted
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote

LIST = Quote(
    PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND), Decimal("55.04"), "x"
)


@pytest.mark.parametrize(
    ("percent", "effective"),
    [("0", "55.04"), ("37.5", "34.4"), ("12.34", "48.248064"), ("100", "0")],
)
def test_a_discount_is_taken_off_the_list_price(percent: str, effective: str) -> None:
    """Exactly, and both are kept."""
    quote = discounted(LIST, Decimal(percent))
    assert (quote.per_hour, quote.list_per_hour) == (Decimal(effective), Decimal("55.04"))
    assert quote.key == LIST.key


@pytest.mark.parametrize("percent", ["-0.1", "100.1", "NaN", "Infinity"])
def test_a_discount_is_a_part_of_the_price(percent: str) -> None:
    """Nothing is paid out, and no price is raised by one."""
    with pytest.raises(ValueError, match="0 to 100 percent"):
        discounted(LIST, Decimal(percent))


def test_a_discount_is_not_taken_twice() -> None:
    """Not even one of nothing."""
    with pytest.raises(ValueError, match="already"):
        discounted(discounted(LIST, Decimal(0)), Decimal(10))
