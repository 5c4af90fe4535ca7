"""Statements of what a host is, put together: what does not agree is unknown, and told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.identity import (
    CONFIGURATION,
    FIELDS,
    METADATA,
    NODE_LABELS,
    SOURCES,
    Statement,
    combine,
    plain,
)
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

HOST = HostIdentity(
    "aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.SPOT, "i-0123456789abcdef0"
)


def labels(**changes: object) -> Statement:
    """What node labels say, of a host that is ours but for `changes`."""
    return Statement(NODE_LABELS, replace(HOST, **changes))  # type: ignore[arg-type]


def metadata(**changes: object) -> Statement:
    """What a metadata service says."""
    return Statement(METADATA, replace(HOST, **changes))  # type: ignore[arg-type]


def configured(**fields: object) -> Statement:
    """What is configured, and nothing else."""
    return Statement(CONFIGURATION, HostIdentity(**fields))  # type: ignore[arg-type]


def test_nobody_says_anything() -> None:
    """Then nothing is known, and nothing is wrong."""
    assert combine([]).identity == HostIdentity()
    assert combine([configured()]).contradictions == ()


def test_all_agree() -> None:
    """The first of the ranking is named as who said so, whatever the order they come in."""
    found = combine([metadata(), labels(zone="", model=None)])
    assert replace(found.identity, said_by=()) == HOST
    assert found.identity.said_by == (
        ("provider", NODE_LABELS),
        ("region", NODE_LABELS),
        ("zone", METADATA),
        ("sku", NODE_LABELS),
        ("model", METADATA),
        ("instance_id", NODE_LABELS),
    )
    assert found.contradictions == ()


def test_case_is_no_contradiction() -> None:
    """Azure's own services do not agree on it."""
    azure = HostIdentity("azure", "uaenorth", "", "Standard_NC24ads_A100_v4")
    said = [
        Statement(NODE_LABELS, azure),
        Statement(METADATA, replace(azure, sku="standard_nc24ads_a100_v4")),
    ]
    found = combine(said)
    assert found.contradictions == ()
    assert found.identity.sku == "Standard_NC24ads_A100_v4"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sku", "g5.xlarge"),
        ("model", PriceModel.ON_DEMAND),
        ("instance_id", "i-0fedcba9876543210"),
    ],
)
def test_a_contradiction_is_unknown_and_told(field: str, value: object) -> None:
    """Neither is picked; who said it is none either."""
    found = combine([labels(**{field: value}), metadata()])
    assert not getattr(found.identity, field)
    assert field not in dict(found.identity.said_by)
    [text] = found.contradictions
    assert text == (
        f"the {FIELDS[field]} of this host is said to be {value} (node_labels) and "
        f"{getattr(HOST, field)} (metadata): it is unknown"
    )


def test_another_region_takes_the_zone_along() -> None:
    """A zone is one of a region; without it there is none."""
    found = combine([labels(region="eu-west-1", zone=""), metadata()])
    assert (found.identity.region, found.identity.zone) == ("", "")
    assert len(found.contradictions) == 1


def test_another_provider_leaves_nothing() -> None:
    """Instance types and regions of two clouds do not mix."""
    found = combine([labels(), metadata(provider="gcp")])
    assert found.identity == HostIdentity()
    assert len(found.contradictions) == 1


def test_a_configured_provider_shuts_the_others_out() -> None:
    """A reseller's host in a cloud: the cloud's own words would be looked up at the reseller."""
    found = combine([configured(provider="reseller", sku="h100"), labels(), metadata()])
    assert found.identity == HostIdentity(
        "reseller",
        sku="h100",
        said_by=(("provider", CONFIGURATION), ("sku", CONFIGURATION)),
    )
    assert "the configuration is believed" in found.contradictions[0]


def test_a_configured_provider_in_other_letters_shuts_nobody_out() -> None:
    """It is the same cloud."""
    found = combine([configured(provider="AWS"), metadata()])
    assert found.identity.sku == HOST.sku
    assert found.contradictions == ()


def test_what_is_configured_is_believed_and_its_contradiction_told() -> None:
    """Terms are not told: only the bill knows them."""
    mine = configured(region="us-east-2", model=PriceModel.RESERVED)
    found = combine([mine, labels(), metadata()])
    assert (found.identity.region, found.identity.model) == ("us-east-2", PriceModel.RESERVED)
    assert found.identity.zone == ""
    region, zone = found.contradictions
    assert "us-east-2 (configuration) and us-east-1 (node_labels)" in region
    assert "us-east-1a is none of the region us-east-2" in zone


@pytest.mark.parametrize(
    ("provider", "region", "zone"),
    [
        ("aws", "us-east-1", "us-east-1a"),
        ("aws", "us-gov-west-1", "us-gov-west-1b"),
        ("gcp", "me-central2", "me-central2-a"),
        ("azure", "uaenorth", "uaenorth-3"),
        ("reseller", "moon", "crater-7"),
    ],
)
def test_zones_of_their_regions(provider: str, region: str, zone: str) -> None:
    """As each cloud writes them; of other providers nothing is known."""
    found = combine([Statement(METADATA, HostIdentity(provider, region, zone))])
    assert (found.identity.region, found.identity.zone) == (region, zone)
    assert found.contradictions == ()


@pytest.mark.parametrize(
    ("provider", "region", "zone"),
    [
        ("aws", "us-west-2", "us-west-2-lax-1a"),
        ("aws", "us-east-1", "us-east-1-wl1-bos-wlz-1"),
        ("aws", "us-east-1", "us-east-11"),
        ("gcp", "us-central1", "us-central2-a"),
        ("azure", "uaenorth", "1"),
    ],
)
def test_a_zone_with_prices_of_its_own(provider: str, region: str, zone: str) -> None:
    """The region's price is not its: unknown, unless the configuration says the region."""
    said = Statement(METADATA, HostIdentity(provider, region, zone))
    found = combine([said])
    assert (found.identity.region, found.identity.zone) == ("", "")
    assert len(found.contradictions) == 1
    mine = combine([configured(region=region), said])
    assert (mine.identity.region, mine.identity.zone) == (region, "")


def test_a_local_zone_that_is_configured() -> None:
    """The price list's name of it is its region."""
    local = Statement(METADATA, HostIdentity("aws", "us-west-2", "us-west-2-lax-1a"))
    found = combine([configured(region="us-west-2-lax-1"), local])
    assert (found.identity.region, found.identity.zone) == ("us-west-2-lax-1", "us-west-2-lax-1a")


def test_a_zone_without_a_region() -> None:
    """It is not cut to one."""
    found = combine([Statement(METADATA, HostIdentity("aws", zone="us-east-1a"))])
    assert found.identity.zone == ""
    other = combine([Statement(METADATA, HostIdentity("reseller", zone="crater-7"))])
    assert other.identity.zone == "crater-7"


@pytest.mark.parametrize(
    ("field", "text", "good"),
    [
        ("region", "us-east-1", True),
        ("region", "uaenorth", True),
        ("region", "US-EAST-1", False),
        ("region", "us--east", False),
        ("region", "1", False),
        ("zone", "us-east-1a", True),
        ("zone", "us-east-1a\n", False),
        ("sku", "Standard_ND96isr_H100_v5", True),
        ("sku", "u-6tb1.metal", True),
        ("sku", "a" * 64, True),
        ("sku", "a" * 65, False),
        ("sku", "a b", False),
        ("sku", "", False),
        ("instance_id", "i-0123456789abcdef0", True),
        ("instance_id", "<script>", False),
    ],
)
def test_what_can_be_a_value(field: str, text: str, good: bool) -> None:
    """Names of clouds are short and plain."""
    assert plain(field, text) is good


IDENTITIES = st.builds(
    HostIdentity,
    provider=st.sampled_from(["", "aws", "gcp", "reseller"]),
    region=st.sampled_from(["", "us-east-1", "us-central1"]),
    zone=st.sampled_from(["", "us-east-1a", "us-central1-a", "x"]),
    sku=st.sampled_from(["", "p5.48xlarge", "P5.48XLARGE", "g5.xlarge"]),
    model=st.sampled_from([None, PriceModel.SPOT, PriceModel.ON_DEMAND]),
    instance_id=st.sampled_from(["", "i-1", "i-2"]),
)
STATEMENTS = st.permutations(SOURCES).flatmap(
    lambda sources: st.tuples(
        *(st.builds(Statement, st.just(name), IDENTITIES) for name in sources)
    )
)


@given(STATEMENTS)
def test_nothing_is_made_up(statements: tuple[Statement, ...]) -> None:
    """Each value was said by whom it is ascribed to; one alone that knows better is unknown."""
    found = combine(statements)
    by_source = {each.source: each.identity for each in statements}
    said_by = dict(found.identity.said_by)
    for field in ("provider", *FIELDS):
        value = getattr(found.identity, field)
        assert bool(value) == (field in said_by)
        if value:
            assert value == getattr(by_source[said_by[field]], field)
        if said_by.get(field) == METADATA:
            assert not getattr(by_source[CONFIGURATION], field)
    assert combine(tuple(reversed(statements))) == found
