"""Metrics that tell apart what is charged already; none of them is ever added to a cost."""

from unitcost.exporter.serving.metric import Metric

WASTE = (
    Metric(
        "unitcost_waste_cost_usd_total",
        "counter",
        "US dollars of active cost that went into requests which failed or were aborted, by the "
        "seconds or tokens the server counts for them. A part of unitcost_cost_usd_total; idle and "
        "loading are states there. Absent where the server does not say.",
        ("workload", "model", "reason"),
        "USD",
    ),
    Metric(
        "unitcost_cache_savings_usd_total",
        "counter",
        "US dollars that cached input tokens would have cost had they been computed, at what an "
        "input token cost then while the server was busy. Absent where the server does not tell "
        "cached input, or prefill from decode.",
        ("workload", "model"),
        "USD",
    ),
)

TENANTS = (
    Metric(
        "unitcost_tenant_cost_usd_total",
        "counter",
        "US dollars charged to the workload, by on whose behalf it worked in the window. "
        "From a workload's first known tenant on, the sum over tenants is what it was charged. "
        "__other__: nobody is known, or one too many.",
        ("workload", "model", "tenant"),
        "USD",
    ),
    Metric(
        "unitcost_tenant_requests_total",
        "counter",
        "Succeeded requests by tenant, as the gateway or server labels them.",
        ("workload", "model", "tenant"),
        "requests",
    ),
    Metric(
        "unitcost_tenant_tokens_total",
        "counter",
        "Tokens by tenant and type, as the gateway or server labels them; types as in "
        "unitcost_tokens_total.",
        ("workload", "model", "tenant", "type"),
        "tokens",
    ),
)

METHODS = (
    Metric(
        "unitcost_layer_disagreement_ratio",
        "gauge",
        "What a layer (engine, frontend, gateway) counted over the window, over what the billed "
        "layer counted, less 1: 0 where they agree. Succeeded requests, and tokens of all types. "
        "Absent where one layer counts, or the billed one counted nothing.",
        ("workload", "layer", "quantity"),
        "ratio",
    ),
    Metric(
        "unitcost_billed_layer_info",
        "gauge",
        "Always 1; which layer's count of requests, tokens and phases is billed.",
        ("workload", "layer", "quantity"),
        "always 1",
    ),
    Metric(
        "unitcost_model_split_info",
        "gauge",
        "Always 1; by what a server's cost is split over its models: phase_seconds, tokens, "
        "requests, or equal where nothing tells them apart. Workloads with several models only.",
        ("workload", "method"),
        "always 1",
    ),
)
