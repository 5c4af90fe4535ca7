"""Metrics of drift: by how much a unit costs more than it used to, and which factor did it."""

from unitcost.exporter.serving.metric import Metric

_BASE = (
    "over the last hour against the same hour of past weeks (yesterday where there is none). "
    "Judged every 5 minutes; absent without a baseline or units."
)

NOTIFICATIONS = (
    Metric(
        "unitcost_notifications_total",
        "counter",
        "Posts to each channel since the start: sent, failed (tried, and tried again later), "
        "dropped (too many waited). Absent where nobody is to be told.",
        ("channel", "outcome"),
        "posts",
    ),
    Metric(
        "unitcost_notifications_waiting",
        "gauge",
        "Posts that a channel has not got yet.",
        ("channel",),
        "posts",
    ),
)

DRIFT = (
    Metric(
        "unitcost_drift_ratio",
        "gauge",
        f"What a unit (a request; a training's step, else a sample or token) cost, {_BASE}",
        ("workload", "model", "unit"),
        "ratio",
    ),
    Metric(
        "unitcost_drift_factor_ratio",
        "gauge",
        "The drift ratio taken apart: price, mix (work in a unit), failures (of requests), "
        f"loading, idle and speed multiply to it. Each {_BASE}",
        ("workload", "model", "unit", "factor"),
        "ratio",
    ),
    Metric(
        "unitcost_drift_usd_per_day",
        "gauge",
        "US dollars a day by which the units of the last hour cost more than at the baseline's "
        "cost of a unit; below 0 where they cost less.",
        ("workload", "model", "unit"),
        "USD per day",
    ),
    Metric(
        "unitcost_drift_since_timestamp_seconds",
        "gauge",
        "Since when a factor has been out of its own usual scatter, about, in seconds since 1970 "
        "(UTC). There only while it is.",
        ("workload", "model", "unit", "factor"),
        "Unix time in seconds",
    ),
)
