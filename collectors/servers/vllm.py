"""vLLM, engine V1 (sources of 0.8.5 to 0.28 read, 0.32 run) and V0 (until 0.11).

Every source is the engine's own: what it rejects with HTTP 4xx before that costs nothing and is
not counted, nor are health checks. A request with n > 1 counts n times, as the engine does. One
that the client leaves early is in no request counter (its tokens are counted): vllm#31503. Its
tokens are those made less those of finished requests, at moments at which none runs or waits: a
server that never stands still does not say.

Input tokens are those that were computed. From 0.17 on vLLM counts them by source; 0.14 to 0.16
have the computed tokens of finished requests. Older ones count hits of the prefix cache again
and again while a request waits (vllm#43736), so there cached tokens are unknown, and `input` is
all prompt tokens. Decode seconds are `request_decode_time_seconds`; sums of time per output token
are means, not times. V0 keeps preempted requests apart (`num_requests_swapped`): they wait.

Triton's vLLM backend puts the same names on Triton's page, with other labels: its table reads it.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

SERVER = ServerTable(
    name="vllm",
    marker=("vllm:",),
    yields_to=("triton",),
    processes=("vllm",),
    ports=(8000,),
    model_label="model_name",
    part_labels=("engine",),
    requests_succeeded=(
        Series(
            metric="vllm:request_success_total", without={"finished_reason": ("abort", "error")}
        ),
    ),
    requests_failed=(
        Series(metric="vllm:request_success_total", labels={"finished_reason": ("error",)}),
    ),
    requests_aborted=(
        Series(metric="vllm:request_success_total", labels={"finished_reason": ("abort",)}),
    ),
    tokens_input=(
        Series(metric="vllm:prompt_tokens_by_source_total", labels={"source": ("local_compute",)}),
        Series(metric="vllm:prompt_tokens_total", minus="vllm:prompt_tokens_cached_total"),
        Series(metric="vllm:request_prefill_kv_computed_tokens_sum"),
        Series(metric="vllm:prompt_tokens_total"),
    ),
    tokens_cached_input=(
        Series(metric="vllm:prompt_tokens_cached_total"),
        Series(
            metric="vllm:request_prompt_tokens_sum",
            minus="vllm:request_prefill_kv_computed_tokens_sum",
        ),
    ),
    tokens_output=(Series(metric="vllm:generation_tokens_total"),),
    aborted_tokens=(
        Series(
            metric="vllm:prompt_tokens_by_source_total",
            labels={"source": ("local_compute",)},
            plus=(Term(metric="vllm:generation_tokens_total"),),
            less=(
                Term(metric="vllm:request_prefill_kv_computed_tokens_sum"),
                Term(metric="vllm:request_generation_tokens_sum"),
            ),
            when_idle=True,
        ),
        Series(
            metric="vllm:generation_tokens_total",
            minus="vllm:request_generation_tokens_sum",
            when_idle=True,
        ),
    ),
    prefill_seconds=(Series(metric="vllm:request_prefill_time_seconds_sum"),),
    decode_seconds=(Series(metric="vllm:request_decode_time_seconds_sum"),),
    request_seconds=(Series(metric="vllm:e2e_request_latency_seconds_sum"),),
    requests_timed=(Series(metric="vllm:e2e_request_latency_seconds_count"),),
    requests_running=(Series(metric="vllm:num_requests_running"),),
    requests_waiting=(
        Series(
            metric="vllm:num_requests_waiting", plus=(Term(metric="vllm:num_requests_swapped"),)
        ),
    ),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)
