"""TorchServe (0.12 run) with metrics_mode=prometheus.

`ts_inference_requests_total` counts every request for a model, also those that failed, and the
counter of failures does not say of which model they were (nor which answers were health checks,
`/ping`): here all requests count as succeeded, and failed ones are unknown. Compute seconds are the
time of good requests less the time they waited.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_MICROSECONDS = 1e-6

SERVER = ServerTable(
    name="torchserve",
    marker=("ts_inference_", "ts_queue_latency_"),
    processes=("org.pytorch.serve.ModelServer",),
    ports=(8082,),
    model_label="model_name",
    part_labels=("model_version",),
    requests_succeeded=(Series(metric="ts_inference_requests_total"),),
    compute_seconds=(
        Series(
            metric="ts_inference_latency_microseconds",
            scale=_MICROSECONDS,
            less=(Term(metric="ts_queue_latency_microseconds", scale=_MICROSECONDS),),
        ),
    ),
    lazy=True,
)
