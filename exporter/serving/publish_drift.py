"""Points about drift: the ratio to the weeks before, its factors, and since when."""

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.drift_book import REQUEST, DriftBook
from unitcost.pricing.drift import Factor
from unitcost.pricing.money import PICO
from unitcost.pricing.sample import NS_PER_SECOND


def drift_points(book: DriftBook, live: frozenset[str]) -> dict[str, list[Point]]:
    """What the last slot of each live workload and model came to."""
    points: dict[str, list[Point]] = {}
    for (workload, model), (unit, verdict) in sorted(book.fresh().items()):
        found = verdict.drift
        if found is None or workload not in live:
            continue
        labels = (workload, model, unit)
        points.setdefault("unitcost_drift_ratio", []).append((labels, found.ratio))
        per_day = (labels, verdict.pico_per_day / PICO)
        points.setdefault("unitcost_drift_usd_per_day", []).append(per_day)
        factors = points.setdefault("unitcost_drift_factor_ratio", [])
        factors += [
            ((*labels, str(factor)), ratio)
            for factor, ratio in found.factors.items()
            if unit == REQUEST or factor is not Factor.FAILURES  # which nobody counts of steps
        ]
        since = points.setdefault("unitcost_drift_since_timestamp_seconds", [])
        for factor in verdict.raised:
            began = (verdict.memory[factor].since or 0) * book.slot_ns
            since.append(((*labels, str(factor)), began / NS_PER_SECOND))
    return points
