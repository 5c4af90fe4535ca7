"""Ray Serve (2.60 run): requests of each application, as its proxies answered them.

The page is Ray's own, at the node's metrics export port; it is large, and only what is named here
is read. Deployments count too, but one request may pass through several of them: the proxies' count
is that of the clients. Health checks and the list of routes are no requests, and what belongs to no
application (404) never reached one. Ray ends a request whose client left with code 499
(`disconnection` in older versions). Until 2.9 counters had no `_total`. Each proxy is a process of
its own, which may start anew alone. With OTEL_SDK_DISABLED set the page is empty. Where LLMs are
served by Ray Serve LLM, its table reads the page.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

_MILLISECONDS = 1e-3
_ADMIN = {"route": ("/-/healthz", "/-/routes"), "application": ("",)}
_GOOD = ("1*", "2*", "3*", "OK", "StatusCode.OK")
_LEFT = ("499", "disconnection", "CANCELLED", "StatusCode.CANCELLED")
_HTTP, _GRPC = "ray_serve_num_http_requests", "ray_serve_num_grpc_requests"


def _requests(labels: tuple[str, ...], without: tuple[str, ...]) -> tuple[Series, ...]:
    """HTTP and gRPC together, with and without `_total`; none of the two need be there."""
    keep = {"status_code": labels} if labels else {}
    drop = {**_ADMIN, "status_code": without} if without else _ADMIN
    return tuple(
        alternative
        for end in ("_total", "")
        for alternative in (
            Series(
                metric=_HTTP + end,
                labels=keep,
                without=drop,
                plus=(Term(metric=_GRPC + end, labels=keep, without=drop),),
            ),
            Series(metric=_GRPC + end, labels=keep, without=drop),
        )
    )


def _latency(end: str, scale: float, without: tuple[str, ...] = ()) -> tuple[Series, ...]:
    drop = {**_ADMIN, "status_code": without} if without else _ADMIN
    http, grpc = (f"ray_serve_{kind}_request_latency_ms{end}" for kind in ("http", "grpc"))
    return (
        Series(
            metric=http,
            scale=scale,
            without=drop,
            plus=(Term(metric=grpc, scale=scale, without=drop),),
        ),
        Series(metric=grpc, scale=scale, without=drop),
    )


SERVER = ServerTable(
    name="ray_serve",
    marker=("ray_serve_",),
    yields_to=("ray_serve_llm",),
    processes=("ray/dashboard/agent.py", "ray::ServeController"),
    ports=(8080,),
    model_label="application",
    part_labels=("WorkerId",),
    requests_succeeded=_requests(_GOOD, ()),
    requests_failed=_requests((), ("", *_GOOD, *_LEFT)),
    requests_aborted=_requests(_LEFT, ()),
    request_seconds=_latency("_sum", _MILLISECONDS),
    requests_timed=_latency("_count", 1.0),
    failed_seconds=_latency("_sum", _MILLISECONDS, ("", *_GOOD, *_LEFT)),
    requests_running=(Series(metric="ray_serve_replica_processing_queries"),),
    requests_waiting=(Series(metric="ray_serve_deployment_queued_queries"),),
)
