"""Budgets: what is allowed, what is spent, and of which part of the period that is."""

from collections.abc import Iterator, Sequence

from unitcost.exporter.serving.live.points import Points
from unitcost.exporter.serving.live.shape import Budget, Notice

MAX_BUDGETS = 20
_ALLOWED = "unitcost_budget_usd"


def budgets(points: Points) -> tuple[tuple[Budget, ...], int]:
    """All budgets, those first of which most is spent; and how many are left out."""
    found = [_budget(points, key, usd) for key, usd in points.of(_ALLOWED).items()]
    found.sort(key=lambda each: (-_part(each), each.name))
    return tuple(found[:MAX_BUDGETS]), max(0, len(found) - MAX_BUDGETS)


def _budget(points: Points, key: tuple[str, ...], usd: float) -> Budget:
    spent = points.of("unitcost_budget_spent_usd").get(key)
    return Budget(
        name=key[0],
        usd=usd,
        spent_usd=spent,
        whole=points.of("unitcost_budget_spent_whole").get(key) == 1,
        why="" if spent is not None else "Nothing that was charged has a price.",
        since=points.of("unitcost_budget_since_timestamp_seconds").get(key),
        period_start=points.of("unitcost_budget_period_start_timestamp_seconds").get(key),
        period_end=points.of("unitcost_budget_period_end_timestamp_seconds").get(key),
    )


def _part(budget: Budget) -> float:
    if budget.spent_usd is None:
        return -1.0
    return budget.spent_usd / budget.usd if budget.usd > 0 else float(budget.spent_usd > 0)


def notices(found: Sequence[Budget]) -> Iterator[Notice]:
    """One for each of them that is spent."""
    for each in found:
        if each.spent_usd is not None and each.spent_usd > each.usd:
            least = "" if each.whole else "at least "
            text = f"{each.name} is spent: {least}${each.spent_usd:,.2f} of ${each.usd:,.2f}."
            yield Notice(level="warn", key=f"budget {each.name}", title="Budget", text=text)
