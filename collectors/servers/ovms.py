"""OpenVINO Model Server with --metrics_enable (documentation of 2024.5 and later, not run).

Requests are counted by interface and method; those for a model's metadata or state are none.
Graphs (MediaPipe, LLMs among them) count what they accepted and rejected, and errors of the graph.
`ovms_responses` are packets, not tokens: tokens are unknown. A pipeline counts for itself; its
models only show how they worked.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_MICROSECONDS = 1e-6
_ADMIN = {"method": ("ModelMetadata", "ModelReady", "GetModelStatus", "GetModelMetadata")}
_ACCEPTED, _ERROR = "ovms_requests_accepted", "ovms_graph_error"

SERVER = ServerTable(
    name="ovms",
    marker=("ovms_",),
    processes=("/ovms/bin/ovms", "ovms --"),
    ports=(8000, 9001),
    model_label="name",
    part_labels=("version",),
    requests_succeeded=(
        Series(
            metric="ovms_requests_success",
            without=_ADMIN,
            plus=(Term(metric=_ACCEPTED),),
            less=(Term(metric=_ERROR),),
        ),
        Series(metric=_ACCEPTED, less=(Term(metric=_ERROR),)),
    ),
    requests_failed=(
        Series(
            metric="ovms_requests_fail",
            without=_ADMIN,
            plus=(Term(metric="ovms_requests_rejected"), Term(metric=_ERROR)),
        ),
        Series(metric="ovms_requests_rejected", plus=(Term(metric=_ERROR),)),
    ),
    compute_seconds=(Series(metric="ovms_inference_time_us_sum", scale=_MICROSECONDS),),
    request_seconds=(Series(metric="ovms_request_time_us_sum", scale=_MICROSECONDS),),
    requests_timed=(Series(metric="ovms_request_time_us_count"),),
    requests_running=(
        Series(metric="ovms_current_requests", plus=(Term(metric="ovms_current_graphs"),)),
        Series(metric="ovms_current_graphs"),
    ),
)
