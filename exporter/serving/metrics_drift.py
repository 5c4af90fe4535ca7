"""Metrics of drift: by how much a unit costs more than it used to, and which factor did it."""

from unitcost.exporter.serving.metric import Metric

_BASE = (
    "against the same hour of past weeks (yesterday where there is none). Judged every 5 minutes; "
    "absent without a baseline or without requests."
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
        f"What a request cost over the last hour, {_BASE}",
        ("workload", "model", "unit"),
        "ratio",
    ),
    Metric(
        "unitcost_drift_factor_ratio",
        "gauge",
        "The drift ratio taken apart: price, mix (work in a request), failures, loading, idle and "
        f"speed multiply to it. Each {_BASE}",
        ("workload", "model", "unit", "factor"),
        "ratio",
    ),
    Metric(
        "unitcost_drift_usd_per_day",
        "gauge",
        "US dollars a day by which the requests of the last hour cost more than at the baseline's "
        "cost of a request; below 0 where they cost less.",
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
