"""OpenTelemetry's conventions for generative AI, as a Prometheus page shows them (texts of 2024 to
2026 read, not run): what instrumented clients and gateways of any make report.

New counters (`gen_ai.client.inference.usage.*`) come before the old histogram, which the texts no
longer want used for cost. Tokens read from or written to a cache are parts of the input tokens, and
reasoning tokens of the output tokens: nothing is added on top. Operations that only call others
(agents, workflows, tools) are left out, or each call would count at every level.

A collector shows many clients on one page, each of which may start anew alone, and stops showing
what did not change for some minutes. So what is summed elsewhere is kept apart here.
"""

from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.sample import Layer

_COUNTER = "gen_ai_client_inference_usage_"
_USAGE = ("gen_ai_client_token_usage_token_sum", "gen_ai_client_token_usage_sum")
_DURATION = "gen_ai_client_operation_duration_seconds"
_OUTER = {
    "gen_ai_operation_name": ("create_agent", "invoke_agent", "invoke_workflow", "execute_tool")
}
_CACHED = {"gen_ai_token_type": ("cached_input", "cache_read", "input_cached")}
_CACHE_READ = f"{_COUNTER}cache_read_input_tokens_total"


def _histogram(kind: str) -> tuple[Series, ...]:
    labels = {"gen_ai_token_type": (kind,)}
    return tuple(Series(metric=name, labels=labels, without=_OUTER) for name in _USAGE)


SERVER = ServerTable(
    name="otel_genai",
    marker=("gen_ai_client_operation_", _COUNTER),
    layer=Layer.GATEWAY,
    processes=("otelcol",),
    ports=(8889, 9464),
    model_label="gen_ai_request_model",
    part_labels=("instance", "job", "error_type", "gen_ai_response_model", "server_address"),
    tenant_labels=("tenant_id", "team_id", "user_id"),
    requests_succeeded=(
        Series(metric=f"{_DURATION}_count", labels={"error_type": ("",)}, without=_OUTER),
    ),
    requests_failed=(Series(metric=f"{_DURATION}_count", without={**_OUTER, "error_type": ("",)}),),
    tokens_input=(
        Series(
            metric=f"{_COUNTER}input_tokens_total",
            without=_OUTER,
            less=(Term(metric=_CACHE_READ, without=_OUTER),),
        ),
        *(
            Series(
                metric=name,
                labels={"gen_ai_token_type": ("input",)},
                without=_OUTER,
                less=(Term(metric=name, labels=_CACHED, without=_OUTER),),
            )
            for name in _USAGE
        ),
    ),
    tokens_cached_input=(
        Series(metric=_CACHE_READ, without=_OUTER),
        *(Series(metric=name, labels=_CACHED, without=_OUTER) for name in _USAGE),
    ),
    tokens_output=(
        Series(metric=f"{_COUNTER}output_tokens_total", without=_OUTER),
        *_histogram("output"),
    ),
    request_seconds=(Series(metric=f"{_DURATION}_sum", without=_OUTER),),
    requests_timed=(Series(metric=f"{_DURATION}_count", without=_OUTER),),
    failed_seconds=(Series(metric=f"{_DURATION}_sum", without={**_OUTER, "error_type": ("",)}),),
)
