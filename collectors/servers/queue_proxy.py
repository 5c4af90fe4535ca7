"""Knative's queue-proxy, which KServe puts in front of a model (documentation to 1.18, not run).

It counts what came to the pod and how it was answered, probes left out, for any server behind it.
With KServe's aggregation (port 9088) its series stand on one page with the model's own: then the
model's table reads the page, and this one must be named (`server: queue_proxy`) to be used. Newer
versions that count by OpenTelemetry (`kn_queueproxy_`) need a table of one's own.
"""

from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import Layer

_MILLISECONDS = 1e-3
_GOOD = ("1xx", "2xx", "3xx")

SERVER = ServerTable(
    name="queue_proxy",
    marker=("revision_request_", "revision_app_request_"),
    yields_to=("*",),
    layer=Layer.FRONTEND,
    processes=("/ko-app/queue",),
    ports=(9091, 9088),
    model_label="service_name",
    part_labels=("pod_name",),
    requests_succeeded=(
        Series(metric="revision_request_count", labels={"response_code_class": _GOOD}),
    ),
    requests_failed=(
        Series(metric="revision_request_count", without={"response_code_class": _GOOD}),
    ),
    request_seconds=(Series(metric="revision_request_latencies_sum", scale=_MILLISECONDS),),
    requests_timed=(Series(metric="revision_request_latencies_count"),),
    failed_seconds=(
        Series(
            metric="revision_request_latencies_sum",
            without={"response_code_class": _GOOD},
            scale=_MILLISECONDS,
        ),
    ),
)
