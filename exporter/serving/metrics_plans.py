"""Metrics of money that is not the host's: items, what models cost to train, budgets."""

from unitcost.exporter.serving.metric import Metric

ITEMS = (
    Metric(
        "unitcost_item_cost_usd_total",
        "counter",
        "US dollars booked so far of items that are stated, not measured (data, labelling, staff "
        "...), by type. Never part of unitcost_cost_usd_total. Never falls: what was stated too "
        "high is in unitcost_item_cost_correction_usd.",
        ("workload", "item"),
        "USD",
    ),
    Metric(
        "unitcost_item_cost_correction_usd",
        "gauge",
        "US dollars to add to unitcost_item_cost_usd_total to have what is stated now: 0, or "
        "negative where an item was lowered or withdrawn after it was booked.",
        ("workload", "item"),
        "USD",
    ),
    Metric(
        "unitcost_items_rejected",
        "gauge",
        "Items that are stated and not booked now: rows of the items file that make no sense, ids "
        "that the configuration has too, or more than can be kept. Logged.",
        (),
        "items",
    ),
    Metric(
        "unitcost_items_file_up",
        "gauge",
        "1 if the items file could be read when it was last looked at, else 0: its items stay as "
        "they were. Absent without one.",
        (),
        "0 or 1",
    ),
    Metric(
        "unitcost_memo_opportunity_cost_usd_total",
        "counter",
        "Memo: US dollars that idle GPU time would have cost or earned at the rate that the "
        "configuration states. Nobody pays them: they are in no other metric, and are never to be "
        "added to one. Absent if not configured.",
        ("workload", "resource"),
        "USD",
    ),
)

TRAINED = (
    Metric(
        "unitcost_training_cost_usd",
        "gauge",
        "US dollars a model cost to train so far, as far as this host knows, by part: compute, "
        "and types of items. Runs may be in several models: never sum over trained_model.",
        ("trained_model", "part"),
        "USD",
    ),
    Metric(
        "unitcost_training_total_cost_usd",
        "gauge",
        "US dollars a model cost to train so far, all parts together. Absent while the cost of one "
        "of its runs is not known here.",
        ("trained_model",),
        "USD",
    ),
    Metric(
        "unitcost_training_expected_requests",
        "gauge",
        "Requests that the configuration expects a trained model to serve; what its training cost "
        "is spread over.",
        ("workload", "model"),
        "requests",
    ),
    Metric(
        "unitcost_request_training_cost_usd",
        "gauge",
        "US dollars of training for each request: unitcost_training_total_cost_usd over the "
        "requests that the configuration expects, which nobody measured. Never part of "
        "unitcost_request_cost_usd. Absent if not configured.",
        ("workload", "model", "basis"),
        "USD per request",
    ),
)

BUDGETS = (
    Metric(
        "unitcost_budget_usd",
        "gauge",
        "US dollars that the configuration allows for each period of this budget.",
        ("budget",),
        "USD",
    ),
    Metric(
        "unitcost_budget_spent_usd",
        "gauge",
        "US dollars that this host charged in the budget's present period since "
        "unitcost_budget_since_timestamp_seconds; the least it can be where "
        "unitcost_budget_spent_whole is 0. Absent while nothing that was charged has a price.",
        ("budget",),
        "USD",
    ),
    Metric(
        "unitcost_budget_spent_whole",
        "gauge",
        "1 if unitcost_budget_spent_usd is all that was spent in the period so far; 0 if some of "
        "it has no price, or is not known, or the ledger does not reach back to its start.",
        ("budget",),
        "0 or 1",
    ),
    Metric(
        "unitcost_budget_since_timestamp_seconds",
        "gauge",
        "Since when the budget's spending is known, in seconds since 1970 (UTC): the start of the "
        "period, or later where the ledger does not reach back to it.",
        ("budget",),
        "Unix time in seconds",
    ),
    Metric(
        "unitcost_budget_period_start_timestamp_seconds",
        "gauge",
        "When the budget's present period began, in seconds since 1970 (UTC).",
        ("budget",),
        "Unix time in seconds",
    ),
    Metric(
        "unitcost_budget_period_end_timestamp_seconds",
        "gauge",
        "When the budget's present period ends and the next begins, in seconds since 1970 (UTC).",
        ("budget",),
        "Unix time in seconds",
    ),
)
