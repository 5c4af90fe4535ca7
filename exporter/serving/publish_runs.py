"""Publishing training runs: what they and their epochs cost, as points."""

from collections.abc import Iterator
from decimal import Decimal

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.run_progress import Outlook
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.money import PICO
from unitcost.pricing.projection import project
from unitcost.pricing.runs import Place, Run
from unitcost.pricing.unit_cost import Basis

Points = dict[str, list[Point]]
"""Points by metric name."""
Value = tuple[str, tuple[str, ...], float]
"""A metric, its labels after workload and run, and its value."""
BOUNDS = ("expected", "low", "high")


def run_points(settler: Settler, now_ns: int) -> Points:
    """Training runs that are not retired: their costs, their progress, what they will cost."""
    since = now_ns - settler.rules.retire_after_ns
    runs = [run for run in settler.books.runs.values() if run.last_charged_ns > since]
    points: Points = {}
    latest: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (run.workload, run.last_charged_ns, run.run)):
        latest[run.workload] = run
        outlook = settler.runs.outlooks.get((run.workload, run.run))
        for metric, labels, value in (*_so_far(run), *_lost(run), *_ahead(run, outlook)):
            points.setdefault(metric, []).append(((run.workload, run.run, *labels), value))
    points["unitcost_epoch_cost_usd"] = [
        point
        for run in latest.values()
        if settler.runs.hosts.get((run.workload, run.run), 1) == 1
        for point in _epoch_cost(run)
    ]
    return points


def _so_far(run: Run) -> Iterator[Value]:
    yield "unitcost_run_attempts", (), float(max(run.attempts, run.attempt + 1))
    if (pico := run.cost_pico) is not None:
        yield "unitcost_run_cost_usd", (), pico / PICO
    if run.last_epoch:
        yield "unitcost_epoch_last", (), run.last_epoch
    if run.epoch_cost is not None and run.epoch_cost.pico is not None:
        part = run.epoch_cost.pico / run.epochs_in_cost / PICO
        yield "unitcost_epoch_cost_part_usd", (), part


def _lost(run: Run) -> Iterator[Value]:
    """Stalls of reasons that somebody counts; repetition where nobody leaves it out."""
    if run.total.pico is None:
        return
    for reason, pico in sorted(run.lost.stalled.items()):
        yield "unitcost_run_stall_cost_usd_total", (reason,), pico / PICO
    if run.place != Place() and run.tells_again:
        yield "unitcost_run_repeated_cost_usd_total", (), run.lost.repeated / PICO


def _ahead(run: Run, outlook: Outlook | None) -> Iterator[Value]:
    """How far it is to the goal; a run that ended short of it will not get there."""
    goal = outlook.goal(run.place) if outlook else None
    place = run.place.of(goal[0]) if goal else None
    if outlook is None or goal is None or place is None:
        return
    yield "unitcost_run_progress_ratio", (), min(place / goal[1], 1.0)
    if run.total.pico is None or run.pace is None or run.pace.unit is not goal[0]:
        return
    if outlook.over and place < goal[1]:
        return
    found = project(run.pace, run.total.pico, goal[1])
    bounds = (found.expected, found.low, found.high) if found else ()
    for bound, pico in zip(BOUNDS, bounds, strict=False):
        if pico is not None:
            cost = pico + run.corrected_pico
            yield "unitcost_run_projected_cost_usd", (bound,), cost / PICO


def _epoch_cost(run: Run) -> Iterator[Point]:
    if run.epoch_cost is None:
        return
    known = ((Basis.ALLOCATED, run.epoch_cost.pico), (Basis.USED, run.epoch_cost.used_pico))
    for basis, pico in known:
        if pico is not None:
            usd = Decimal(pico) / PICO / Decimal(run.epochs_in_cost)
            yield (run.workload, "", str(basis)), float(usd)
