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
)
