"""BentoML (1.4.39 run; source of 1.0 and 1.1 read).

Services of 1.2 and later count as `bentoml_service_`, those of 1.0 and 1.1 as
`bentoml_api_server_`; runners count the same requests again and are left out. `/readyz`, `/livez`
and `/healthz` are counted by BentoML and are no requests; neither are the pages of its API browser.
A series is born with the first request of its kind. Answers that are no 2xx or 3xx are failures.
"""

from unitcost.collectors.tables import Series, ServerTable

_ADMIN = {
    "endpoint": ("/readyz", "/livez", "/healthz", "/metrics", "/", "/docs.json", "/static_content*")
}
_PREFIXES = ("bentoml_service_", "bentoml_api_server_")
_GOOD = ("2*", "3*")


def _each(
    name: str, labels: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> tuple[Series, ...]:
    keep = {"http_response_code": labels} if labels else {}
    drop = {**_ADMIN, "http_response_code": without} if without else _ADMIN
    return tuple(Series(metric=prefix + name, labels=keep, without=drop) for prefix in _PREFIXES)


SERVER = ServerTable(
    name="bentoml",
    marker=_PREFIXES,
    processes=("bentoml",),
    ports=(3000,),
    model_label="service_name",
    requests_succeeded=_each("request_total", _GOOD),
    requests_failed=_each("request_total", (), _GOOD),
    request_seconds=_each("request_duration_seconds_sum"),
    requests_timed=_each("request_duration_seconds_count"),
    failed_seconds=_each("request_duration_seconds_sum", (), _GOOD),
    requests_running=_each("request_in_progress"),
    lazy=True,
)
