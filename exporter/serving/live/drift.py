"""Drift: what costs more than it used to, and in words which factor did it."""

from collections.abc import Iterator
from datetime import UTC, datetime

from unitcost.exporter.serving.live.points import Points
from unitcost.exporter.serving.live.shape import Drift, Notice

MAX_NOTICES = 5
MAX_UNIX = 253_402_300_800
"""The year 10000, which a date does not reach."""
REQUEST = "request"
_RATIO = "unitcost_drift_ratio"
_SINCE = "unitcost_drift_since_timestamp_seconds"
_WORDS = {
    "price": "the price",
    "mix": "work in a request",
    "failures": "requests tried for one that succeeds",
    "loading": "time spent loading",
    "idle": "idle time",
    "speed": "time for the same work",
}


def drift(points: Points, workload: str, model: str, unit: str = REQUEST) -> Drift | None:
    """That of a model's requests, or of a training's steps; None where there is no baseline."""
    labels = (workload, model, unit)
    ratio = points.of(_RATIO).get(labels)
    if ratio is None:
        return None
    return Drift(
        ratio=ratio,
        usd_per_day=points.of("unitcost_drift_usd_per_day").get(labels),
        factors=_by_factor(points, "unitcost_drift_factor_ratio", labels),
        since=_by_factor(points, _SINCE, labels),
    )


def _by_factor(points: Points, name: str, labels: tuple[str, ...]) -> dict[str, float]:
    return {key[3]: value for key, value in points.of(name).items() if key[:3] == labels}


def notices(points: Points) -> Iterator[Notice]:
    """One for each model or training with a factor out of its usual scatter, the dearest first."""
    raised = {key[:3] for key in points.of(_SINCE)}
    found = [(key, found) for key in raised if (found := drift(points, *key)) is not None]
    found.sort(key=lambda each: (-abs(each[1].usd_per_day or 0.0), each[0]))
    for (workload, model, unit), each in found[:MAX_NOTICES]:
        called = " · ".join(name for name in (workload, model) if name)
        yield Notice(
            level="warn",
            key=f"drift {called}",
            title="Drift",
            text=f"{called}: {_words(each, unit)}",
        )
    if len(found) > MAX_NOTICES:
        text = f"and {len(found) - MAX_NOTICES} more."
        yield Notice(level="warn", key="drift of more", title="Drift", text=text)


def _words(found: Drift, unit: str) -> str:
    change = abs(found.ratio - 1) * 100
    how = "more" if found.ratio >= 1 else "less"
    causes = [
        f"{_WORDS.get(factor, factor)} x{found.factors[factor]:.3g} since {_instant(since)}"
        for factor, since in sorted(found.since.items())
        if factor in found.factors
    ]
    daily = ""
    if found.usd_per_day is not None:
        daily = f", ${abs(found.usd_per_day):,.2f} a day {how}"
    because = f": {'; '.join(causes)}" if causes else ""
    return f"a {unit} costs {change:.3g} % {how} than it used to{daily}{because}."


def _instant(unix: float) -> str:
    if not 0 <= unix < MAX_UNIX:
        return "an unknown time"
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M} UTC"
