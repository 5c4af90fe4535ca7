"""Alerts about waste, runs, prices and the exporter: each fires for whom it is about, and ends."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.dashboards.promtool import Alerts, check_alerts, firing
from tests.dashboards.stories import counter, gauge, series

BEFORE, AFTER = 120, 120
"""Minutes without a reason to alert, and with one."""

END = BEFORE + AFTER
BACK = 120
"""Minutes after that, in which all is well again."""

LAST = END + BACK
NAMES = (
    "UnitcostBudgetBurnFast",
    "UnitcostBudgetBurnSlow",
    "UnitcostBudgetExceeded",
    "UnitcostIdleDollars",
    "UnitcostUnallocatedDollars",
    "UnitcostRunOverProjection",
    "UnitcostRunStalled",
    "UnitcostRunWaiting",
    "UnitcostHostUnpriced",
    "UnitcostPriceStale",
    "UnitcostPriceSourceDown",
    "UnitcostSpotAboveOnDemand",
    "UnitcostExporterDown",
    "UnitcostCostDataStale",
    "UnitcostCollectorDown",
    "UnitcostConservationBroken",
)
WELL, ILL = {"instance": "well"}, {"instance": "ill"}
Inputs = Iterable[tuple[str, str]]


def _three(well: float | None, ill: float | None) -> str:
    return gauge((BEFORE, well), (AFTER, ill), (BACK, well))


def _cost(workload: str, cluster: str, usd_per_day: tuple[float, float], state: str) -> Inputs:
    well, ill = (usd / 1440 for usd in usd_per_day)
    labels = {"workload": workload, "cluster": cluster, "kind": "inference", "model": "m"}
    labels |= {"resource": "cpu", "state": state}
    yield series(
        "unitcost_cost_usd_total", counter((BEFORE, well), (AFTER, ill), (BACK, well)), **labels
    )


def _costs() -> Inputs:
    """In cluster a everything gets idle and empty, in b some of it, for few dollars in c."""
    for cluster, idle, free in (("a", 200, 300), ("b", 30, 40), ("c", 4, 6)):
        scale = 0.02 if cluster == "c" else 1
        yield from _cost("chat", cluster, (70 * scale, 70 * scale), "active")
        yield from _cost("chat", cluster, (20 * scale, idle), "idle")
        yield from _cost("__unallocated__", cluster, (10 * scale, free), "idle")
        info = {"workload": "chat", "cluster": cluster, "kind": "inference", "owner": "search"}
        yield series("unitcost_workload_info", gauge((LAST, 1)), **info)


def _run(workload: str, ill: bool) -> Inputs:
    """A run that makes 10 steps a minute, at $1 a minute; an ill one stops and waits."""
    labels = {"workload": workload, "run": "r1"}
    usd = counter((LAST, 1))
    held = {"workload": workload, "model": "", "resource": "cpu", "state": "active"}
    yield series("unitcost_run_cost_usd", usd, **labels)
    yield series("unitcost_cost_usd_total", usd, kind="training", **held)
    yield series("unitcost_held_seconds_total", counter((LAST, 60)), **held)
    steps = counter((BEFORE, 10), (AFTER, 0 if ill else 10), (BACK, 10))
    yield series("unitcost_steps_total", steps, workload=workload, model="")
    yield series("unitcost_run_progress_ratio", gauge((LAST, 0.3)), **labels)
    yield series("unitcost_run_attempts", gauge((LAST, 2)), **labels)
    yield series("unitcost_workload_hosts", gauge((LAST, 1)), workload=workload)
    for bound, usual, worse in (("expected", 600, 900), ("low", 550, 800), ("high", 700, 1000)):
        projected = _three(usual, worse if ill else usual)
        yield series("unitcost_run_projected_cost_usd", projected, bound=bound, **labels)
    for reason, share in (("data_loading", 0.5), ("checkpoint", 0.1)):
        waiting = counter((BEFORE, 0.05), (AFTER, share if ill else 0.05), (BACK, 0.05))
        yield series("unitcost_run_stall_cost_usd_total", waiting, reason=reason, **labels)
    info = {"workload": workload, "kind": "training", "owner": "research"}
    yield series("unitcost_workload_info", gauge((LAST, 1)), **info)


def _runs() -> Inputs:
    """One that goes well, and one that does not."""
    yield from _run("good", ill=False)
    yield from _run("bad", ill=True)
    # Waits as long as the bad one, but is at its goal: that is no stall.
    done = {"workload": "done", "run": "r1"}
    held = {"workload": "done", "model": "", "resource": "cpu", "state": "idle"}
    yield series("unitcost_steps_total", counter((BEFORE, 10), (AFTER + BACK, 0)), **held)
    yield series("unitcost_held_seconds_total", counter((LAST, 60)), **held)
    yield series("unitcost_run_progress_ratio", gauge((BEFORE, 0.5), (AFTER + BACK, 1)), **done)


def _host(labels: dict[str, str], ill: bool) -> Inputs:
    """One host; an ill one loses its price, its ledger, a collector and a cent."""
    resource = {"resource": "cpu", **labels}
    price = {**resource, "sku": "m5", "price_region": "r", "price_model": "on_demand"}
    yield series("unitcost_price_usd_per_hour", gauge((LAST, 2)), source="aws_bulk", **price)
    unpriced = _three(0, 1 if ill else 0)
    yield series("unitcost_resource_unpriced", unpriced, component="rent", **resource)
    # Times are minutes after 1970: as if each price had been seen right at every moment.
    known = f"0+180x{LAST // 3}"
    yield series("unitcost_ledger_last_commit_timestamp_seconds", _stopped(ill), **labels)
    yield series("unitcost_price_as_of_timestamp_seconds", known, **resource)
    up = _three(1, 0 if ill else 1)
    yield series("unitcost_collector_up", up, collector="nvml", **labels)
    yield series("unitcost_collector_up", gauge((LAST, 1)), collector="host", **labels)
    residual = _three(0, -0.01 if ill else 0)
    yield series("unitcost_conservation_residual_usd", residual, **labels)


def _stopped(ill: bool) -> str:
    """A clock in minutes of three; an ill one stands still from the change on."""
    first, then = BEFORE // 3, AFTER // 3
    if not ill:
        return f"0+180x{LAST // 3}"
    stands = f"{180 * first}+0x{then - 1}"
    return f"0+180x{first} {stands} {180 * (first + then + 1)}+180x{BACK // 3 - 1}"


def _hosts() -> Inputs:
    """One host that is well, one that is ill, one whose exporter dies, one that is taken away."""
    yield from _host(WELL, ill=False)
    yield from _host(ILL, ill=True)
    for name, up in (("well", "1"), ("ill", "1")):
        yield series("up", gauge((LAST, float(up))), instance=name)
    yield series("up", _three(1, 0), instance="dead")
    yield series("up", gauge((BEFORE, 1), (AFTER + BACK, None)), instance="gone")
    yield series("up", _three(1, 0), instance="no-exporter")
    for name in ("dead", "gone"):
        build = gauge((BEFORE, 1), (AFTER, None), (BACK, 1 if name == "dead" else None))
        yield series("unitcost_build_info", build, instance=name, version="1")
    price = {"instance": "dead", "resource": "cpu", "sku": "m5", "price_region": "r"}
    price |= {"price_model": "on_demand", "source": "aws_bulk"}
    gone = gauge((BEFORE, 2), (AFTER, None), (BACK, 2))
    yield series("unitcost_price_usd_per_hour", gone, **price)


def _prices() -> Inputs:
    """Prices that nobody confirms for two hours: on demand, on Spot, and stated by the user."""
    stands = f"{180 * (BEFORE // 3)}+0x{AFTER // 3 - 1}"
    again = f"{180 * (END // 3 + 1)}+180x{BACK // 3 - 1}"
    for name, model in (("listed", "on_demand"), ("spot", "spot"), ("stated", "override")):
        labels = {"instance": name, "resource": "cpu"}
        price = {**labels, "sku": "m5", "price_region": "r", "price_model": model}
        yield series("unitcost_price_usd_per_hour", gauge((LAST, 1)), source=name, **price)
        if name != "stated":
            known = f"0+180x{BEFORE // 3} {stands} {again}"
            yield series("unitcost_price_as_of_timestamp_seconds", known, **labels)
        # Spot costs 1 an hour and is dearer than on demand for a while; the list is not on Spot.
        on_demand = {"sku": "m5", "price_region": "r", "source": "aws_bulk", "instance": name}
        asked = _three(1.2, 0.5)
        yield series("unitcost_on_demand_price_usd_per_hour", asked, **on_demand)
        up = _three(1, 0 if name == "listed" else 1)
        yield series("unitcost_price_source_up", up, source="aws_bulk", instance=name)


def _budgets() -> Inputs:
    """Budgets of $2,000 for 16 hours on two hosts, which spend $1 a minute each, and then more."""
    paces = {"even": (1, 1, 1), "fast": (1, 5, 0), "slow": (0.9, 1.4, 0.3), "spent": (1, 30, 0)}
    for name, (before, ill, after) in paces.items():
        for host in ("host-1", "host-2"):
            labels = {"budget": name, "instance": host}
            spent = counter((BEFORE, before), (AFTER, ill), (BACK, after))
            yield series("unitcost_budget_spent_usd", spent, **labels)
            yield series("unitcost_budget_usd", gauge((LAST, 2000)), **labels)
            for each in ("since", "period_start"):
                metric = f"unitcost_budget_{each}_timestamp_seconds"
                yield series(metric, gauge((LAST, 0)), **labels)
            end = "unitcost_budget_period_end_timestamp_seconds"
            yield series(end, gauge((LAST, 16 * 3600)), **labels)
    # A period that began 66 minutes ago with a burst, which is over.
    labels, began = {"budget": "burst", "instance": "host-1"}, END - 66
    spent = counter((began, 0), (21, 12), (45, 0.3), (BACK, 0.3))
    yield series("unitcost_budget_spent_usd", spent, **labels)
    yield series("unitcost_budget_usd", gauge((LAST, 2000)), **labels)
    for each in ("since", "period_start"):
        metric = f"unitcost_budget_{each}_timestamp_seconds"
        yield series(metric, gauge((LAST, began * 60)), **labels)
    ends = "unitcost_budget_period_end_timestamp_seconds"
    yield series(ends, gauge((LAST, (began + 16 * 60) * 60)), **labels)


Found = dict[tuple[str, int], Alerts]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]) -> Found:
    """Who fires what before, with and after a reason, as promtool finds it."""
    inputs = [*_costs(), *_runs(), *_hosts(), *_prices(), *_budgets()]
    moments = [(name, minute) for name in NAMES for minute in (BEFORE, END, LAST)]
    folder = tmp_path_factory.mktemp("others")
    return check_alerts(
        real_tool("promtool"),
        folder,
        "others",
        inputs,
        moments,
        window_6h=3600,
        window_1h=1800,
        stale_price_after=10_000,
        stale_spot_price_after=5_000,
        source_down_after=3600,
        day=24 * 3600,
    )


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_silent_before_and_after(found: Found, name: str) -> None:
    """Nothing fires without a reason, and nothing goes on when the reason is gone."""
    assert found[name, BEFORE] == []
    if name == "UnitcostBudgetExceeded":  # until the period ends
        assert firing(found[name, LAST], "budget") == {("spent",)}
    else:
        assert found[name, LAST] == []


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "labels", "who"),
    [
        ("UnitcostIdleDollars", ("cluster", "workload", "owner"), ("a", "chat", "search")),
        ("UnitcostUnallocatedDollars", ("cluster", "owner"), ("a", "platform")),
        ("UnitcostBudgetBurnFast", ("budget", "severity"), ("fast", "critical")),
        ("UnitcostBudgetBurnSlow", ("budget", "severity"), ("slow", "warning")),
        ("UnitcostBudgetExceeded", ("budget", "severity"), ("spent", "critical")),
        ("UnitcostRunOverProjection", ("workload", "run", "owner"), ("bad", "r1", "research")),
        ("UnitcostRunStalled", ("workload", "owner"), ("bad", "research")),
        ("UnitcostRunWaiting", ("workload", "run", "owner"), ("bad", "r1", "research")),
        ("UnitcostHostUnpriced", ("instance", "owner"), ("ill", "platform")),
        ("UnitcostPriceStale", ("instance", "source"), ("spot", "spot")),
        ("UnitcostPriceSourceDown", ("instance", "source"), ("listed", "aws_bulk")),
        ("UnitcostSpotAboveOnDemand", ("instance", "owner"), ("spot", "platform")),
        ("UnitcostExporterDown", ("instance", "severity"), ("dead", "critical")),
        ("UnitcostCostDataStale", ("instance", "severity"), ("ill", "critical")),
        ("UnitcostCollectorDown", ("instance", "collector"), ("ill", "nvml")),
        ("UnitcostConservationBroken", ("instance", "severity"), ("ill", "critical")),
    ],
)
def test_each_alert_fires_for_whom_it_is_about(
    found: Found, name: str, labels: tuple[str, ...], who: tuple[str, ...]
) -> None:
    """And for nobody else."""
    assert firing(found[name, END], *labels) == {who}
