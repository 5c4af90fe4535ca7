"""Acme's model server (2.3 run): its metrics page in unitcost's words.

Its prompt tokens hold the cached ones, so these are subtracted. It counts no aborted requests.
"""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    marker=("acme_",),
    model_label="model",
    requests_succeeded=(Series(metric="acme_requests_total", labels={"status": ("ok",)}),),
    requests_failed=(Series(metric="acme_requests_total", without={"status": ("ok",)}),),
    tokens_input=(Series(metric="acme_prompt_tokens_total", minus="acme_cached_tokens_total"),),
    tokens_cached_input=(Series(metric="acme_cached_tokens_total"),),
    tokens_output=(Series(metric="acme_generated_tokens_total"),),
    request_seconds=(Series(metric="acme_request_milliseconds_sum", scale=1e-3),),
    requests_timed=(Series(metric="acme_request_milliseconds_count"),),
    requests_running=(Series(metric="acme_running"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)
