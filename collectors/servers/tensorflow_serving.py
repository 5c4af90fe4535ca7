"""TensorFlow Serving (source read, not run); names begin with a colon.

Its page must be switched on with --monitoring_config_file, and is at the REST port. Outcomes are
gRPC's codes, over REST as well. Seconds have no outcome.
"""

from unitcost.collectors.tables import Series, ServerTable

_MICROSECONDS = 1e-6
_PREFIX = ":tensorflow:serving:"
_GOOD, _LEFT = ("OK",), ("CANCELLED",)

SERVER = ServerTable(
    name="tensorflow_serving",
    marker=(_PREFIX,),
    processes=("tensorflow_model_server",),
    ports=(8501,),
    paths=("/monitoring/prometheus/metrics",),
    model_label="model_name",
    requests_succeeded=(Series(metric=f"{_PREFIX}request_count", labels={"status": _GOOD}),),
    requests_failed=(Series(metric=f"{_PREFIX}request_count", without={"status": _GOOD + _LEFT}),),
    requests_aborted=(Series(metric=f"{_PREFIX}request_count", labels={"status": _LEFT}),),
    compute_seconds=(Series(metric=f"{_PREFIX}runtime_latency_sum", scale=_MICROSECONDS),),
    request_seconds=(Series(metric=f"{_PREFIX}request_latency_sum", scale=_MICROSECONDS),),
    requests_timed=(Series(metric=f"{_PREFIX}request_latency_count"),),
    lazy=True,
)
