"""A worker of NVIDIA Dynamo (1.6.1 run with a simulated engine) that has no engine's own series.

Workers have a page only where DYN_SYSTEM_PORT is set. One with vLLM, SGLang or TensorRT-LLM passes
that engine's series through, and they say more: then the engine's table reads the page. Only the
endpoint `generate` is work; others clear caches or report load. A request that has ended with an
error is in the histogram of durations too.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_GENERATE = {"dynamo_endpoint": ("generate",)}

SERVER = ServerTable(
    name="dynamo_worker",
    marker=("dynamo_component_",),
    yields_to=("vllm", "sglang", "trtllm", "dynamo_frontend"),
    processes=("dynamo.vllm", "dynamo.sglang", "dynamo.trtllm", "dynamo.mocker"),
    ports=(8081,),
    model_label="model",
    requests_succeeded=(
        Series(
            metric="dynamo_component_request_duration_seconds_count",
            labels=_GENERATE,
            less=(Term(metric="dynamo_component_errors_total", labels=_GENERATE),),
        ),
    ),
    requests_failed=(Series(metric="dynamo_component_errors_total", labels=_GENERATE),),
    compute_seconds=(
        Series(metric="dynamo_component_request_duration_seconds_sum", labels=_GENERATE),
    ),
    request_seconds=(
        Series(metric="dynamo_component_request_duration_seconds_sum", labels=_GENERATE),
    ),
    requests_timed=(
        Series(metric="dynamo_component_request_duration_seconds_count", labels=_GENERATE),
    ),
    requests_running=(Series(metric="dynamo_component_inflight_requests", labels=_GENERATE),),
)
