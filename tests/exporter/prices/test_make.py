"""A lookup made from a configuration: who says what the host is; sources that cannot be made."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from unitcost.collectors.base import Found, Problem
from unitcost.collectors.identity import combine
from unitcost.collectors.identity.combine import Identified
from unitcost.exporter.config.settings import Instance, Lookup, Price, SplitWeights
from unitcost.exporter.prices.make import make_lookup, stated_identity
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.sibling import Shape

INSTANCE = Instance(provider="aws", type="p5.48xlarge", terms="spot")


def price(**lookup: Any) -> Price:
    """A price that is looked up so."""
    return Price(lookup=Lookup(**lookup))


def test_what_is_stated_is_by_the_configuration() -> None:
    """And what is not stated is nobody's yet."""
    found = stated_identity(INSTANCE)
    assert found.model is PriceModel.SPOT
    assert dict(found.said_by) == {
        "provider": "configuration",
        "sku": "configuration",
        "model": "configuration",
    }
    assert stated_identity(Instance()) == HostIdentity()


def test_nobody_is_asked_where_metadata_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the clouds and not the cluster."""

    def never(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(combine.WhoAmI, "identify", never)
    looked = make_lookup(price(instance=INSTANCE, metadata=False), (), Path("/")).ask_all()
    assert looked.identity == stated_identity(INSTANCE)


def test_what_clouds_say_and_where_they_contradict_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first decides the price, the second is told."""
    host = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.SPOT)
    answer = Identified(host, (Problem("identity", "labels and metadata differ"),))
    monkeypatch.setattr(combine.WhoAmI, "identify", lambda *_: answer)
    looked = make_lookup(price(), (), Path("/")).ask_all()
    assert looked.identity == host
    assert looked.notes == ("labels and metadata differ",)


def test_a_source_that_cannot_be_made_breaks_no_other() -> None:
    """It is logged once and left out."""
    broken = Found("broken", None, "SyntaxError: half a file")
    looked = make_lookup(price(metadata=False), ((broken, None),), Path("/")).ask_all()
    assert looked.sources == ()


G5 = Instance(provider="aws", region="us-east-1", type="g5.xlarge", terms="on_demand")


@pytest.mark.parametrize(
    ("split", "sku"),
    [
        (SplitWeights(), "m5ad.xlarge"),
        (SplitWeights(rest_usd_per_hour=Decimal(1)), "m5ad.xlarge"),
        (SplitWeights(sibling="m6a.xlarge"), "m6a.xlarge"),
        (SplitWeights(usd_per_core_hour=Decimal(1), sibling="m6a.xlarge"), "m6a.xlarge"),
        (SplitWeights(rule="sibling", usd_per_core_hour=Decimal(1)), "m5ad.xlarge"),
        (SplitWeights(rule="weights"), ""),
        (SplitWeights(usd_per_core_hour=Decimal(1)), ""),
        (SplitWeights(usd_per_gib_hour=Decimal(1)), ""),
        (SplitWeights(sibling="g5.xlarge"), ""),
    ],
)
def test_by_whose_price_a_host_s_is_split(split: SplitWeights, sku: str) -> None:
    """The table's, unless another is named, or the user has weights of their own."""
    lookup = Lookup(instance=G5, metadata=False)
    looked = make_lookup(Price(lookup=lookup, split=split), (), Path("/")).ask_all()
    assert (looked.sibling.sku if looked.sibling else "") == sku


def test_one_that_is_named_is_of_the_size_the_table_says() -> None:
    """Where it is the table's; else it is taken as it is."""
    lookup = Lookup(instance=G5, metadata=False)

    def shape(named: str) -> Shape | None:
        price = Price(lookup=lookup, split=SplitWeights(sibling=named))
        looked = make_lookup(price, (), Path("/")).ask_all()
        return looked.sibling.shape if looked.sibling else None

    assert shape("m5ad.xlarge") == Shape(Decimal(4), Decimal(16))
    assert shape("m6a.xlarge") is None
