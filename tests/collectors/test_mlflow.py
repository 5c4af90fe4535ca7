"""MLflow's REST API: answers as a real server gave them (3.17), odd ones, and by flag a real one.

UNITCOST_MLFLOW names a virtual environment with mlflow.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.harness import free_port, get, wait_for
from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.mlflow import Mlflow, MlflowJob, Options, make_collector

ENVIRONMENT = os.environ.get("UNITCOST_MLFLOW", "")
RUN = "44288b70ec4b46e495a546649d4f0f23"
START_MS = 1_795_656_016_356


class FakeMlflow:
    """One experiment `night` (id 1) with runs, as a server of version 3.17 shows them."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.token = ""
        self.body: bytes | None = None
        self.asked: list[tuple[str, str, bytes]] = []
        self.url = ""

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append((method, path, body))
        if self.token and token != f"Bearer {self.token}":
            return 401, b"{}"
        if self.body is not None:
            return 200, self.body
        base = "/api/2.0/mlflow"
        if path == f"{base}/experiments/get-by-name?experiment_name=night":
            return 200, b'{"experiment": {"experiment_id": "1", "name": "night"}}'
        if (method, path) == ("POST", f"{base}/runs/search"):
            assert json.loads(body)["experiment_ids"] == ["1"]
            return 200, json.dumps({"runs": self.runs}).encode()
        for run in self.runs:
            if path == f"{base}/runs/get?run_id={run['info']['run_id']}":
                return 200, json.dumps({"run": run}).encode()
        return 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'


def a_run(status: str, step: int, epoch: float, at: float, run_id: str = RUN) -> dict[str, Any]:
    """A run whose metrics were logged `at` seconds after its start."""
    stamp = START_MS + int(at * 1000)
    metrics = [
        {"key": "loss", "value": 0.5, "timestamp": stamp, "step": step},
        {"key": "epoch", "value": epoch, "timestamp": stamp, "step": step},
        {"key": "system/cpu_utilization_percentage", "value": 5.0, "timestamp": stamp, "step": 999},
    ]
    params = [{"key": "max_steps", "value": "30"}, {"key": "num_train_epochs", "value": "3"}]
    info = {
        "run_uuid": run_id,
        "experiment_id": "1",
        "run_name": "burly-cub-712",
        "status": status,
        "start_time": START_MS,
        "lifecycle_stage": "active",
        "run_id": run_id,
    }
    data = {"metrics": metrics if step else [], "params": params, "tags": []}
    return {"info": info, "data": data, "inputs": {}, "outputs": {}}


@contextmanager
def fake_mlflow() -> Iterator[FakeMlflow]:
    """A tracking server on loopback."""
    fake = FakeMlflow()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", "0"))
            token = self.headers.get("Authorization", "")
            status, body = fake.answer(self.command, self.path, self.rfile.read(size), token)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[FakeMlflow]:
    """A tracking server without runs."""
    with fake_mlflow() as fake:
        yield fake


NIGHT = MlflowJob(job="tuner", experiment="night")


def collector(url: str, *jobs: MlflowJob, at: float = 60.0, **options: Any) -> Mlflow:
    """A collector, `at` seconds after the run's start."""
    now_ns = START_MS * 1_000_000 + int(at * 1e9)
    return Mlflow(Options(url=url, jobs=jobs or (NIGHT,), **options), lambda: now_ns)


def read(found: Mlflow) -> Reading:
    """A reading at which the server is asked."""
    found._due = 0.0
    return found.collect(time.monotonic() + 5)


def counts(reading: Reading) -> dict[str, float]:
    """What was counted, by quantity."""
    return {sample.quantity.value: sample.value for sample in reading.samples}


def test_nothing_is_asked_where_nothing_is_configured() -> None:
    """As it comes."""
    with pytest.raises(NoData):
        make_collector(Options(), Context()).collect(0)


def test_a_whole_run(server: FakeMlflow) -> None:
    """Metrics of the host do not count; its parameters say where it will end."""
    found = collector(server.url)
    server.runs = [a_run("RUNNING", 0, 0, 0)]
    (begun,) = read(found).subjects
    assert (begun.run, begun.running, begun.ready) == (f"mlflow-{RUN}", True, False)
    for at, step in ((5, 9), (10, 18)):
        server.runs = [a_run("RUNNING", step, step / 10, at)]
        reading = read(found)
    assert counts(reading) == {"steps": 18, "epochs": 1.8}
    (subject,) = reading.subjects
    assert subject.id != begun.id
    assert subject.born_wall_ns == START_MS * 1_000_000
    assert (subject.goal_steps, subject.goal_epochs) == (30, 3)
    marks = [(mark.epoch, mark.wall_ns) for mark in reading.marks]
    assert marks == [(1, (START_MS + 10_000) * 1_000_000)]
    server.runs = [a_run("FINISHED", 30, 3.0, 15)]
    reading = read(found)
    assert counts(reading) == {"steps": 30, "epochs": 3}
    assert (reading.subjects[0].running, reading.subjects[0].failed) == (False, False)
    server.runs = [a_run("KILLED", 30, 3.0, 15)]
    assert read(found).subjects[0].failed


def test_the_server_is_asked_now_and_then_only(server: FakeMlflow) -> None:
    """Between, what it said holds."""
    found = collector(server.url)
    server.runs = [a_run("FINISHED", 30, 3.0, 15)]
    read(found)
    asked = len(server.asked)
    assert counts(found.collect(time.monotonic() + 5)) == {"steps": 30, "epochs": 3}
    assert len(server.asked) == asked == 2


def test_runs_by_their_ids(server: FakeMlflow) -> None:
    """Without an experiment nothing is searched."""
    server.runs = [a_run("FINISHED", 30, 3.0, 15), a_run("FINISHED", 9, 1, 15, "other")]
    reading = read(collector(server.url, MlflowJob(job="tuner", runs=(RUN,))))
    assert counts(reading) == {"steps": 30, "epochs": 3}
    assert [method for method, _, _ in server.asked] == ["GET"]


@pytest.mark.parametrize(
    ("step_is", "expected"),
    [("step_index", {"steps": 31, "epochs": 3}), ("epoch_index", {"epochs": 31})],
)
def test_what_a_step_is(server: FakeMlflow, step_is: Any, expected: dict[str, float]) -> None:
    """As configured."""
    server.runs = [a_run("FINISHED", 30, 3.0, 15)]
    job = MlflowJob(job="tuner", experiment="night", step_is=step_is)
    assert counts(read(collector(server.url, job))) == expected


def test_runs_that_are_told_of_no_more_make_room(
    server: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search has thousands of runs, and only the latest are asked for."""
    monkeypatch.setattr("unitcost.collectors.mlflow.MAX_KNOWN", 2)
    now = [START_MS + 60_000]
    job = MlflowJob(job="tuner", experiment="night")
    found = Mlflow(Options(url=server.url, jobs=(job,)), lambda: now[0] * 10**6)
    server.runs = [a_run("FINISHED", 9, 0.9, 5, f"r{number}") for number in range(2)]
    assert len(read(found).subjects) == 2
    now[0] += 90_000_000
    server.runs = [a_run("RUNNING", 9, 0.9, 90_000, "r2")]
    assert [subject.run for subject in read(found).subjects] == ["mlflow-r2"]


def test_a_run_that_crashed_without_a_word_is_over(server: FakeMlflow) -> None:
    """Its status says RUNNING for ever; then it is left out."""
    server.runs = [a_run("RUNNING", 9, 0.9, 5)]
    assert [s.running for s in read(collector(server.url, at=60)).subjects] == [True]
    assert [s.running for s in read(collector(server.url, at=3700)).subjects] == [False]
    assert read(collector(server.url, at=100_000)).subjects == ()


def test_the_token_is_given_and_never_said(server: FakeMlflow, tmp_path: Path) -> None:
    """From its file, as it is then."""
    server.token = "a-secret"  # noqa: S105 - of a test
    server.runs = [a_run("FINISHED", 30, 3.0, 15)]
    token = tmp_path / "token"
    found = collector(server.url, token_file=str(token))
    for text in (None, "wrong-secret", "two\nlines", "ümlaut"):
        if text is not None:
            token.write_text(text, encoding="utf-8")
        reading = read(found)
        assert [problem.kind for problem in reading.problems] == ["mlflow"]
        assert text is None or text not in repr(reading.problems)
    token.write_text("a-secret\n")
    assert counts(read(found)) == {"steps": 30, "epochs": 3}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"runs": 5}',
        b'{"experiment": {"experiment_id": 5}}',
        b"\xff",
        b"[" * 100_000,
        b'{"experiment":{"experiment_id":"1"},"runs":[{"info":{"run_id":5}}]}',
    ],
)
def test_odd_answers_are_a_problem(server: FakeMlflow, body: bytes) -> None:
    """And what was known stays."""
    found = collector(server.url)
    server.runs = [a_run("RUNNING", 9, 0.9, 5)]
    read(found)
    server.body = body
    reading = read(found)
    assert [problem.kind for problem in reading.problems] == ["mlflow"]
    assert len(reading.subjects) == 1


def test_a_step_without_end_is_none_there_was(server: FakeMlflow) -> None:
    """JSON sets no limit, and a float has one."""
    found = collector(server.url)
    server.runs = [a_run("RUNNING", 10**400, 0.9, 5), a_run("FINISHED", 9, 0.9, 5, "other")]
    reading = read(found)
    assert reading.problems == ()
    assert counts(reading)["steps"] == 9


@pytest.mark.parametrize("value", ["NaN", "-Infinity", -1.0, 1e300])
def test_epochs_that_cannot_be_are_left_out(server: FakeMlflow, value: Any) -> None:
    """MLflow has what is no number as a text."""
    run = a_run("FINISHED", 30, 3.0, 15)
    run["data"]["metrics"][1]["value"] = value
    server.runs = [run]
    assert counts(read(collector(server.url))) == {"steps": 30}


def test_a_server_that_is_gone_is_a_problem() -> None:
    """It may come back."""
    reading = read(collector(f"http://127.0.0.1:{free_port()}"))
    assert [problem.kind for problem in reading.problems] == ["mlflow"]


def test_an_address_with_a_password_is_refused() -> None:
    """When the configuration is read."""
    with pytest.raises(ValueError, match="password"):
        Options(url="http://user:pass@127.0.0.1/")


JOB = """
import sys, time, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("night")
with mlflow.start_run() as run:
    mlflow.log_params({"max_steps": 50, "num_train_epochs": 5})
    for step in range(10, 51, 10):
        time.sleep(0.5)
        mlflow.log_metrics({"loss": 1.0 / step, "epoch": step / 10}, step=step)
"""


@pytest.mark.skipif(not ENVIRONMENT, reason="UNITCOST_MLFLOW names no environment with mlflow")
def test_a_real_server(tmp_path: Path) -> None:
    """A run by the real client, watched on the real server."""
    port, scripts = free_port(), Path(ENVIRONMENT) / "bin"
    url = f"http://127.0.0.1:{port}"
    command = [str(scripts / "mlflow"), "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/m.db"]
    with (
        open(tmp_path / "log", "wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, process_group=0) as process,
    ):
        try:
            wait_for(lambda: _is_up(port), "the server", 120)
            found = Mlflow(Options(url=url, jobs=(NIGHT,)))
            job = subprocess.Popen([str(scripts / "python"), "-c", JOB, url], cwd=tmp_path)
            while job.poll() is None:
                read(found)
                time.sleep(0.2)
            assert job.returncode == 0
            reading = read(found)
        finally:
            os.killpg(process.pid, 15)
    assert counts(reading) == {"steps": 50, "epochs": 5}
    (subject,) = reading.subjects
    assert (subject.running, subject.failed, subject.goal_steps) == (False, False, 50)
    assert subject.born_wall_ns is not None


def _is_up(port: int) -> bool:
    try:
        return get(port, "/health")[0] == 200
    except OSError:
        return False
