"""What `unitcost central` says of itself and of its agents; an exporter serves none of it."""

from unitcost.exporter.serving.metric import Metric

CENTRAL_METRICS = (
    Metric(
        "unitcost_fleet_agents",
        "gauge",
        "Hosts and scopes that delivered within the last day.",
        (),
        "agents",
    ),
    Metric(
        "unitcost_fleet_agents_late",
        "gauge",
        "Of these, those of which nothing is known that is younger than an hour.",
        (),
        "agents",
    ),
    Metric(
        "unitcost_fleet_lag_seconds",
        "gauge",
        "How old the last metered time is of the agent that is furthest behind, of those that "
        "delivered within the last day.",
        (),
        "seconds",
    ),
    Metric(
        "unitcost_fleet_deliveries_total",
        "counter",
        "Deliveries taken since the start: stored, or repeated (it was there already).",
        ("outcome",),
        "deliveries",
    ),
    Metric(
        "unitcost_fleet_rejected_total",
        "counter",
        "Deliveries not taken since the start: unauthorized, wrong_host (another's token), "
        "too_large, malformed, unbalanced (charged is not accrued), conflict (two agents are one "
        "host), busy, unavailable (the database is away).",
        ("reason",),
        "deliveries",
    ),
    Metric(
        "unitcost_fleet_rows_written_total",
        "counter",
        "Charges and accruals written since the start; an hour is written whole, so many times "
        "over while it lasts.",
        (),
        "rows",
    ),
    Metric(
        "unitcost_fleet_database_up",
        "gauge",
        "1 if the database could be reached when it was last tried, else 0.",
        (),
        "0 or 1",
    ),
    Metric(
        "unitcost_fleet_build_info",
        "gauge",
        "Always 1; the version of this software.",
        ("version",),
        "always 1",
    ),
)
