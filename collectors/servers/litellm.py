"""LiteLLM's proxy as a gateway (1.106 run; labels since 1.60 read).

Its page is `/metrics/` (without the slash it redirects) and wants the master key or one like it:
`bearer_token_file`. Models go by the name that was asked for. Input tokens include cached ones.
Code 499 is a client that left; where requests have no code, all of them count as good. Seconds are
those of good requests. Its spend is a list price: not read. Tenants are teams by their alias;
hashed keys are never used unless the configuration names that label and each key. Its gauge of
requests in flight counts the one that asks for the page too: it would never be idle.
"""

from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.sample import Layer

_REQUESTS = "litellm_proxy_total_requests_metric_total"
_CACHED = "litellm_input_cached_tokens_metric_total"
_ADMIN = {
    "route": ("/health*", "/metrics*", "/models*", "/v1/models*", "/key*", "/user*", "/team*")
}
_GOOD, _LEFT = ("2*", "3*"), ("499",)
_NO_FAILURE = {**_ADMIN, "status_code": ("", *_GOOD, *_LEFT)}

SERVER = ServerTable(
    name="litellm",
    marker=("litellm_",),
    layer=Layer.GATEWAY,
    processes=("litellm",),
    ports=(4000,),
    paths=("/metrics/", "/metrics"),
    model_label="requested_model",
    tenant_labels=("team_alias", "team", "api_key_alias", "end_user", "user"),
    requests_succeeded=(
        Series(metric=_REQUESTS, labels={"status_code": _GOOD}, without=_ADMIN),
        Series(metric=_REQUESTS, labels={"status_code": ("",)}, without=_ADMIN),
    ),
    requests_failed=(Series(metric=_REQUESTS, without=_NO_FAILURE),),
    requests_aborted=(Series(metric=_REQUESTS, labels={"status_code": _LEFT}, without=_ADMIN),),
    tokens_input=(
        Series(metric="litellm_input_tokens_metric_total", less=(Term(metric=_CACHED),)),
        Series(metric="litellm_input_tokens_total"),
    ),
    tokens_cached_input=(Series(metric=_CACHED),),
    tokens_output=(
        Series(metric="litellm_output_tokens_metric_total"),
        Series(metric="litellm_output_tokens_total"),
    ),
    request_seconds=(Series(metric="litellm_request_total_latency_metric_sum"),),
    requests_timed=(Series(metric="litellm_request_total_latency_metric_count"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
    lazy=True,
)
