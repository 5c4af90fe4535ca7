"""Recognises a server by what its metrics page says."""

import re
from collections.abc import Iterable, Mapping

from unitcost.collectors.page.table_reading import Plan

AUTO = "auto"
_TYPE = b"# TYPE "
_NAME_END = re.compile(rb"[ \t{]")
EVERY = "*"
"""In `yields_to`: every table that does not yield to every other one itself."""


class Unrecognised(Exception):
    """The text is of none of the servers that are known, or of several."""


class Recogniser:
    """Finds the table for what an endpoint serves; tables of the configuration come first."""

    def __init__(self, own: Mapping[str, Plan], built_in: Mapping[str, Plan]) -> None:
        self._named = {**built_in, **own}
        self._groups = (own, {n: plan for n, plan in built_in.items() if n not in own})
        self._markers = tuple(
            marker.encode() for plan in self._named.values() for marker in plan.table.marker
        )

    def plan(self, server: str, body: bytes) -> Plan:
        """The table named, or for ``auto`` the one whose marker is there. Raises Unrecognised."""
        if server != AUTO:
            return self._by_name(server)
        names_there = _beginnings(body, self._markers)
        for group in self._groups:
            names = _chosen({n: plan for n, plan in group.items() if _is_in(plan, names_there)})
            if len(names) == 1:
                return group[names[0]]
            if names:
                raise Unrecognised(f"it may be any of {', '.join(names)}: say which by server:")
        raise Unrecognised(
            "no sample name begins as those of a known server: "
            "name the server by server:, or describe it under servers: (docs/servers.md)"
        )

    def _by_name(self, server: str) -> Plan:
        plan = self._named.get(server)
        if plan is None:
            raise Unrecognised(f"there is no table {server!r}")
        if plan.table.advice:
            raise Unrecognised(plan.table.advice)
        return plan


def _beginnings(body: bytes, markers: tuple[bytes, ...]) -> frozenset[bytes]:
    """The names, of samples and of declarations, that begin with any of the markers.

    Once through the text for all tables: Ray's page has half a megabyte.
    """
    prefixes = markers + tuple(_TYPE + marker for marker in markers)
    lines = (line for line in body.split(b"\n") if line.startswith(prefixes))
    return frozenset(_NAME_END.split(line.removeprefix(_TYPE), 1)[0] for line in lines)


def _is_in(plan: Plan, names: frozenset[bytes]) -> bool:
    markers = tuple(map(str.encode, plan.table.marker))
    return any(name.startswith(markers) for name in names)


def _chosen(found: Mapping[str, Plan]) -> list[str]:
    """The tables that yield to no other one of those whose markers were found."""
    return [name for name, plan in found.items() if not _yields(plan, name, found)]


def _yields(plan: Plan, name: str, found: Mapping[str, Plan]) -> bool:
    to = plan.table.yields_to
    others: Iterable[str] = (other for other in found if other != name)
    return any(
        other in to or (EVERY in to and EVERY not in found[other].table.yields_to)
        for other in others
    )
