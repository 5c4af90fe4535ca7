"""The exporter itself: standing still, blind in one eye, or wrong."""

from collections.abc import Iterator

from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.words import duration, usd

DOWN, WELL = 0.5, 0.9
"""A collector is down if less of its readings succeed, and well again if as many do."""


def health() -> tuple[Told, ...]:
    """What makes the other figures wrong."""
    return (
        Told("cost_data_stale", ("UnitcostCostDataStale",), Severity.CRITICAL, _stale),
        Told(
            "collector_down",
            ("UnitcostCollectorDown",),
            Severity.WARNING,
            _collectors,
            lambda limits: limits.collector_down_after,
        ),
        Told("conservation", ("UnitcostConservationBroken",), Severity.CRITICAL, _conservation),
    )


def _stale(seen: Seen) -> Iterator[Found]:
    """Nothing is committed, which is told all the same: posts wait in memory."""
    committed = seen.one("unitcost_ledger_last_commit_timestamp_seconds")
    if committed is not None and seen.now - committed > seen.limits.scaled(
        seen.limits.stale_data_after
    ):
        yield Found(
            (),
            f"cost data is {duration(seen.now - committed)} old: the ledger cannot be written, or "
            "ticks fail",
            "what is held back is charged when it can be written again",
        )


def _collectors(seen: Seen) -> Iterator[Found]:
    """Those that failed more often than not over the last minutes."""
    for labels in seen.of("unitcost_collector_up"):
        found = seen.past.gained(("up", *labels), seen.limits.rate_window)
        part = found[0] / found[1] if found and found[1] > 0 else None
        if part is None or part < WELL:
            yield Found(
                labels,
                f"collector {labels[0]} cannot be read",
                "what it knows is charged as it was last",
                part is not None and part < DOWN,
            )


def _conservation(seen: Seen) -> Iterator[Found]:
    residual = seen.one("unitcost_conservation_residual_usd")
    if residual:
        yield Found(
            (),
            f"charges differ from what the resources cost by {usd(residual)}",
            "a defect of this exporter: please report it",
        )
