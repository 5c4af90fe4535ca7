"""Names that rules, dashboards and pages share: recorded series, labels, uids, links."""

from enum import StrEnum

GROUP = ("cluster", "workload", "model")
"""What a unit cost is of. Where nobody has given clusters a name, that label is just empty."""

WORKLOAD = ("cluster", "workload")
RUN = ("cluster", "workload", "run")
BUDGET = ("cluster", "budget")
TARGET = ("cluster", "job", "instance")
"""A host, as Prometheus knows it."""

RESERVED = "__.+__"
"""Workloads that are nobody's: held by none, the system's, not metered, too many."""

FACTORS = ("price", "mix", "failures", "loading", "idle", "speed")
"""Their product is how far the cost of a request is from its baseline: docs/alerts.md."""

TOTAL = "total"
READY = "total_without_loading"


class Recorded(StrEnum):
    """Series that the rules record; dashboards and alerts stand on them."""

    FLOW = "unitcost:flow:rate"
    SINGLE_MODEL = "unitcost:single_model:info"
    WEEKLY = "unitcost:flow:weekly"
    BASELINE = "unitcost:flow:baseline"
    WEIGHT = "unitcost:flow_weight:baseline"
    SUM = "unitcost:drift_sum:rate"
    CHANGE = "unitcost:drift_change:ratio"
    FACTOR = "unitcost:drift_factor:ratio"
    FACTOR_USD = "unitcost:drift_factor:usd_per_day"
    IDLE_USD = "unitcost:drift_idle:usd_per_day"
    LEVEL = "unitcost:drift_level:ratio"
    JUDGED = "unitcost:drift_judged:ratio"
    SCATTER = "unitcost:drift_scatter:log"
    THRESHOLD = "unitcost:drift_threshold:ratio"
    ONSET = "unitcost:drift_onset:timestamp_seconds"
    SINCE = "unitcost:drift_since:timestamp_seconds"
    CAUSE = "unitcost:drift_cause:info"
    OWNER = "unitcost:workload_owner:info"
    COST = "unitcost:workload_cost:usd_per_day"
    REQUEST_COST = "unitcost:request_cost:usd"
    SECOND_CHARGE = "unitcost:second_charge:info"
    UNIT_COST = "unitcost:unit_cost:usd"
    EPOCH_COST = "unitcost:epoch_cost:usd"
    RUN_COST = "unitcost:run_cost:usd"
    RUN_PROJECTED = "unitcost:run_projected_cost:usd"
    RUN_ALLOWED = "unitcost:run_allowed_cost:usd"
    BUDGET = "unitcost:budget:usd"
    BUDGET_SPENT = "unitcost:budget_spent:usd"
    BUDGET_BURN = "unitcost:budget_burn:usd_per_day"
    BUDGET_PROJECTED = "unitcost:budget_projected:usd"
    CONDITION_SINCE = "unitcost:condition_since:timestamp_seconds"


class Uid(StrEnum):
    """The dashboards' uids: they are in links and bookmarks, so they never change."""

    FLEET = "unitcost-fleet"
    INFERENCE = "unitcost-inference"
    TRAINING = "unitcost-training"
    DRIFT = "unitcost-drift"
    DEVICES = "unitcost-devices"
    EXPORTER = "unitcost-exporter"


def by(*labels: str) -> str:
    """A list of labels as `by (…)` and `on (…)` take it."""
    return ", ".join(labels)


G = by(*GROUP)
W = by(*WORKLOAD)
T = by(*TARGET)
