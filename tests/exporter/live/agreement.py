"""Holds the live page's document against /metrics: every number of it, and none left out."""

import math

from tests.harness import Scrape
from unitcost.exporter.serving.live.shape import Live, Model, Workload

UNITS = {
    "request": ("unitcost_request_cost_usd", {}),
    "input_token": ("unitcost_token_cost_usd", {"type": "input"}),
    "output_token": ("unitcost_token_cost_usd", {"type": "output"}),
    "token": ("unitcost_token_cost_usd", {"type": "all"}),
    "step": ("unitcost_step_cost_usd", {}),
    "sample": ("unitcost_sample_cost_usd", {}),
    "epoch": ("unitcost_epoch_cost_usd", {}),
}


def total(scrape: Scrape, metric: str, **labels: str) -> float | None:
    """The sum of a metric's series; None where there is none."""
    found = scrape.each(metric, **labels)
    return math.fsum(found.values()) if found else None


def check(live: Live, scrape: Scrape) -> None:
    """All parts of the document."""
    check_price(live, scrape)
    for workload in live.workloads:
        check_workload(workload, scrape)
    check_runs(live, scrape)
    check_budgets(live, scrape)
    check_devices(live, scrape)
    check_exporter(live, scrape)
    assert live.usd_total == total(scrape, "unitcost_resource_cost_usd_total")
    assert live.correction_usd == total(scrape, "unitcost_cost_correction_usd")
    shown = {each.name for each in live.workloads if not each.reserved}
    known = {dict(labels)["workload"] for labels in scrape.each("unitcost_workload_info")}
    assert shown <= known
    assert len(known) - len(shown) == live.more_workloads.count


def check_price(live: Live, scrape: Scrape) -> None:
    """Each resource's, and who says so."""
    for each in live.price.resources:
        name = each.resource
        priced = scrape.each("unitcost_price_usd_per_hour", resource=name)
        assert (each.usd_per_hour is None) == (not priced)
        for labels, usd in priced.items():
            said = dict(labels)
            assert (each.usd_per_hour, each.sku) == (usd, said["sku"])
            assert (each.region, each.terms) == (said["price_region"], said["price_model"])
            assert each.source == said["source"]
        as_of = scrape.one("unitcost_price_as_of_timestamp_seconds", resource=name)
        assert each.as_of == as_of
        flags = scrape.each("unitcost_resource_unpriced", resource=name)
        assert set(each.unpriced) == {dict(key)["component"] for key, on in flags.items() if on}
        assert each.usd_total == total(scrape, "unitcost_resource_cost_usd_total", resource=name)
        listed = scrape.each("unitcost_list_price_usd_per_hour", resource=name)
        assert each.list_usd_per_hour == next(iter(listed.values()), None)
    assert len(live.price.sources) == len(scrape.each("unitcost_price_source_up"))
    for source in live.price.sources:
        assert source.up == scrape.one("unitcost_price_source_up", source=source.name)
        last = "unitcost_price_source_last_success_timestamp_seconds"
        assert source.last_success == scrape.one(last, source=source.name)
        failed = scrape.one("unitcost_price_source_errors_total", source=source.name)
        assert source.errors == failed
    on_demand = scrape.each("unitcost_on_demand_price_usd_per_hour")
    assert live.price.on_demand_usd_per_hour == next(iter(on_demand.values()), None)
    if live.price.usd_per_hour is not None:
        assert live.price.usd_per_hour == total(scrape, "unitcost_price_usd_per_hour")
        assert not live.price.why
    else:
        assert live.price.why


def check_workload(workload: Workload, scrape: Scrape) -> None:
    """What it cost, how it is found, and its models."""
    name = workload.name
    assert workload.usd_total == total(scrape, "unitcost_cost_usd_total", workload=name)
    assert workload.hosts == scrape.one("unitcost_workload_hosts", workload=name)
    assert workload.coverage == scrape.one("unitcost_unit_coverage_ratio", workload=name)
    assert (workload.usd_per_hour_together is None) == bool(workload.why)
    for held in workload.held:
        labels = {"workload": name, "resource": held.resource}
        found = scrape.each("unitcost_workload_allocation_info", **labels)
        for said in map(dict, found):
            assert (held.method, held.busy_signal) == (said["method"], said["busy_signal"])
    for model in workload.models:
        check_model(workload, model, scrape)
    for metric, labels in UNITS.values():
        known = scrape.each(metric, workload=name, basis="allocated", **labels)
        names = {dict(key)["model"] for key in known}
        if not workload.more_models:
            assert names <= {model.model for model in workload.models}


def check_model(workload: Workload, model: Model, scrape: Scrape) -> None:
    """Its unit costs, or why they are not known; its requests."""
    labels = {"workload": workload.name, "model": model.model}
    for unit, (metric, more) in UNITS.items():
        known = {
            basis: scrape.one(metric, basis=basis, **labels, **more)
            for basis in ("allocated", "used")
        }
        cost = model.unit_costs.get(unit)
        if cost is None:
            assert set(known.values()) == {None}
            continue
        assert (cost.allocated, cost.used) == (known["allocated"], known["used"])
        assert (cost.allocated is None) == bool(cost.why)
    check_drift(model, scrape, labels)
    counted = scrape.each("unitcost_requests_total", **labels)
    assert model.requests == {dict(key)["outcome"]: value for key, value in counted.items()}
    assert model.latency_seconds == scrape.one("unitcost_request_latency_seconds", **labels)
    assert model.running == scrape.one("unitcost_requests_running", **labels)
    assert model.waiting == scrape.one("unitcost_requests_waiting", **labels)


def check_drift(model: Model, scrape: Scrape, labels: dict[str, str]) -> None:
    """What it costs against what it used to, if that is known."""
    ratio = scrape.one("unitcost_drift_ratio", unit="request", **labels)
    if model.drift is None:
        assert ratio is None
        return
    assert model.drift.ratio == ratio
    per_day = scrape.one("unitcost_drift_usd_per_day", unit="request", **labels)
    assert model.drift.usd_per_day == per_day
    for name, metric in (
        ("factors", "unitcost_drift_factor_ratio"),
        ("since", "unitcost_drift_since_timestamp_seconds"),
    ):
        found = scrape.each(metric, unit="request", **labels)
        assert getattr(model.drift, name) == {
            dict(key)["factor"]: value for key, value in found.items()
        }


def check_runs(live: Live, scrape: Scrape) -> None:
    """Each run; and there are no more."""
    assert len(live.runs) + live.more_runs == len(scrape.each("unitcost_run_attempts"))
    for run in live.runs:
        labels = {"workload": run.workload, "run": run.run}
        assert run.usd == scrape.one("unitcost_run_cost_usd", **labels)
        assert (run.usd is None) == bool(run.why)
        assert run.last_epoch == scrape.one("unitcost_epoch_last", **labels)
        assert run.epoch_part == scrape.one("unitcost_epoch_cost_part_usd", **labels)
        assert run.attempts == scrape.one("unitcost_run_attempts", **labels)
        assert run.progress == scrape.one("unitcost_run_progress_ratio", **labels)
        assert run.repeated == scrape.one("unitcost_run_repeated_cost_usd_total", **labels)
        for name, metric, label in (
            ("projected", "unitcost_run_projected_cost_usd", "bound"),
            ("stalled", "unitcost_run_stall_cost_usd_total", "reason"),
        ):
            found = scrape.each(metric, **labels)
            assert getattr(run, name) == {dict(key)[label]: usd for key, usd in found.items()}


def check_budgets(live: Live, scrape: Scrape) -> None:
    """Each budget; and there are no more."""
    assert len(live.budgets) + live.more_budgets == len(scrape.each("unitcost_budget_usd"))
    for each in live.budgets:
        labels = {"budget": each.name}
        assert each.usd == scrape.one("unitcost_budget_usd", **labels)
        assert each.spent_usd == scrape.one("unitcost_budget_spent_usd", **labels)
        assert (each.spent_usd is None) == bool(each.why)
        assert each.whole == (scrape.one("unitcost_budget_spent_whole", **labels) == 1)
        for name in ("since", "period_start", "period_end"):
            stamp = scrape.one(f"unitcost_budget_{name}_timestamp_seconds", **labels)
            assert getattr(each, name) == stamp


def check_devices(live: Live, scrape: Scrape) -> None:
    """Each accelerator; and there are no more."""
    assert len(live.devices) + live.more_devices == len(scrape.each("unitcost_device_up"))
    for each in live.devices:
        labels = {"device": each.device, "product": each.product}
        assert each.up == scrape.one("unitcost_device_up", **labels)
        assert each.utilization == scrape.one("unitcost_device_utilization_ratio", **labels)
        assert each.memory_used_bytes == scrape.one("unitcost_device_memory_used_bytes", **labels)
        assert each.memory_total_bytes == scrape.one("unitcost_device_memory_total_bytes", **labels)
        assert each.power_watts == scrape.one("unitcost_device_power_watts", **labels)


def check_exporter(live: Live, scrape: Scrape) -> None:
    """Collectors and ledger."""
    assert len(live.collectors) + live.more_collectors == len(scrape.each("unitcost_collector_up"))
    for each in live.collectors:
        labels = {"collector": each.name}
        assert each.up == scrape.one("unitcost_collector_up", **labels)
        assert each.seconds == scrape.one("unitcost_collector_duration_seconds", **labels)
        last = scrape.one("unitcost_collector_last_success_timestamp_seconds", **labels)
        assert each.last_success == last
        errors = scrape.each("unitcost_collector_errors_total", **labels)
        assert each.errors == {dict(key)["kind"]: count for key, count in errors.items()}
    ledger = live.ledger
    assert ledger.writable == scrape.one("unitcost_ledger_writable")
    assert ledger.last_commit == scrape.one("unitcost_ledger_last_commit_timestamp_seconds")
    assert ledger.residual_usd == scrape.one("unitcost_conservation_residual_usd")
    gaps = scrape.each("unitcost_gap_seconds_total")
    assert ledger.gaps == {dict(key)["kind"]: value for key, value in gaps.items()}
    assert live.host_power_watts == scrape.one("unitcost_host_power_watts")
    assert live.emissions_grams == total(scrape, "unitcost_emissions_grams_total")
    assert live.host.window_seconds == scrape.one("unitcost_window_seconds")
