"""A virtual machine of Azure, by its Instance Metadata Service: one JSON object."""

import re

import msgspec

from unitcost.collectors.fetch import FetchError
from unitcost.collectors.identity.metadata import ask, limited
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import AZURE, plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

TARGET = "/metadata/instance?api-version=2021-02-01"
HEADERS = {"Metadata": "true"}

ENVIRONMENTS = frozenset(
    {
        "azurepubliccloud",
        "azureusgovernmentcloud",
        "azureusgovernment",
        "azurechinacloud",
        "azuregermancloud",
    }
)
"""Azure's clouds, in lower case; others (Azure Stack) are somebody's own."""

_VM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Fields that are absent are None; those that are not of their type are an error."""


class ExtendedLocation(_Part, frozen=True):
    """An edge zone, where there is one."""

    name: str | None = None


class Compute(_Part, frozen=True):
    """The machine."""

    az_environment: str | None = None
    location: str | None = None
    zone: str | None = None
    vm_size: str | None = None
    vm_id: str | None = None
    priority: str | None = None
    eviction_policy: str | None = None
    extended_location: ExtendedLocation | None = None


class Instance(_Part, frozen=True):
    """What the service answers."""

    compute: Compute


def identify(_context: SourceContext, deadline: float) -> HostIdentity:
    """Ask, a second at most. Raises NotHere, and PriceSourceError where it makes no sense."""
    try:
        answer = ask(TARGET, HEADERS, deadline=limited(deadline))
    except FetchError:
        raise NotHere from None
    return read(answer.text)


def read(text: str) -> HostIdentity:
    """What the service's answer says. Raises NotHere where it is not Azure's.

    Raises PriceSourceError for a value that cannot be what it should. A zone is written as in
    node labels: the region, a dash, its number.
    """
    try:
        compute = msgspec.json.decode(text, type=Instance).compute
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise NotHere from None
    if (compute.az_environment or "").lower() not in ENVIRONMENTS:
        raise NotHere
    vm_id = (compute.vm_id or "").lower()
    if vm_id and not _VM_ID.fullmatch(vm_id):
        raise PriceSourceError("the metadata service's vmId is none")
    region = _plain("region", (compute.location or "").lower())
    zone = _plain("zone", f"{region}-{compute.zone}" if compute.zone and region else "")
    edge = compute.extended_location is not None and compute.extended_location.name
    return HostIdentity(
        provider=AZURE,
        region="" if edge else region,  # an edge zone has prices of its own
        zone="" if edge else zone,
        sku=_plain("sku", compute.vm_size or ""),
        model=_model(compute),
        instance_id=vm_id,
    )


def _plain(field: str, text: str) -> str:
    if text and not plain(field, text):
        raise PriceSourceError(f"the metadata service's {field} is none")
    return text


def _model(compute: Compute) -> PriceModel | None:
    """The terms. A machine that was made without a priority has it empty, and is a regular one.

    One that may be evicted has a priority and an eviction policy. ``Low`` had terms of its own.
    """
    priority = compute.priority.lower() if compute.priority is not None else None
    if priority == "spot":
        return PriceModel.SPOT
    regular = priority == "regular" or (priority == "" and compute.eviction_policy == "")
    return PriceModel.ON_DEMAND if regular else None
