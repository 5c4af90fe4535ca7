"""What a cluster says of our node, by a real API server's manners and by its labels."""

import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.fake_apiserver import NODE, FakeApiServer, service_account
from tests.collectors.identity.fake_metadata import shape
from unitcost.collectors.identity import node_labels
from unitcost.collectors.identity.node_labels import AKS, EKS, GKE, GKE_SPOT, KARPENTER, read
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

NODES = shape("nodes")
EXPECTED = {
    "eks": HostIdentity(
        "aws", "me-central-1", "me-central-1b", "g5.xlarge", PriceModel.SPOT, "i-0fedcba9876543210"
    ),
    "karpenter": HostIdentity(
        "aws",
        "us-east-1",
        "us-east-1a",
        "p5.48xlarge",
        PriceModel.CAPACITY_BLOCK,
        "i-0123456789abcdef0",
    ),
    "gke": HostIdentity("gcp", "me-central2", "me-central2-a", "g2-standard-8", PriceModel.SPOT),
    "aks": HostIdentity(
        "azure", "uaenorth", "uaenorth-1", "Standard_NC24ads_A100_v4", PriceModel.SPOT
    ),
    "bare": HostIdentity(),
}


def soon() -> float:
    """A deadline that no test comes near."""
    return time.monotonic() + 30


@pytest.fixture
def inside(
    api: FakeApiServer,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SourceContext:
    """Of a pod in the cluster of `api`."""
    place = urlsplit(api.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(place.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(place.port))
    monkeypatch.delenv("NODE_NAME", raising=False)
    folder = service_account(tmp_path / "account", certificate[0])
    return SourceContext(tmp_path, time.time_ns, NODE, str(folder))


@pytest.mark.parametrize("kind", NODES)
def test_a_node_of_each_kind_of_cluster(
    kind: str, inside: SourceContext, api: FakeApiServer
) -> None:
    """One question, for our own node."""
    api.objects[f"/api/v1/nodes/{NODE}"] = NODES[kind]
    assert node_labels.identify(inside, soon()) == EXPECTED[kind]
    assert api.requests == [f"/api/v1/nodes/{NODE}"]


def test_the_node_s_name_may_come_from_the_environment(
    inside: SourceContext, api: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the downward API gives it; without any, it is an error that says what to set."""
    context = SourceContext(inside.folder, inside.wall_ns, service_account=inside.service_account)
    with pytest.raises(PriceSourceError, match="NODE_NAME"):
        node_labels.identify(context, soon())
    monkeypatch.setenv("NODE_NAME", NODE)
    api.objects[f"/api/v1/nodes/{NODE}"] = NODES["eks"]
    assert node_labels.identify(context, soon()) == EXPECTED["eks"]


def test_outside_of_a_cluster(context: SourceContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotHere):
        node_labels.identify(context, soon())


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (403, None, "403"),
        (404, None, "404"),
        (500, None, "500"),
        (200, b"<html>", "not what Kubernetes says"),
        (200, b'{"metadata": {"labels": {"a": 1}}}', "not what Kubernetes says"),
        (200, b"[" * 100_000, "not what Kubernetes says"),
    ],
)
def test_an_api_server_that_does_not_tell(
    status: int, body: bytes | None, text: str, inside: SourceContext, api: FakeApiServer
) -> None:
    """An error in words, without the token."""
    api.status, api.body = status, body
    with pytest.raises(PriceSourceError, match=text) as caught:
        node_labels.identify(inside, soon())
    assert api.token not in str(caught.value)


def test_no_time_left(inside: SourceContext, api: FakeApiServer) -> None:
    """Nothing is asked after the deadline."""
    with pytest.raises(PriceSourceError):
        node_labels.identify(inside, time.monotonic())
    assert api.requests == []


@pytest.mark.parametrize(
    ("labels", "model"),
    [
        ({}, None),
        ({EKS: "ON_DEMAND"}, PriceModel.ON_DEMAND),
        ({EKS: "SPOT"}, PriceModel.SPOT),
        ({EKS: "CAPACITY_BLOCK"}, PriceModel.CAPACITY_BLOCK),
        ({KARPENTER: "on-demand"}, PriceModel.ON_DEMAND),
        ({KARPENTER: "spot"}, PriceModel.SPOT),
        ({KARPENTER: "reserved"}, None),
        (
            {KARPENTER: "reserved", node_labels.KARPENTER_RESERVATION: "default"},
            PriceModel.ON_DEMAND,
        ),
        ({GKE: "standard"}, PriceModel.ON_DEMAND),
        ({GKE: "preemptible"}, PriceModel.SPOT),
        ({GKE: "flex-start"}, None),
        ({GKE: "standard", "cloud.google.com/gke-flex-start": "true"}, None),
        ({GKE: "standard", "cloud.google.com/gke-queued": "true"}, None),
        ({GKE_SPOT: "true"}, PriceModel.SPOT),
        ({GKE_SPOT: "false"}, None),
        ({node_labels.GKE_PREEMPTIBLE: "true"}, PriceModel.SPOT),
        ({AKS: "regular"}, PriceModel.ON_DEMAND),
        ({AKS: "spot", KARPENTER: "spot"}, PriceModel.SPOT),
    ],
)
def test_terms_by_labels(labels: dict[str, str], model: PriceModel | None) -> None:
    """What no label says is unknown, never on demand."""
    said = read(labels, "")
    assert said.identity.model is model
    assert said.problems == ()


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({EKS: "ON_DEMAND", KARPENTER: "spot"}, "contradict"),
        ({GKE: "standard", GKE_SPOT: "true"}, "contradict"),
        ({EKS: "LEASED"}, "unknown terms"),
        ({KARPENTER: "x" * 5000}, "unknown terms"),
    ],
)
def test_terms_that_contradict_or_are_new_are_unknown_and_told(
    labels: dict[str, str], text: str
) -> None:
    """None is picked."""
    said = read(labels, "")
    assert said.identity.model is None
    [problem] = said.problems
    assert text in problem
    assert len(problem) < 200


@pytest.mark.parametrize("provider_id", ["", "kind://docker/kind/x", "aws", "x" * 5000, "://"])
def test_a_provider_that_is_none_we_know(provider_id: str) -> None:
    """No provider, no guess from the names of regions."""
    assert read(NODES["eks"]["metadata"]["labels"], provider_id).identity.provider == ""


def test_what_only_looks_like_an_instance() -> None:
    """Fargate has no instance type; a fault domain of Azure is no zone."""
    fargate = {"eks.amazonaws.com/compute-type": "fargate", node_labels.LABELS["sku"][0]: "m5.x"}
    found = read(fargate, "aws:///us-east-1a/0123/fargate-ip-10-0-0-1.ec2.internal").identity
    assert (found.provider, found.sku, found.instance_id) == ("aws", "", "")
    labels = NODES["aks"]["metadata"]["labels"] | {node_labels.LABELS["zone"][0]: "0"}
    flat = read(labels, "azure:///subscriptions/x").identity
    assert (flat.region, flat.zone) == ("uaenorth", "")


def test_labels_of_old_clusters_and_labels_that_are_none() -> None:
    """The older names count where the newer are not there; junk is unknown, and told."""
    old = {"failure-domain.beta.kubernetes.io/region": "us-east-1"}
    assert read(old, "").identity.region == "us-east-1"
    said = read({node_labels.LABELS["region"][0]: "<b>" * 100}, "")
    assert said.identity.region == ""
    [problem] = said.problems
    assert len(problem) < 200


NAMES = [name for names in node_labels.LABELS.values() for name in names] + [*node_labels.MODELS]
VALUES = st.text() | st.sampled_from(["spot", "SPOT", "true", "us-east-1", "reserved"])


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.text() | st.just("aws:///a/i-01234567"))
def test_whatever_labels_say(labels: Mapping[str, str], provider_id: str) -> None:
    """An identity of names; every label that is left out is told of, in few words."""
    said = read(labels, provider_id)
    for field in ("region", "zone", "sku", "instance_id"):
        value = getattr(said.identity, field)
        assert value == "" or plain(field, value)
    assert all(problem.isprintable() and len(problem) < 300 for problem in said.problems)
