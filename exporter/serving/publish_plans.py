"""Publishing money that is not the host's: items, what models cost to train, budgets."""

from collections.abc import Mapping

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.money import PICO, to_usd
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.trained import RunOf, TrainedModel, TrainingCost, share_usd, training_cost

Points = dict[str, list[Point]]
"""Points by metric name."""
EXPECTED = "expected_requests"
"""The basis of a training share: how many requests somebody expects."""


def plan_points(settler: Settler) -> Points:
    """Nothing at all where nothing of it is configured."""
    plans = settler.plans
    points: Points = {}
    for (workload, kind), pico, correction in plans.items.sums():
        labels = (workload, str(kind))
        _add(points, "unitcost_item_cost_usd_total", labels, pico / PICO)
        _add(points, "unitcost_item_cost_correction_usd", labels, correction / PICO)
    for model in plans.planning.trained_models:
        _training_points(points, settler.books, model)
    _budget_points(points, settler)
    return points


def _add(points: Points, metric: str, labels: tuple[str, ...], value: float) -> None:
    points.setdefault(metric, []).append((labels, value))


def _training_points(points: Points, books: Books, model: TrainedModel) -> None:
    cost = _cost_of(books, model)
    for part, pico in sorted(cost.parts.items()):
        _add(points, "unitcost_training_cost_usd", (model.name, part), pico / PICO)
    total = cost.total_pico
    if total is not None:
        _add(points, "unitcost_training_total_cost_usd", (model.name,), total / PICO)
    if model.served_by is None or model.expected_requests is None:
        return
    _add(points, "unitcost_training_expected_requests", model.served_by, model.expected_requests)
    if total is not None:
        labels = (*model.served_by, EXPECTED)
        share = float(share_usd(total, model.expected_requests))
        _add(points, "unitcost_request_training_cost_usd", labels, share)


def _cost_of(books: Books, model: TrainedModel) -> TrainingCost:
    def compute_of(run: RunOf) -> int | None:
        if run.run:
            found = books.link((run.workload, run.run))
            return None if found is None else found.cost_pico
        return charged_to(books, run.workload)

    items = [(key, row.booked.due_pico) for key, row in books.items.items()]
    return training_cost(model, compute_of, items)


def charged_to(books: Books, workload: str) -> int | None:
    """All that a workload was ever charged, as corrected; None where nothing has a price."""
    metrics = ("unitcost_cost_usd_total", "unitcost_cost_correction_usd")
    found = [
        pico
        for (metric, labels), pico in books.committed.items()
        if metric in metrics and labels[0] == workload
    ]
    return sum(found) if found else None


def _budget_points(points: Points, settler: Settler) -> None:
    for tracker in settler.plans.budgets.trackers:
        budget, now = tracker.budget, tracker.spendings[0]
        values: Mapping[str, float | None] = {
            "unitcost_budget_usd": float(budget.usd),
            "unitcost_budget_spent_usd": _usd(now.spent_pico),
            "unitcost_budget_spent_whole": float(now.whole),
            "unitcost_budget_since_timestamp_seconds": now.since_ns / NS_PER_SECOND,
            "unitcost_budget_period_start_timestamp_seconds": now.start_ns / NS_PER_SECOND,
            "unitcost_budget_period_end_timestamp_seconds": now.end_ns / NS_PER_SECOND,
        }
        for metric, value in values.items():
            if value is not None:
                _add(points, metric, (budget.name,), value)


def _usd(pico: int | None) -> float | None:
    return None if pico is None else float(to_usd(pico))
