"""Hugging Face's text-generation-inference (source of 3.x read, not run).

It names no model: say `model:` at the endpoint. Requests it refused (`err="validation"` and
`"overloaded"`) are failed ones like those that broke. It does not say what came from a cache.
Prefill and decode seconds are those of its batches, which many requests share.
"""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    name="tgi",
    marker=("tgi_",),
    processes=("text-generation-router", "text-generation-launcher"),
    ports=(3000, 80, 8080),
    requests_succeeded=(Series(metric="tgi_request_success"),),
    requests_failed=(Series(metric="tgi_request_failure"),),
    tokens_input=(Series(metric="tgi_request_input_length_sum"),),
    tokens_output=(Series(metric="tgi_request_generated_tokens_sum"),),
    prefill_seconds=(
        Series(metric="tgi_batch_inference_duration_sum", labels={"method": ("prefill",)}),
    ),
    decode_seconds=(
        Series(metric="tgi_batch_inference_duration_sum", labels={"method": ("decode",)}),
    ),
    request_seconds=(Series(metric="tgi_request_duration_sum"),),
    requests_timed=(Series(metric="tgi_request_duration_count"),),
    requests_running=(Series(metric="tgi_batch_current_size"),),
    requests_waiting=(Series(metric="tgi_queue_size"),),
)
