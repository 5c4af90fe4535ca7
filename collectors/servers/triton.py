"""NVIDIA Triton (2.51 run through nvidia-pytriton 0.7.0), and its TensorRT-LLM and vLLM backends.

Requests, not rows: `nv_inference_count` counts each row of a batch. A malformed request is answered
with HTTP 400 and counted by nothing. Older versions do not give the reason of a failure: there
cancelled requests are failed ones. A Python model may answer with an error that Triton counts as a
success. An ensemble counts for itself and again for each of its steps, under their own names: say
at the endpoint which `models` to count. The backends add tokens: vLLM's under vLLM's names,
TensorRT-LLM's as histograms of lengths; neither says what came from a cache.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_MICROSECONDS = 1e-6
_CANCELLED = ("CANCELED",)
_TRTLLM_INPUT = {"response_metric_type": ("total_input_tokens",)}
_TRTLLM_OUTPUT = {"response_metric_type": ("total_output_tokens",)}

SERVER = ServerTable(
    name="triton",
    marker=("nv_inference_",),
    processes=("tritonserver",),
    ports=(8002,),
    model_label="model",
    part_labels=("version",),
    requests_succeeded=(Series(metric="nv_inference_request_success"),),
    requests_failed=(
        Series(metric="nv_inference_request_failure", without={"reason": _CANCELLED}),
    ),
    requests_aborted=(
        Series(metric="nv_inference_request_failure", labels={"reason": _CANCELLED}),
    ),
    tokens_input=(
        Series(
            metric="vllm:prompt_tokens_total",
            plus=(Term(metric="nv_llm_input_token_len_sum", labels=_TRTLLM_INPUT),),
        ),
        Series(metric="nv_llm_input_token_len_sum", labels=_TRTLLM_INPUT),
    ),
    tokens_output=(
        Series(
            metric="vllm:generation_tokens_total",
            plus=(Term(metric="nv_llm_output_token_len_sum", labels=_TRTLLM_OUTPUT),),
        ),
        Series(metric="nv_llm_output_token_len_sum", labels=_TRTLLM_OUTPUT),
    ),
    compute_seconds=(Series(metric="nv_inference_compute_infer_duration_us", scale=_MICROSECONDS),),
    request_seconds=(Series(metric="nv_inference_request_duration_us", scale=_MICROSECONDS),),
    requests_timed=(Series(metric="nv_inference_request_success"),),
    requests_running=(
        Series(metric="nv_trt_llm_request_metrics", labels={"request_type": ("active",)}),
    ),
    requests_waiting=(Series(metric="nv_inference_pending_request_count"),),
)
