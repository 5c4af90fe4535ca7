"""Selectors and expressions that the panels share: what the variables choose, and money."""

from dataclasses import dataclass

from unitcost.dashboards.promql import once

HOST = 'cluster=~"$cluster", job=~"$job", instance=~"$instance"'
"""What the variables choose of hosts; every query of raw metrics has it."""

WORKLOAD = f'{HOST}, workload=~"$workload"'
MODEL = f'{WORKLOAD}, model=~"$model"'
RUN = f'{WORKLOAD}, run=~"$run"'
DRIFTING = 'cluster=~"$cluster", workload=~"$workload", model=~"$model"'
"""The same for recorded series, which are sums over hosts."""

BASIS = 'state=~"${basis:raw}"'
"""States that the chosen basis counts; its text is the name that unit costs have as a label."""

COST = "unitcost_cost_usd_total"
CHARGED = (COST, "unitcost_resource_cost_usd_total", "unitcost_energy_joules_total")
"""What a sidecar and the agent of its node may both have."""

RATE = "[$__rate_interval]"
RANGE = "[$__range]"
DAY = 86_400

# One USD is one USD; for every other currency there must be a rate, or there is nothing to show.
_FX = (
    f'scalar(max(unitcost_fx_rate{{{HOST}, currency="$currency"}} or '
    '(label_replace(vector(1), "currency", "$currency", "", "") == on (currency) '
    'label_replace(vector(1), "currency", "USD", "", ""))))'
)


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel. An instant one is of the end of the time range."""

    expr: str
    legend: str = ""
    instant: bool = False


def money(expr: str) -> str:
    """US dollars in the currency that the variable names, at each moment's own rate."""
    return f"({expr}) * {_FX}"


def per_day(selector: str, by: str) -> str:
    """Dollars a day of `unitcost_cost_usd_total`, by labels."""
    return f"{DAY} * {rate(COST, selector, by)}"


def rate(metric: str, selector: str, by: str, window: str = RATE) -> str:
    """A counter by the second, by labels: rates first, then sums; every dollar once."""
    grouped = f"sum by ({by})" if by else "sum"
    each = f"rate({metric}{{{selector}}}{window})"
    return f"{grouped} ({once(each) if metric in CHARGED else each})"
