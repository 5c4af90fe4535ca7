"""Training runs: what they cost, will cost, and lost."""

from unitcost.exporter.serving.live.points import Labels, Points
from unitcost.exporter.serving.live.shape import Run, UnitCost
from unitcost.exporter.serving.live.units import Costs

MAX_RUNS = 40
_COST = "unitcost_run_cost_usd"
_ATTEMPTS = "unitcost_run_attempts"


def runs(points: Points, costs: Costs) -> tuple[tuple[Run, ...], int]:
    """The dearest runs first, and how many are left out."""
    known = sorted(points.of(_ATTEMPTS))
    usd = points.of(_COST)
    known.sort(key=lambda key: -usd.get(key, 0.0))
    latest = _only_run(known)
    kept = known[:MAX_RUNS]
    found = tuple(_run(points, key, costs, only=latest.get(key[0]) == key) for key in kept)
    return found, len(known) - len(found)


def _only_run(known: list[Labels]) -> dict[str, Labels]:
    """The run of each workload that has just one: its epoch's cost is the workload's."""
    counts: dict[str, list[Labels]] = {}
    for key in known:
        counts.setdefault(key[0], []).append(key)
    return {workload: keys[0] for workload, keys in counts.items() if len(keys) == 1}


def _run(points: Points, key: Labels, costs: Costs, *, only: bool) -> Run:
    usd = points.of(_COST).get(key)
    return Run(
        workload=key[0],
        run=key[1],
        usd=usd,
        why="" if usd is not None else costs.no_price,
        epoch_cost=_epoch(points, key, costs, only),
        epoch_part=points.of("unitcost_epoch_cost_part_usd").get(key),
        last_epoch=points.of("unitcost_epoch_last").get(key),
        attempts=points.of(_ATTEMPTS).get(key),
        progress=points.of("unitcost_run_progress_ratio").get(key),
        projected=_by_last(points, "unitcost_run_projected_cost_usd", key),
        stalled=_by_last(points, "unitcost_run_stall_cost_usd_total", key),
        repeated=points.of("unitcost_run_repeated_cost_usd_total").get(key),
    )


def _epoch(points: Points, key: Labels, costs: Costs, only: bool) -> UnitCost:
    """In both bases where this is its workload's only run, else this run's part alone."""
    found = costs.epoch(key[0])
    if only or found.allocated is None:
        return found
    part = points.of("unitcost_epoch_cost_part_usd").get(key)
    why = "" if part is not None else "No whole epoch has ended in metered time yet."
    return UnitCost(allocated=part, why=why)


def _by_last(points: Points, name: str, key: Labels) -> dict[str, float]:
    """The points of a run by their last label."""
    return {labels[-1]: value for labels, value in points.of(name).items() if labels[:2] == key}
