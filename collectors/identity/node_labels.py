"""Our node as the cluster's API server has it: labels of the instance type, the place, the terms.

The service account must be allowed to ``get`` ``nodes``.
"""

import os
import re
import time
from collections.abc import Mapping

import msgspec

from unitcost.collectors.kube.apiserver import ApiError, api_server
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import AWS, AZURE, GCP, NODE_LABELS, Statement, plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

LIMIT = 5.0
"""Seconds for the API server, which may be far away."""

PROVIDERS: Mapping[str, str] = {"aws": AWS, "gce": GCP, "azure": AZURE}
"""By the scheme of a node's ``spec.providerID``."""

LABELS: Mapping[str, tuple[str, ...]] = {
    "sku": ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"),
    "region": ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    "zone": ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
}

EKS = "eks.amazonaws.com/capacityType"
KARPENTER = "karpenter.sh/capacity-type"
KARPENTER_RESERVATION = "karpenter.k8s.aws/capacity-reservation-type"
GKE = "cloud.google.com/gke-provisioning"
GKE_SPOT = "cloud.google.com/gke-spot"
GKE_PREEMPTIBLE = "cloud.google.com/gke-preemptible"
AKS = "kubernetes.azure.com/scalesetpriority"

MODELS: Mapping[str, Mapping[str, PriceModel | None]] = {
    EKS: {
        "ON_DEMAND": PriceModel.ON_DEMAND,
        "SPOT": PriceModel.SPOT,
        "CAPACITY_BLOCK": PriceModel.CAPACITY_BLOCK,
    },
    KARPENTER: {"on-demand": PriceModel.ON_DEMAND, "spot": PriceModel.SPOT, "reserved": None},
    # Capacity that is merely kept for us ("default") is paid like any on demand.
    KARPENTER_RESERVATION: {
        "default": PriceModel.ON_DEMAND,
        "capacity-block": PriceModel.CAPACITY_BLOCK,
    },
    GKE: {
        "standard": PriceModel.ON_DEMAND,
        "spot": PriceModel.SPOT,
        "preemptible": PriceModel.SPOT,
        "flex-start": None,
    },
    GKE_SPOT: {"true": PriceModel.SPOT, "false": None},
    GKE_PREEMPTIBLE: {"true": PriceModel.SPOT, "false": None},
    AKS: {"spot": PriceModel.SPOT, "regular": PriceModel.ON_DEMAND},
}
"""What each label says by its value; None: no more than that it is none of the others."""
FLEX_START = ("cloud.google.com/gke-flex-start", "cloud.google.com/gke-queued")
"""Where one of these is true the terms are Google's flex start, which have prices of their own."""

_FARGATE = "eks.amazonaws.com/compute-type"
_PROVIDER_ID = re.compile(r"([a-z][a-z0-9-]{0,31})://([!-~]{0,1000})")
_INSTANCE = re.compile(r"/[a-z0-9-]{1,64}/(i-[0-9a-f]{8,32})")
_MAX_SHOWN = 40


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Fields that are absent have their defaults; those that are not of their type are an error."""


class Metadata(_Part, frozen=True):
    """Whose name it bears."""

    labels: dict[str, str] | None = None


class Spec(_Part, frozen=True):
    """Which machine it is, to the cloud."""

    provider_id: str | None = msgspec.field(default=None, name="providerID")


class Node(_Part, frozen=True):
    """A node."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()


def identify(context: SourceContext, deadline: float) -> HostIdentity:
    """Ask the API server. Raises NotHere outside of a cluster, PriceSourceError if it fails."""
    return ask(context, deadline).identity


def ask(context: SourceContext, deadline: float) -> Statement:
    """As `identify`, with what the labels say that is no answer."""
    timeout = min(LIMIT, deadline - time.monotonic())
    if timeout <= 0:
        raise PriceSourceError("no time left to ask for our node")
    try:
        api = api_server(os.environ, context.service_account, context.node_name, timeout)
        if api is None:
            raise NotHere
        name = context.node_name or os.environ.get("NODE_NAME", "")
        node = api.object(f"/api/v1/nodes/{name}", msgspec.json.Decoder(Node).decode)
    except ApiError as error:
        raise PriceSourceError(f"the cluster does not tell of our node: {error}") from None
    return read(node.metadata.labels or {}, node.spec.provider_id or "")


def read(labels: Mapping[str, str], provider_id: str) -> Statement:
    """What a node's labels and provider id say; what cannot be is unknown, and told."""
    problems: list[str] = []
    match = _PROVIDER_ID.fullmatch(provider_id)
    provider = PROVIDERS.get(match[1], "") if match else ""
    values = {field: _value(field, names, labels, problems) for field, names in LABELS.items()}
    if provider == AZURE:
        values["region"] = values["region"].lower()
        values["zone"] = values["zone"].lower()
        if not values["zone"].startswith(f"{values['region']}-"):
            values["zone"] = ""  # a number alone is a fault domain
    if labels.get(_FARGATE) == "fargate":
        values["sku"] = ""
    instance = _INSTANCE.fullmatch(match[2]) if match and provider == AWS else None
    identity = HostIdentity(
        provider=provider,
        region=values["region"],
        zone=values["zone"],
        sku=values["sku"],
        model=_model(labels, problems),
        instance_id=instance[1] if instance else "",
    )
    return Statement(NODE_LABELS, identity, tuple(problems))


def _value(
    field: str, names: tuple[str, ...], labels: Mapping[str, str], problems: list[str]
) -> str:
    name = next((name for name in names if labels.get(name)), "")
    text = labels.get(name, "")
    if text and not plain(field, text):
        problems.append(f"the node's label {name} is {text[:_MAX_SHOWN]!r}, which is none")
        return ""
    return text


def _model(labels: Mapping[str, str], problems: list[str]) -> PriceModel | None:
    """The terms by all labels that say something of them; None where they differ."""
    if any(labels.get(name) == "true" for name in FLEX_START):
        return None
    said: dict[str, PriceModel] = {}
    for name, meanings in MODELS.items():
        value = labels.get(name)
        if value is None:
            continue
        model = meanings.get(value)
        if model is not None:
            said[name] = model
        elif value not in meanings:
            problems.append(f"the node's label {name} is {value[:_MAX_SHOWN]!r}: unknown terms")
            return None
    if len(set(said.values())) > 1:
        told = " and ".join(f"{name}={labels[name]}" for name in said)
        problems.append(f"the node's labels contradict each other: {told}")
        return None
    return next(iter(said.values()), None)
