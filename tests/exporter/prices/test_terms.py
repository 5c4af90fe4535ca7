"""Terms from the configuration to the price: each is found, and none is taken for another."""

import typing
from decimal import Decimal
from pathlib import Path

import pytest

from unitcost.exporter.config.load import loads
from unitcost.exporter.config.settings import Instance, PriceDiscount
from unitcost.exporter.prices.book import book_of, on_demand_at
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.prices.make import make_lookup
from unitcost.pricing.price import Component, PriceModel

NOW = 1_795_608_000 * 10**9
"""2026-11-25."""
PRICES = {
    "on_demand": "55.04",
    "spot": "38.71",
    "reserved": "33.97",
    "committed": "31.464",
    "savings_plan": "36.45",
    "capacity_block": "31.47",
}
HEAD = "provider,region,zone,sku,model,per_hour,discount_percent,as_of\n"
FILE = HEAD + "".join(
    f"aws,us-east-1,{zone},p5.48xlarge,{model},{usd},,2026-11-01\n"
    for model, usd in PRICES.items()
    for zone, usd in (
        # A Spot price is a zone's; others are the region's.
        [("us-east-1a", usd), ("us-east-1b", "99")] if model == "spot" else [("", usd)]
    )
)


def looked(folder: Path, terms: str, more: str = "", text: str = FILE) -> Looked:
    """What a host of these terms finds in a file that has all of them."""
    (folder / "prices.csv").write_text(text)
    instance = "provider: aws, region: us-east-1, zone: us-east-1a, type: p5.48xlarge"
    sources = "sources: {price_file: {path: prices.csv}, rate_card: {enabled: false}}"
    named = f"instance: {{{instance}, terms: {terms}}}, metadata: false, {sources}"
    loaded = loads(f"price: {{lookup: {{{named}}}{more}}}")
    return make_lookup(loaded.settings.price, loaded.price_sources, folder).ask_all()


def test_all_terms_that_can_be_configured_are_tried_here() -> None:
    """Those of a host, and those of a discount."""
    for struct in (Instance, PriceDiscount):
        terms = set(typing.get_args(typing.get_type_hints(struct)["terms"])) - {""}
        assert terms == PRICES.keys()
        assert terms <= {str(each) for each in PriceModel}


@pytest.mark.parametrize("terms", PRICES)
def test_a_host_pays_the_price_of_its_own_terms(terms: str, tmp_path: Path) -> None:
    """Out of one file; a Spot price in its own zone."""
    found = looked(tmp_path, terms)
    price = book_of(found).at(Component.RENT, NOW)
    assert price is not None
    assert (str(price.model), price.usd_per_hour) == (terms, Decimal(PRICES[terms]))
    on_demand = on_demand_at(found, NOW)
    assert (on_demand is None) == (terms == "on_demand")
    if on_demand is not None:
        assert on_demand.usd_per_hour == Decimal("55.04")


@pytest.mark.parametrize("terms", PRICES)
def test_without_a_price_of_its_terms_it_has_none(terms: str, tmp_path: Path) -> None:
    """Whatever others cost."""
    lines = (line for line in FILE.splitlines(keepends=True) if f",{terms}," not in line)
    found = looked(tmp_path, terms, text="".join(lines))
    assert book_of(found).prices == ()
    assert found.resolution.missing == ()


@pytest.mark.parametrize("terms", PRICES)
def test_a_discount_is_of_the_terms_it_is_agreed_for(terms: str, tmp_path: Path) -> None:
    """Half off these, and nothing off others; the list price stays visible."""
    half = f", discounts: [{{percent: 50, terms: {terms}}}]"
    for each, usd in PRICES.items():
        price = book_of(looked(tmp_path, each, half)).at(Component.RENT, NOW)
        assert price is not None
        assert price.list_usd_per_hour == Decimal(usd)
        assert price.usd_per_hour == Decimal(usd) / (2 if each == terms else 1)


def test_a_price_that_has_its_discount_has_no_second_one(tmp_path: Path) -> None:
    """What the file takes off is all that is taken off."""
    text = HEAD + "aws,us-east-1,,p5.48xlarge,on_demand,50,10,2026-11-01\n"
    found = looked(tmp_path, "on_demand", ", discounts: [{percent: 50}]", text)
    price = book_of(found).at(Component.RENT, NOW)
    assert price is not None
    assert (price.usd_per_hour, price.list_usd_per_hour) == (Decimal(45), Decimal(50))
