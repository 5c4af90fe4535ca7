"""A virtual machine of Google Compute Engine, by its metadata server.

It is asked by address, so that no name service has a say, and single values only: all of them
together would bring start-up scripts and keys. Every answer must bear Google's header.
"""

import re
from collections.abc import Mapping

from unitcost.collectors.fetch import FetchError
from unitcost.collectors.identity.metadata import NOT_FOUND, ask, limited
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.identity import GCP, plain
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

FLAVOR = {"Metadata-Flavor": "Google"}
HEADERS = {"Host": "metadata.google.internal", **FLAVOR}
VALUES = "/computeMetadata/v1/instance/"
MACHINE_TYPE = "machine-type"
ZONE = "zone"
ID = "id"
PROVISIONING = "scheduling/provisioning-model"
PREEMPTIBLE = "scheduling/preemptible"
KEYS = (ZONE, MACHINE_TYPE, ID, PROVISIONING, PREEMPTIBLE)
"""What is asked, in this order: the zone is told everywhere, also in GKE's pods."""

MODELS: Mapping[str, PriceModel] = {
    "STANDARD": PriceModel.ON_DEMAND,
    "SPOT": PriceModel.SPOT,
    "PREEMPTIBLE": PriceModel.SPOT,
}
"""Others (``FLEX_START``, ``RESERVATION_BOUND``) have prices of their own: unknown."""

_MACHINE_TYPE = re.compile(r"projects/[^/]{1,64}/machineTypes/([^/]{1,64})")
_ZONE = re.compile(r"projects/[^/]{1,64}/zones/([^/]{1,64})")
_ID = re.compile(r"[0-9]{1,20}|")
_MAY_BE_FLEXIBLE = re.compile(r"(a[0-9]|g[0-9]|ct|h4|n1-|tpu)")
"""Machine types that can also be had on terms which are neither standard nor preemptible."""


def identify(_context: SourceContext, deadline: float) -> HostIdentity:
    """Ask, a second at most. Raises NotHere, and PriceSourceError where answers make no sense."""
    until = limited(deadline)
    found: dict[str, str] = {}
    for key in KEYS:
        try:
            answer = ask(VALUES + key, HEADERS, deadline=until)
        except FetchError as error:
            if not found:
                raise NotHere from None
            if error.status != NOT_FOUND:
                raise PriceSourceError(f"the metadata server's {key}: {error}") from None
            continue
        if answer.headers.get("metadata-flavor") != FLAVOR["Metadata-Flavor"]:
            raise NotHere
        found[key] = answer.text.strip()
    return read(found)


def read(values: Mapping[str, str]) -> HostIdentity:
    """What the server's values say. Raises PriceSourceError for one that cannot be what it should.

    A machine type that can be had on other terms too is not on demand for not being preemptible.
    """
    machine_type = _last(_MACHINE_TYPE, "sku", values.get(MACHINE_TYPE, ""))
    zone = _last(_ZONE, "zone", values.get(ZONE, ""))
    if not _ID.fullmatch(values.get(ID, "")):
        raise PriceSourceError("the metadata server's id is none")
    return HostIdentity(
        provider=GCP,
        region=zone.rpartition("-")[0],
        zone=zone,
        sku=machine_type,
        model=_model(machine_type, values.get(PROVISIONING, ""), values.get(PREEMPTIBLE, "")),
        instance_id=values.get(ID, ""),
    )


def _last(shape: re.Pattern[str], field: str, text: str) -> str:
    if not text:
        return ""
    match = shape.fullmatch(text)
    if match is None or not plain(field, match[1]):
        raise PriceSourceError(f"the metadata server's {field} is none")
    return match[1]


def _model(machine_type: str, provisioning: str, preemptible: str) -> PriceModel | None:
    if provisioning:
        return MODELS.get(provisioning)
    if preemptible == "TRUE":
        return PriceModel.SPOT
    certain = machine_type and not _MAY_BE_FLEXIBLE.match(machine_type)
    return PriceModel.ON_DEMAND if preemptible == "FALSE" and certain else None
