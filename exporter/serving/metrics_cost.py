"""Metrics of money and of what it bought: cost, price, units, and what a unit costs."""

from unitcost.exporter.serving.metric import Metric

COST = (
    Metric(
        "unitcost_cost_usd_total",
        "counter",
        "US dollars charged so far, by who held the resource and in which state (active, idle, "
        "loading). Summed over everything it is what the host has cost. Continues over restarts "
        "from the ledger; absent while the resource has no price.",
        ("workload", "kind", "model", "resource", "state"),
        "USD",
    ),
    Metric(
        "unitcost_held_seconds_total",
        "counter",
        "Seconds for which resources were held, times how much was held: core-seconds for cpu, "
        "GiB-seconds for memory. Counted with or without a price.",
        ("workload", "model", "resource", "state"),
        "resource-seconds",
    ),
    Metric(
        "unitcost_phase_seconds_total",
        "counter",
        "Seconds requests spent in each phase (prefill, decode, compute), as the server counts "
        "them. Absent where the server does not say.",
        ("workload", "model", "phase"),
        "seconds",
    ),
    Metric(
        "unitcost_resource_cost_usd_total",
        "counter",
        "US dollars each resource of this host has cost so far, by component (rent, amortisation, "
        "electricity, overhead), whoever held it. Absent while it has no price.",
        ("resource", "component"),
        "USD",
    ),
    Metric(
        "unitcost_cost_correction_usd",
        "gauge",
        "US dollars by which prices that were learnt late change what unitcost_cost_usd_total has "
        "counted; negative where it was too much. Add the two. Absent where nothing was corrected.",
        ("workload", "resource"),
        "USD",
    ),
    Metric(
        "unitcost_conservation_residual_usd",
        "gauge",
        "US dollars by which all charges differ from what the resources cost, computed from the "
        "ledger. Always 0; anything else is a defect of this exporter.",
        (),
        "USD",
    ),
)

PRICE = (
    Metric(
        "unitcost_price_usd_per_hour",
        "gauge",
        "US dollars an hour that each resource of this host costs now, all of it, and where the "
        "price comes from. What is charged by kWh or by hour of work is not in it. Absent while "
        "the resource has no price.",
        ("resource", "sku", "price_region", "price_model", "source"),
        "USD per hour",
    ),
    Metric(
        "unitcost_list_price_usd_per_hour",
        "gauge",
        "US dollars an hour that each resource would cost now before any discount, split as what "
        "is paid. Absent where nobody said: for a price that is stated, and for owned hardware.",
        ("resource", "sku", "price_region", "price_model", "source"),
        "USD per hour",
    ),
    Metric(
        "unitcost_on_demand_price_usd_per_hour",
        "gauge",
        "US dollars an hour that this whole host would cost on demand, after discounts, while it "
        "runs under other terms and a source says so. A Spot host that costs more than this is "
        "told, and not corrected.",
        ("sku", "price_region", "source"),
        "USD per hour",
    ),
    Metric(
        "unitcost_price_as_of_timestamp_seconds",
        "gauge",
        "When the price in use was last known to be right, in seconds since 1970 (UTC).",
        ("resource",),
        "Unix time in seconds",
    ),
    Metric(
        "unitcost_resource_unpriced",
        "gauge",
        "1 while this component of the resource's cost has no price, so that its dollars are "
        "unknown; 0 while it has one.",
        ("resource", "component"),
        "0 or 1",
    ),
    Metric(
        "unitcost_electricity_price_usd_per_kwh",
        "gauge",
        "US dollars for a kWh at the utility's meter now, all in, before PUE; and who says so. "
        "Only where hardware is owned and its electricity is charged by energy.",
        ("source",),
        "USD per kWh",
    ),
    Metric(
        "unitcost_electricity_month_kwh",
        "gauge",
        "kWh of the local month by which the tariff's slab is chosen: this host's, times PUE, and "
        "what month_kwh_elsewhere says of others. Only where the tariff has slabs.",
        (),
        "kWh",
    ),
    Metric(
        "unitcost_price_split_info",
        "gauge",
        "Always 1; the label names the rule that splits the host's price over its resources: by "
        "weights, or by the price of the type without GPUs that it names.",
        ("rule",),
        "always 1",
    ),
)

RATES = (
    Metric(
        "unitcost_fx_rate",
        "gauge",
        "Units of the currency for one US dollar (as bills state it): the exchange rate at which "
        "what this host is billed in that currency is converted now. US dollars times this is what "
        "is billed. Absent while all of it is billed in US dollars.",
        ("currency",),
        "units per USD",
    ),
    Metric(
        "unitcost_fx_rate_as_of_timestamp_seconds",
        "gauge",
        "The day that the exchange rate in use is of (of a peg, when it was last looked up): its "
        "beginning in UTC, in seconds since 1970.",
        ("currency",),
        "Unix time in seconds",
    ),
)

PRICE_SOURCES = (
    Metric(
        "unitcost_price_source_up",
        "gauge",
        "1 if the price source answered when it was last asked, 0 if it failed. Absent before it "
        "was asked, and where it knows no hosts of this provider.",
        ("source",),
        "0 or 1",
    ),
    Metric(
        "unitcost_price_source_last_success_timestamp_seconds",
        "gauge",
        "When the price source last answered, in seconds since 1970 (UTC). Absent before it did.",
        ("source",),
        "Unix time in seconds",
    ),
    Metric(
        "unitcost_price_source_errors_total",
        "counter",
        "Times the price source could not be read since this process started; what it said before "
        "is kept.",
        ("source",),
        "errors",
    ),
)

UNITS = (
    Metric(
        "unitcost_requests_total",
        "counter",
        "Requests finished so far, by outcome (succeeded, failed, aborted), counted from the first "
        "sight of the server on. An outcome the server does not report is absent.",
        ("workload", "model", "outcome"),
        "requests",
    ),
    Metric(
        "unitcost_tokens_total",
        "counter",
        "Tokens so far; the types do not overlap: input (computed), cached_input (from the prefix "
        "cache), output. A type the server does not report is absent.",
        ("workload", "model", "type"),
        "tokens",
    ),
    Metric(
        "unitcost_epochs_total",
        "counter",
        "Passes over the training data so far, as the training client reports them.",
        ("workload", "model"),
        "epochs",
    ),
    Metric(
        "unitcost_steps_total",
        "counter",
        "Optimiser steps so far, as the training client reports them.",
        ("workload", "model"),
        "steps",
    ),
    Metric(
        "unitcost_samples_total",
        "counter",
        "Training examples so far, as the training client reports them.",
        ("workload", "model"),
        "samples",
    ),
)

_PER_UNIT = (
    "over the last unitcost_window_seconds; basis allocated: all that was held, idle included; "
    "used: active time only. Absent while too few were seen or a price or signal is missing."
)

UNIT_COSTS = (
    Metric(
        "unitcost_request_cost_usd",
        "gauge",
        f"US dollars for each succeeded request, {_PER_UNIT}",
        ("workload", "model", "basis"),
        "USD per request",
    ),
    Metric(
        "unitcost_token_cost_usd",
        "gauge",
        f"US dollars for each token (type input, output, or all where they cannot be told apart), "
        f"{_PER_UNIT}",
        ("workload", "model", "type", "basis"),
        "USD per token",
    ),
    Metric(
        "unitcost_step_cost_usd",
        "gauge",
        f"US dollars for each training step, {_PER_UNIT}",
        ("workload", "model", "basis"),
        "USD per step",
    ),
    Metric(
        "unitcost_sample_cost_usd",
        "gauge",
        f"US dollars for each training example, {_PER_UNIT}",
        ("workload", "model", "basis"),
        "USD per sample",
    ),
    Metric(
        "unitcost_unit_coverage_ratio",
        "gauge",
        "Part of the units seen in the window that fell into metered and priced time, from 0 to "
        "1: what the unit costs rest on.",
        ("workload",),
        "ratio",
    ),
    Metric(
        "unitcost_window_seconds",
        "gauge",
        "Length of the sliding window of the unit costs, as configured.",
        (),
        "seconds",
    ),
)
