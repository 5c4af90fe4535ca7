"""What AWS, Google and Azure say of a machine, asked of services as strict as theirs."""

import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.identity.conftest import PointTo
from tests.collectors.identity.fake_metadata import fake_metadata, shape
from unitcost.collectors.identity import aws, azure, gcp
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

CLOUDS = {"aws": aws.identify, "gcp": gcp.identify, "azure": azure.identify}
EXPECTED = {
    "aws": HostIdentity(
        "aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.SPOT, "i-0123456789abcdef0"
    ),
    "gcp": HostIdentity(
        "gcp",
        "us-central1",
        "us-central1-a",
        "a3-highgpu-8g",
        PriceModel.ON_DEMAND,
        "3526236472304789012",
    ),
    "azure": HostIdentity(
        "azure",
        "uaenorth",
        "uaenorth-2",
        "Standard_ND96isr_H100_v5",
        PriceModel.ON_DEMAND,
        "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
    ),
}


def soon() -> float:
    """A deadline that no test comes near."""
    return time.monotonic() + 30


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_machine_of_a_cloud_is_known(
    cloud: str, context: SourceContext, point_to: PointTo
) -> None:
    """All fields, in the provider's own spelling."""
    with fake_metadata(cloud) as fake:
        point_to(fake.port)
        assert CLOUDS[cloud](context, soon()) == EXPECTED[cloud]


@pytest.mark.parametrize(("cloud", "other"), list(itertools.permutations(CLOUDS, 2)))
def test_a_machine_of_another_cloud_is_not_taken_for_its_own(
    cloud: str, other: str, context: SourceContext, point_to: PointTo
) -> None:
    """Each service is recognised by what only it answers."""
    with fake_metadata(other) as fake:
        point_to(fake.port)
        with pytest.raises(NotHere):
            CLOUDS[cloud](context, soon())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_where_nobody_listens_the_answer_is_there_at_once(
    cloud: str, context: SourceContext, point_to: PointTo
) -> None:
    """A refused connection is not waited on."""
    begun = time.monotonic()
    with pytest.raises(NotHere):
        CLOUDS[cloud](context, soon())
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize("cloud", CLOUDS)
def test_where_nothing_comes_back_it_takes_a_second(
    cloud: str, context: SourceContext, point_to: PointTo, black_hole: int
) -> None:
    """Packets that are dropped cost the whole limit once, however far the deadline."""
    point_to(black_hole, black_hole)
    begun = time.monotonic()
    with pytest.raises(NotHere):
        CLOUDS[cloud](context, soon())
    assert 0.9 < time.monotonic() - begun < 1.5


def test_aws_is_asked_with_a_token_only(context: SourceContext, point_to: PointTo) -> None:
    """One PUT, then a GET for each value; no secret of the instance is asked for."""
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        aws.identify(context, soon())
    assert fake.requests[0] == ("PUT", "/latest/api/token")
    assert {method for method, _ in fake.requests[1:]} == {"GET"}
    assert not [target for _, target in fake.requests if "iam" in target or "user-data" in target]


def test_aws_over_ipv6_where_there_is_no_ipv4(context: SourceContext, point_to: PointTo) -> None:
    """The other place is asked after the first, and for all values."""
    with fake_metadata("aws") as fake:
        point_to(None, fake.port)
        assert aws.identify(context, soon()) == EXPECTED["aws"]


@pytest.mark.parametrize(
    ("life_cycle", "model"),
    [
        ("on-demand", PriceModel.ON_DEMAND),
        ("spot", PriceModel.SPOT),
        ("capacity-block", PriceModel.CAPACITY_BLOCK),
        ("scheduled", None),
        ("", None),
    ],
)
def test_terms_of_aws(life_cycle: str, model: PriceModel | None) -> None:
    """What is not said is not on demand."""
    assert aws.read({"instance-life-cycle": life_cycle}).model is model


def test_aws_without_a_life_cycle_or_on_a_dedicated_host(
    context: SourceContext, point_to: PointTo
) -> None:
    """An older service does not have the value; a Dedicated Host is priced as a whole."""
    for change in ({"instance-life-cycle": None}, {"placement/host-id": "h-0123456789abcdef0"}):
        with fake_metadata("aws", shape("aws") | change) as fake:
            point_to(fake.port)
            found = aws.identify(context, soon())
        assert (found.sku, found.model) == ("p5.48xlarge", None)


@pytest.mark.parametrize(
    ("machine_type", "provisioning", "preemptible", "model"),
    [
        ("a3-highgpu-8g", "STANDARD", "FALSE", PriceModel.ON_DEMAND),
        ("a3-highgpu-8g", "SPOT", "TRUE", PriceModel.SPOT),
        ("a3-highgpu-8g", "FLEX_START", "FALSE", None),
        ("a3-ultragpu-8g", "RESERVATION_BOUND", "FALSE", None),
        ("a3-highgpu-8g", "", "TRUE", PriceModel.SPOT),
        ("a3-highgpu-8g", "", "FALSE", None),
        ("e2-standard-4", "", "FALSE", PriceModel.ON_DEMAND),
        ("e2-standard-4", "", "", None),
        ("", "", "FALSE", None),
    ],
)
def test_terms_of_google(
    machine_type: str, provisioning: str, preemptible: str, model: PriceModel | None
) -> None:
    """Accelerators can be had on terms that are neither standard nor preemptible."""
    values = {gcp.PROVISIONING: provisioning, gcp.PREEMPTIBLE: preemptible}
    if machine_type:
        values[gcp.MACHINE_TYPE] = f"projects/1/machineTypes/{machine_type}"
    assert gcp.read(values).model is model


def test_google_where_not_all_is_told(context: SourceContext, point_to: PointTo) -> None:
    """In a pod of GKE only some values are there: the others are unknown."""
    with fake_metadata("gcp", {"zone": "projects/1/zones/europe-west4-b"}) as fake:
        point_to(fake.port)
        found = gcp.identify(context, soon())
    assert found == HostIdentity("gcp", "europe-west4", "europe-west4-b")


@pytest.mark.parametrize(
    ("change", "model"),
    [
        ({"priority": "Regular"}, PriceModel.ON_DEMAND),
        ({"priority": "Spot", "evictionPolicy": "Deallocate"}, PriceModel.SPOT),
        ({"priority": "", "evictionPolicy": ""}, PriceModel.ON_DEMAND),
        ({"priority": "", "evictionPolicy": "Delete"}, None),
        ({"priority": "Low"}, None),
        ({"priority": None}, None),
    ],
)
def test_terms_of_azure(change: dict[str, Any], model: PriceModel | None) -> None:
    """An empty priority is a regular machine's; one that is not there says nothing."""
    compute = shape("azure")["compute"] | change
    assert azure.read(json.dumps({"compute": compute})).model is model


def test_azure_without_zones_and_at_the_edge() -> None:
    """No zone is no error; an edge zone has prices of its own, so the region is unknown."""
    compute = shape("azure")["compute"]
    flat = azure.read(json.dumps({"compute": compute | {"zone": "", "location": "UAENorth"}}))
    assert (flat.region, flat.zone) == ("uaenorth", "")
    edge = {"name": "microsoftlosangeles", "type": "EdgeZone"}
    there = azure.read(json.dumps({"compute": compute | {"extendedLocation": edge}}))
    assert (there.region, there.zone) == ("", "")
    own = compute | {"azEnvironment": "AzureStack"}
    with pytest.raises(NotHere):
        azure.read(json.dumps({"compute": own}))


@pytest.mark.parametrize(
    "junk", ["", "<html>", "token", "p5.48xlarge\nx", "a." * 40, "../..", "ü", " "]
)
@pytest.mark.parametrize("key", ["instance-type", "placement/region", "instance-id"])
def test_a_value_of_aws_that_is_none_is_an_error(key: str, junk: str) -> None:
    """Of the right service, but nothing that can be a name: nothing of it is believed."""
    if not junk:
        assert aws.read({key: junk}).sku == ""
        return
    with pytest.raises(PriceSourceError):
        aws.read(shape("aws") | {key: junk})


@pytest.mark.parametrize(
    ("key", "junk"),
    [
        ("machine-type", "a3-highgpu-8g"),
        ("machine-type", "projects/1/machineTypes/"),
        ("zone", "projects/1/zones/<b>"),
        ("id", "0x12"),
        ("id", "1" * 21),
    ],
)
def test_a_value_of_google_that_is_none_is_an_error(key: str, junk: str) -> None:
    """The whole form is checked, not only its end."""
    with pytest.raises(PriceSourceError):
        gcp.read(shape("gcp") | {key: junk})


@pytest.mark.parametrize("change", [{"vmSize": "a b"}, {"vmId": "1"}, {"location": "-"}])
def test_a_value_of_azure_that_is_none_is_an_error(change: dict[str, str]) -> None:
    """As for the others."""
    with pytest.raises(PriceSourceError):
        azure.read(json.dumps({"compute": shape("azure")["compute"] | change}))


def checked(identity: HostIdentity) -> None:
    """No field holds what is no name."""
    for field in ("region", "zone", "sku", "instance_id"):
        value = getattr(identity, field)
        assert value == "" or plain(field, value)


@given(st.dictionaries(st.sampled_from([*aws.KEYS.values(), aws.LIFE_CYCLE]), st.text()))
def test_whatever_aws_says(values: dict[str, str]) -> None:
    """An identity of names, or an error."""
    try:
        checked(aws.read(values))
    except PriceSourceError:
        return


@given(st.dictionaries(st.sampled_from(gcp.KEYS), st.text() | st.from_regex(r"projects/1/\w+/.*")))
def test_whatever_google_says(values: dict[str, str]) -> None:
    """The same."""
    try:
        checked(gcp.read(values))
    except PriceSourceError:
        return


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
COMPUTE = st.dictionaries(st.sampled_from(sorted(shape("azure")["compute"])), JSON)


@given(st.text() | COMPUTE.map(lambda change: json.dumps({"compute": change})))
def test_whatever_azure_says(text: str) -> None:
    """The same."""
    try:
        checked(azure.read(text))
    except (PriceSourceError, NotHere):
        return


@given(COMPUTE)
def test_whatever_azure_says_of_a_machine_that_is_its_own(change: dict[str, Any]) -> None:
    """With the environment in place what remains is read, and checked."""
    compute = shape("azure")["compute"] | change | {"azEnvironment": "AzurePublicCloud"}
    try:
        checked(azure.read(json.dumps({"compute": compute})))
    except (PriceSourceError, NotHere):
        return
