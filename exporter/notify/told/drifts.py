"""Drift: what costs more than it used to, which factor did it, and what happened at that time."""

import math
from collections.abc import Iterator, Mapping

from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.happened import near
from unitcost.exporter.notify.words import change, hour_of, named, time_of, usd
from unitcost.pricing.drift import Factor

FAST, SLOW, IDLE = "UnitcostDriftFast", "UnitcostDriftSlow", "UnitcostIdleDrift"
NAMES = {Factor.LOADING: SLOW, Factor.IDLE: IDLE}
"""What the rules call it; those of the other factors are fast."""
BEFORE, AFTER = 900.0, 1800.0
"""Seconds around the time from which on a factor is out in which its cause is looked for."""
MAX_EVENTS = 4
BECAUSE = {
    Factor.PRICE: "the price of what it holds rose",
    Factor.MIX: "its {unit}s are more work",
    Factor.FAILURES: "more of its {unit}s fail",
    Factor.LOADING: "more of its time goes into loading",
    Factor.IDLE: "more of the time it holds is idle",
    Factor.SPEED: "the same work takes it longer",
}


def drifts() -> tuple[Told, ...]:
    """One for each workload and model, by the factor that changed most of those that are out."""
    return (Told("drift", (FAST, SLOW, IDLE), Severity.WARNING, _drifts),)


def _drifts(seen: Seen) -> Iterator[Found]:
    out: dict[tuple[str, ...], dict[Factor, float]] = {}
    for labels, began in seen.of("unitcost_drift_since_timestamp_seconds").items():
        out.setdefault(labels[:3], {})[Factor(labels[3])] = began
    ratios, per_day = seen.of("unitcost_drift_ratio"), seen.of("unitcost_drift_usd_per_day")
    factors: dict[tuple[str, ...], dict[Factor, float]] = {}
    for labels, ratio in seen.of("unitcost_drift_factor_ratio").items():
        factors.setdefault(labels[:3], {})[Factor(labels[3])] = ratio
    for labels, since_by in sorted(out.items()):
        own = factors.get(labels)
        if own is None or labels not in ratios or labels not in per_day:
            continue
        led = max(since_by, key=own.__getitem__)
        since, day = since_by[led], per_day[labels]
        yield Found(
            labels[:2],
            f"{named(labels)}: a {labels[2]} costs {change(ratios[labels])} since "
            f"{time_of(since, seen.zone)}, {usd(day)} a day, because "
            f"{BECAUSE[led].format(unit=labels[2])} ({led} \N{MULTIPLICATION SIGN}{own[led]:.2f})",
            "; ".join(part for part in (_why(seen, labels[0], since), _factors(own, led)) if part),
            since=since,
            usd_per_day=day,
            name=NAMES.get(led, FAST),
        )


def _why(seen: Seen, workload: str, since: float) -> str:
    """What happened when it began, in order: ``price raised from $1 to $2 an hour at 14:08``."""
    start, end = since - seen.limits.scaled(BEFORE), since + seen.limits.scaled(AFTER)
    found = list(near(seen.events, workload, start, end))
    said = [f"{each.text} at {hour_of(each.at, seen.zone)}" for each in found[:MAX_EVENTS]]
    if len(found) > MAX_EVENTS:
        said.append(f"and {len(found) - MAX_EVENTS} more events")
    return "then: " + ", ".join(said) if said else ""


def _factors(ratios: Mapping[Factor, float], led: Factor) -> str:
    """The others, those that changed first."""
    others = sorted(
        (each for each in ratios if each is not led), key=lambda each: -abs(math.log(ratios[each]))
    )
    moved = [each for each in others if abs(ratios[each] - 1) >= 0.02]
    still = [str(each) for each in others if each not in moved]
    parts = [f"{each} \N{MULTIPLICATION SIGN}{ratios[each]:.2f}" for each in moved]
    if still:
        parts.append(f"unchanged: {', '.join(still)}")
    return "; ".join(parts)
