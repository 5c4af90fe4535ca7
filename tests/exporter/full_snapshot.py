"""A snapshot with points of every metric, as a host with one server and one training run has."""

from collections.abc import Iterable
from itertools import product

from unitcost.exporter.serving.metric import Metric
from unitcost.exporter.serving.metrics import METRICS
from unitcost.exporter.serving.snapshot import Point, Snapshot

LABEL_VALUES: dict[str, tuple[str, ...]] = {
    "averaging": ("average", "instant"),
    "basis": ("allocated", "used"),
    "bound": ("expected", "low", "high"),
    "budget": ("search",),
    "busy_signal": ("cpu_time",),
    "channel": ("slack",),
    "collector": ("host", "openmetrics"),
    "component": ("rent",),
    "country": ("AE",),
    "currency": ("EUR",),
    "device": ("gpu:GPU-1",),
    "factor": ("price", "idle"),
    "host": ("node-1",),
    "item": ("data_acquisition", "labelling"),
    "kind": ("inference",),
    "layer": ("engine", "gateway"),
    "meter": ("gpu:GPU-1",),
    "method": ("process",),
    "metric": ("graphics_engine_active",),
    "mig_instance": ("MIG-1",),
    "model": ("llama-3",),
    "outcome": ("succeeded", "failed", "aborted"),
    "owner": ('the "search" team',),
    "part": ("compute", "labelling"),
    "phase": ("prefill", "decode"),
    "price_model": ("override",),
    "price_region": ("",),
    "quantity": ("requests", "tokens"),
    "product": ("NVIDIA H100 80GB HBM3",),
    "profile": ("3g.40gb",),
    "reason": ("repeated",),
    "resource": ("cpu", "memory"),
    "rule": ("default_weights",),
    "run": ("run-1",),
    "scope": ("gpu",),
    "sku": ("",),
    "source": ("configuration",),
    "state": ("active", "idle", "loading"),
    "tenant": ("search", "__other__"),
    "trained_model": ("support-7b",),
    "type": ("input", "cached_input", "output"),
    "unit": ("request", "step"),
    "vendor": ("nvidia",),
    "version": ("0.1.0",),
    "workload": ("chat", "C:\\mnist"),
    "workload_container": ("server",),
    "workload_namespace": ("team-a",),
    "workload_pod": ("chat-0",),
    "year": ("2024",),
}
COLLECTOR_ERRORS = "unitcost_collector_errors_total"
GAPS = "unitcost_gap_seconds_total"


def points_of(metric: Metric) -> Iterable[Point]:
    """One point for each combination of label values; values differ, some are large."""
    values = [LABEL_VALUES[label] for label in metric.labels]
    if metric.name == COLLECTOR_ERRORS:
        values = [("host",), ("timeout", "raised")]
    if metric.name == GAPS:
        values = [("carried", "unmetered", "down", "unknown")]
    for number, labels in enumerate(product(*values)):
        yield labels, 0.1 * number * 10 ** (number % 9)


def full_snapshot() -> Snapshot:
    """Every metric of the table, but the one the renderer fills in itself."""
    own = "unitcost_series_dropped_total"
    points = {metric.name: list(points_of(metric)) for metric in METRICS if metric.name != own}
    return Snapshot(1_767_225_600_000_000_000, points)
