"""The collector of servers' endpoints: whom it recognises, and what breaks alone."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost.collectors.openmetrics as openmetrics
import unitcost.collectors.servers as servers
from tests.collectors.mutations import mutate
from tests.collectors.raw_server import RawServer, body, capture, raw_server
from tests.collectors.reading import (
    PATIENCE,
    collect,
    collector_of,
    example_tables,
    read_once,
    target,
    values,
)
from unitcost.collectors.base import Context, Neighbours, NoData, Reading
from unitcost.collectors.fetch import FetchKind, Response
from unitcost.collectors.openmetrics import MAX_THREADS, Options, bounded, make_collector
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.readout import Readout
from unitcost.collectors.page.recognise import Unrecognised
from unitcost.collectors.page.table_reading import Plan, read_table
from unitcost.collectors.tables import Series, ServerTable
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.container import Pod, Scrape
from unitcost.pricing.sample import Quantity, Sample, Subject
from unitcost.pricing.workload import WorkloadKind

VLLM = capture("vllm-cpu.after")
LLAMA = capture("llama.cpp-server.after")
TRIES = 40
"""So often a reading may be cut short on a loaded machine before a test gives up."""


def kinds(reading: Reading) -> set[str]:
    """The kinds of a reading's problems."""
    return {problem.kind for problem in reading.problems}


def only(reading: Reading) -> Subject:
    """The one subject of a reading."""
    (subject,) = reading.subjects
    return subject


def detail(reading: Reading) -> str:
    """The text of the one problem of a reading."""
    (problem,) = reading.problems
    return problem.detail


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """The URL of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}/metrics"


@contextlib.contextmanager
def hung_server() -> Iterator[RawServer]:
    """A server that takes requests and says nothing until the test is over."""
    over = threading.Event()

    def hang(_: socket.socket) -> None:
        over.wait(60)

    with raw_server(hang) as server:
        try:
            yield server
        finally:
            over.set()


def test_without_endpoints_there_is_nothing_to_read() -> None:
    """Which is neither an error nor a zero."""
    with pytest.raises(NoData):
        collect(make_collector(Options(), Context()))


def test_a_server_is_recognised_and_becomes_a_subject() -> None:
    """Whose it is, and what is known of it."""
    with raw_server(body(VLLM)) as server:
        reading = collect(collector_of(target(server)))
    assert validate(reading) is reading
    subject = only(reading)
    assert subject.id == f"server:{server.url}"
    assert subject.workload == "chat"
    assert subject.model == "tinyllama"
    assert subject.port == server.port
    assert (subject.up, subject.ready, subject.running) == (True, True, False)
    assert subject.born_wall_ns == 1_795_383_632_590_000_000
    assert subject.generation
    assert {sample.subject for sample in reading.samples} == {subject.id}
    assert all(0 < time.monotonic_ns() - s.mono_ns < 60 * 10**9 for s in reading.samples)


# --- one broken thing breaks one thing -----------------------------------------------------------


def test_a_target_that_is_down_breaks_only_itself() -> None:
    """It is a subject that is down, and a problem that says which and why."""
    with closed_port() as url, raw_server(body(VLLM)) as server:
        reading = collect(collector_of(target(url, model="m"), target(server)))
    down, up = reading.subjects
    assert (down.up, down.ready, down.running, down.model) == (False, False, None, "m")
    assert url.endswith(f":{down.port}/metrics")
    assert up.up
    assert {sample.subject for sample in reading.samples} == {up.id}
    assert kinds(reading) == {"refused"}
    assert detail(reading) == f"{url}: cannot connect: Connection refused"


def test_a_target_that_hangs_delays_only_itself() -> None:
    """The others' samples are of the time when they were read."""
    with hung_server() as hung, raw_server(body(VLLM)) as server:
        collector = collector_of(target(hung), target(server), timeout=1.0)
        started = time.monotonic_ns()
        reading = collect(collector)
        ended = time.monotonic_ns()
    assert [subject.up for subject in reading.subjects] == [False, True]
    assert kinds(reading) == {"timeout"}
    assert ended - started >= 10**9
    assert all(sample.mono_ns < ended - 10**8 for sample in reading.samples)


def test_the_callers_deadline_cuts_a_longer_time_out() -> None:
    """A target gets what is left until then, and is asked anew at the next reading."""
    with hung_server() as hung:
        collector = collector_of(target(hung), timeout=PATIENCE)
        for _ in range(TRIES):
            reading = collector.collect(time.monotonic() + 0.5)
            assert kinds(reading) <= {"timeout", "late"}
            assert not only(reading).up
            if len(hung.requests) > 1:
                break
        assert len(hung.requests) > 1


def test_what_comes_late_is_used_at_the_next_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of the time when it was read; and no second request goes out meanwhile."""
    release, calls = threading.Event(), []

    def slow(url: str, **_: object) -> Response:
        calls.append(url)
        release.wait(60)
        return Response(VLLM, local=True)

    monkeypatch.setattr("unitcost.collectors.fetch.get", slow)
    collector = collector_of(target("http://127.0.0.1:9/metrics"))
    for _ in range(3):
        late = collector.collect(time.monotonic() + 0.2)
        assert kinds(late) == {"late"}
        assert not only(late).up
    release.set()
    reading = collect(collector)
    assert only(reading).up
    assert len(calls) == 1
    assert len(collect(collector).samples) == len(reading.samples)
    assert len(calls) == 2


def test_many_dead_targets_do_not_hold_up_a_living_one() -> None:
    """There are more of them than threads; who had no turn, or was quick, comes first."""
    with hung_server() as hung, raw_server(body(VLLM)) as server:
        dead = [target(f"{hung.url}?n={n}") for n in range(2 * MAX_THREADS)]
        collector = collector_of(*dead, target(server), timeout=PATIENCE)
        reading = collector.collect(time.monotonic() + 0.4)
        for _ in range(TRIES):
            if reading.subjects[-1].up:
                break
            reading = collector.collect(time.monotonic() + 0.4)
    assert reading.subjects[-1].up
    assert not any(subject.up for subject in reading.subjects[:-1])


def test_a_crowd_of_new_pods_that_hang_does_not_hold_up_a_living_endpoint() -> None:
    """Who is new comes after who was quick: who may annotate pods could have new ones always."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(raw_server(body(VLLM)))
        collector = collector_of(target(server), timeout=PATIENCE)
        assert only(collect(collector)).up
        pods = []
        for number in range(2 * MAX_THREADS):
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            scrape = Scrape(silent.getsockname()[1])
            pod = Pod(f"{number}", "ml", f"p{number}", "", address="127.0.0.1", scrape=scrape)
            pods.append(pod)
        collector.meet(Neighbours(pods=tuple(pods)))
        first, *rest = collector.collect(time.monotonic() + 0.8).subjects
        assert first.up
        assert len(rest) == len(pods)
        assert not any(subject.up for subject in rest)
        collector.close()


def test_a_table_that_cannot_be_imported_breaks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a problem at every reading, and its server is not recognised."""
    (tmp_path / "broken_server.py").write_text("raise RuntimeError('half a file')\n")
    monkeypatch.setattr(servers, "__path__", [*servers.__path__, str(tmp_path)])
    with raw_server(body(VLLM)) as server:
        reading = collect(collector_of(target(server)))
    assert only(reading).up
    assert kinds(reading) == {"table"}
    assert "broken_server" in detail(reading)


def test_an_error_of_ours_is_a_problem_of_one_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is counted, not hidden."""
    real = read_table

    def faulty(plan: Plan, content: bytes, label: str | None = None) -> Readout:
        if b"llamacpp" in content:
            raise ZeroDivisionError
        return real(plan, content, label)

    monkeypatch.setattr(openmetrics, "read_table", faulty)
    with raw_server(body(VLLM)) as server, raw_server(body(LLAMA)) as other:
        reading = collect(collector_of(target(server), target(other)))
    assert [subject.up for subject in reading.subjects] == [True, False]
    assert kinds(reading) == {"internal"}
    assert "ZeroDivisionError" in detail(reading)


def test_the_same_url_twice_is_read_once() -> None:
    """Its units would be counted twice."""
    with raw_server(body(VLLM)) as server:
        collector = collector_of(target(server), target(server))
        assert len(collect(collector).subjects) == 1
        assert len(server.requests) == 1


def test_every_kind_of_error_of_the_client_is_a_kind_of_problem() -> None:
    """Bounded: they become label values."""
    with raw_server(body(b"", status="503 Loading model")) as server:
        reading = collect(collector_of(target(server)))
    assert kinds(reading) == {FetchKind.STATUS.value}
    assert (only(reading).up, only(reading).ready) == (False, False)


# --- recognition ---------------------------------------------------------------------------------


def test_a_text_of_no_server_we_know_is_said_to_be_so() -> None:
    """With the way out, and where the servers that are known stand."""
    reading = read_once(b"go_goroutines 7\n")
    assert kinds(reading) == {"unrecognised"}
    for words in ("server:", "servers:", "docs/servers.md"):
        assert words in detail(reading)
    assert (only(reading).up, only(reading).ready) == (False, True)


def test_a_text_of_two_servers_is_not_guessed_at() -> None:
    """A gateway that passes on other servers' metrics: which layer counts, a person says."""
    reading = read_once(VLLM + LLAMA)
    assert kinds(reading) == {"unrecognised"}
    assert "llamacpp, vllm" in detail(reading)
    with raw_server(body(VLLM + LLAMA)) as server:
        named = collect(collector_of(target(server, server="llamacpp")))
    assert values(named, Quantity.TOKENS)["output", "", ""] == 3964


def test_a_table_of_the_configuration_comes_first() -> None:
    """By its marker, or in place of a built-in one of the same name."""
    own = ServerTable(
        marker=("vllm:gen",), tokens_output=(Series(metric="vllm:kv_cache_usage_perc"),)
    )
    for name in ("own", "vllm"):
        reading = read_once(VLLM, servers={name: own})
        assert values(reading, Quantity.TOKENS) == {("output", "", ""): 0}
        assert reading.problems == ()


def test_a_server_that_is_named_but_serves_something_else_is_not_zero() -> None:
    """A proxy's page with status 200, while the server behind it has counted for weeks."""
    with raw_server(body(b"<html>Please wait</html>\n")) as server:
        reading = collect(collector_of(target(server, server="vllm")))
    assert reading.samples == ()
    assert not only(reading).up
    assert kinds(reading) == {"unrecognised"}


def test_a_table_without_marker_is_used_by_name() -> None:
    """The example's table has none; `auto` does not find it."""
    table = example_tables()["fastapi"]
    text = b'http_requests_total{handler="/v1/x",status="2xx"} 50\n'
    with raw_server(body(text)) as server:
        named = collector_of(target(server, server="own"), servers={"own": table})
        assert values(collect(named), Quantity.REQUESTS)["succeeded", "", ""] == 50
        unnamed = collect(collector_of(target(server), servers={"own": table}))
    assert kinds(unnamed) == {"unrecognised"}


# --- whose it is ---------------------------------------------------------------------------------


def test_a_model_is_named_by_the_configuration_where_the_server_does_not() -> None:
    """llama.cpp does not; vLLM does, and knows better."""
    with raw_server(body(LLAMA)) as llama, raw_server(body(VLLM)) as vllm:
        reading = collect(collector_of(target(llama, model="mine"), target(vllm, model="mine")))
    assert [subject.model for subject in reading.subjects] == ["mine", "tinyllama"]
    models = {(s.subject.rpartition(":")[2], s.model) for s in reading.samples}
    assert models == {(f"{llama.port}/metrics", "mine"), (f"{vllm.port}/metrics", "tinyllama")}


def test_a_server_of_several_models_is_a_subject_of_none() -> None:
    """Each of its samples says which it is of."""
    reading = read_once(capture("mlserver-sklearn.after"))
    assert only(reading).model == ""
    assert {sample.model for sample in reading.samples} == {"iris", "nosuch", ""}


def test_the_port_is_known_before_the_first_answer() -> None:
    """A loopback address is this host's own; of others only an answer tells."""
    urls = ["http://localhost:1/", "http://[::1]:1/", "http://192.0.2.1:1/"]
    reading = collector_of(*map(target, urls), timeout=0.2).collect(time.monotonic() + 5)
    assert [subject.port for subject in reading.subjects] == [1, 1, None]


# --- the bearer token ----------------------------------------------------------------------------

CANARY = "canary-91b7d3"


def test_the_token_is_read_anew_for_every_request(tmp_path: Path) -> None:
    """Kubernetes replaces it in its file every hour."""
    file = tmp_path / "token"
    with raw_server(body(VLLM)) as server:
        collector = collector_of(target(server, bearer_token_file=str(file)))
        for token in ("first", "second"):
            file.write_text(f"{token}\n")
            collect(collector)
    assert [b"Bearer first" in head for head in server.requests] == [True, False]
    assert b"Bearer second" in server.requests[1]


@pytest.mark.parametrize("content", [None, b"", b"\xff" + CANARY.encode(), f"{CANARY} x".encode()])
def test_a_token_that_cannot_be_used_is_a_problem_and_no_request(
    content: bytes | None, tmp_path: Path
) -> None:
    """Without a token the answer could be another one."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with raw_server(body(VLLM)) as server:
        reading = collect(collector_of(target(server, bearer_token_file=str(file))))
    assert server.requests == []
    assert kinds(reading) <= {"token", "forbidden"}
    assert CANARY not in repr(reading)


@pytest.mark.parametrize("status", [302, 403])
def test_the_token_is_shown_nowhere(status: int, tmp_path: Path) -> None:
    """Not in what the collector says of itself, nor of a server that repeats it."""
    file = tmp_path / "token"
    file.write_text(CANARY)
    with raw_server(body(b"", f"Location: /{CANARY}", status=f"{status} {CANARY}")) as server:
        collector = collector_of(target(server, bearer_token_file=str(file)))
        reading = collect(collector)
    assert f"Bearer {CANARY}".encode() in server.requests[0]
    assert CANARY not in repr(reading)
    assert CANARY not in repr(vars(collector))


# --- options, junk -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": 1e9}, {"max_bytes": 0}, {"x": 1}])
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    """When the configuration is loaded."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, Options)


def test_a_body_beyond_the_option_is_not_read() -> None:
    """The default is 4 MiB."""
    with raw_server(body(VLLM)) as server:
        context = Context(targets=(target(server),))
        assert kinds(collect(make_collector(Options(max_bytes=1024), context))) == {"too_large"}


@given(st.integers(min_value=0, max_value=2**32), st.sampled_from(["vllm-cpu", "mlserver-sklearn"]))
def test_a_damaged_exposition_gives_usable_samples_or_none(seed: int, server: str) -> None:
    """Every reading is one that the exporter accepts, whatever was in the text."""
    rng = random.Random(seed)
    text = capture(f"{server}.after").decode()
    for _ in range(5):
        text = mutate(text, rng)
    endpoint = Endpoint(target("http://127.0.0.1:9/"))
    recogniser = collector_of().recogniser
    content = text.encode("utf-8", "surrogatepass")
    try:
        readout = read_table(recogniser.plan("auto", content), content)
    except Unrecognised:
        return
    reading = endpoint.read(readout, Instant(10**9, 1_795_400_000 * 10**9))
    assert validate(reading) is reading


def test_it_stays_over_a_reload_that_does_not_concern_it() -> None:
    """Nobody is asked anew whether it is a server; other endpoints or options are another's."""
    context = Context(targets=(target("http://127.0.0.1:1/metrics"),), ports=frozenset({1}))
    collector = make_collector(Options(), context)
    same = Context(targets=(target("http://127.0.0.1:1/metrics"),), ports=frozenset({1}))
    assert collector.stays(Options(), same)
    assert not collector.stays(Options(timeout=1.0), same)
    assert not collector.stays(Options(), Context())


def test_a_collector_that_is_closed_leaves_no_thread() -> None:
    """A reload makes a new one."""
    others = set(threading.enumerate())
    with raw_server(body(VLLM)) as server:
        collector = collector_of(target(server))
        collect(collector)
        ours = [t for t in set(threading.enumerate()) - others if t.name.startswith("openm")]
        assert ours
        collector.close()
        for thread in ours:
            thread.join(30)
            assert not thread.is_alive()


def crowd(name: str, count: int) -> Reading:
    """An endpoint with so many samples."""
    sample = Sample(name, Quantity.REQUESTS, 1.0, 0)
    subject = Subject(name, "chat", WorkloadKind.INFERENCE, ready=True, running=True)
    return Reading(samples=(sample,) * count, subjects=(subject,))


def test_an_endpoint_with_all_too_many_samples_costs_the_others_nothing() -> None:
    """The exporter would refuse all of them together; the largest is silent, in its place."""
    readings = [crowd("a", 40_000), crowd("huge", 79_000), crowd("b", 30_000)]
    found = bounded(readings)
    assert [len(each.samples) for each in found] == [40_000, 0, 30_000]
    assert [each.subjects[0].up for each in found] == [True, False, True]
    assert [problem.kind for each in found for problem in each.problems] == ["too_many_samples"]
    assert bounded(found) == found
