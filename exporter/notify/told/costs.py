"""Dollars that nothing is got for: what workloads hold and do not use, what nobody holds."""

from collections.abc import Iterator

from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.past import COST, Key
from unitcost.exporter.notify.words import usd
from unitcost.pricing.workload import RESERVED, UNALLOCATED

EASED = 0.8
"""It is over where the figures have fallen to this part of the limits at which it began."""


def costs() -> tuple[Told, ...]:
    """Idle and unallocated dollars."""
    return (
        Told("idle", ("UnitcostIdleDollars",), Severity.WARNING, _idle),
        Told("unallocated", ("UnitcostUnallocatedDollars",), Severity.INFO, _unallocated),
    )


def _idle(seen: Seen) -> Iterator[Found]:
    limits = seen.limits
    workloads = {labels[0] for labels, _ in seen.points.get(COST, ())}
    for workload in sorted(workloads - RESERVED):
        part, whole = ("idle", workload), ("cost", workload)
        found = _above(seen, part, whole, limits.idle_usd_per_day, limits.idle_share)
        if found is not None:
            wasted, of, begins = found
            yield Found(
                (workload,),
                f"{workload}: {usd(wasted)} a day of {usd(of)} are idle",
                "reserve less, run fewer replicas, or share",
                begins,
                usd_per_day=wasted,
            )


def _unallocated(seen: Seen) -> Iterator[Found]:
    limits = seen.limits
    least, share = limits.unallocated_usd_per_day, limits.unallocated_share
    found = _above(seen, ("cost", UNALLOCATED), ("all",), least, share)
    if found is not None:
        free, of, begins = found
        yield Found(
            (),
            f"{usd(free)} a day of {usd(of)} that this host costs are held by nobody",
            "fewer or smaller hosts would do",
            begins,
            usd_per_day=free,
        )


def _above(
    seen: Seen, part: Key, whole: Key, least: float, share: float
) -> tuple[float, float, bool] | None:
    """Dollars a day of the part and of the whole, and whether it begins; None where all is well.

    It begins where both the last 6 hours and the last one are above the limits, and goes on while
    the 6 hours are near them, or not known as after a restart.
    """
    limits = seen.limits
    (wasted, of), last = (
        tuple(seen.past.per_day(key, window) or 0.0 for key in (part, whole))
        for window in (limits.window_6h, limits.window_1h)
    )
    begins = all(a >= least and a >= share * b for a, b in ((wasted, of), last))
    near = wasted >= EASED * least and wasted >= EASED * share * of
    if near or not seen.past.covers(part, limits.window_6h):
        return wasted, of, begins
    return None
