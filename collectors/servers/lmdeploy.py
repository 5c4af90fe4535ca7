"""LMDeploy with --enable-metrics (source of 0.18 read, not run).

Requests that finished have their reason in a label: FINISH is a good end, CANCEL one that the
client left, everything else an error. Versions without that counter have two gauges that only
rise. Prompt tokens include cached ones. Each data-parallel engine has series of its own.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_GOOD = ("ResponseType.FINISH", "ResponseType.SUCCESS", "FINISH", "SUCCESS")
_LEFT = ("ResponseType.CANCEL", "CANCEL")

SERVER = ServerTable(
    name="lmdeploy",
    marker=("lmdeploy:",),
    processes=("lmdeploy",),
    ports=(23333,),
    model_label="model_name",
    part_labels=("engine",),
    requests_succeeded=(
        Series(metric="lmdeploy:request_success_total", labels={"finished_reason": _GOOD}),
        Series(metric="lmdeploy:num_requests_succeeded"),
    ),
    requests_failed=(
        Series(metric="lmdeploy:request_success_total", without={"finished_reason": _GOOD + _LEFT}),
        Series(metric="lmdeploy:num_requests_failed"),
    ),
    requests_aborted=(
        Series(metric="lmdeploy:request_success_total", labels={"finished_reason": _LEFT}),
    ),
    tokens_input=(
        Series(
            metric="lmdeploy:prompt_tokens_total",
            less=(Term(metric="lmdeploy:cached_tokens_total"),),
        ),
    ),
    tokens_cached_input=(Series(metric="lmdeploy:cached_tokens_total"),),
    tokens_output=(Series(metric="lmdeploy:generation_tokens_total"),),
    prefill_seconds=(Series(metric="lmdeploy:request_prefill_time_seconds_sum"),),
    decode_seconds=(Series(metric="lmdeploy:request_decode_time_seconds_sum"),),
    request_seconds=(Series(metric="lmdeploy:e2e_request_latency_seconds_sum"),),
    requests_timed=(Series(metric="lmdeploy:e2e_request_latency_seconds_count"),),
    requests_running=(Series(metric="lmdeploy:num_requests_running"),),
    requests_waiting=(
        Series(
            metric="lmdeploy:num_requests_waiting",
            plus=(Term(metric="lmdeploy:num_api_requests_waiting"),),
        ),
    ),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)
