"""NVIDIA Dynamo's frontend (1.6.1 run with a simulated engine, sources since 0.2 read).

It counts what clients asked for and were given. A stream that the client leaves counts as a
success (1.6.1, seen), as cancelled in later ones. `output_tokens_total` is what was delivered; the
histogram of output lengths also holds what was generated for nobody. Names began with
`nv_llm_http_service_` at first; another prefix can be set (DYN_METRICS_PREFIX), and then needs a
table of one's own. Models nobody has are folded into `unknown_model`.
"""

from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.sample import Layer

_PREFIXES = ("dynamo_frontend_", "nv_llm_http_service_")
_CANCELLED = ("cancelled",)


def _each(name: str) -> tuple[Series, ...]:
    return tuple(Series(metric=prefix + name) for prefix in _PREFIXES)


SERVER = ServerTable(
    name="dynamo_frontend",
    marker=_PREFIXES,
    layer=Layer.FRONTEND,
    processes=("dynamo.frontend", "dynamo-run"),
    ports=(8000, 8080),
    model_label="model",
    requests_succeeded=tuple(
        Series(metric=f"{prefix}requests_total", labels={"status": ("success",)})
        for prefix in _PREFIXES
    ),
    requests_failed=tuple(
        Series(
            metric=f"{prefix}requests_total",
            labels={"status": ("error",)},
            without={"error_type": _CANCELLED},
        )
        for prefix in _PREFIXES
    ),
    requests_aborted=tuple(
        Series(
            metric=f"{prefix}requests_total",
            labels={"status": ("error",), "error_type": _CANCELLED},
        )
        for prefix in _PREFIXES
    ),
    tokens_input=tuple(
        Series(
            metric=f"{prefix}input_sequence_tokens_sum",
            less=(Term(metric=f"{prefix}cached_tokens_sum"),),
        )
        for prefix in _PREFIXES
    ),
    tokens_cached_input=_each("cached_tokens_sum"),
    tokens_output=(*_each("output_tokens_total"), *_each("output_sequence_tokens_sum")),
    request_seconds=_each("request_duration_seconds_sum"),
    requests_timed=_each("request_duration_seconds_count"),
    requests_running=(*_each("inflight_requests"), *_each("inflight_requests_total")),
    requests_waiting=(*_each("queued_requests"), *_each("queued_requests_total")),
)
