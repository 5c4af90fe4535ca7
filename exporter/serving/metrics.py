"""Every metric this exporter serves: name, type, labels, unit, and what it says. One table.

Names, types and labels are a public contract (dashboards, rules and users stand on them): they
change only with a deprecation, and a test compares them with a frozen list. Run as a module it
prints docs/metrics.md.
"""

from unitcost.exporter.serving.metric import Metric
from unitcost.exporter.serving.metrics_cost import (
    COST,
    PRICE,
    PRICE_SOURCES,
    RATES,
    UNIT_COSTS,
    UNITS,
)
from unitcost.exporter.serving.metrics_device import CARBON, DEVICES, ENERGY, PODS
from unitcost.exporter.serving.metrics_drift import DRIFT, NOTIFICATIONS
from unitcost.exporter.serving.metrics_fleet import FLEET
from unitcost.exporter.serving.metrics_memo import METHODS, TENANTS, WASTE
from unitcost.exporter.serving.metrics_plans import BUDGETS, ITEMS, TRAINED
from unitcost.exporter.serving.metrics_state import (
    EXPORTER,
    HOST,
    HTTP_REQUESTS,
    WEB_CONFIG,
    WORKLOADS,
)
from unitcost.exporter.serving.metrics_training import TRAINING

SECTIONS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    ("What it cost", COST),
    ("What it costs an hour", (*PRICE, *RATES)),
    ("Who says so", PRICE_SOURCES),
    ("What was done", UNITS),
    ("What a unit costs", UNIT_COSTS),
    ("Drift", DRIFT),
    ("What training costs", TRAINING),
    ("What is paid for beside compute", ITEMS),
    ("What a model cost to train", TRAINED),
    ("Budgets", BUDGETS),
    ("Waste and savings", WASTE),
    ("Tenants", TENANTS),
    ("Layers and models", METHODS),
    ("Workloads", (*WORKLOADS, *PODS)),
    ("Accelerators", DEVICES),
    ("Power and energy", ENERGY),
    ("Carbon", CARBON),
    ("The host", HOST),
    ("This exporter", EXPORTER),
    ("Whom it tells", NOTIFICATIONS),
    ("The fleet's ledger", FLEET),
    ("Its web server", (HTTP_REQUESTS, *WEB_CONFIG)),
)

METRICS: tuple[Metric, ...] = tuple(
    metric for _, metrics in SECTIONS for metric in metrics if metric is not HTTP_REQUESTS
)
"""All metrics a snapshot may have points of, in the order in which they are served."""

HEADER = """\
# Metrics

<!-- Made by `./dev docs`; a test compares the two. -->

`/metrics` serves these in the Prometheus text format 0.0.4, whatever the scraper asks for:
OpenMetrics is not negotiated, because nothing here needs exemplars or `_created` series and
every Prometheus since 0.4 reads the text format. Gzip is.

A series that is absent means *unknown*; 0 means *measured zero*. Counters run from the ledger
where they are about money, time and units, so they go on over a restart; the others start at 0.
Take `rate()` or `increase()` before any `sum()`. At most 10,000 series are served, 2,000 of one
metric; what is over is counted in `unitcost_series_dropped_total`. Label values are cut to 128
characters.
"""

PROCESS = """\
## The process

`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
`process_open_fds`, `process_max_fds` and `process_start_time_seconds`, as every Prometheus
client library defines them.
"""


def document() -> str:
    """Write all metrics as Markdown, one table for each section."""
    sections = [f"## {title}\n\n{_table(metrics)}" for title, metrics in SECTIONS]
    return "\n".join([HEADER, *sections, PROCESS])


def _table(metrics: tuple[Metric, ...]) -> str:
    lines = ["| name | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{m.name}` | {m.type} | {', '.join(f'`{name}`' for name in m.labels)} "
        f"| {m.unit} | {m.help} |"
        for m in metrics
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")
