"""The price sources that a configuration asks for: found, and their options checked."""

from collections.abc import Mapping
from typing import Any

import msgspec

import unitcost.collectors.price_sources
from unitcost.collectors.base import Found, discover
from unitcost.exporter.config.decode import Mistake, decode, shown
from unitcost.exporter.config.settings import Lookup

ALWAYS = "rate_card"
"""Asked unless switched off: it is built in and reaches nothing."""


def wanted_sources(lookup: Lookup | None) -> tuple[tuple[Found, Any], ...]:
    """The sources to ask, with their options. Raises Mistake for an unknown or bad section.

    One that cannot be imported comes with its error and without options.
    """
    if lookup is None:
        return ()
    found = {item.name: item for item in discover(unitcost.collectors.price_sources, "make_source")}
    for name in lookup.sources:
        if name not in found:
            expected = ", ".join(sorted(found)) or "nothing: there is no source"
            problem = f"unknown source {shown(name)}, expected one of {expected}"
            raise Mistake(("price", "lookup", "sources", name), problem)
    sections = {ALWAYS: {}, **lookup.sources} if ALWAYS in found else dict(lookup.sources)
    return tuple(
        (found[name], _options(found[name], section))
        for name, section in sections.items()
        if _is_on(name, section)
    )


def _is_on(name: str, section: Mapping[str, Any]) -> bool:
    enabled = section.get("enabled", True)
    if not isinstance(enabled, bool):
        path = ("price", "lookup", "sources", name, "enabled")
        raise Mistake(path, f"expected true or false, got {shown(enabled)}")
    return enabled


def _options(found: Found, section: Mapping[str, Any]) -> Any:
    if found.module is None:
        return None
    own = {key: value for key, value in section.items() if key != "enabled"}
    type_ = getattr(found.module, "Options", _NoOptions)
    return decode(own, type_, ("price", "lookup", "sources", found.name))


class _NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a source that has none."""
