"""Discounts and the split as they are configured: what is taken, and what is refused."""

from decimal import Decimal

import pytest

from unitcost.exporter.config.agreed import MAX_DISCOUNTS, discounts_of, split_rule
from unitcost.exporter.config.load import ConfigError, loads
from unitcost.pricing.price import PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT

JULY = 1_782_864_000 * 10**9
"""2026-07-01 in UTC."""
HOUR = 3600 * 10**9


def discount(*stated: str) -> str:
    """A price that is looked up, less these."""
    each = ", ".join(f"{{{one}}}" for one in stated)
    return f"price: {{lookup: {{}}, discounts: [{each}]}}"


def test_a_discount_is_taken_as_it_is_written() -> None:
    """Digit by digit, in order, each with the name of its place."""
    text = discount(
        "percent: 12.345, provider: aws, region: us-east-1, type: p5.48xlarge, terms: spot, "
        "valid_from: 2026-07-01, valid_to: 2026-07-01T04:00:00+02:00",
        "percent: 0",
    )
    one, other = discounts_of(loads(text).settings.price)
    assert (one.name, one.percent, one.model) == (
        "price.discounts[0]",
        Decimal("12.345"),
        PriceModel.SPOT,
    )
    assert (one.provider, one.region, one.sku) == ("aws", "us-east-1", "p5.48xlarge")
    assert (one.from_ns, one.until_ns) == (JULY, JULY + 2 * HOUR)
    assert (other.name, other.percent, other.model, other.from_ns, other.until_ns) == (
        "price.discounts[1]",
        Decimal(0),
        None,
        0,
        None,
    )


def test_a_split_without_weights_of_one_s_own_has_the_default_ones() -> None:
    """Whatever else is said of it; a fixed rest is one's own."""
    text = "price: {lookup: {}, split: {rule: sibling, sibling: m5.xlarge}}"
    assert split_rule(loads(text).settings.price.split) == DEFAULT_SPLIT
    rest = split_rule(loads("price: {split: {rest_usd_per_hour: 1}}").settings.price.split)
    assert (rest.name, rest.rest_usd_per_hour) == ("configured_weights", Decimal(1))


BAD = {
    "no percentage": (discount("provider: aws"), "discounts[0].percent", "missing"),
    "more than all": (discount("percent: 101"), "discounts[0].percent", "between 0 and 100"),
    "a surcharge": (discount("percent: -1"), "discounts[0].percent", "between 0 and 100"),
    "other terms": (discount("percent: 1, terms: cheap"), "discounts[0].terms", "on_demand"),
    "a zone": (discount("percent: 1, zone: a"), "discounts[0].zone", "unknown key"),
    "spaces": (discount('percent: 1, type: "p5 "'), "discounts[0].type", "no space at an end"),
    "no day": (discount("percent: 1, valid_from: soon"), "discounts[0].valid_from", "a day"),
    "half an instant": (
        discount("percent: 1, valid_from: 2026-07-01T00:00:00"),
        "discounts[0].valid_from",
        "UTC offset missing",
    ),
    "long ago": (discount("percent: 1, valid_to: 1066-10-14"), "discounts[0].valid_to", "years"),
    "for no time": (
        discount("percent: 1", "percent: 2, valid_from: 2026-07-01, valid_to: 2026-07-01"),
        "discounts[1].valid_to",
        "after valid_from",
    ),
    "too many": (discount(*["percent: 1"] * (MAX_DISCOUNTS + 1)), "discounts", "at most 100"),
    "of a stated price": (
        "price: {usd_per_hour: 1, discounts: [{percent: 1}]}",
        "discounts",
        "needs price.lookup",
    ),
    "of one's own hardware": (
        "price: {owned: {purchase_usd: 9, life_years: 5, electricity: none},"
        " discounts: [{percent: 1}]}",
        "discounts",
        "needs price.lookup",
    ),
    "a rule that is none": ("price: {split: {rule: fair}}", "split.rule", "sibling"),
    "a sibling by weights": (
        "price: {lookup: {}, split: {rule: weights, sibling: m5.xlarge}}",
        "split.sibling",
        "rule: sibling",
    ),
    "a sibling of a stated price": (
        "price: {usd_per_hour: 1, split: {sibling: m5.xlarge}}",
        "split.sibling",
        "needs price.lookup",
    ),
    "by siblings of nothing": ("price: {split: {rule: sibling}}", "split.rule", "price.lookup"),
    "no type": (
        'price: {lookup: {}, split: {sibling: "x\' or 1 eq 1"}}',
        "split.sibling",
        "an instance type",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_told_with_its_key(name: str) -> None:
    """Before anything starts."""
    text, key, said = BAD[name]
    with pytest.raises(ConfigError) as error:
        loads(text)
    assert error.value.key == f"price.{key}"
    assert said in error.value.problem
