"""Recognises a server by what its metrics page says."""

from collections.abc import Iterable, Mapping

from unitcost.collectors.table_reading import Plan, has_marker

AUTO = "auto"
EVERY = "*"
"""In `yields_to`: every table that does not yield to every other one itself."""


class Unrecognised(Exception):
    """The text is of none of the servers that are known, or of several."""


class Recogniser:
    """Finds the table for what an endpoint serves; tables of the configuration come first."""

    def __init__(self, own: Mapping[str, Plan], built_in: Mapping[str, Plan]) -> None:
        self._named = {**built_in, **own}
        self._groups = (own, {n: plan for n, plan in built_in.items() if n not in own})

    def plan(self, server: str, body: bytes) -> Plan:
        """The table named, or for ``auto`` the one whose marker is there. Raises Unrecognised."""
        if server != AUTO:
            return self._by_name(server)
        for group in self._groups:
            names = _chosen(
                {name: plan for name, plan in group.items() if has_marker(body, plan.table)}
            )
            if len(names) == 1:
                return group[names[0]]
            if names:
                raise Unrecognised(f"it may be any of {', '.join(names)}: say which by server:")
        markers = [m for plan in self._named.values() for m in plan.table.marker]
        raise Unrecognised(
            f"no sample name begins with {', '.join(sorted(markers))}: "
            "name the server by server:, or describe it under servers:"
        )

    def _by_name(self, server: str) -> Plan:
        plan = self._named.get(server)
        if plan is None:
            raise Unrecognised(f"there is no table {server!r}")
        if plan.table.advice:
            raise Unrecognised(plan.table.advice)
        return plan


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
