"""Istio's sidecar at a server's pod (documentation, not run): requests that came in to it.

Both ends of a call count it; here only `reporter="destination"` is read, never both. At a gateway,
which is only ever a source, use `server: istio_gateway`. Models are workloads. A call whose client
left (`response_flags="DC"`) is aborted, whatever its code; a gRPC call with a status that is not 0
has failed, though its code is 200. Probes go to the agent, and are not counted.
"""

from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.sample import Layer

MILLISECONDS = 1e-3
_LEFT = {"response_flags": ("DC",)}


def istio_table(name: str, marker: tuple[str, ...], reporter: str) -> ServerTable:
    """What one end of each call counted."""
    here = {"reporter": (reporter,)}
    good = {**here, "response_code": ("101", "2*", "3*"), "grpc_response_status": ("", "0")}

    def bad(metric: str, scale: float = 1.0) -> Series:
        less = Term(metric=metric, labels=good, without=_LEFT, scale=scale)
        return Series(metric=metric, labels=here, without=_LEFT, scale=scale, less=(less,))

    count, duration = "istio_requests_total", "istio_request_duration_milliseconds"
    return ServerTable(
        name=name,
        marker=marker,
        layer=Layer.GATEWAY,
        processes=("pilot-agent",),
        ports=(15020, 15090),
        paths=("/stats/prometheus",),
        model_label="destination_workload",
        requests_succeeded=(Series(metric=count, labels=good, without=_LEFT),),
        requests_failed=(bad(count),),
        requests_aborted=(Series(metric=count, labels={**here, **_LEFT}),),
        request_seconds=(Series(metric=f"{duration}_sum", labels=here, scale=MILLISECONDS),),
        requests_timed=(Series(metric=f"{duration}_count", labels=here),),
        failed_seconds=(bad(f"{duration}_sum", MILLISECONDS),),
        aborted_seconds=(
            Series(metric=f"{duration}_sum", labels={**here, **_LEFT}, scale=MILLISECONDS),
        ),
    )


SERVER = istio_table("istio", ("istio_",), "destination")
