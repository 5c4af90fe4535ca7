"""Hugging Face's text-embeddings-inference (source of 2026 read, not run).

A request with many inputs is one request (`method="batch"`); `te_embed_success` counts its inputs.
It names no model: say `model:` at the endpoint. There are no output tokens.
"""

from unitcost.collectors.tables import Series, ServerTable

SERVER = ServerTable(
    name="tei",
    marker=("te_request_", "te_embed_", "te_queue_size"),
    processes=("text-embeddings-router",),
    ports=(3000, 80, 8080),
    requests_succeeded=(Series(metric="te_request_success"),),
    requests_failed=(Series(metric="te_request_failure"),),
    tokens_input=(Series(metric="te_request_input_length_sum"),),
    compute_seconds=(Series(metric="te_request_inference_duration_sum"),),
    request_seconds=(Series(metric="te_request_duration_sum"),),
    requests_timed=(Series(metric="te_request_duration_count"),),
    requests_waiting=(Series(metric="te_queue_size"),),
)
