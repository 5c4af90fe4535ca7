"""Every query of every panel, asked of a real Prometheus that scrapes real exporters."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dashboards.panels import events, queries
from tests.dashboards.promql import names
from tests.e2e.dashboard_world import World, dashboard_world
from tests.harness import get, wait_for


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]
) -> Iterator[World]:
    """Both hosts, the rules, and a baseline that has formed."""
    with dashboard_world(tmp_path_factory.mktemp("dashboards"), real_tool("prometheus")) as found:
        yield found


@pytest.mark.real
def test_no_query_of_any_panel_fails_or_is_empty(world: World) -> None:
    """With the page that has everything, each has an answer, now and over time."""
    empty = []
    for asked in queries():
        found = world.ask(asked) if asked.instant else world.ask_range(asked)
        if not found and str(asked) not in EMPTY_IS_GOOD:
            empty.append(str(asked))
    assert empty == []


EMPTY_IS_GOOD = {
    "unitcost-drift / Drifts that are told now / A": "nothing drifts here",
    "unitcost-drift / Drifts that are told now / B": "nothing drifts here",
}
"""Queries that have no answer when all is well."""


@pytest.mark.real
def test_the_marks_over_time_can_be_asked(world: World) -> None:
    """Most have no answer while nothing happens; none is an error."""
    for asked in events():
        world.ask_range(asked)


NOT_IN_THE_DEMO = {
    "no GPU, no meter of power": (
        "unitcost_device_",
        "unitcost_energy_",
        "unitcost_emissions_",
        "unitcost_host_power_",
        "unitcost_meter_power_",
        "unitcost_unresolved_grants",
    ),
    "its price is stated": (
        "unitcost_price_as_of_",
        "unitcost_price_source_",
        "unitcost_list_price_",
        "unitcost_on_demand_price_",
        "unitcost_electricity_",
        "unitcost_fx_",
        "unitcost_cost_correction_",
    ),
    "it has no past to drift from": ("unitcost_drift_",),
    "no budgets, no items, nobody to tell": (
        "unitcost_budget_",
        "unitcost_item",
        "unitcost_memo_",
        "unitcost_training_",
        "unitcost_request_training_",
        "unitcost_notifications_",
    ),
    "the run has no goal and never waits": (
        "unitcost_run_projected_",
        "unitcost_run_progress_",
        "unitcost_run_stall_",
    ),
    "one layer, no tenants, no cache, failures without seconds": (
        "unitcost_layer_",
        "unitcost_tenant_",
        "unitcost_cache_",
        "unitcost_waste_",
    ),
    "it has been metered all the time": ("unitcost_gap_",),
    "no fleet, no web configuration": ("unitcost_central_", "unitcost_web_config_"),
}
"""Why queries have no answer for the demo's host: metrics that it does not have."""

OF_EACH_QUERY = {"unitcost_fx_rate", "unitcost:second_charge:info"}
"""What dollars are multiplied with, and left out by, if it is there."""
NOT_OF_THE_DEMO = {
    "unitcost-fleet / Without a price / A": "it has one",
    "unitcost-inference / Tokens of a request / B": "its server has no prefix cache",
    "unitcost-devices / Idle accelerators per day ($currency) / A": "it has none",
}


@pytest.mark.real
def test_the_demo_answers_everything_that_it_has(world: World) -> None:
    """A real exporter alone: empty is what needs a metric that it lacks, for a known reason."""
    expected = set(NOT_OF_THE_DEMO)
    with contextlib.suppress(AssertionError):  # said in full below
        wait_for(lambda: set(_empty(world)) == expected, "answers")
    assert set(_empty(world)) == expected


def _empty(world: World) -> Iterator[str]:
    """Queries that the demo does not answer now, though it has the metrics."""
    missing = tuple(prefix for prefixes in NOT_IN_THE_DEMO.values() for prefix in prefixes)
    for asked in queries():
        metrics = {metric for metric, *_ in names(asked.expr).metrics} - OF_EACH_QUERY
        if any(":" in metric for metric in metrics):
            continue  # recorded, over both hosts
        lacks = any(metric.startswith(missing) for metric in metrics)
        if not lacks and not world.ask(asked, instance=world.demo):
            yield str(asked)


@pytest.mark.real
def test_money_is_converted_or_absent(world: World) -> None:
    """By the rate of the currency that is chosen; a currency without a rate has no dollars."""
    (asked,) = [each for each in queries() if each.panel == "So far ($currency)"]
    usd, eur, yen = (world.ask(asked, currency=each) for each in ("USD", "EUR", "JPY"))
    assert float(usd[0]["value"][1]) > 0
    assert float(eur[0]["value"][1]) == pytest.approx(float(usd[0]["value"][1]), rel=0.05)
    assert [row["value"][1] for row in yen] in ([], ["NaN"])


@pytest.mark.real
def test_no_rule_fails(world: World) -> None:
    """Prometheus says of each rule how it is."""
    status, text = get(world.prometheus.port, "/api/v1/rules")
    assert status == 200
    groups = json.loads(text)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 70
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")] == []
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
