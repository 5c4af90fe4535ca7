"""What a host is, put together from what several say of it: never guessed, never mixed.

Of those that are not the configuration none outranks another where they differ: what two of them
say differently is unknown, and so is what hangs on it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unitcost.pricing.quote import HostIdentity

AWS, GCP, AZURE = "aws", "gcp", "azure"

CONFIGURATION = "configuration"
NODE_LABELS = "node_labels"
METADATA = "metadata"
SOURCES = (CONFIGURATION, NODE_LABELS, METADATA)
"""Who may say what a host is; whose spelling is taken first."""

FIELDS: Mapping[str, str] = {
    "region": "region",
    "zone": "zone",
    "sku": "instance type",
    "model": "price model",
    "instance_id": "instance id",
}
"""The fields besides the provider, and what they are called in a sentence."""

MAX_VALUE = 64

_SHAPES: Mapping[str, re.Pattern[str]] = {
    "region": re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*"),
    "zone": re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"),
    "sku": re.compile(r"[A-Za-z][A-Za-z0-9]*([._-][A-Za-z0-9]+)*"),
    "instance_id": re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*"),
}

# A zone is its region and one more letter or digit. Local and Wavelength Zones, and edge zones,
# are not: they have prices of their own.
_ZONE_AFTER_REGION: Mapping[str, re.Pattern[str]] = {
    AWS: re.compile(r"[a-z]"),
    GCP: re.compile(r"-[a-z]"),
    AZURE: re.compile(r"-[0-9]"),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What one of `SOURCES` says this host is; `problems` are what it said that is no answer."""

    source: str
    identity: HostIdentity
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Combined:
    """What the host is by all statements, and in words what they say that does not agree."""

    identity: HostIdentity
    contradictions: tuple[str, ...] = ()


def plain(field: str, text: str) -> bool:
    """Whether a text can be the value of a field: of its shape and at most `MAX_VALUE` long."""
    return len(text) <= MAX_VALUE and _SHAPES[field].fullmatch(text) is not None


def combine(statements: Sequence[Statement]) -> Combined:
    """Put statements together, at most one of each source.

    The configuration is believed over all others. One that names another cloud than it does is
    left out as a whole. Case does not matter where values are compared.
    """
    ranked = sorted(statements, key=lambda each: SOURCES.index(each.source))
    words: list[str] = []
    provider = _agreed("provider", "provider", ranked, words)
    if provider is None:
        return Combined(HostIdentity(), tuple(words))
    name = str(provider[0])
    believed = [
        each for each in ranked if each.identity.provider.casefold() in ("", name.casefold())
    ]
    said = {"provider": provider} if name else {}
    for field, called in FIELDS.items():
        agreed = _agreed(field, called, believed, words)
        if agreed is not None and agreed[0]:
            said[field] = agreed
    _without_misplaced(name, said, words)
    known: dict[str, Any] = {field: value for field, (value, _) in said.items()}
    said_by = tuple((field, source) for field, (_, source) in said.items())
    return Combined(HostIdentity(said_by=said_by, **known), tuple(words))


_Said = tuple[object, str]
"""A value, and who said so."""


def _agreed(
    field: str, called: str, statements: Sequence[Statement], words: list[str]
) -> _Said | None:
    """What all say of a field, or the configuration alone; None where they contradict."""
    said = [(getattr(each.identity, field), each.source) for each in statements]
    known = [(value, source) for value, source in said if value]
    if not known:
        return ("", "")
    first, source = known[0]
    others = [each for each in known if str(each[0]).casefold() != str(first).casefold()]
    # Terms that only the bill knows (reserved, committed) are told by the configuration.
    if others and not (source == CONFIGURATION and field == "model"):
        told = " and ".join(f"{value} ({source})" for value, source in [(first, source), *others])
        outcome = "the configuration is believed" if source == CONFIGURATION else "it is unknown"
        words.append(f"the {called} of this host is said to be {told}: {outcome}")
    return None if others and source != CONFIGURATION else (first, source)


def _without_misplaced(provider: str, said: dict[str, _Said], words: list[str]) -> None:
    """Take out a zone that is not of the region, and the region too unless it is configured."""
    shape = _ZONE_AFTER_REGION.get(provider)
    if shape is None or "zone" not in said:
        return
    zone, region = str(said["zone"][0]), said.get("region")
    if region is None:
        del said["zone"]
        return
    name = str(region[0])
    if zone.startswith(name) and shape.fullmatch(zone[len(name) :]):
        return
    del said["zone"]
    words.append(f"the zone {zone} is none of the region {name}: it may have prices of its own")
    if region[1] != CONFIGURATION:
        del said["region"]
