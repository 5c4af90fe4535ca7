"""SGLang with --enable-metrics (sources of 0.4.6, 0.5.3 and 0.5.23 read, none run).

Tokens and requests are counted when a request has finished. One that the client leaves counts as
finished too, and once more in `num_aborted_requests_total` (from 0.5.3 on): succeeded are the
finished ones less those. Failures are not counted by the engine. Series are born with their first
value and, as several processes write them, are not even declared before: what is subtracted and
not there is zero. Prompt tokens include cached ones; from 0.5.4 on cached ones have a label for
the level of the cache, and requests and tokens one for streaming: all are summed.

Prefill and decode seconds are the time of the device in forward passes (`extend`, `decode`), of
all ranks, where the version measures it; most do not.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

SERVER = ServerTable(
    name="sglang",
    marker=("sglang:",),
    processes=("sglang",),
    ports=(30000,),
    model_label="model_name",
    part_labels=("dp_rank",),
    requests_succeeded=(
        Series(
            metric="sglang:num_requests_total",
            less=(Term(metric="sglang:num_aborted_requests_total"),),
        ),
    ),
    requests_aborted=(Series(metric="sglang:num_aborted_requests_total"),),
    tokens_input=(
        Series(
            metric="sglang:prompt_tokens_total", less=(Term(metric="sglang:cached_tokens_total"),)
        ),
    ),
    tokens_cached_input=(Series(metric="sglang:cached_tokens_total"),),
    tokens_output=(Series(metric="sglang:generation_tokens_total"),),
    prefill_seconds=(
        Series(metric="sglang:forward_execution_seconds_total", labels={"category": ("extend",)}),
        Series(metric="sglang:gpu_execution_seconds_total", labels={"category": ("extend",)}),
    ),
    decode_seconds=(
        Series(metric="sglang:forward_execution_seconds_total", labels={"category": ("decode",)}),
        Series(metric="sglang:gpu_execution_seconds_total", labels={"category": ("decode",)}),
    ),
    request_seconds=(Series(metric="sglang:e2e_request_latency_seconds_sum"),),
    requests_timed=(Series(metric="sglang:e2e_request_latency_seconds_count"),),
    requests_running=(Series(metric="sglang:num_running_reqs"),),
    requests_waiting=(Series(metric="sglang:num_queue_reqs"),),
)
