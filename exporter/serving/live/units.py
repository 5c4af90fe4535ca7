"""What a unit cost, and in words why it is not known where it is not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from unitcost.exporter.serving.live.history import UNIT_COSTS, Past
from unitcost.exporter.serving.live.points import Points
from unitcost.exporter.serving.live.shape import UnitCost
from unitcost.exporter.serving.live.view import About

ALLOCATED, USED = "allocated", "used"
REQUEST, TOKEN, STEP, SAMPLE, EPOCH = UNIT_COSTS
_COUNTERS = {
    REQUEST: "unitcost_requests_total",
    TOKEN: "unitcost_tokens_total",
    STEP: "unitcost_steps_total",
    SAMPLE: "unitcost_samples_total",
    EPOCH: "unitcost_epochs_total",
}
_NAMES = {
    "request": (REQUEST, ()),
    "input_token": (TOKEN, ("input",)),
    "output_token": (TOKEN, ("output",)),
    "token": (TOKEN, ("all",)),
    "step": (STEP, ()),
    "sample": (SAMPLE, ()),
    "epoch": (EPOCH, ()),
}
"""Each unit cost of the document: its metric, and the labels between model and basis."""
_ASKED = {
    "inference": ("request", "input_token", "output_token", "token"),
    "training": ("epoch", "step", "sample"),
}
"""Which are shown of a kind of workload, known or not; others where they are known."""
_COUNTED = {
    REQUEST: "requests",
    TOKEN: "tokens",
    STEP: "steps",
    SAMPLE: "samples",
    EPOCH: "epochs",
}


UNITS_ONLY = "This agent counts units only; the host's own agent charges."


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides over all unit costs of this host. `unpriced`: components without a price."""

    scope: str
    unpriced: tuple[str, ...]
    priced: bool
    window: str
    minimum_units: float


def circumstances(points: Points, about: About) -> Circumstances:
    """Those of this tick."""
    labelled = points.of("unitcost_resource_unpriced")
    unpriced = tuple(sorted({labels[1] for labels, flag in labelled.items() if flag}))
    window = words(points.one("unitcost_window_seconds"))
    priced = bool(labelled) and not unpriced
    return Circumstances(about.scope, unpriced, priced, window, about.minimum_units)


def words(seconds: float | None) -> str:
    """A duration as a person says it; empty where it is not known."""
    if seconds is None:
        return ""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return f"{seconds:g} second{'s' if seconds != 1 else ''}"


class Costs:
    """The unit costs of all workloads, now and an hour ago."""

    def __init__(self, points: Points, past: Past, about: About) -> None:
        self._points = points
        self._then = Points(past.hour_ago.points if past.hour_ago else {})
        self._of_host = circumstances(points, about)
        self._counted = {
            metric: {labels[:2] for labels in points.of(counter)}
            for metric, counter in _COUNTERS.items()
        }
        self._models: dict[str, set[str]] = {}
        for pairs in self._counted.values():
            for workload, model in pairs:
                self._models.setdefault(workload, set()).add(model)
        self.hour_ago_ns = past.hour_ago.at_ns if past.hour_ago else None

    @property
    def no_price(self) -> str:
        """Why nothing here has ever been charged."""
        units_only = self._of_host.scope == "units"
        return UNITS_ONLY if units_only else no_price(self._of_host.unpriced)

    def models(self, workload: str) -> set[str]:
        """Models of which something was counted."""
        return self._models.get(workload, set())

    def of(self, workload: str, kind: str, model: str) -> dict[str, UnitCost]:
        """The unit costs that a workload of this kind has or should have."""
        return dict(self._of(workload, kind, model))

    def epoch(self, workload: str) -> UnitCost:
        """What the last epoch of a workload's latest run cost."""
        return self._one(EPOCH, (workload, "", ALLOCATED)) or UnitCost(
            why=self._why(EPOCH, workload, "")
        )

    def _of(self, workload: str, kind: str, model: str) -> Iterator[tuple[str, UnitCost]]:
        for name, (metric, middle) in _NAMES.items():
            found = self._one(metric, (workload, model, *middle, ALLOCATED))
            if found is None and name in _ASKED.get(kind, ()):
                found = UnitCost(why=self._why_not(name, metric, workload, model))
            if found is not None:
                yield name, found

    def _one(self, metric: str, labels: tuple[str, ...]) -> UnitCost | None:
        known = self._points.of(metric)
        allocated, used = known.get(labels), known.get((*labels[:-1], USED))
        if allocated is None and used is None:
            return None
        hour_ago = self._then.of(metric).get(labels)
        return UnitCost(allocated=allocated, used=used, hour_ago=hour_ago)

    def _why_not(self, name: str, metric: str, workload: str, model: str) -> str:
        together = self._points.of(TOKEN).get((workload, model, "all", ALLOCATED))
        if name in ("input_token", "output_token") and together is not None:
            return "The server does not say how long it prefilled and decoded."
        return self._why(metric, workload, model)

    def _why(self, metric: str, workload: str, model: str) -> str:
        """Why a unit cost is absent; the first reason that holds."""
        counted, host = _COUNTED[metric], self._of_host
        hosts = self._points.of("unitcost_workload_hosts").get((workload,), 1)
        covered = self._points.of("unitcost_unit_coverage_ratio").get((workload,))
        if host.scope == "units":
            return UNITS_ONLY
        if hosts > 1:
            return f"It runs on {hosts:g} hosts: a figure of the fleet, not of this host."
        if not host.priced:
            return no_price(host.unpriced)
        if (workload, model) not in self._counted[metric]:
            return f"Nothing here counts its {counted}."
        if metric == EPOCH:
            return "No whole epoch has ended in metered time yet."
        if covered is None:
            return f"No {counted} in the last {host.window}."
        if covered == 0:
            return f"Its {counted} of the last {host.window} fell into time that was not metered."
        return f"Fewer than {host.minimum_units:g} {counted} in the last {host.window}."


def no_price(unpriced: tuple[str, ...]) -> str:
    """That something has no price, as short as a cell of a table."""
    if not unpriced:
        return "No price is known yet."
    return "No price." if unpriced == ("rent",) else f"No price for its {' and '.join(unpriced)}."


Requests = Mapping[tuple[str, str], dict[str, float]]
"""Requests so far by outcome, by workload and model."""


def requests(points: Points) -> Requests:
    """All of them, as on /metrics."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for (workload, model, outcome), count in points.of("unitcost_requests_total").items():
        found.setdefault((workload, model), {})[outcome] = count
    return found
