"""llama.cpp's llama-server with --metrics (the build in llama-cpp-python 0.3.36 run).

It counts tokens and seconds, but no requests and no failures: there is no $/request without a
proxy in front of it. `prompt_tokens_total` leaves cached tokens out; builds without
`prompt_tokens_cached_total` do not say how many those were. It names no model and no start time.
"""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    name="llamacpp",
    marker=("llamacpp:",),
    processes=("llama-server",),
    ports=(8080,),
    tokens_input=(Series(metric="llamacpp:prompt_tokens_total"),),
    tokens_cached_input=(Series(metric="llamacpp:prompt_tokens_cached_total"),),
    tokens_output=(Series(metric="llamacpp:tokens_predicted_total"),),
    prefill_seconds=(Series(metric="llamacpp:prompt_seconds_total"),),
    decode_seconds=(Series(metric="llamacpp:tokens_predicted_seconds_total"),),
    requests_running=(Series(metric="llamacpp:requests_processing"),),
    requests_waiting=(Series(metric="llamacpp:requests_deferred"),),
)
