"""Envoy AI Gateway (source of 2025 and 2026 read, not run), with OpenTelemetry's names.

Of the kinds of token only `input`, `cached_input` and `output` are used: `cached_input` and
`cache_creation_input` are parts of `input` (the second was computed), `reasoning` is part of
`output`, and `total` in early versions is both. Failed requests have an `error_type`. Labels for
tenants are made from request headers by the gateway's configuration.
"""

from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.sample import Layer

_USAGE = ("gen_ai_client_token_usage_token_sum", "gen_ai_client_token_usage_sum")
_DURATION = "gen_ai_server_request_duration_seconds"
_TYPE, _NO_ERROR = "gen_ai_token_type", {"error_type": ("",)}
_CACHED = {_TYPE: ("cached_input",)}

SERVER = ServerTable(
    name="envoy_ai_gateway",
    marker=("gen_ai_client_token_usage", "gen_ai_server_"),
    yields_to=("otel_genai",),
    layer=Layer.GATEWAY,
    processes=("extproc",),
    ports=(1064,),
    model_label="gen_ai_request_model",
    tenant_labels=("tenant_id", "team_id", "user_id"),
    requests_succeeded=(Series(metric=f"{_DURATION}_count", labels=_NO_ERROR),),
    requests_failed=(Series(metric=f"{_DURATION}_count", without=_NO_ERROR),),
    tokens_input=tuple(
        Series(metric=name, labels={_TYPE: ("input",)}, less=(Term(metric=name, labels=_CACHED),))
        for name in _USAGE
    ),
    tokens_cached_input=tuple(Series(metric=name, labels=_CACHED) for name in _USAGE),
    tokens_output=tuple(Series(metric=name, labels={_TYPE: ("output",)}) for name in _USAGE),
    request_seconds=(Series(metric=f"{_DURATION}_sum"),),
    requests_timed=(Series(metric=f"{_DURATION}_count"),),
    failed_seconds=(Series(metric=f"{_DURATION}_sum", without=_NO_ERROR),),
)
