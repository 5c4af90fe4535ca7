"""Metrics of what training costs: its epochs and its runs."""

from unitcost.exporter.serving.metric import Metric

TRAINING = (
    Metric(
        "unitcost_epoch_cost_usd",
        "gauge",
        "US dollars the last whole epoch cost, held until the next one ends; basis as for "
        "requests. Absent before the first epoch ends and where ranks run on other hosts.",
        ("workload", "model", "basis"),
        "USD per epoch",
    ),
    Metric(
        "unitcost_epoch_cost_part_usd",
        "gauge",
        "US dollars of the last whole epoch that this host cost. For a run on several hosts, sum "
        "it where unitcost_epoch_last agrees.",
        ("workload", "run"),
        "USD",
    ),
    Metric(
        "unitcost_epoch_last",
        "gauge",
        "Number of the last whole epoch, the one unitcost_epoch_cost_part_usd is about.",
        ("workload", "run"),
        "epochs",
    ),
    Metric(
        "unitcost_run_cost_usd",
        "gauge",
        "US dollars this training run has cost on this host so far, all attempts together.",
        ("workload", "run"),
        "USD",
    ),
    Metric(
        "unitcost_run_attempts",
        "gauge",
        "Attempts at this training run that are known here: 1, and 1 more for each restart. Every "
        "host of a run counts them: take the maximum.",
        ("workload", "run"),
        "attempts",
    ),
    Metric(
        "unitcost_run_progress_ratio",
        "gauge",
        "How far this training run is on the way to its goal (steps, else epochs), from 0 to 1. "
        "Absent without a goal. For a run on several hosts each says the same: take the maximum.",
        ("workload", "run"),
        "ratio",
    ),
    Metric(
        "unitcost_run_projected_cost_usd",
        "gauge",
        "US dollars this run will have cost on this host at its goal: expected, and the low and "
        "high ends between which 9 of 10 such runs end. Absent without a goal, a price or a "
        "measured rate; the ends need 3 intervals. Over several hosts: sum if all have it.",
        ("workload", "run", "bound"),
        "USD",
    ),
    Metric(
        "unitcost_run_stall_cost_usd_total",
        "counter",
        "US dollars of this run's cost on this host while its processes waited, by reason "
        "(data_loading, checkpoint, straggler). Part of the run's cost: never add them. Absent "
        "where nobody counts it. Over several hosts: sum.",
        ("workload", "run", "reason"),
        "USD",
    ),
    Metric(
        "unitcost_run_repeated_cost_usd_total",
        "counter",
        "US dollars of this run's cost on this host for steps (else epochs) that an earlier "
        "attempt had done. Part of the run's cost: never add them. Over several hosts: sum.",
        ("workload", "run"),
        "USD",
    ),
)
