"""Real instance types at their real prices, through each live source, among all that is alike.

`facts.csv` holds what providers' lists said of 58 instance types of three clouds: written down by
hand, apart from the rate card, each with its source and its day. Each is served as the source's
own API would answer, with decoys around it in both orders and over several pages. The resolver
must find that price to the last digit; without it, it must find nothing.
"""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.collectors.prices.asking import NOW_NS
from tests.collectors.prices.facts import CASES, FACTS, HERE, WAYS, Fact, Way, flat, resolved
from unitcost.collectors.price_contract import PriceSourceError
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Resolution

NOWHERE = "xx-nowhere-9"
IDS = [f"{way.name} {fact}" for way, fact in CASES]


def price(resolution: Resolution) -> Decimal | None:
    """The price now."""
    chosen = resolution.at(NOW_NS)
    return chosen.quote.per_hour if chosen else None


def test_there_are_at_least_forty_types_of_three_clouds_and_decoys_of_each_class() -> None:
    """So many instance types, so many decoys; the figures stand on the page about prices."""
    types = {(fact.provider, fact.sku) for fact in FACTS}
    classes = {name for way, fact in CASES for name in way.decoys(fact)}
    decoys = sum(len(flat(way.decoys(fact))) for way, fact in CASES)
    assert len(types) >= 40, f"{len(types)} instance types, {decoys} decoys"
    for provider in ("aws", "azure", "gcp"):
        assert len([each for each in types if each[0] == provider]) >= 14
    asked_for = "Dedicated|Windows|Low Priority|Reservation|Capacity Block|double-encoded JSON|"
    asked_for += "dev/test|promotional|another region|another zone|another currency"
    assert set(asked_for.split("|")) <= classes
    page = (HERE.parent.parent.parent / "docs" / "prices.md").read_text(encoding="utf-8")
    assert f"{len(types)} instance types among {decoys:,} decoys of {len(classes)} kinds" in page


def test_each_fact_says_who_and_when() -> None:
    """No fact stands there twice, and each ends with its day."""
    assert len({fact.host for fact in FACTS}) == len(FACTS)
    for fact in FACTS:
        assert fact.source.endswith(f" {fact.as_of}")
        assert Decimal(fact.per_hour) > 0


@pytest.mark.parametrize(("way", "fact"), CASES, ids=IDS)
def test_the_right_price_is_found_among_all_decoys(way: Way, fact: Fact, tmp_path: Path) -> None:
    """To the last digit, whatever the order of rows, over several pages."""
    rows = [*way.right(fact), *flat(way.decoys(fact))]
    expected = Decimal(fact.per_hour)
    for ordered in (rows, rows[::-1]):
        resolution, pages = resolved(way, fact, ordered, tmp_path)
        found = price(resolution)
        assert found is not None
        # Google publishes a machine's price rounded where local disks are by the month.
        assert found.quantize(expected) == expected
        assert pages == 1 if way.name == "aws_bulk" else pages >= 3
        chosen = resolution.at(NOW_NS)
        assert chosen is not None
        assert (chosen.quote.key.sku, chosen.quote.key.currency) == (fact.sku, fact.currency)


@pytest.mark.parametrize(("way", "fact"), CASES, ids=IDS)
def test_without_it_nothing_is_found(way: Way, fact: Fact, tmp_path: Path) -> None:
    """Not with all decoys together; nothing is better than something else's price."""
    assert price(resolved(way, fact, flat(way.decoys(fact)), tmp_path)[0]) is None


ONE_OF_EACH = {way.name: (way, fact) for way, fact in CASES if fact.terms == "on_demand"}
DECOYS = [(way, fact, name) for way, fact in ONE_OF_EACH.values() for name in way.decoys(fact)]


@pytest.mark.parametrize(
    ("way", "fact", "name"), DECOYS, ids=[f"{way.name} {name}" for way, _, name in DECOYS]
)
def test_a_decoy_alone_is_no_price(way: Way, fact: Fact, name: str, tmp_path: Path) -> None:
    """Of each class, with everything else that the price is made of beside it."""
    decoy = way.decoys(fact)[name]
    rows = decoy if isinstance(decoy, list) else [decoy]
    others = [
        row for row in way.right(fact)[1:] if way.provider == "gcp" and "Core" not in str(row)
    ]
    assert price(resolved(way, fact, [*rows, *others], tmp_path)[0]) is None


@pytest.mark.parametrize("way", [way for way in WAYS if way.as_text], ids=lambda way: way.name)
def test_numbers_that_are_texts_are_numbers(way: Way, tmp_path: Path) -> None:
    """APIs have changed from the one to the other."""
    _, fact = ONE_OF_EACH[way.name]
    assert way.as_text is not None
    rows = [*way.as_text(fact), *flat(way.decoys(fact))]
    found = price(resolved(way, fact, rows, tmp_path)[0])
    assert found is not None
    assert found.quantize(Decimal(fact.per_hour)) == Decimal(fact.per_hour)


@pytest.mark.parametrize(("way", "fact"), ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_in_a_region_that_is_not_there_nothing_is_found(
    way: Way, fact: Fact, tmp_path: Path
) -> None:
    """There is no nearest price."""
    rows = [*way.right(fact), *flat(way.decoys(fact))]
    nowhere = HostIdentity(fact.provider, NOWHERE, "", fact.sku, PriceModel.ON_DEMAND)
    if way.name == "aws_bulk":
        with pytest.raises(PriceSourceError, match=NOWHERE):
            resolved(way, fact, rows, tmp_path, nowhere)
    else:
        assert resolved(way, fact, rows, tmp_path, nowhere)[0].chosen == ()


@pytest.mark.parametrize(("way", "fact"), ONE_OF_EACH.values(), ids=ONE_OF_EACH)
@pytest.mark.parametrize("model", [PriceModel.CAPACITY_BLOCK, PriceModel.SAVINGS_PLAN, None])
def test_under_other_terms_or_unknown_ones_nothing_is_found(
    way: Way, fact: Fact, model: PriceModel | None, tmp_path: Path
) -> None:
    """On demand is not the nearest to them."""
    rows = [*way.right(fact), *flat(way.decoys(fact))]
    host = HostIdentity(fact.provider, fact.region, "", fact.sku, model)
    assert resolved(way, fact, rows, tmp_path, host)[0].chosen == ()
