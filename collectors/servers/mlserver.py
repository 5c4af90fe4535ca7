"""Seldon MLServer (1.7.1 run): requests by model, over REST and gRPC alike.

Its series are born with the first request for a model; until then it only declares them. A
request for a model that it does not have counts as failed, under the name asked for. Requests
running are those over REST (POST, so no health checks); it has no such gauge for gRPC.
"""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    name="mlserver",
    marker=("model_infer_request_",),
    processes=("mlserver",),
    ports=(8082,),
    model_label="model",
    part_labels=("version",),
    requests_succeeded=(Series(metric="model_infer_request_success_total"),),
    requests_failed=(Series(metric="model_infer_request_failure_total"),),
    compute_seconds=(Series(metric="model_infer_request_duration_sum"),),
    request_seconds=(Series(metric="model_infer_request_duration_sum"),),
    requests_timed=(Series(metric="model_infer_request_duration_count"),),
    requests_running=(
        Series(metric="rest_server_requests_in_progress", labels={"method": ("POST",)}),
    ),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
    lazy=True,
)
