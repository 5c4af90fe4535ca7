"""docs/servers.md: its example reads what it says, and its table of servers is true."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from tests.collectors.raw_server import body, raw_server
from tests.collectors.reading import collect, collector_of, example_tables, target, values
from unitcost.collectors.base import discover
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.sample import Layer, Quantity

import unitcost.collectors.servers as servers  # isort: skip # the package, for discover

LETTERS = (
    {"requests_succeeded": "S", "requests_failed": "F", "requests_aborted": "A"},
    {"tokens_input": "I", "tokens_cached_input": "C", "tokens_output": "O"},
    {"prefill_seconds": "P", "decode_seconds": "D", "compute_seconds": "X", "request_seconds": "L"},
    {"failed_seconds": "f", "aborted_seconds": "a"},
    {"requests_running": "R", "requests_waiting": "W"},
)
"""How the page writes which fields a table has."""
TABLES = {
    item.module.SERVER.name: item.module.SERVER
    for item in discover(servers, "SERVER")
    if item.module is not None
}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The page."""
    return (root / "docs" / "servers.md").read_text(encoding="utf-8")


def fence(page: str, language: str) -> str:
    """The one example in this language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(text)


def rows(page: str) -> dict[str, list[str]]:
    """The rows of the table of servers, by the name that `server:` takes."""
    found = re.findall(r"^\| `([a-z_]+)` \|(.*)\|$", page, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in found}


def gives(table: ServerTable) -> str:
    """The fields a table has, as the page writes them."""
    has = set(table.fields())
    groups = ("".join(letter for field, letter in g.items() if field in has) for g in LETTERS)
    return " ".join(group for group in groups if group)


def test_the_example_reads_the_page_it_shows(page: str) -> None:
    """The table in the configuration against the server's text."""
    configuration = yaml.safe_load(fence(page, "yaml"))
    tables = msgspec.convert(configuration["servers"], dict[str, ServerTable])
    model = configuration["workloads"][0]["endpoints"][0]["model"]
    with raw_server(body(fence(page, "text").encode())) as server:
        reading = collect(collector_of(target(server, model=model), servers=tables))
    assert reading.problems == ()
    assert {(sample.quantity, str(sample.label)): sample.value for sample in reading.samples} == {
        (Quantity.REQUESTS, "succeeded"): 40,
        (Quantity.REQUESTS, "failed"): 1,
        (Quantity.TOKENS, "input"): 10_000,
        (Quantity.TOKENS, "cached_input"): 2_000,
        (Quantity.TOKENS, "output"): 8_000,
        (Quantity.REQUEST_SECONDS, ""): 61.5,
        (Quantity.REQUESTS_TIMED, ""): 41,
        (Quantity.REQUESTS_WAITING, ""): 3,
    }
    assert {sample.model for sample in reading.samples} == {"llama-3"}


def test_the_page_has_a_row_for_every_server_that_counts(page: str) -> None:
    """Recognised by what its table says, and giving what its table has fields for."""
    found = rows(page)
    counting = {name: table for name, table in TABLES.items() if not table.advice}
    assert found.keys() == counting.keys()
    for name, table in counting.items():
        _, markers, fields, *_ = found[name]
        assert re.findall(r"`([^`]+)`", markers) == list(table.marker), name
        assert fields == gives(table), name


def test_the_page_says_at_which_layer_each_server_counts(page: str) -> None:
    """The rows stand under engines, frontends and gateways."""
    _, *parts = re.split(r"^\| \*\*(\w+)\*\* \|.*$", page, flags=re.MULTILINE)
    titles = {"Engines": Layer.ENGINE, "Frontends": Layer.FRONTEND, "Gateways": Layer.GATEWAY}
    layers = {
        name: titles[title]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
        for name in rows(text)
    }
    assert layers == {name: table.layer for name, table in TABLES.items() if not table.advice}


def test_the_page_names_every_server_that_has_no_metrics(page: str) -> None:
    """And says so."""
    (line,) = re.findall(r"^\*\*None of their own\*\*: (.*?)\. Put", page, re.MULTILINE)
    assert sorted(re.findall(r"`([^`]+)`", line)) == sorted(
        n for n, t in TABLES.items() if t.advice
    )


FASTAPI = b"""# TYPE http_requests_total counter
http_requests_total{handler="/v1/audio/transcriptions",method="POST",status="2xx"} 40
http_requests_total{handler="/v1/audio/transcriptions",method="POST",status="4xx"} 2
http_requests_total{handler="/health",method="GET",status="2xx"} 900
http_requests_total{handler="/metrics",method="GET",status="2xx"} 900
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_sum{handler="/v1/audio/transcriptions",method="POST"} 84
http_request_duration_seconds_count{handler="/v1/audio/transcriptions",method="POST"} 42
http_request_duration_seconds_sum{handler="/health",method="GET"} 9
"""
ENVOY = b"""# TYPE envoy_cluster_upstream_rq_xx counter
envoy_cluster_upstream_rq_xx{envoy_cluster_name="llm",envoy_response_code_class="2"} 50
envoy_cluster_upstream_rq_xx{envoy_cluster_name="llm",envoy_response_code_class="5"} 3
envoy_cluster_upstream_rq_xx{envoy_cluster_name="xds-grpc",envoy_response_code_class="2"} 4
# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="llm"} 106000
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="llm"} 53
# TYPE envoy_cluster_upstream_rq_active gauge
envoy_cluster_upstream_rq_active{envoy_cluster_name="llm"} 2
envoy_cluster_upstream_rq_active{envoy_cluster_name="xds-grpc"} 1
"""


@pytest.mark.parametrize(
    ("text", "server", "model", "seconds", "timed"),
    [(FASTAPI, "fastapi", "", 84, 42), (ENVOY, "auto", "llm", 106, 53)],
)
def test_the_other_examples_count_requests_and_no_health_checks(
    text: bytes, server: str, model: str, seconds: float, timed: float
) -> None:
    """docs/examples/generic-servers.yaml."""
    with raw_server(body(text)) as where:
        collector = collector_of(target(where, server=server), servers=example_tables())
        reading = collect(collector)
    good, bad = {"": (40, 2), "llm": (50, 3)}[model]
    assert values(reading, Quantity.REQUESTS) == {
        ("succeeded", model, ""): good,
        ("failed", model, ""): bad,
    }
    assert values(reading, Quantity.REQUEST_SECONDS) == {("", model, ""): seconds}
    assert values(reading, Quantity.REQUESTS_TIMED) == {("", model, ""): timed}
