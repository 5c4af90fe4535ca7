"""What is wrong now, read off the same points that a scrape gets.

Nothing is judged here that is not judged elsewhere: a drift has been found by the watch, a price is
missing or not. So what is told can be looked up in the metrics.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from unitcost.exporter.serving.snapshot import Point
from unitcost.pricing.drift import Factor

BUDGET_STEPS = (0.8, 1.0)
"""Parts of a budget that are told when they are spent."""
Points = Mapping[str, Sequence[Point]]


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong. `kind` and `subject` tell it from all others.

    `since`: seconds since 1970, where that is known; `usd_per_day`: what it costs.
    """

    kind: str
    subject: tuple[str, ...]
    severity: Severity
    headline: str
    detail: str = ""
    since: float | None = None
    usd_per_day: float | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from all others."""
        return self.kind, *self.subject


BECAUSE = {
    Factor.PRICE: "the price of what it holds rose",
    Factor.MIX: "its requests are more work",
    Factor.FAILURES: "more of its requests fail",
    Factor.LOADING: "more of its time goes into loading",
    Factor.IDLE: "more of the time it holds is idle",
    Factor.SPEED: "the same work takes it longer",
}


def alerts_of(points: Points, zone: ZoneInfo) -> list[Alert]:
    """All that is wrong, in the order of its kinds."""
    return [
        *_drifts(points, zone),
        *_budgets(points),
        *_unpriced(points),
        *_collectors(points),
        *_conservation(points),
    ]


def _drifts(points: Points, zone: ZoneInfo) -> Iterator[Alert]:
    """One for each workload and model, by the factor that changed most of those that are out."""
    out: dict[tuple[str, ...], dict[Factor, float]] = {}
    for labels, began in points.get("unitcost_drift_since_timestamp_seconds", ()):
        out.setdefault(labels[:3], {})[Factor(labels[3])] = began
    ratios = dict(points.get("unitcost_drift_ratio", ()))
    per_day = dict(points.get("unitcost_drift_usd_per_day", ()))
    factors: dict[tuple[str, ...], dict[Factor, float]] = {}
    for labels, ratio in points.get("unitcost_drift_factor_ratio", ()):
        factors.setdefault(labels[:3], {})[Factor(labels[3])] = ratio
    for labels, since_by in sorted(out.items()):
        own = factors.get(labels)
        if own is None or labels not in ratios:
            continue
        led = max(since_by, key=own.__getitem__)
        since, day = since_by[led], per_day[labels]
        severity = Severity.CRITICAL if ratios[labels] >= 2 else Severity.WARNING
        yield Alert(
            "drift",
            labels[:2],
            severity,
            f"{_named(labels)}: a request costs {_change(ratios[labels])} since "
            f"{_time(since, zone)}, {usd(day)} a day, because {BECAUSE[led]} "
            f"({led} \N{MULTIPLICATION SIGN}{own[led]:.2f})",
            _factors(own, led),
            since,
            day,
        )


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


def _budgets(points: Points) -> Iterator[Alert]:
    """One for each step that is spent."""
    spent = dict(points.get("unitcost_budget_spent_usd", ()))
    for labels, allowed in points.get("unitcost_budget_usd", ()):
        used = spent.get(labels)
        if used is None or allowed <= 0:
            continue
        for step in BUDGET_STEPS:
            if used >= step * allowed:
                severity = Severity.CRITICAL if step >= 1 else Severity.WARNING
                yield Alert(
                    "budget",
                    (*labels, f"{step:.0%}"),
                    severity,
                    f"budget {labels[0]}: {used / allowed:.0%} is spent, "
                    f"{usd(used)} of {usd(allowed)}",
                )


def _unpriced(points: Points) -> Iterator[Alert]:
    """One for the host, however many resources are without a price."""
    missing = [
        labels for labels, value in points.get("unitcost_resource_unpriced", ()) if value == 1
    ]
    if missing:
        components = ", ".join(sorted({labels[1] for labels in missing}))
        yield Alert(
            "unpriced",
            (),
            Severity.WARNING,
            f"this host has no price for {components}: its dollars are unknown",
            "`unitcost prices explain` says why",
        )


def _collectors(points: Points) -> Iterator[Alert]:
    for labels, value in points.get("unitcost_collector_up", ()):
        if value == 0:
            yield Alert(
                "collector_down", labels, Severity.WARNING, f"collector {labels[0]} cannot be read"
            )


def _conservation(points: Points) -> Iterator[Alert]:
    for _, value in points.get("unitcost_conservation_residual_usd", ()):
        if value != 0:
            yield Alert(
                "conservation",
                (),
                Severity.CRITICAL,
                f"charges differ from what the resources cost by {usd(value)}",
                "a defect of this exporter: please report it",
            )


def _named(labels: Sequence[str]) -> str:
    return f"{labels[0]} ({labels[1]})" if labels[1] else labels[0]


def _change(ratio: float) -> str:
    """In words: 42 % more, 2.5 times as much."""
    if ratio >= 2:
        return f"{ratio:.1f} times as much"
    return f"{abs(ratio - 1):.0%} {'more' if ratio >= 1 else 'less'}".replace("%", " %")


def usd(amount: float) -> str:
    """An amount of US dollars; cents where they matter."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.0f}" if abs(amount) >= 100 else f"{sign}${abs(amount):,.2f}"


def _time(seconds: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(seconds, zone).strftime("%H:%M %Z on %d %b")
