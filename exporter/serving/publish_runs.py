"""Publishing training runs: what they and their epochs cost, as points."""

from collections.abc import Iterator
from decimal import Decimal

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.money import PICO
from unitcost.pricing.runs import Run
from unitcost.pricing.unit_cost import Basis

Points = dict[str, list[Point]]
"""Points by metric name."""


def run_points(settler: Settler, now_ns: int) -> Points:
    """Training runs that are not retired: cost so far, and cost of the last whole epoch."""
    since = now_ns - settler.rules.retire_after_ns
    runs = [run for run in settler.books.runs.values() if run.last_charged_ns > since]
    points: Points = {}
    latest: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (run.workload, run.last_charged_ns, run.run)):
        labels = (run.workload, run.run)
        latest[run.workload] = run
        if run.total.pico is not None:
            point = (labels, run.total.pico / PICO)
            points.setdefault("unitcost_run_cost_usd", []).append(point)
        if run.last_epoch:
            points.setdefault("unitcost_epoch_last", []).append((labels, run.last_epoch))
        if run.epoch_cost is not None and run.epoch_cost.pico is not None:
            part = run.epoch_cost.pico / run.epochs_in_cost / PICO
            points.setdefault("unitcost_epoch_cost_part_usd", []).append((labels, part))
    points["unitcost_epoch_cost_usd"] = [
        point
        for run in latest.values()
        if settler.runs.hosts.get((run.workload, run.run), 1) == 1
        for point in _epoch_cost(run)
    ]
    return points


def _epoch_cost(run: Run) -> Iterator[Point]:
    if run.epoch_cost is None:
        return
    known = ((Basis.ALLOCATED, run.epoch_cost.pico), (Basis.USED, run.epoch_cost.used_pico))
    for basis, pico in known:
        if pico is not None:
            usd = Decimal(pico) / PICO / Decimal(run.epochs_in_cost)
            yield (run.workload, "", str(basis)), float(usd)
