"""Everything that the exporter tells by itself, and what of the rules for Prometheus it cannot."""

from unitcost.exporter.notify.alerts import Told
from unitcost.exporter.notify.told.budgets import budgets
from unitcost.exporter.notify.told.costs import costs
from unitcost.exporter.notify.told.drifts import drifts
from unitcost.exporter.notify.told.health import health
from unitcost.exporter.notify.told.prices import prices
from unitcost.exporter.notify.told.runs import runs

NOT_TOLD = {
    "UnitcostDriftTotal": "the exporter judges factors, not their product, which load alone moves",
    "UnitcostExporterDown": "who is down tells nothing: something else must scrape it",
}
"""Alerts of the rules that the exporter does not tell, and why."""


def all_told() -> tuple[Told, ...]:
    """In the order in which they are told: what has a cause before what follows from it."""
    return (*drifts(), *budgets(), *runs(), *costs(), *prices(), *health())
