"""TrainJobs of an API server: asked for by name, counted on one node, tolerant of all else."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.fake_apiserver import NODE, FakeApiServer, Json, service_account
from unitcost.collectors.base import Context, Neighbours, NoData, Reading
from unitcost.collectors.kube.apiserver import ApiError
from unitcost.collectors.kube.train_jobs import job_sets
from unitcost.collectors.trainjob import Options, TrainJobs, make_collector
from unitcost.pricing.container import Pod

PATH = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/ml/trainjobs/tuner"
LEADER = Pod("u1", "ml", "tuner-node-0-0-x7k2p", "ml/JobSet/tuner")
OTHER = Pod("u2", "ml", "tuner-node-0-1-x7k2p", "ml/JobSet/tuner")
Make = Callable[..., TrainJobs]


@pytest.fixture
def make(
    api: FakeApiServer,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Make:
    """Makes collectors that run in a pod of the cluster, with these pods on their node."""
    host, _, port = api.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("NODE_NAME", NODE)
    account = str(service_account(tmp_path / "account", certificate[0]))

    def make_one(*pods: Pod) -> TrainJobs:
        # Patient: a loaded machine is not what is tested.
        options = Options(service_account=account, period=1.0, timeout=8.0)
        collector = make_collector(options, Context())
        collector.meet(Neighbours(pods=pods))
        return collector

    return make_one


def train_job(percentage: int | None, *conditions: str, **metrics: Any) -> Json:
    """A TrainJob as the API server has it."""
    status: Json = {"conditions": [{"type": each, "status": "True"} for each in conditions]}
    if percentage is not None:
        told = [{"name": name, "value": str(value)} for name, value in metrics.items()]
        stamp = f"2026-08-01T10:00:{percentage % 60:02}Z"
        status["trainerStatus"] = {
            "progressPercentage": percentage,
            "metrics": told,
            "lastUpdatedTime": stamp,
        }
    spec = {"trainer": {"numNodes": 2}, "runtimeRef": {"name": "torch-distributed"}}
    return {"metadata": {"uid": "u-1"}, "spec": spec, "status": status}


def read(collector: TrainJobs) -> Reading:
    """A reading at which every TrainJob is asked for."""
    for known in collector._known.values():
        known.due = 0.0
    return collector.collect(time.monotonic() + 10)


def counts(reading: Reading) -> dict[str, float]:
    """What was counted, by quantity."""
    return {sample.quantity.value: sample.value for sample in reading.samples}


def test_a_whole_training(make: Make, api: FakeApiServer) -> None:
    """From before its first status to its end, under the workload of its pods."""
    collector = make(LEADER)
    api.objects[PATH] = train_job(None)
    (subject,) = read(collector).subjects
    assert (subject.workload, subject.run) == ("ml/JobSet/tuner", "trainjob-tuner")
    assert (subject.hosts, subject.running, subject.ready) == (2, True, False)
    for percentage, step in ((30, 9), (60, 18)):
        time.sleep(0.05)
        metrics = {"current_step": step, "total_steps": 30, "current_epoch": step / 10}
        api.objects[PATH] = train_job(percentage, **metrics)
        reading = read(collector)
    assert counts(reading) == {"steps": 18, "epochs": 1.8}
    assert [mark.epoch for mark in reading.marks] == [1]
    (counted,) = reading.subjects
    assert counted.id != subject.id
    assert counted.born_wall_ns is not None
    api.objects[PATH] = train_job(100, "Complete", epoch=3.0)
    reading = read(collector)
    assert counts(reading) == {"steps": 30, "epochs": 3}
    assert (reading.subjects[0].running, reading.subjects[0].failed) == (False, False)


def test_a_job_made_anew_under_the_same_name_counts_from_its_own_begin(
    make: Make, api: FakeApiServer
) -> None:
    """What the first one did is not counted for the second, whether or not its pods were missed."""
    collector = make(LEADER)
    api.objects[PATH] = train_job(0, total_steps=1000)
    read(collector)
    for percentage in (50, 90):
        time.sleep(0.05)
        api.objects[PATH] = train_job(percentage, current_step=10 * percentage, total_steps=1000)
        first = read(collector)
    assert counts(first) == {"steps": 900}
    api.objects[PATH] = train_job(5, current_step=50, total_steps=1000)
    api.objects[PATH]["metadata"]["uid"] = "u-2"
    second = read(collector)
    assert counts(second) == {"steps": 50}
    assert second.subjects[0].id != first.subjects[0].id
    assert second.subjects[0].born_wall_ns is None


def test_one_that_was_under_way_is_a_baseline(make: Make, api: FakeApiServer) -> None:
    """Nobody saw it begin."""
    api.objects[PATH] = train_job(50, current_step=500, total_steps=1000, current_epoch=5.0)
    reading = read(make(LEADER))
    assert counts(reading) == {"steps": 500, "epochs": 5}
    assert reading.subjects[0].born_wall_ns is None
    assert reading.marks == ()


def test_only_the_node_of_rank_0_counts(make: Make, api: FakeApiServer) -> None:
    """The others know the run, but its steps are counted once."""
    api.objects[PATH] = train_job(50, current_step=500, total_steps=1000, current_epoch=5.0)
    reading = read(make(OTHER))
    assert reading.samples == ()
    assert [subject.workload for subject in reading.subjects] == ["ml/JobSet/tuner"]


def test_a_failed_and_a_suspended_one(make: Make, api: FakeApiServer) -> None:
    """As its conditions say."""
    collector = make(LEADER)
    api.objects[PATH] = train_job(None, "Failed")
    assert [(s.failed, s.running) for s in read(collector).subjects] == [(True, False)]
    api.objects[PATH] = train_job(None, "Suspended")
    assert [(s.failed, s.running) for s in read(collector).subjects] == [(False, False)]


def test_a_job_set_of_its_own_is_asked_for_once(make: Make, api: FakeApiServer) -> None:
    """Or there is no such resource in the cluster at all: nothing there, and no error."""
    collector = make(LEADER)
    for _ in range(3):
        with pytest.raises(NoData):
            collector.collect(time.monotonic() + 10)
    assert api.requests == [PATH]


def test_without_pods_of_job_sets_nobody_is_asked(make: Make, api: FakeApiServer) -> None:
    """Most nodes."""
    with pytest.raises(NoData):
        make(Pod("u", "ml", "web-1", "ml/Deployment/web")).collect(time.monotonic() + 10)
    assert api.requests == []


def test_outside_of_a_cluster_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it comes."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoData):
        make_collector(Options(), Context()).collect(0)


def test_a_node_without_a_name_is_an_error_where_there_are_job_sets() -> None:
    """And nothing where there are none."""
    collector = TrainJobs(Options(), None, "the name of this node is not known")
    with pytest.raises(NoData):
        collector.collect(0)
    collector.meet(Neighbours(pods=(LEADER,)))
    with pytest.raises(ApiError, match="name of this node"):
        collector.collect(0)


@pytest.mark.parametrize(("status", "body"), [(403, None), (500, None), (200, b"{"), (200, b"[]")])
def test_an_api_server_in_trouble_is_a_problem(
    make: Make, api: FakeApiServer, status: int, body: bytes | None
) -> None:
    """Said, without the token, and what is known stays."""
    collector = make(LEADER)
    api.objects[PATH] = train_job(None)
    read(collector)
    api.status, api.body = status, body
    reading = read(collector)
    assert [problem.kind for problem in reading.problems] == ["apiserver"]
    assert len(reading.subjects) == 1
    assert api.token not in repr(reading.problems)


def test_names_that_are_none_are_not_asked_for() -> None:
    """A controller's name comes from the cluster; it must not choose another path."""
    odd = [Pod("u", "ml", "p", f"ml/JobSet/{name}") for name in ("a/../b", "", "A", "a?x=1")]
    assert job_sets(odd) == ()
    (found,) = job_sets([OTHER, LEADER])
    assert (found.path, found.leads) == (PATH, True)
