"""Who holds what and what it costs: the rows of the page's tables."""

import math
from collections.abc import Sequence

from unitcost.exporter.serving.live.drift import drift
from unitcost.exporter.serving.live.history import (
    COST,
    GROUPS,
    HELD,
    REQUESTS,
    group_of,
)
from unitcost.exporter.serving.live.points import Labels, Points, Rates, total
from unitcost.exporter.serving.live.shape import ByGroup, Held, Model, More, Workload
from unitcost.exporter.serving.live.units import Costs, requests
from unitcost.pricing.workload import RESERVED

MAX_WORKLOADS = 40
MAX_MODELS = 8
MAX_HELD = 20
HOUR = 3600.0
Found = dict[str, dict[Labels, float | None]]
"""USD an hour of each workload's cost series, by labels after the workload."""


class Rows:
    """Makes a row for each workload, dearest first; `by_group` is where all the money goes."""

    def __init__(self, points: Points, rates: Rates, costs: Costs) -> None:
        self._points, self._rates, self._costs = points, rates, costs
        self._totals = points.by_first(COST)
        self._held = points.by_first(HELD)
        self._usd: Found = {}
        for (workload, *rest), rate in rates.all_of(COST):
            hourly = None if rate is None else rate * HOUR
            self._usd.setdefault(workload, {})[tuple(rest)] = hourly
        self._requests = requests(points)
        self._methods = {
            labels[:2]: labels[2:] for labels in points.of("unitcost_workload_allocation_info")
        }
        self._coverage = points.of("unitcost_unit_coverage_ratio")
        self._hosts = points.of("unitcost_workload_hosts")

    def all(self) -> tuple[tuple[Workload, ...], More]:
        """The rows, and what is left out of them. Nobody's parts are always there, and last."""
        infos = self._points.of("unitcost_workload_info")
        named = sorted((name, kind, owner) for name, kind, owner in infos)
        named.sort(key=lambda each: -self._weight(each[0]))
        rest = [name for name in sorted(RESERVED) if name in self._totals or name in self._held]
        kept, left = named[:MAX_WORKLOADS], [name for name, _, _ in named[MAX_WORKLOADS:]]
        rows = [self._row(*each) for each in kept]
        rows += [self._row(name, "other", "") for name in rest]
        return tuple(rows), More(
            count=len(left),
            usd_per_hour=total([self._hourly(name) for name in left]),
            usd_total=total([self._total(name) for name in left]),
        )

    def by_group(self) -> ByGroup:
        """USD an hour by group of all whose rate is known; None where none is."""
        found: dict[str, list[float | None]] = {}
        for workload, series in self._usd.items():
            for (*_, state), hourly in series.items():
                found.setdefault(group_of(workload, state), []).append(hourly)
        return {group: _known(found[group]) for group in GROUPS if group in found}

    def _weight(self, workload: str) -> float:
        hourly = self._hourly(workload)
        return (self._total(workload) or 0.0) * 1e-12 if hourly is None else hourly

    def _hourly(self, workload: str) -> float | None:
        return total(list(self._usd.get(workload, {}).values()))

    def _total(self, workload: str) -> float | None:
        return total(list(self._totals.get(workload, {}).values()))

    def _row(self, name: str, kind: str, owner: str) -> Workload:
        states: dict[str, list[float | None]] = {}
        for (*_, state), hourly in self._usd.get(name, {}).items():
            states.setdefault(group_of(name, state), []).append(hourly)
        models = self._models(name, kind)
        together = self._hourly(name)
        return Workload(
            name=name,
            kind=kind,
            owner=owner,
            reserved=name in RESERVED,
            usd_per_hour={group: total(states[group]) for group in GROUPS if group in states},
            usd_per_hour_together=together,
            usd_total=self._total(name),
            why="" if together is not None else self._why(name),
            hosts=self._hosts.get((name,)),
            coverage=self._coverage.get((name,)),
            held=self._holdings(name),
            models=tuple(models[:MAX_MODELS]),
            more_models=max(0, len(models) - MAX_MODELS),
        )

    def _why(self, name: str) -> str:
        if name not in self._totals:
            return self._costs.no_price
        return why_no_rate(self._rates, self._rates.knows(name)) or "Its counters began anew."

    def _models(self, name: str, kind: str) -> list[Model]:
        """Its models, dearest first; without any, itself as one without a name."""
        if name in RESERVED:
            return []
        usd: dict[str, list[float | None]] = {}
        totals: dict[str, list[float | None]] = {}
        for (_, model, _, _), hourly in self._usd.get(name, {}).items():
            usd.setdefault(model, []).append(hourly)
        for (_, model, _, _), so_far in self._totals.get(name, {}).items():
            totals.setdefault(model, []).append(so_far)
        counted = self._costs.models(name)
        names = counted or {""}
        found = [
            self._model(name, kind, model, usd.get(model, []), totals.get(model, []))
            for model in sorted(names)
        ]
        return sorted(found, key=lambda each: -(each.usd_per_hour or 0.0))

    def _model(
        self,
        name: str,
        kind: str,
        model: str,
        usd: Sequence[float | None],
        totals: Sequence[float | None],
    ) -> Model:
        key = (name, model)
        outcomes = self._requests.get(key, {})
        per_second = [self._rates.of(REQUESTS, (*key, outcome)) for outcome in outcomes]
        return Model(
            model=model,
            usd_per_hour=total(usd),
            usd_total=total(totals),
            unit_costs=self._costs.of(name, kind, model),
            requests=outcomes,
            requests_per_second=total(per_second),
            latency_seconds=self._points.of("unitcost_request_latency_seconds").get(key),
            running=self._points.of("unitcost_requests_running").get(key),
            waiting=self._points.of("unitcost_requests_waiting").get(key),
            drift=drift(self._points, name, model),
        )

    def _holdings(self, name: str) -> tuple[Held, ...]:
        """What it holds of each resource, on average since the base."""
        amounts: dict[str, dict[str, list[float | None]]] = {}
        for model, resource, state in self._held.get(name, {}):
            rate = self._rates.of(HELD, (name, model, resource, state))
            amounts.setdefault(resource, {}).setdefault(state, []).append(rate)
        found = [self._holding(name, each, states) for each, states in amounts.items()]
        present = [each for each in found if each.amount is None or each.amount > 0]
        present.sort(key=lambda each: (-(each.usd_per_hour or 0.0), each.resource))
        return tuple(present[:MAX_HELD])

    def _holding(self, name: str, resource: str, states: dict[str, list[float | None]]) -> Held:
        amount = total([rate for rates in states.values() for rate in rates])
        active = total(states.get("active", [0.0]))
        usd = [
            hourly
            for (_, _, where, _), hourly in self._usd.get(name, {}).items()
            if where == resource
        ]
        method, signal = self._methods.get((name, resource), ("", ""))
        ratio = active / amount if amount and active is not None else None
        return Held(
            resource=resource,
            amount=amount,
            active_ratio=None if ratio is None or name in RESERVED else min(ratio, 1.0),
            usd_per_hour=total(usd),
            method=method,
            busy_signal=signal,
        )


def why_no_rate(rates: Rates, there: bool) -> str:
    """Why nothing is known of what somebody costs an hour; `there`: since the base."""
    if rates.seconds is None:
        return "Known from the second reading on."
    if not rates.priced:
        return "No price."
    return "" if there else "Known shortly after it was first seen."


def _known(values: list[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None
