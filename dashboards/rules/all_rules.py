"""All groups of rules, in the order in which they build on each other."""

from unitcost.dashboards.rules.alerts_cost import cost_alerts, training_alerts
from unitcost.dashboards.rules.alerts_drift import drift_alerts
from unitcost.dashboards.rules.alerts_health import health_alerts, price_alerts
from unitcost.dashboards.rules.budgets import budget_alerts, budget_group
from unitcost.dashboards.rules.costs import cost_groups
from unitcost.dashboards.rules.drift import factor_groups
from unitcost.dashboards.rules.drift_states import state_groups
from unitcost.dashboards.rules.fleet import fleet_group
from unitcost.dashboards.rules.flows import flow_group
from unitcost.dashboards.rules.model import Alert, Group
from unitcost.dashboards.settings import Settings

MAX_RULES = 20
"""In one group: what Mimir takes by default."""


def all_groups(settings: Settings) -> tuple[Group, ...]:
    """Recording rules first, then the alerts that stand on them."""
    return (
        flow_group(settings),
        fleet_group(settings),
        *factor_groups(settings),
        *state_groups(settings),
        *cost_groups(settings),
        budget_group(settings),
        *alert_groups(settings),
    )


def alert_groups(settings: Settings) -> tuple[Group, ...]:
    """The alerts alone, by what they are about."""
    alerts = {
        "drift": drift_alerts(settings),
        "cost": cost_alerts(settings),
        "budgets": budget_alerts(settings),
        "training": training_alerts(settings),
        "prices": price_alerts(settings),
        "exporter": health_alerts(settings),
    }
    return tuple(
        Group(f"unitcost-alerts-{name}", settings.interval, each) for name, each in alerts.items()
    )


def all_alerts(settings: Settings) -> tuple[Alert, ...]:
    """Every alert there is."""
    groups = alert_groups(settings)
    return tuple(rule for group in groups for rule in group.rules if isinstance(rule, Alert))
