"""Publishing: what the books and the last tick say, as points for one scrape."""

from collections.abc import Mapping

from unitcost.exporter.serving.publish_devices import carbon_points, device_points, pod_points
from unitcost.exporter.serving.publish_drift import drift_points
from unitcost.exporter.serving.publish_memos import method_points
from unitcost.exporter.serving.publish_metered import metered_points
from unitcost.exporter.serving.publish_plans import plan_points
from unitcost.exporter.serving.publish_prices import price_points
from unitcost.exporter.serving.publish_rates import rate_points
from unitcost.exporter.serving.publish_runs import run_points
from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.batch import CounterKey
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.settle import Settler
from unitcost.exporter.settling.starts import holders_of
from unitcost.exporter.settling.tally import Tally
from unitcost.pricing.allocate import State
from unitcost.pricing.layers import Counted
from unitcost.pricing.money import PICO
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import NS_PER_SECOND, Quantity
from unitcost.pricing.unit_cost import Unit, Window
from unitcost.pricing.workload import RESERVED

Points = dict[str, list[Point]]
"""Points by metric name."""

BY_STATE = ("unitcost_cost_usd_total", "unitcost_held_seconds_total")
NOT_BY_WORKLOAD = ("unitcost_resource_cost_usd_total", "unitcost_gap_seconds_total")
BY_DEVICE = ("unitcost_device_energy_joules_total",)
UNIT_METRICS = {
    Unit.REQUEST: "unitcost_request_cost_usd",
    Unit.TOKEN: "unitcost_token_cost_usd",
    Unit.STEP: "unitcost_step_cost_usd",
    Unit.SAMPLE: "unitcost_sample_cost_usd",
}
GAUGES = {
    Quantity.REQUESTS_RUNNING: "unitcost_requests_running",
    Quantity.REQUESTS_WAITING: "unitcost_requests_waiting",
}


def ledger_points(settler: Settler, observed: Observed) -> Points:
    """All points that follow the ledger; made after a commit, so they never run ahead of it."""
    position = settler.state.position
    now = position.at_ns if position else 0
    live = frozenset(settler.books.live(settler.rules, now))
    devices = frozenset(each.resource.id for each in settler.state.shares if each.resource.is_gpu)
    points = counter_points(settler.books.committed, live | RESERVED, devices)
    points |= price_points(settler, now) | metered_points(settler, now)
    points |= rate_points(settler.rules.book, settler.rules.metered, now)
    points |= workload_points(settler, live, now)
    points |= device_points(settler, observed) | pod_points(settler, observed.pods, live)
    points |= host_points(observed, settler.host.usage.utilisation)
    points |= carbon_points(settler.rules.carbon)
    if settler.rules.scope != "units":
        spread = {name for name, hosts in workload_hosts(settler, now).items() if hosts > 1}
        points |= unit_cost_points(settler.tally, live, frozenset(spread))
        points |= run_points(settler, now)
        points |= drift_points(settler.drift, live - frozenset(spread))
    points |= method_points(settler.tally, settler.memos, live)
    points |= plan_points(settler)
    points["unitcost_window_seconds"] = [((), settler.rules.window_ns / NS_PER_SECOND)]
    return points


def counter_points(
    counters: Mapping[CounterKey, int], shown: frozenset[str], devices: frozenset[str]
) -> Points:
    """Counters of workloads and devices that are shown.

    Every state is there at 0 as soon as one is.
    """
    points: Points = {}
    zeros: set[CounterKey] = set()
    for (metric, labels), value in counters.items():
        known = devices if metric in BY_DEVICE else shown
        if metric not in NOT_BY_WORKLOAD and labels[0] not in known:
            continue
        scale = PICO if "_usd" in metric else MICRO
        points.setdefault(metric, []).append((labels, value / scale))
        if metric in BY_STATE and labels[0] not in RESERVED:
            zeros.update((metric, (*labels[:-1], str(state))) for state in State)
    for metric, labels in sorted(zeros - counters.keys()):
        points[metric].append((labels, 0.0))
    return points


def unit_cost_points(tally: Tally, live: frozenset[str], spread: frozenset[str]) -> Points:
    """Unit costs of live workloads; those on several hosts have none here."""
    points: Points = {}
    coverage: dict[str, float] = {}
    for (workload, model), window in sorted(tally.windows.items()):
        if workload not in live:
            continue
        if (known := window.coverage) is not None:
            coverage[workload] = min(float(known), coverage.get(workload, 1.0))
        if (latency := _latency(window)) is not None:
            name = "unitcost_request_latency_seconds"
            points.setdefault(name, []).append(((workload, model), latency))
        for cost in window.costs() if workload not in spread else ():
            labels = (cost.type,) if cost.unit is Unit.TOKEN else ()
            point = ((workload, model, *labels, str(cost.basis)), float(cost.usd))
            points.setdefault(UNIT_METRICS[cost.unit], []).append(point)
    points["unitcost_unit_coverage_ratio"] = [((name,), ratio) for name, ratio in coverage.items()]
    return points


def _latency(window: Window) -> float | None:
    timed = window.seen.get((Quantity.REQUESTS_TIMED, ""), 0)
    seconds = window.seen.get((Quantity.REQUEST_SECONDS, ""))
    return None if seconds is None or timed <= 0 else seconds / timed


def workload_points(settler: Settler, live: frozenset[str], now_ns: int) -> Points:
    """Who the workloads are, how their shares are found, and what they are doing now."""
    rows = {name: settler.books.workloads[name] for name in sorted(live)}
    tally = settler.tally
    points: Points = {
        "unitcost_workload_info": [
            ((name, str(row.kind), row.owner), 1.0) for name, row in rows.items()
        ],
        "unitcost_workload_allocation_info": [
            ((name, resource, method, _signal(tally, name, resource)), 1.0)
            for (name, resource), method in sorted(tally.methods.items())
            if name in live
        ],
        "unitcost_workload_holders": [
            ((workload,), float(count))
            for workload, count in sorted(holders_of(settler.held).items())
            if workload in live
        ],
        "unitcost_workload_hosts": [
            ((workload,), float(hosts))
            for workload, hosts in sorted(workload_hosts(settler, now_ns).items())
            if workload in live
        ],
    }
    gauges: Counted = settler.counted.gauges if settler.counted else {}
    for (account, quantity, _), micro in sorted(gauges.items()):
        if account.workload in live and (name := GAUGES.get(quantity)):
            point = ((account.workload, account.model), micro / MICRO)
            points.setdefault(name, []).append(point)
    return points


def _signal(tally: Tally, workload: str, resource: str) -> str:
    if resource.startswith("gpu:"):
        return tally.device_signals.get((workload, resource), "none")
    return "cpu_time" if resource == "cpu" else tally.signals.get(workload, "none")


def workload_hosts(settler: Settler, now_ns: int) -> dict[str, int]:
    """On how many hosts each workload is: as its pods say, and its runs that are not retired."""
    since = now_ns - settler.rules.retire_after_ns
    owners = settler.host.owners
    identities = owners.tenants.identities if owners else {}
    found = {name: each.hosts for name, each in identities.items() if each.hosts > 1}
    for key, hosts in settler.runs.hosts.items():
        run = settler.books.runs.get(key)
        if run is not None and run.last_charged_ns > since:
            found[run.workload] = max(hosts, found.get(run.workload, 1))
    return found


def host_points(observed: Observed, utilisation: float | None) -> Points:
    """The host's CPUs and memory, as read."""
    names = {
        Quantity.MEMORY_USED: "unitcost_host_memory_used_bytes",
        Quantity.MEMORY_CAPACITY: "unitcost_host_memory_total_bytes",
    }
    found = ((name, observed.host(quantity)) for quantity, name in names.items())
    points: Points = {name: [((), sample.value)] for name, sample in found if sample is not None}
    if utilisation is not None:
        points["unitcost_host_cpu_utilization_ratio"] = [((), utilisation)]
    return points
