"""NVIDIA NIM for LLMs 1.x (documentation read, not run): vLLM's names without `vllm:`.

Its names are so plain that any other table's markers go first. It does not say what came from its
cache: `input` is the whole prompt. Requests that ended neither by `stop` nor by `length`, those the
client left among them, are its failures. 24.05 had its page at `/metrics`.
NIM 2 runs vLLM and shows vLLM's own names: the table of vLLM reads them.
"""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    name="nim",
    marker=("num_request_max", "request_finish_total"),
    yields_to=("*",),
    processes=("nim_llm", "/opt/nim"),
    ports=(8000,),
    paths=("/v1/metrics", "/metrics"),
    model_label="model_name",
    requests_succeeded=(Series(metric="request_success_total"),),
    requests_failed=(Series(metric="request_failure_total"),),
    tokens_input=(Series(metric="prompt_tokens_total"),),
    tokens_output=(Series(metric="generation_tokens_total"),),
    request_seconds=(Series(metric="e2e_request_latency_seconds_sum"),),
    requests_timed=(Series(metric="e2e_request_latency_seconds_count"),),
    requests_running=(Series(metric="num_requests_running"),),
    requests_waiting=(Series(metric="num_requests_waiting"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)
