"""Which table reads a page: each built-in server by what it says, and none where none is right."""

import itertools
from pathlib import Path

import pytest

from tests.collectors import test_servers_engines as engines
from tests.collectors import test_servers_gateways as gateways
from tests.collectors import test_servers_models as models
from tests.collectors.raw_server import capture
from unitcost.collectors.base import discover
from unitcost.collectors.page.recognise import Recogniser, Unrecognised
from unitcost.collectors.page.table_reading import has_marker, make_plan
from unitcost.collectors.tables import Series, ServerTable

import unitcost.collectors.servers as servers  # isort: skip # the package, for discover

CAPTURES = sorted(file.stem for file in (Path(__file__).parents[1] / "captures").glob("*.prom"))
TABLES = {
    item.module.SERVER.name: item.module.SERVER
    for item in discover(servers, "SERVER")
    if item.module is not None
}
PLANS = {name: make_plan(table) for name, table in TABLES.items()}
RECOGNISER = Recogniser({}, PLANS)
SILENT = sorted(name for name, table in TABLES.items() if table.advice)

WHOSE = {
    "vllm-cpu": "vllm",
    "vllm-v0": "vllm",
    "llama.cpp": "llamacpp",
    "mlserver": "mlserver",
    "triton": "triton",
    "bentoml": "bentoml",
    "sglang": "sglang",
    "trtllm": "trtllm",
    "dynamo-frontend": "dynamo_frontend",
    "dynamo-worker-mocker": "dynamo_worker",
    "dynamo-worker-vllm": "vllm",
    "nim": "nim",
    "tgi": "tgi",
    "tei": "tei",
    "lmdeploy": "lmdeploy",
    "ray-serve-llm": "ray_serve_llm",
    "ray-serve-2": "ray_serve",
    "ray-serve.": "ray_serve",
    "torchserve": "torchserve",
    "tensorflow-serving": "tensorflow_serving",
    "kserve": "kserve",
    "knative-queue-proxy": "queue_proxy",
    "ovms": "ovms",
    "litellm": "litellm",
    "envoy-ai-gateway": "envoy_ai_gateway",
    "otel-genai": "otel_genai",
    "istio": "istio",
    "haproxy": "haproxy",
}
"""The table of each capture, by the beginning of its name."""

FORBIDDEN = (
    "time_per_output_token",
    "inter_token_latency",
    "time_to_first_token",
    "mean_time_per_token",
    "prefix_cache_hits",
    "nv_inference_count",
    "iteration_tokens",
    "spend",
    "reasoning",
    "example_count",
    "ovms_responses",
    "n_decode",
    "Requests2XX",
    "_bucket",
    "hit_rate",
)
"""Parts of names that look useful and are not: means, rows, subsets, prices, packets."""


@pytest.mark.parametrize("name", [n for n in CAPTURES if has_marker(capture(n), TABLES["vllm"])])
def test_there_are_pages_with_vllm_s_names(name: str) -> None:
    """Of servers of other makes too, which is why markers alone are not enough."""
    assert RECOGNISER.plan("auto", capture(name)).table.name in {"vllm", "triton"}


@pytest.mark.parametrize("name", CAPTURES)
def test_every_capture_is_recognised_as_its_server(name: str) -> None:
    """By one table, whatever others have their markers on the page."""
    (expected,) = {table for beginning, table in WHOSE.items() if name.startswith(beginning)}
    assert RECOGNISER.plan("auto", capture(name)).table.name == expected


def test_no_page_is_of_two_servers() -> None:
    """Every two tables are told apart on every capture that has the markers of both."""
    both = 0
    for name in CAPTURES:
        body = capture(name)
        there = [table for table in TABLES if has_marker(body, TABLES[table])]
        for pair in itertools.combinations(there, 2):
            recogniser = Recogniser({}, {table: PLANS[table] for table in pair})
            assert recogniser.plan("auto", body).table.name in pair
            both += 1
    assert both >= 8


def test_every_server_with_a_marker_has_a_capture() -> None:
    """A table nobody tried is a guess."""
    marked = {name for name, table in TABLES.items() if table.marker}
    assert marked == set(WHOSE.values())
    assert set(TABLES) - marked == {"istio_gateway", *SILENT}


def test_every_synthetic_page_has_its_numbers_worked_out() -> None:
    """None is there only to be recognised."""
    pages = {name.split(".after.")[0] for name in CAPTURES if name.endswith(".after.synthetic")}
    worked_out = {name for each in (engines, gateways, models) for name in each.EXPECTED}
    assert pages == worked_out | {"istio-gateway-1.24", "kserve-and-queue-proxy"}


def test_no_table_reads_what_only_looks_right() -> None:
    """The leading tool sums time per output token as if it were decode time."""
    read = {name for plan in PLANS.values() for name in plan.wanted}
    assert {name for name in read for part in FORBIDDEN if part in name} == set()


@pytest.mark.parametrize("name", SILENT)
def test_a_server_without_metrics_is_never_chosen_and_says_what_to_do(name: str) -> None:
    """It has no fields, no marker, and advice that names a server which counts for it."""
    table = TABLES[name]
    assert (list(table.fields()), table.marker) == ([], ())
    assert "no metrics page" in table.advice
    assert "server: litellm" in table.advice or "server: haproxy" in table.advice
    with pytest.raises(Unrecognised, match="has no metrics page"):
        RECOGNISER.plan(name, b"")


def test_a_table_that_yields_to_every_other_one_is_taken_alone() -> None:
    """Two of them cannot yield to each other: that has to be said."""
    shy = {
        name: make_plan(ServerTable(name=name, marker=(name,), yields_to=("*",)))
        for name in ("a_", "b_")
    }
    bold = {"c_": make_plan(ServerTable(name="c_", marker=("c_",)))}
    assert Recogniser({}, shy | bold).plan("auto", b"a_x 1\n").table.name == "a_"
    assert Recogniser({}, shy | bold).plan("auto", b"a_x 1\nc_x 1\n").table.name == "c_"
    with pytest.raises(Unrecognised, match="any of a_, b_: say which"):
        Recogniser({}, shy | bold).plan("auto", b"a_x 1\nb_x 1\n")


def test_a_table_of_the_configuration_comes_before_all_built_in_ones() -> None:
    """Also before one that others yield to."""
    own = ServerTable(name="own", marker=("nv_",), tokens_output=(Series(metric="nv_x"),))
    page = capture("triton-vllm.after.synthetic")
    assert Recogniser({"own": make_plan(own)}, PLANS).plan("auto", page).table is own
