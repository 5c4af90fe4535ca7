"""The sink for Hugging Face's callback: real posts by processes of their own, and hostile ones."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors.hf_callback import body, post
from tests.harness import free_port, wait_for
from unitcost.collectors.base import Context, Neighbours, NoData, Reading
from unitcost.collectors.sink.jobs import Jobs, Poster
from unitcost.collectors.sink.peer import Launched, ProcessId
from unitcost.collectors.sink.server import MAX_BODY, MAX_CONNECTIONS, MAX_HEAD, Refused
from unitcost.collectors.sink.status import Place, final_steps, place_of, status_of
from unitcost.collectors.training_sink import Options, TrainingSink, make_collector
from unitcost.pricing.sample import Process, Quantity, Subject
from unitcost.pricing.training_sources import Progress

ROOT = Path(__file__).parent.parent.parent
JOB = """
import json, sys, time, urllib.request
url = sys.argv[1]
for line in sys.stdin:
    request = urllib.request.Request(url, data=line.encode(), method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", "Bearer secret")
    with urllib.request.urlopen(request, timeout=5) as answer:
        print(answer.status, flush=True)
"""


class Job:
    """A process that posts what it is told to."""

    def __init__(self, url: str, **environment: str) -> None:
        env = {"PATH": os.environ["PATH"], **environment}
        command = [sys.executable, "-Ic", JOB, url]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, text=True, stdin=pipe, stdout=pipe)

    def post(self, data: bytes) -> int:
        """Have it post; the status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(data.decode() + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it as the kernel would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def sink() -> Iterator[TrainingSink]:
    """A sink that listens."""
    found = TrainingSink(Options(port=free_port()))
    found.listen()
    yield found
    found.close()


@contextlib.contextmanager
def job(sink: TrainingSink, path: str = "/v1/jobs/tuner", **environment: str) -> Iterator[Job]:
    """A job that posts to the sink."""
    started = Job(f"http://127.0.0.1:{sink.port}{path}", **environment)
    try:
        yield started
    finally:
        started.kill()


def read(sink: TrainingSink) -> Reading:
    """A reading."""
    return sink.collect(time.monotonic() + 1)


def counts(reading: Reading) -> dict[str, float]:
    """What was counted, by quantity; of one job."""
    return {sample.quantity.value: sample.value for sample in reading.samples}


def claims(reading: Reading) -> list[Subject]:
    """The subjects with a process."""
    return [subject for subject in reading.subjects if subject.pid is not None]


def test_nothing_is_done_without_a_port() -> None:
    """As it comes, there is nothing to read, and nobody listens."""
    collector = make_collector(Options(), Context())
    with pytest.raises(NoData):
        collector.collect(0)
    assert collector.port == 0


def test_a_whole_training(sink: TrainingSink) -> None:
    """Its process is claimed from its first post on, and its last one says how far it came."""
    with job(sink) as trainer:
        assert trainer.post(body(0, total_steps=30)) == 200
        (begun,) = read(sink).subjects
        assert (begun.workload, begun.pid) == ("tuner", trainer.process.pid)
        assert begun.run == f"hf-{begun.pid}-{begun.started}"
        assert (begun.running, begun.ready, begun.goal_steps) == (True, False, 30)
        assert begun.born_wall_ns is not None
        assert 0 <= time.time_ns() - begun.born_wall_ns < 60 * 10**9
        time.sleep(0.1)
        trainer.post(body(33, current_step=10, total_steps=30, current_epoch=1.0, loss=0.5))
        time.sleep(0.1)
        trainer.post(
            body(
                66,
                epoch=1.95,
                num_input_tokens_seen=640,
                current_step=20,
                total_steps=30,
                current_epoch=2.0,
            )
        )
        reading = read(sink)
        assert counts(reading) == {"steps": 20, "epochs": 2, "tokens": 640}
        assert [mark.epoch for mark in reading.marks] == [1, 2]
        trainer.post(body(100, epoch=3.0, num_input_tokens_seen=960, train_runtime=1.5))
        reading = read(sink)
        assert counts(reading) == {"steps": 30, "epochs": 3, "tokens": 960}
        assert [mark.epoch for mark in reading.marks] == [1, 2, 3]
        assert {subject.running for subject in reading.subjects} == {False}
        assert {subject.failed for subject in reading.subjects} == {False}
        counted = [subject for subject in reading.subjects if subject.pid is None]
        assert [subject.born_wall_ns is not None for subject in counted] == [True]
        assert reading.problems == ()
    assert not any(subject.failed for subject in read(sink).subjects)


def test_a_job_that_is_killed_has_failed(sink: TrainingSink) -> None:
    """It ends without its last post, and what it had said by then counts."""
    with job(sink) as trainer:
        trainer.post(body(0, total_steps=30))
        trainer.post(body(33, current_step=10, total_steps=30, current_epoch=1.0))
        assert {subject.running for subject in read(sink).subjects} == {True}
    reading = read(sink)
    assert {(subject.running, subject.failed) for subject in reading.subjects} == {(False, True)}
    assert counts(reading) == {"steps": 10, "epochs": 1}


def test_a_sink_that_was_restarted_goes_on_with_the_same_counters(sink: TrainingSink) -> None:
    """The next post has the totals, and the subject is called as before."""
    with job(sink) as trainer:
        trainer.post(body(0, total_steps=30))
        time.sleep(0.1)
        trainer.post(body(33, current_step=10, total_steps=30, current_epoch=1.0))
        time.sleep(0.1)
        trainer.post(body(40, current_step=20, total_steps=30, current_epoch=2.0))
        before = read(sink)
        sink.close()
        second = TrainingSink(Options(port=sink.port))
        second.listen()
        try:
            trainer.post(body(70, current_step=21, total_steps=30, current_epoch=2.1))
            after = read(second)
        finally:
            second.close()
    assert counts(after) == {"steps": 21, "epochs": 2.1}
    assert {each.id for each in after.subjects} == {each.id for each in before.subjects}
    (counted,) = (each for each in after.subjects if each.pid is None)
    assert counted.born_wall_ns is None
    assert after.marks == ()


def test_a_resumed_training_counts_what_it_does_itself(sink: TrainingSink) -> None:
    """Far more steps at the first post than its pace allows: they are shown first, as a base."""
    with job(sink, "/v1/jobs/tuner/runs/night") as trainer:
        trainer.post(body(0, total_steps=2000))
        for step in range(1001, 1005):
            time.sleep(0.05)
            trainer.post(body(50, current_step=step, total_steps=2000, current_epoch=step / 100))
            if step < 1004:
                assert counts(read(sink)) == {}
        first, second = read(sink), read(sink)
        assert 995 <= counts(first)["steps"] <= 1001
        assert counts(second)["steps"] == 1004
        assert next(mark.epoch for mark in second.marks) in (9, 10)
        assert {subject.run for subject in second.subjects} == {"night"}
        counted = [subject for subject in second.subjects if subject.pid is None]
        assert [subject.born_wall_ns for subject in counted] == [None]


def test_the_launcher_names_the_run_and_all_its_ranks_are_claimed(sink: TrainingSink) -> None:
    """Ranks of one launcher have one parent; other children of it are not ranks."""
    launcher = {"TORCHELASTIC_RUN_ID": "r7", "TORCHELASTIC_RESTART_COUNT": "2"}
    launcher |= {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    with (
        job(sink, LOCAL_RANK="0", **launcher) as zero,
        job(sink, LOCAL_RANK="1", **launcher) as one,
        job(sink) as other,
    ):
        zero.post(body(0, total_steps=30))
        pids = [each.process.pid for each in (zero, one, other)]
        found = tuple(Process(pid, started_of(pid), os.getpid(), 0, 0, 0) for pid in pids)
        sink.meet(Neighbours(found))
        claimed = claims(read(sink))
        assert {subject.pid for subject in claimed} == {zero.process.pid, one.process.pid}
        assert {(s.run, s.attempt, s.hosts) for s in claimed} == {("r7", 2, 2)}


def started_of(pid: int) -> int:
    """The start of a process, in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19])


def test_two_jobs_by_one_name_are_two_runs(sink: TrainingSink) -> None:
    """Each process has its own counters."""
    with job(sink) as first, job(sink) as second:
        for each, steps in ((first, 10), (second, 20)):
            each.post(body(0, total_steps=30))
            each.post(body(33, current_step=steps, total_steps=30, current_epoch=1.0))
            each.post(body(100, epoch=3.0))
        samples = read(sink).samples
        found = {s.subject: s.value for s in samples if s.quantity is Quantity.STEPS}
        assert sorted(found.values()) == [30, 30]


def test_who_posts_may_be_out_of_sight(tmp_path: Path) -> None:
    """In another container: nothing is claimed, and the job is over when it is silent."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("  sl  local_address rem_address   st\n")
    sink = TrainingSink(Options(port=free_port(), procfs=str(tmp_path), silent_after=1))
    sink.listen()
    try:
        assert post(sink.port, "/v1/jobs/tuner", body(0, total_steps=30)) == 200
        (begun,) = read(sink).subjects
        assert (begun.pid, begun.running, begun.run) == (None, True, "hf")
        post(sink.port, "/v1/jobs/tuner", body(50, current_step=15, current_epoch=1.5))
        wait_for(lambda: not read(sink).subjects[0].running, "the end of a silent job")
        assert counts(read(sink)) == {"steps": 15, "epochs": 1.5}
    finally:
        sink.close()


def test_jobs_long_over_are_left_out() -> None:
    """After `retire_after`."""
    sink = TrainingSink(Options(port=free_port(), retire_after=1))
    sink.listen()
    try:
        with job(sink) as trainer:
            trainer.post(body(0, total_steps=30))
            trainer.post(body(100, epoch=3.0))
        assert read(sink).subjects
        wait_for(lambda: not read(sink).subjects, "its end")
    finally:
        sink.close()


def test_a_token_is_required_where_one_is_given(tmp_path: Path) -> None:
    """It is never in what is said of a wrong one."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    sink = TrainingSink(Options(port=free_port(), token_file=str(token)))
    sink.listen()
    try:
        begin = body(0, total_steps=30)
        wrong = ("Bearer wrong", "Bearer secret2", "Bearer", "secret", "Basic secret", "Bearer ÿ")
        for given in wrong:
            assert post(sink.port, "/v1/jobs/a", begin, Authorization=given) == 401
        assert post(sink.port, "/v1/jobs/a", begin, Authorization="Bearer secret") == 200
        problems = read(sink).problems
        assert {problem.kind for problem in problems} == {"http_401"}
        assert "secret" not in repr(problems)
        token.write_text("\n")
        assert post(sink.port, "/v1/jobs/a", begin, Authorization="Bearer ") == 503
        token.unlink()
        assert post(sink.port, "/v1/jobs/a", begin, Authorization="Bearer secret") == 503
        assert "secret" not in repr(read(sink).problems)
    finally:
        sink.close()


HOSTILE: list[tuple[bytes, bytes]] = [
    (b"GET /v1/jobs/a HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
    (b"nonsense\r\n\r\n", b"400"),
    (b"POST /v1/jobs/a HTTP/9\r\n\r\n", b"400"),
    (b"POST /v1/jobs/a HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
    (b"POST /v1/jobs/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n\r\n", b"403"),
    (b"POST /v1/jobs/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\r\n", b"415"),
    (b"POST /v1/jobs/a HTTP/1.1\r\nHost: [::1\r\n\r\n", b"403"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n", b"404"),
    (b"POST /v1/jobs/a HTTP/1.1\r\n" + b"A: b\r\n" * 2 + b"\r\n", b"400"),
    (
        b"POST /v1/jobs/a HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(100)) + b"\r\n",
        b"431",
    ),
    (b"POST /v1/jobs/a HTTP/1.1\r\nHost: " + b"a" * (2 * MAX_HEAD) + b"\r\n\r\n", b"431"),
]
JSON = b"POST /v1/jobs/a HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: application/json\r\n"
HOSTILE += [
    (JSON + b"\r\n", b"411"),
    (JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"411"),
    (JSON + b"Content-Length: -1\r\n\r\n", b"400"),
    (JSON + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1), b"413"),
    (JSON + b"Content-Length: 2\r\n\r\n{}", b"400"),
    (JSON + b"Content-Length: 4\r\n\r\n\xff\xfe\xfd\xfc", b"400"),
]


@pytest.mark.parametrize(("request_", "status"), HOSTILE)
def test_hostile_requests_are_refused(sink: TrainingSink, request_: bytes, status: bytes) -> None:
    """Each with the status that says why, counted, and none makes a job.

    Who sends more than is read may be cut off before the answer has come: then it is asked again.
    """
    for _ in range(20):
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection(("127.0.0.1", sink.port), timeout=10) as connection,
        ):
            connection.sendall(request_)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(65_536).split()[1] == status
            break
    else:
        raise AssertionError("never answered")
    reading = read(sink)
    assert reading.subjects == ()
    assert {problem.kind for problem in reading.problems} == {f"http_{status.decode()}"}


def test_an_error_of_ours_is_a_problem_and_an_answer(
    sink: TrainingSink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted like all others, and not a traceback in the log for each post."""
    monkeypatch.setattr("unitcost.collectors.training_sink.status_of", lambda _: 1 / 0)
    assert post(sink.port, "/v1/jobs/a", body(0, total_steps=30)) == 500
    assert [problem.kind for problem in read(sink).problems] == ["http_500"]
    assert caplog.records == []


def test_a_thousand_connections_that_say_nothing_keep_nobody_out(sink: TrainingSink) -> None:
    """The eldest of them are closed; files and threads stay few."""
    begun = len(os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", sink.port)))
            slow.sendall(b"POST /v1/jobs/a HT" if number % 2 else b"P")
        with job(sink) as trainer:
            assert trainer.post(body(0, total_steps=30)) == 200
        assert len(os.listdir("/proc/self/fd")) - begun <= 1000 + MAX_CONNECTIONS + 10
        assert [subject.workload for subject in read(sink).subjects] == ["tuner"]


def test_connections_that_were_answered_are_not_kept(sink: TrainingSink) -> None:
    """However long the client leaves them open: whoever posts most is closed first."""
    begun = len(os.listdir("/proc/self/fd"))
    begin = body(0, total_steps=30)
    whole = JSON + b"Content-Length: %d\r\n\r\n" % len(begin) + begin
    with contextlib.ExitStack() as stack:
        for _ in range(2 * MAX_CONNECTIONS):
            kept = stack.enter_context(socket.create_connection(("127.0.0.1", sink.port)))
            kept.sendall(whole)
            assert kept.recv(64).split()[1] == b"200"
        most = 3 * MAX_CONNECTIONS + 10
        assert len(os.listdir("/proc/self/fd")) - begun <= most


def test_a_slow_loris_is_cut_off(sink: TrainingSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it sends and however slowly, it has a limit in all."""
    monkeypatch.setattr("unitcost.collectors.sink.server.EXCHANGE_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as slow:
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 9:
                slow.sendall(b"P")
                time.sleep(0.05)
        assert time.monotonic() - begun < 5


def test_a_port_that_is_taken_is_an_error(sink: TrainingSink) -> None:
    """Said at each reading, and tried again."""
    second = TrainingSink(Options(port=sink.port))
    with pytest.raises(OSError, match="in use"):
        read(second)
    sink.close()
    wait_for(lambda: _reads(second), "the port")
    second.close()


def _reads(sink: TrainingSink) -> bool:
    with contextlib.suppress(OSError):
        read(sink)
        return True
    return False


def test_too_many_jobs_are_refused(sink: TrainingSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are known go on."""
    monkeypatch.setattr("unitcost.collectors.sink.jobs.MAX_JOBS", 2)
    begin = body(0, total_steps=30)
    statuses = [post(sink.port, f"/v1/jobs/j{n}", begin) for n in (0, 1, 2, 1)]
    assert statuses == [200, 200, 503, 200]


def test_no_two_jobs_have_one_id() -> None:
    """Of several whose process is seen only at a later post, and of names with a slash."""
    jobs, wall = Jobs(), 10**18
    begin, step = status_of(body(0, total_steps=9), wall), status_of(body(9, current_step=1), wall)
    for pid in range(3):
        poster = Poster(ProcessId(pid, 1), Launched())
        jobs.take(Place("tuner"), None, begin)
        jobs.take(Place("tuner"), poster, step)
        jobs.take(Place("a", "b/c"), poster, begin)
        jobs.take(Place("a/b", "c"), poster, begin)
    ids = [job.id for job in jobs.all()]
    assert len(ids) == len(set(ids)) == 9
    assert ids[0] == "hf:tuner/hf@"


def test_jobs_that_are_over_make_room(sink: TrainingSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search has more than a thousand a day, and each is told of for a day after its end."""
    monkeypatch.setattr("unitcost.collectors.sink.jobs.MAX_JOBS", 2)
    begin, end = body(0, total_steps=30), body(100, epoch=3.0)
    told = [("j0", begin), ("j1", begin), ("j1", end), ("j0", end), ("j2", begin), ("j3", begin)]
    statuses = [post(sink.port, f"/v1/jobs/{name}", data) for name, data in told]
    assert statuses == [200] * 6
    assert {subject.workload for subject in read(sink).subjects} == {"j2", "j3"}
    assert post(sink.port, "/v1/jobs/j4", begin) == 503


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/v1/jobs/a", Place("a")),
        ("/v1/jobs/a%20b/runs/c%2Fd?x=1", Place("a b", "c/d")),
        ("/v1/jobs/__unallocated__", Place("___unallocated__")),
        ("/v1/jobs/a%0Ab", Place("a_b")),
    ],
)
def test_places(target: str, place: Place) -> None:
    """Names are percent-decoded and made clean."""
    assert place_of(target) == place


@pytest.mark.parametrize(
    "target",
    ["", "/", "/v1/jobs/", "/v1/jobs/%20", "/v2/jobs/a", "/v1/jobs/a/runs", "/v1/jobs/a/x/b"],
)
def test_no_places(target: str) -> None:
    """Anything else is refused."""
    with pytest.raises(Refused):
        place_of(target)


@pytest.mark.parametrize(
    ("last", "epochs", "steps"),
    [
        (None, 3.0, 300),
        (Progress(0, 150, 1.5), 3.0, 300),
        (Progress(0, 299, 2.99), 3.0, 300),
        (Progress(0, 3, 0.03), 3.0, 300),
        (Progress(0, 190, 1.9), 2.0, 190),  # it ended early
        (Progress(0, 150, None), 3.0, 300),
    ],
)
def test_the_steps_at_the_end(last: Progress | None, epochs: float, steps: int) -> None:
    """All that there were to be, but not of a training that ended early."""
    assert final_steps(last, 300, epochs) == steps


NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.text(max_size=8),
    st.sampled_from(["nan", "1e999"]),
)


@given(
    percentage=st.integers(-5, 200),
    metrics=st.dictionaries(
        st.sampled_from(
            ["current_step", "total_steps", "current_epoch", "epoch", "num_input_tokens_seen"]
        ),
        NUMBERS,
    ),
)
@settings(max_examples=200, deadline=None)
def test_no_number_that_cannot_be_passes(percentage: int, metrics: dict[str, Any]) -> None:
    """What is told is refused, or counts that can be."""
    try:
        status = status_of(body(percentage, **metrics), wall_ns=1)
    except Refused:
        assert not 0 <= percentage <= 100
        return
    told = (status.progress.steps, status.progress.epochs, status.progress.tokens)
    for number in (*told, status.total_steps):
        assert number is None or 0 <= number < 2**53


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({"trainerStatus": value}).encode()
    )
)
@settings(max_examples=200, deadline=None)
def test_bodies_are_statuses_or_refused(data: bytes) -> None:
    """Nothing else comes of them."""
    with contextlib.suppress(Refused):
        status_of(data)
