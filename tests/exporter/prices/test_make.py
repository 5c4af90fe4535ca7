"""A lookup made from a configuration: who says what the host is; sources that cannot be made."""

from pathlib import Path

import pytest

from unitcost.collectors.base import Found, Problem
from unitcost.collectors.identity import combine
from unitcost.collectors.identity.combine import Identified
from unitcost.exporter.config.settings import Instance, Lookup
from unitcost.exporter.prices.make import make_lookup, stated_identity
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

INSTANCE = Instance(provider="aws", type="p5.48xlarge", terms="spot")


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
    looked = make_lookup(Lookup(instance=INSTANCE, metadata=False), (), Path("/")).ask_all()
    assert looked.identity == stated_identity(INSTANCE)


def test_what_clouds_say_and_where_they_contradict_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first decides the price, the second is told."""
    host = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.SPOT)
    answer = Identified(host, (Problem("identity", "labels and metadata differ"),))
    monkeypatch.setattr(combine.WhoAmI, "identify", lambda *_: answer)
    looked = make_lookup(Lookup(), (), Path("/")).ask_all()
    assert looked.identity == host
    assert looked.notes == ("labels and metadata differ",)


def test_a_source_that_cannot_be_made_breaks_no_other() -> None:
    """It is logged once and left out."""
    broken = Found("broken", None, "SyntaxError: half a file")
    looked = make_lookup(Lookup(metadata=False), ((broken, None),), Path("/")).ask_all()
    assert looked.sources == ()
