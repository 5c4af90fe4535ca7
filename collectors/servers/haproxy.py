"""HAProxy (2.8 run) in front of a server that does not count: requests by backend and answer.

Backends are the models. Answers of its own statistics page are counted where that is a backend or
a `listen`; those of the usual names are left out. Answers of HAProxy itself (503, no server) are
failures. A client that leaves is counted by the code of the answer it did not wait for.
"""

from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import Layer

_STATISTICS = {"proxy": ("stats", "prometheus", "metrics", "monitoring", "health", "healthz")}
_GOOD = ("1xx", "2xx", "3xx")
_ANSWERS = "haproxy_backend_http_responses_total"

SERVER = ServerTable(
    name="haproxy",
    marker=("haproxy_",),
    layer=Layer.GATEWAY,
    processes=("haproxy",),
    ports=(8404, 8405),
    model_label="proxy",
    requests_succeeded=(Series(metric=_ANSWERS, labels={"code": _GOOD}, without=_STATISTICS),),
    requests_failed=(Series(metric=_ANSWERS, without={**_STATISTICS, "code": _GOOD}),),
    requests_running=(Series(metric="haproxy_backend_current_sessions", without=_STATISTICS),),
    requests_waiting=(Series(metric="haproxy_backend_current_queue", without=_STATISTICS),),
    start_time_seconds=(Series(metric="haproxy_process_start_time_seconds"),),
)
