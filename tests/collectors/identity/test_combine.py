"""Who this host is, by all who may know, asked at once; and what that costs where nobody does."""

import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.collectors.fake_apiserver import NODE, FakeApiServer, service_account
from tests.collectors.identity.conftest import PointTo
from tests.collectors.identity.fake_metadata import fake_metadata, shape
from tests.collectors.raw_server import body, raw_server
from unitcost.collectors.base import Problem
from unitcost.collectors.identity import aws
from unitcost.collectors.identity.combine import Identified, WhoAmI
from unitcost.collectors.price_contract import SourceContext
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

NODE_PATH = f"/api/v1/nodes/{NODE}"


def soon() -> float:
    """A deadline that no test comes near."""
    return time.monotonic() + 30


@pytest.fixture
def no_firmware(tmp_path: Path) -> str:
    """A folder of firmware that says nothing."""
    return str(tmp_path / "dmi")


@pytest.fixture
def inside(
    api: FakeApiServer,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SourceContext:
    """Of a pod on an EKS node."""
    place = urlsplit(api.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(place.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(place.port))
    folder = service_account(tmp_path / "account", certificate[0])
    api.objects[NODE_PATH] = shape("nodes")["karpenter"]
    return SourceContext(tmp_path, time.time_ns, NODE, str(folder))


def maker(folder: Path, vendor: str) -> str:
    """A folder of firmware that names its maker."""
    folder.mkdir()
    (folder / "sys_vendor").write_text(vendor)
    return str(folder)


def test_a_cloud_that_told_is_not_asked_again(
    context: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """What it said holds for as long as the process lives."""
    who = WhoAmI(context, firmware_folder=no_firmware)
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        first = who.identify(soon())
    assert (first.identity.sku, first.identity.model) == ("p5.48xlarge", PriceModel.SPOT)
    assert dict(first.identity.said_by)["sku"] == "metadata"
    assert first.problems == ()
    point_to()
    assert who.identify(soon()) == first


def test_a_host_that_is_in_no_cloud_asks_once(
    context: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """It is found out once and never again, even if somebody answers later."""
    who = WhoAmI(context, firmware_folder=no_firmware)
    assert who.identify(soon()) == Identified(HostIdentity())
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        assert who.identify(soon()) == Identified(HostIdentity())
        assert fake.requests == []


def test_a_laptop_asks_nobody(context: SourceContext, point_to: PointTo, tmp_path: Path) -> None:
    """Its firmware says who made it."""
    who = WhoAmI(context, firmware_folder=maker(tmp_path / "dmi", "LENOVO"))
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        assert who.identify(soon()) == Identified(HostIdentity())
        assert fake.requests == []


def test_clouds_that_are_not_to_be_asked_are_not(
    context: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """What is configured is still told."""
    configured = HostIdentity("aws", sku="p5.48xlarge")
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        who = WhoAmI(context, configured, no_firmware, ask_clouds=False)
        assert who.identify(soon()).identity.region == ""
        assert fake.requests == []


def test_nobody_answering_costs_a_second_of_a_thread_of_its_own(
    context: SourceContext, point_to: PointTo, no_firmware: str, black_hole: int
) -> None:
    """All clouds at once; meanwhile the process goes on, and the next time it costs nothing."""
    point_to(black_hole, black_hole)
    who = WhoAmI(context, firmware_folder=no_firmware)
    took: list[float] = []

    def ask() -> None:
        begun = time.monotonic()
        who.identify(soon())
        took.append(time.monotonic() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    longest, before = 0.0, time.monotonic()
    while thread.is_alive():
        time.sleep(0.01)
        longest, before = max(longest, time.monotonic() - before), time.monotonic()
    ask()
    assert took[0] < 1.1 + 0.4  # a loaded machine is late
    assert took[1] < 0.2
    assert longest < 0.5


def test_a_service_that_is_not_ready_is_asked_again(
    context: SourceContext, point_to: PointTo, tmp_path: Path
) -> None:
    """Where the firmware says that it must be there, its silence is told and not taken for no."""
    who = WhoAmI(context, firmware_folder=maker(tmp_path / "dmi", "Amazon EC2"))
    silent = who.identify(soon())
    assert silent.identity == HostIdentity()
    [problem] = silent.problems
    assert problem == Problem("identity", "the firmware says aws, whose metadata service is silent")
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        assert who.identify(soon()).identity.region == "us-east-1"


def test_too_little_time_decides_nothing(
    context: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """Who had no time to answer is asked again."""
    who = WhoAmI(context, firmware_folder=no_firmware)
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        assert who.identify(time.monotonic()).identity == HostIdentity()
        assert who.identify(soon()).identity.provider == "aws"


def test_two_clouds_at_once_are_an_impostor(
    context: SourceContext,
    point_to: PointTo,
    no_firmware: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None of them is believed."""
    other = HostIdentity("gcp", "us-central1", "us-central1-a", "a3-highgpu-8g")
    monkeypatch.setattr(
        "unitcost.collectors.identity.combine.CLOUDS",
        {
            "aws": aws.identify,
            "gcp": lambda _context, _deadline: other,
            "azure": aws.identify,
        },
    )
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        found = WhoAmI(context, firmware_folder=no_firmware).identify(soon())
    assert found.identity == HostIdentity()
    assert "none is believed" in found.problems[0].detail


def test_a_service_that_fails_is_told(
    context: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """And the host is unknown, not of another cloud."""
    with raw_server(body(b"token", f"{aws.TTL}: 60")) as server:
        point_to(server.port)
        found = WhoAmI(context, firmware_folder=no_firmware).identify(soon())
    assert found.identity == HostIdentity()
    assert "aws" in found.problems[0].detail


def test_one_that_breaks_altogether_leaves_the_others_theirs(
    context: SourceContext,
    point_to: PointTo,
    no_firmware: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its error is named, without what it said."""

    def broken(_context: SourceContext, _deadline: float) -> HostIdentity:
        raise RuntimeError("a secret")

    clouds = {"aws": aws.identify, "gcp": broken, "azure": broken}
    monkeypatch.setattr("unitcost.collectors.identity.combine.CLOUDS", clouds)
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        found = WhoAmI(context, firmware_folder=no_firmware).identify(soon())
    assert found.identity.provider == "aws"
    assert [each.detail for each in found.problems] == ["gcp: RuntimeError", "azure: RuntimeError"]


def test_labels_and_metadata_that_agree(
    inside: SourceContext, api: FakeApiServer, point_to: PointTo, no_firmware: str
) -> None:
    """The labels are named as who said so; what only one says is taken from that one."""
    del api.objects[NODE_PATH]["metadata"]["labels"]["topology.kubernetes.io/zone"]
    values = shape("aws") | {"instance-life-cycle": "capacity-block"}
    with fake_metadata("aws", values) as fake:
        point_to(fake.port)
        found = WhoAmI(inside, firmware_folder=no_firmware).identify(soon())
    assert found.problems == ()
    assert found.identity.model is PriceModel.CAPACITY_BLOCK
    said_by = dict(found.identity.said_by)
    assert (said_by["region"], said_by["zone"]) == ("node_labels", "metadata")


def test_labels_and_metadata_that_contradict(
    inside: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """The terms are unknown, and told; nothing else suffers."""
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        found = WhoAmI(inside, firmware_folder=no_firmware).identify(soon())
    assert (found.identity.sku, found.identity.model) == ("p5.48xlarge", None)
    [problem] = found.problems
    assert "capacity_block (node_labels) and spot (metadata)" in problem.detail


def test_what_is_configured_is_believed(
    inside: SourceContext, point_to: PointTo, no_firmware: str
) -> None:
    """Terms that only the bill knows; the rest is still asked for."""
    configured = HostIdentity(model=PriceModel.SAVINGS_PLAN)
    with fake_metadata("aws") as fake:
        point_to(fake.port)
        found = WhoAmI(inside, configured, no_firmware).identify(soon())
    assert found.problems == ()
    assert (found.identity.sku, found.identity.model) == ("p5.48xlarge", PriceModel.SAVINGS_PLAN)
    assert dict(found.identity.said_by)["model"] == "configuration"


def test_labels_are_read_each_time_and_kept_where_they_cannot_be(
    inside: SourceContext, api: FakeApiServer, point_to: PointTo, no_firmware: str
) -> None:
    """A cluster labels its nodes when it likes; one that is away takes nothing back."""
    who = WhoAmI(inside, firmware_folder=no_firmware)
    who.identify(soon())
    api.objects[NODE_PATH] = shape("nodes")["eks"]
    assert who.identify(soon()).identity.sku == "g5.xlarge"
    api.status = 503
    kept = who.identify(soon())
    assert kept.identity.sku == "g5.xlarge"
    assert "503" in kept.problems[0].detail
