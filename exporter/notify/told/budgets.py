"""Budgets: spent too fast, nearly spent, and spent; by what this host charged."""

from collections.abc import Iterator

from unitcost.dashboards.settings import DAY
from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.words import usd

NEARLY = 0.8
"""This part of a budget is told before all of it is spent."""
EASED = 0.95
"""A burn is over where the projection has fallen to this part of where it began."""
FAST = "budget_burn_fast"
Labels = tuple[str, ...]


def budgets() -> tuple[Told, ...]:
    """Each burn is silent where the next one is told; what is spent stays so until the period ends.

    That a budget is nearly spent has no alert in the rules.
    """
    return (
        Told(FAST, ("UnitcostBudgetBurnFast",), Severity.CRITICAL, _fast),
        Told("budget_burn_slow", ("UnitcostBudgetBurnSlow",), Severity.WARNING, _slow),
        Told("budget", (), Severity.WARNING, _nearly),
        Told("budget", ("UnitcostBudgetExceeded",), Severity.CRITICAL, _exceeded),
    )


def _spent(seen: Seen) -> Iterator[tuple[Labels, float, float]]:
    """Budgets with what is spent, and what is allowed."""
    spent = seen.of("unitcost_budget_spent_usd")
    for labels, allowed in seen.of("unitcost_budget_usd").items():
        if labels in spent and allowed > 0:
            yield labels, spent[labels], allowed


def _nearly(seen: Seen) -> Iterator[Found]:
    for labels, used, allowed in _spent(seen):
        if used >= NEARLY * allowed:
            yield _step(labels, NEARLY, used, allowed)


def _exceeded(seen: Seen) -> Iterator[Found]:
    for labels, used, allowed in _spent(seen):
        if used > allowed:
            yield _step(labels, 1.0, used, allowed)


def _step(labels: Labels, step: float, used: float, allowed: float) -> Found:
    text = f"budget {labels[0]}: {used / allowed:.0%} is spent, {usd(used)} of {usd(allowed)}"
    return Found((*labels, f"{step:.0%}"), text)


def _fast(seen: Seen) -> Iterator[Found]:
    """Both the last hour and the last 10 minutes would spend far more than there is."""
    limits, ratio = seen.limits, seen.limits.budget_fast_ratio
    for labels, used, allowed in _spent(seen):
        hour = _projected(seen, labels, used, limits.window_1h)
        minutes = _projected(seen, labels, used, limits.window_10m)
        if used > allowed or hour <= ratio * EASED * allowed:
            continue
        begins = hour > ratio * allowed and minutes > ratio * allowed
        yield _burn(labels, used, allowed, hour, "of the last hour", begins)


def _slow(seen: Seen) -> Iterator[Found]:
    """The period so far and the last 6 hours would both spend more than there is.

    Not in the beginning of a period, when a busy morning looks like a busy month.
    """
    limits, ratio = seen.limits, seen.limits.budget_slow_ratio
    fast = {
        each.subject for each in _fast(seen) if each.begins or (FAST, *each.subject) in seen.began
    }
    for labels, used, allowed in _spent(seen):
        period = _of_period(seen, labels, used)
        hours = _projected(seen, labels, used, limits.window_6h)
        if used > allowed or labels in fast or min(period, hours) <= ratio * EASED * allowed:
            continue
        begun = _elapsed(seen, labels) >= limits.budget_elapsed
        begins = begun and min(period, hours) > ratio * allowed
        yield _burn(labels, used, allowed, period, "of the period so far", begins)


def _burn(
    labels: Labels, used: float, allowed: float, projected: float, pace: str, begins: bool
) -> Found:
    return Found(
        labels,
        f"budget {labels[0]}: {usd(projected - allowed)} over its {usd(allowed)} by the end of the "
        f"period, at the pace {pace}",
        f"so far it is {usd(used)}",
        begins,
    )


def _projected(seen: Seen, labels: Labels, used: float, window: float) -> float:
    """What is spent at the end of the period at the pace of a window that is wholly in it."""
    start = seen.of("unitcost_budget_period_start_timestamp_seconds").get(labels)
    end = seen.of("unitcost_budget_period_end_timestamp_seconds").get(labels)
    burn = seen.past.per_day(("spent", *labels), window)
    if start is None or end is None or burn is None:
        return used
    if seen.now - start < seen.limits.scaled(window):
        return used
    return used + burn / DAY * max(end - seen.now, 0.0)


def _of_period(seen: Seen, labels: Labels, used: float) -> float:
    """The same at the pace of all that is known of the period."""
    since = seen.of("unitcost_budget_since_timestamp_seconds").get(labels)
    end = seen.of("unitcost_budget_period_end_timestamp_seconds").get(labels)
    if since is None or end is None or seen.now <= since:
        return used
    return used + used / (seen.now - since) * max(end - seen.now, 0.0)


def _elapsed(seen: Seen, labels: Labels) -> float:
    """Which part of the period is over; 0 where that is not known."""
    start = seen.of("unitcost_budget_period_start_timestamp_seconds").get(labels)
    end = seen.of("unitcost_budget_period_end_timestamp_seconds").get(labels)
    if start is None or end is None or end <= start:
        return 0.0
    return (seen.now - start) / (end - start)
