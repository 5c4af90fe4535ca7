"""Metrics of sending charges to the fleet's ledger; absent where nothing is sent."""

from unitcost.exporter.serving.metric import Metric

FLEET = (
    Metric(
        "unitcost_central_unsent_deliveries",
        "gauge",
        "Deliveries (one for each clock hour that changed) that the fleet's ledger lacked when "
        "they were last sent; 0 where all arrived. They wait in this host's own ledger.",
        (),
        "deliveries",
    ),
    Metric(
        "unitcost_central_last_success_timestamp_seconds",
        "gauge",
        "When the fleet's ledger last had all hours of this one, in seconds since 1970 (UTC); "
        "absent before the first time.",
        (),
        "Unix time in seconds",
    ),
    Metric(
        "unitcost_central_errors_total",
        "counter",
        "Hours that could not be sent since the start, by why: unreachable, unauthorized, "
        "unavailable (it cannot store now), conflict (another agent is this host), rejected (it "
        "makes no sense there), ledger (ours cannot be read).",
        ("kind",),
        "errors",
    ),
)
