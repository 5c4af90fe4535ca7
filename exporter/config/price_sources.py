"""The price sources that a configuration asks for: found, and their options checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import unitcost.collectors.price_sources
from unitcost.collectors.base import Found, discover
from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.plugins import with_own_options
from unitcost.exporter.config.settings import Lookup

ALWAYS = "rate_card"
"""Asked unless switched off: it is built in and reaches nothing."""
Wanted = tuple[tuple[Found, Any], ...]
"""Sources to ask, with their options; one that is broken has its error and no options."""


def wanted_sources(lookup: Lookup | None, brought: Sequence[Found] = ()) -> Wanted:
    """The sources to ask, in the order of their sections; `brought` are those of plugins.

    Raises Mistake for an unknown or bad section. One that cannot be imported, or a plugin whose
    options fail by themselves, comes with its error and without options.
    """
    if lookup is None:
        return ()
    built_in = discover(unitcost.collectors.price_sources, "make_source")
    found = {item.name: item for item in (*brought, *built_in)}
    for name in lookup.sources:
        if name not in found:
            expected = ", ".join(sorted(found)) or "nothing: there is no source"
            problem = f"unknown source {shown(name)}, expected one of {expected}"
            raise Mistake(("price", "lookup", "sources", name), problem)
    sections = {ALWAYS: {}, **lookup.sources} if ALWAYS in found else dict(lookup.sources)
    return tuple(
        with_own_options(found[name], section, ("price", "lookup", "sources", name))
        for name, section in sections.items()
        if _is_on(name, section)
    )


def _is_on(name: str, section: Mapping[str, Any]) -> bool:
    enabled = section.get("enabled", True)
    if not isinstance(enabled, bool):
        path = ("price", "lookup", "sources", name, "enabled")
        raise Mistake(path, f"expected true or false, got {shown(enabled)}")
    return enabled
