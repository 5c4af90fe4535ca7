"""TensorRT-LLM's trtllm-serve (sources of 1.1.0rc5 and of 2026 read, none run).

Its metrics page is `/prometheus/metrics` (`/metrics` is JSON), and has numbers only with
`return_perf_metrics: true`; running and waiting want `enable_iter_perf_stats: true` too. 1.1.0rc5
counted requests and their seconds, but no tokens: there tokens are unknown. Requests finish as
`stop`, `length`, `timeout` or `cancelled`; errors have a counter of their own, born with the first.
Prompt tokens include cached ones. Under Dynamo until 0.7 the names began with `trtllm:`.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_BAD_ENDS = ("cancelled", "timeout")


def _both(name: str) -> tuple[Series, ...]:
    return (Series(metric=f"trtllm_{name}"), Series(metric=f"trtllm:{name}"))


SERVER = ServerTable(
    name="trtllm",
    marker=("trtllm_", "trtllm:"),
    processes=("trtllm-serve",),
    ports=(8000,),
    paths=("/prometheus/metrics", "/metrics"),
    model_label="model_name",
    requests_succeeded=(
        Series(metric="trtllm_request_success_total", without={"finished_reason": _BAD_ENDS}),
        Series(metric="trtllm:request_success_total", without={"finished_reason": _BAD_ENDS}),
    ),
    requests_failed=(
        Series(
            metric="trtllm_request_error_total",
            plus=(
                Term(
                    metric="trtllm_request_success_total", labels={"finished_reason": ("timeout",)}
                ),
            ),
        ),
        Series(metric="trtllm_request_success_total", labels={"finished_reason": ("timeout",)}),
    ),
    requests_aborted=(
        Series(metric="trtllm_request_success_total", labels={"finished_reason": ("cancelled",)}),
    ),
    tokens_input=(
        Series(
            metric="trtllm_prompt_tokens_total",
            less=(Term(metric="trtllm_prompt_cached_tokens_total"),),
        ),
    ),
    tokens_cached_input=(Series(metric="trtllm_prompt_cached_tokens_total"),),
    tokens_output=(Series(metric="trtllm_generation_tokens_total"),),
    prefill_seconds=(Series(metric="trtllm_request_prefill_time_seconds_sum"),),
    decode_seconds=(Series(metric="trtllm_request_decode_time_seconds_sum"),),
    request_seconds=_both("e2e_request_latency_seconds_sum"),
    requests_timed=_both("e2e_request_latency_seconds_count"),
    requests_running=(Series(metric="trtllm_num_requests_running"),),
    requests_waiting=(Series(metric="trtllm_num_requests_waiting"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)
