"""Metrics of workloads, of the host, and of this exporter itself."""

from unitcost.exporter.serving.metric import Metric

WORKLOADS = (
    Metric(
        "unitcost_request_latency_seconds",
        "gauge",
        "Mean time of a request in the server over the window, as the server reports it. Absent "
        "while no request finished or the server does not say.",
        ("workload", "model"),
        "seconds",
    ),
    Metric(
        "unitcost_requests_running",
        "gauge",
        "Requests the server is working on now. Absent where it does not say.",
        ("workload", "model"),
        "requests",
    ),
    Metric(
        "unitcost_requests_waiting",
        "gauge",
        "Requests queued in the server now. Absent where it does not say.",
        ("workload", "model"),
        "requests",
    ),
    Metric(
        "unitcost_workload_hosts",
        "gauge",
        "Hosts the workload runs on. Above 1 its unit costs are computed over the fleet, not here.",
        ("workload",),
        "hosts",
    ),
    Metric(
        "unitcost_workload_holders",
        "gauge",
        "Processes (the topmost ones) and containers that make up the workload on this host now: "
        "its replicas, and what runs beside them.",
        ("workload",),
        "processes and containers",
    ),
    Metric(
        "unitcost_workload_starts_total",
        "counter",
        "Processes (the topmost ones) and containers of the workload that began on this host after "
        "it was first seen: restarts, and more replicas. Those that began while this exporter was "
        "away are counted when it is back.",
        ("workload",),
        "starts",
    ),
    Metric(
        "unitcost_workload_info",
        "gauge",
        "Always 1; what kind of workload it is and who owns it. One series for each workload.",
        ("workload", "kind", "owner"),
        "always 1",
    ),
    Metric(
        "unitcost_workload_allocation_info",
        "gauge",
        "Always 1; how the workload's part of the resource is found (method), and which signal "
        "tells active from idle (none: all of it counts as active).",
        ("workload", "resource", "method", "busy_signal"),
        "always 1",
    ),
)

HOST = (
    Metric(
        "unitcost_host_cpu_utilization_ratio",
        "gauge",
        "Part of all logical CPUs that was busy over the last tick, from 0 to 1.",
        (),
        "ratio",
    ),
    Metric(
        "unitcost_host_memory_used_bytes",
        "gauge",
        "Memory of this host that is in use and could not be given to another process.",
        (),
        "bytes",
    ),
    Metric("unitcost_host_memory_total_bytes", "gauge", "Memory of this host.", (), "bytes"),
)

EXPORTER = (
    Metric(
        "unitcost_collector_up",
        "gauge",
        "1 if the collector's last reading succeeded in time, 0 if not. Absent where there is "
        "nothing for it to read.",
        ("collector",),
        "0 or 1",
    ),
    Metric(
        "unitcost_collector_duration_seconds",
        "gauge",
        "How long the collector's last reading took.",
        ("collector",),
        "seconds",
    ),
    Metric(
        "unitcost_collector_last_success_timestamp_seconds",
        "gauge",
        "When the collector last succeeded, in seconds since 1970 (UTC). Absent before that.",
        ("collector",),
        "Unix time in seconds",
    ),
    Metric(
        "unitcost_collector_errors_total",
        "counter",
        "Readings, or parts of one, that failed or were rejected since the start, by kind.",
        ("collector", "kind"),
        "errors",
    ),
    Metric(
        "unitcost_series_dropped_total",
        "counter",
        "Series left out of /metrics, counted at every tick: limit (too many), not_finite (NaN or "
        "infinite), duplicate, malformed.",
        ("reason",),
        "series",
    ),
    Metric(
        "unitcost_ledger_writable",
        "gauge",
        "1 if the last write to the ledger succeeded, 0 if not; the totals here then stand still "
        "until it can be written again.",
        (),
        "0 or 1",
    ),
    Metric(
        "unitcost_ledger_write_errors_total",
        "counter",
        "Writes to the ledger that failed since the start.",
        (),
        "errors",
    ),
    Metric(
        "unitcost_ledger_last_commit_timestamp_seconds",
        "gauge",
        "When charges were last committed, in seconds since 1970 (UTC).",
        (),
        "Unix time in seconds",
    ),
    Metric("unitcost_ledger_size_bytes", "gauge", "Size of the ledger's files.", (), "bytes"),
    Metric(
        "unitcost_ledger_set_aside_total",
        "counter",
        "Ledger files found corrupt and set aside since the start; each is kept for inspection.",
        (),
        "files",
    ),
    Metric(
        "unitcost_clock_steps_total",
        "counter",
        "Times the wall clock was seen to jump since the start; durations do not follow it.",
        (),
        "steps",
    ),
    Metric(
        "unitcost_gap_seconds_total",
        "counter",
        "Seconds in which this exporter was not metering, by what became of them: carried (same "
        "holders), unmetered (host ran, holders unknown), down (owned host was off, amortised), "
        "unknown (host may have been off).",
        ("kind",),
        "seconds",
    ),
    Metric(
        "unitcost_tick_duration_seconds",
        "gauge",
        "How long the last tick took, from reading to rendering.",
        (),
        "seconds",
    ),
    Metric(
        "unitcost_tick_failures_total",
        "counter",
        "Ticks whose settling failed by a defect of this exporter; it then goes on from what the "
        "ledger holds.",
        (),
        "ticks",
    ),
    Metric(
        "unitcost_host_info",
        "gauge",
        "Always 1; the host that charges are kept under, and what is charged: all of it (host), "
        "what one pod holds (pod), or nothing (units). Dollars of a pod on a host that is charged "
        "as a whole are in the host's already.",
        ("host", "scope"),
        "always 1",
    ),
    Metric(
        "unitcost_build_info",
        "gauge",
        "Always 1; the version of this exporter.",
        ("version",),
        "always 1",
    ),
)

HTTP_REQUESTS = Metric(
    "unitcost_http_requests_total",
    "counter",
    "HTTP requests answered since the start, by path (other: no such page) and status code.",
    ("path", "code"),
    "requests",
)
"""Counted by the web server, which is why it is no point of a snapshot (selfmetrics.py)."""

WEB_CONFIG = (
    Metric(
        "unitcost_web_config_up",
        "gauge",
        "1 if the web configuration file and its certificates are in use as they are, 0 if they "
        "changed to what cannot be used and the old goes on. Absent where there is none.",
        (),
        "0 or 1",
    ),
    Metric(
        "unitcost_web_config_reload_failures_total",
        "counter",
        "Times the web configuration file or its certificates changed to what could not be used.",
        (),
        "failures",
    ),
)
