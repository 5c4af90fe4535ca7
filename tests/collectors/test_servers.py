"""The tables of the servers: renames between versions, cached tokens, series born late."""

import msgspec
import pytest

from tests.collectors.raw_server import capture
from tests.collectors.reading import read_once, values
from unitcost.collectors.base import discover
from unitcost.collectors.page.readout import FIELDS
from unitcost.collectors.page.table_reading import (
    MAX_KEYS,
    MAX_MODELS,
    has_marker,
    make_plan,
    read_table,
)
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import Outcome, Phase, Quantity, Source, TokenType

import unitcost.collectors.servers as servers  # isort: skip # the package, for discover

VLLM = capture("vllm-cpu.after")
LABELS = '{engine="0",model_name="tiny"}'


def vllm(**samples: float) -> bytes:
    """A vLLM exposition with these samples of one engine; ``__`` stands for the end of the name."""
    return "".join(f"vllm:{name}{LABELS} {value}\n" for name, value in samples.items()).encode()


def tokens(body: bytes) -> dict[str, float]:
    """Tokens by type."""
    return {label: v for (label, _, _), v in values(read_once(body), Quantity.TOKENS).items()}


def without(body: bytes, *names: str) -> bytes:
    """The exposition of a version that lacks these metrics."""
    lines = body.split(b"\n")
    return b"\n".join(line for line in lines if not any(name.encode() in line for name in names))


def test_all_tables_are_found_and_differ_in_name_and_marker() -> None:
    """One file each; two with one marker could not be told apart."""
    found = discover(servers, "SERVER")
    assert [item.error for item in found] == [None] * len(found)
    tables = [item.module.SERVER for item in found if item.module is not None]
    assert {table.name for table in tables} >= {"vllm", "mlserver", "llamacpp"}
    assert len({table.name for table in tables}) == len(tables)
    markers = [marker for table in tables for marker in table.marker]
    assert len(set(markers)) == len(markers)
    assert not any(a.startswith(b) for a in markers for b in markers if a is not b)


def test_every_field_of_a_table_becomes_samples_or_is_about_the_server() -> None:
    """A field that is added to the type and forgotten here would be read by nobody."""
    others = {"name", "marker", "model_label", "part_labels", "start_time_seconds", "lazy"}
    others |= {"yields_to", "layer", "processes", "ports", "paths", "advice", "tenant_labels"}
    assert {field.name for field in FIELDS} | others == set(ServerTable.__struct_fields__)


# --- vLLM ----------------------------------------------------------------------------------------


def test_vllm_017_counts_computed_and_cached_tokens_apart() -> None:
    """By source; the total is not used, so nothing is subtracted."""
    body = VLLM.replace(b'source="local_compute"} 750.0', b'source="local_compute"} 600.0')
    body = body.replace(
        b'cached_total{engine="0",model_name="tinyllama"} 0.0', b"cached_total 150.0"
    )
    assert tokens(body) == {"input": 600, "cached_input": 150, "output": 569}


def test_vllm_without_sources_has_prompt_tokens_less_cached_ones() -> None:
    """And says that this was worked out."""
    body = vllm(prompt_tokens_total=100, prompt_tokens_cached_total=30, generation_tokens_total=7)
    assert tokens(body) == {"input": 70, "cached_input": 30, "output": 7}
    sources = {s.label: s.source for s in read_once(body).samples if s.label}
    assert sources[TokenType.INPUT] is Source.DERIVED
    assert sources[TokenType.CACHED_INPUT] is Source.COUNTER


def test_vllm_014_has_computed_tokens_of_finished_requests() -> None:
    """Both come from the same requests, so they are disjoint."""
    body = without(VLLM, "prompt_tokens_by_source", "prompt_tokens_cached")
    body = body.replace(
        b'kv_computed_tokens_sum{engine="0",model_name="tinyllama"} 750.0',
        b'kv_computed_tokens_sum{engine="0",model_name="tinyllama"} 700.0',
    )
    assert tokens(body) == {"input": 700, "cached_input": 50, "output": 569}


def test_vllm_before_that_does_not_say_what_was_cached() -> None:
    """Its hits of the prefix cache count a waiting request again and again."""
    body = vllm(prompt_tokens_total=100, prefix_cache_hits_total=900, generation_tokens_total=7)
    assert tokens(body) == {"input": 100, "output": 7}


def test_vllm_v0_has_no_engine_label() -> None:
    """And no reason ``error``, so failures are unknown, not zero."""
    body = without(VLLM, 'finished_reason="error"').replace(b'engine="0",', b"")
    reading = read_once(body)
    assert {sample.part for sample in reading.samples} == {""}
    assert {sample.model for sample in reading.samples} == {"tinyllama"}
    assert set(values(reading, Quantity.REQUESTS)) == {
        (Outcome.SUCCEEDED, "tinyllama", ""),
        (Outcome.ABORTED, "tinyllama", ""),
    }


def test_vllm_engines_are_parts_of_their_own() -> None:
    """Data parallel: one may start anew while the other goes on."""
    second = VLLM.replace(b'engine="0"', b'engine="1"').replace(b" 750.0\n", b" 100.0\n")
    reading = read_once(VLLM + second)
    found = values(reading, Quantity.TOKENS)
    assert found[TokenType.INPUT, "tinyllama", "0"] == 750
    assert found[TokenType.INPUT, "tinyllama", "1"] == 100


def test_vllm_outcomes_are_told_apart() -> None:
    """Every reason that is neither an abort nor an error is a good end."""
    reasons = {"stop": 1, "length": 2, "repetition": 4, "abort": 8, "error": 16, "new": 32}
    body = "".join(
        f'vllm:request_success_total{{finished_reason="{reason}",model_name="m"}} {count}\n'
        for reason, count in reasons.items()
    )
    assert values(read_once(body.encode()), Quantity.REQUESTS) == {
        (Outcome.SUCCEEDED, "m", ""): 39,
        (Outcome.FAILED, "m", ""): 16,
        (Outcome.ABORTED, "m", ""): 8,
    }


def test_vllm_http_counters_are_not_mixed_in() -> None:
    """One layer counts: rejected requests and health checks are none of the engine's."""
    body = VLLM + b'http_requests_total{handler="/health",method="GET",status="5xx"} 1000\n'
    assert values(read_once(body), Quantity.REQUESTS) == values(read_once(VLLM), Quantity.REQUESTS)


# --- MLServer ------------------------------------------------------------------------------------

MLSERVER = capture("mlserver-sklearn.before")
REST = b'rest_server_requests_in_progress{app_name="mlserver",method="%s"} %d\n'


def test_mlserver_before_its_first_request_is_ready_and_counts_nothing() -> None:
    """It only declares its series; for which models they will be is unknown."""
    reading = read_once(MLSERVER)
    assert reading.samples == ()
    assert reading.problems == ()
    (subject,) = reading.subjects
    assert (subject.up, subject.ready, subject.running) == (True, True, None)
    assert subject.born_wall_ns == 1_795_384_124_250_000_000


def test_mlserver_that_has_only_good_requests_has_zero_bad_ones() -> None:
    """Declared, of a model that is known: zero, not unknown."""
    body = MLSERVER + b'model_infer_request_success_total{model="iris",version="None"} 3\n'
    assert values(read_once(body), Quantity.REQUESTS) == {
        (Outcome.SUCCEEDED, "iris", "None"): 3,
        (Outcome.FAILED, "iris", "None"): 0,
    }


def test_mlserver_of_a_version_without_a_counter_does_not_have_it() -> None:
    """What is not declared is unknown, in a lazy server too."""
    body = without(MLSERVER, "model_infer_request_failure")
    body += b'model_infer_request_success_total{model="iris",version="None"} 3\n'
    assert set(values(read_once(body), Quantity.REQUESTS)) == {(Outcome.SUCCEEDED, "iris", "None")}


def test_mlserver_health_checks_are_no_work() -> None:
    """They are GET; inference is POST."""
    busy = read_once(MLSERVER + REST % (b"GET", 3) + REST % (b"POST", 1))
    assert busy.subjects[0].running is True
    idle = read_once(MLSERVER + REST % (b"GET", 3) + REST % (b"POST", 0))
    assert idle.subjects[0].running is False


def test_mlserver_seconds_are_seconds_of_computing_by_model() -> None:
    """So a server's cost can be split over its models."""
    found = values(read_once(capture("mlserver-sklearn.after")), Quantity.PHASE_SECONDS)
    assert found[Phase.COMPUTE, "iris", "None"] == pytest.approx(0.02366096699984155)


# --- tables in general ---------------------------------------------------------------------------


def read(body: bytes, **fields: object) -> dict[str, dict[tuple[str, str], float]]:
    """The values by field of a table with these fields."""
    table = msgspec.convert({"name": "own", **fields}, ServerTable)
    readout = read_table(make_plan(table), body)
    return {
        field.name: {(key.model, key.part): value.value for key, value in found.items()}
        for field, found in readout.values.items()
    }


def test_the_first_alternative_that_is_there_is_used() -> None:
    """Never the sum of old and new names."""
    table = {"tokens_output": [{"metric": "new_total"}, {"metric": "old_total"}]}
    assert read(b"old_total 1\n", **table) == {"tokens_output": {("", ""): 1}}
    assert read(b"old_total 1\nnew_total 2\n", **table) == {"tokens_output": {("", ""): 2}}
    assert read(b"other_total 1\n", **table) == {}


def test_series_are_chosen_by_labels_scaled_and_summed() -> None:
    """For each model and part."""
    body = b"""
    t{m="a",r="1",s="2xx"} 5
    t{m="a",r="1",s="3xx"} 7
    t{m="a",r="2",s="2xx"} 11
    t{m="b",r="1",s="2xx",p="/health"} 13
    t{m="b",r="1",s="2xx",p="/infer"} 17
    t{m="b",r="1",s="5xx"} 19
    t 23
    """
    series = {"metric": "t", "labels": {"s": ["2xx", "3xx"]}, "without": {"p": ["/health"]}}
    found = read(
        body,
        model_label="m",
        part_labels=["r"],
        requests_succeeded=[{**series, "scale": 0.5}],
    )
    assert found == {"requests_succeeded": {("a", "1"): 6.0, ("a", "2"): 5.5, ("b", "1"): 8.5}}


def test_a_refused_line_makes_its_field_unknown() -> None:
    """A sum without it, or the next alternative, would be another number."""
    table = msgspec.convert(
        {"tokens_output": [{"metric": "a"}, {"metric": "b"}], "tokens_input": [{"metric": "b"}]},
        ServerTable,
    )
    readout = read_table(make_plan(table), b'a{x="1"} 1\na{x="2"} NaN\nb 3\n')
    assert {field.name for field in readout.values} == {"tokens_input"}
    ((field, reason),) = readout.unusable.items()
    assert field.name == "tokens_output"
    assert reason == "a: a value is negative, not finite or too large"


def test_a_difference_needs_both_sides_of_every_series() -> None:
    """And is unknown for a model whose difference is negative just now."""
    table = {"model_label": "m", "tokens_input": [{"metric": "a", "minus": "b"}]}
    body = b'a{m="x"} 5\nb{m="x"} 2\na{m="y"} 5\na{m="z"} 5\nb{m="z"} 6\n'
    assert read(body, **table) == {"tokens_input": {("x", ""): 3}}
    body += b'a{m="x",other="1"} 7\n'  # a part of x without its counterpart
    assert read(body, **table) == {}


def test_names_from_outside_are_made_harmless() -> None:
    """A model cannot book itself on a reserved name or bring control codes."""
    body = b't{m="__unallocated__"} 1\nt{m="a\\nb"} 2\nt{m="' + b"x" * 500 + b'"} 3\n'
    found = read(body, model_label="m", tokens_output=[{"metric": "t"}])["tokens_output"]
    names = [model for model, _ in found]
    assert names[:2] == ["___unallocated__", "a_b"]
    assert len(names[2].encode()) == 128


def test_made_up_models_do_not_push_out_real_ones() -> None:
    """Any client can ask for a model that does not exist, by any name, as often as it likes."""
    lines = [f'bad{{m="made-up-{i}"}} 1\n' for i in range(MAX_MODELS + 50)]
    lines += [f'good{{m="made-up-{i}"}} 0\n' for i in range(MAX_MODELS + 50)]
    lines.append('good{m="real"} 5\n')
    table = msgspec.convert(
        {
            "model_label": "m",
            "requests_failed": [{"metric": "bad"}],
            "requests_succeeded": [{"metric": "good"}],
        },
        ServerTable,
    )
    readout = read_table(make_plan(table), "".join(lines).encode())
    models = {key.model for found in readout.values.values() for key in found}
    assert readout.dropped
    assert len(models) == MAX_MODELS
    assert "real" in models
    assert "made-up-0" in models


def test_there_may_be_more_parts_than_models() -> None:
    """Of a collector's page that shows many clients, or of a server with many replicas."""
    table = ServerTable(model_label="m", part_labels=("p",), tokens_output=(Series(metric="t"),))
    for parts, dropped in ((MAX_KEYS // 4, False), (MAX_KEYS // 4 + 1, True)):
        lines = [f't{{m="{m}",p="{p}"}} 1\n' for m in "abcd" for p in range(parts)]
        readout = read_table(make_plan(table), "".join(lines).encode())
        (found,) = readout.values.values()
        assert (len(found), readout.dropped) == (MAX_KEYS, dropped)


def test_a_lazy_server_without_model_label_starts_at_zero() -> None:
    """There is only one series it can be."""
    body = b"# TYPE t_total counter\n"
    assert read(body, lazy=True, requests_succeeded=[{"metric": "t_total"}]) == {
        "requests_succeeded": {("", ""): 0}
    }
    assert read(body, lazy=False, requests_succeeded=[{"metric": "t_total"}]) == {}
    assert read(b"", lazy=True, requests_succeeded=[{"metric": "t_total"}]) == {}


def test_an_openmetrics_declaration_is_one_too() -> None:
    """It leaves ``_total`` out, and a summary's parts."""
    body = b"# TYPE t counter\n# TYPE d summary\n"
    found = read(
        body,
        lazy=True,
        requests_succeeded=[{"metric": "t_total"}],
        request_seconds=[{"metric": "d_sum"}],
    )
    assert found == {"requests_succeeded": {("", ""): 0}, "request_seconds": {("", ""): 0}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"vllm:x 1\n", True),
        (b"y 1\nvllm:x 1\n", True),
        (b"# HELP y z\n# TYPE vllm:x counter\n", True),
        (b"y 1 vllm:\n", False),
        (b'y{server="vllm:"} 1\n', False),
        (b"my_vllm:x 1\n", False),
        (b"", False),
    ],
)
def test_a_marker_is_the_beginning_of_a_name(body: bytes, expected: bool) -> None:
    """Of a sample or of a declaration, not of any text."""
    assert has_marker(body, ServerTable(marker=("vllm:",))) is expected


def test_birth_is_read_from_created_samples_where_there_is_no_start_time() -> None:
    """The earliest of the counters' own."""
    body = b"t_total 1\nt_created 1700000000.5\nu_total 2\nu_created 1600000000\nz_created 5\n"
    table = ServerTable(
        requests_succeeded=(Series(metric="t_total"),), tokens_output=(Series(metric="u_total"),)
    )
    birth = read_table(make_plan(table), body).birth
    assert birth is not None
    assert (birth.at, birth.mark) == (1_600_000_000, "created:1600000000.0")


def test_a_start_that_cannot_be_read_is_not_taken_for_none() -> None:
    """No mark would look as if the server had changed."""
    table = ServerTable(start_time_seconds=(Series(metric="process_start_time_seconds"),))
    assert read_table(make_plan(table), b"process_start_time_seconds NaN\n").birth is None
    birth = read_table(make_plan(table), b"").birth
    assert birth is not None
    assert (birth.at, birth.mark) == (None, "")
