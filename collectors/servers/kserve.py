"""KServe's Python runtime (0.21 run): predictors and transformers built on `kserve.Model`.

It has no counters, but times each step of a request: what was answered is what came to the last
one, `postprocess`; what failed is what was predicted or explained and never got there. A runtime
with an engine inside (the Hugging Face one with vLLM) shows that engine's series too: then the
engine's table reads the page.
"""

from unitcost.collectors.tables import Series, ServerTable, Term

SERVER = ServerTable(
    name="kserve",
    marker=(
        "request_predict_seconds",
        "request_preprocess_seconds",
        "request_postprocess_seconds",
        "request_explain_seconds",
    ),
    yields_to=("vllm", "sglang", "mlserver", "triton"),
    processes=("kserve",),
    ports=(8080,),
    model_label="model_name",
    requests_succeeded=(Series(metric="request_postprocess_seconds_count"),),
    requests_failed=(
        Series(
            metric="request_predict_seconds_count",
            plus=(Term(metric="request_explain_seconds_count"),),
            less=(Term(metric="request_postprocess_seconds_count"),),
        ),
    ),
    compute_seconds=(Series(metric="request_predict_seconds_sum"),),
    request_seconds=(
        Series(
            metric="request_predict_seconds_sum",
            plus=(
                Term(metric="request_explain_seconds_sum"),
                Term(metric="request_preprocess_seconds_sum"),
                Term(metric="request_postprocess_seconds_sum"),
            ),
        ),
    ),
    requests_timed=(
        Series(
            metric="request_predict_seconds_count",
            plus=(Term(metric="request_explain_seconds_count"),),
        ),
    ),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
    lazy=True,
)
