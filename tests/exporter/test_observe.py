"""A collector that fails takes its measurements with it, and no process from its workload."""

import pytest

from tests.sites import Site
from unitcost.collectors.base import Reading
from unitcost.exporter.gathering.gather import CollectorState, Gathered
from unitcost.exporter.observe import Kept, kept_after, observed_of
from unitcost.pricing.container import Grant, Kubelet, Pod
from unitcost.pricing.sample import EpochMark, Subject
from unitcost.pricing.workload import SYSTEM, WorkloadKind

JOB = Subject("run:1", "job", WorkloadKind.TRAINING, run="r1", pid=7, started=8, running=True)
SERVER = Subject("server:1", "chat", WorkloadKind.INFERENCE, port=1, ready=True)
UP = CollectorState(True, 0.0, None, {})
FAILED = CollectorState(False, 0.0, None, {})
NOTHING = CollectorState(True, 0.0, None, {}, no_data=True)
POD = Pod("uid", "team", "chat-1", "team/Deployment/chat")
VIEW = Kubelet(1, 1, (Grant("team", "chat-1", "server", "nvidia.com/gpu", "GPU-1", 1),))
BEFORE = Kept(
    {"training": (JOB,), "openmetrics": (SERVER,), "kubernetes": ()},
    {"training": (), "openmetrics": (), "kubernetes": (POD,)},
    {"kubernetes": VIEW},
)


def test_the_subjects_of_a_collector_that_fails_stay_and_do_not_answer() -> None:
    """Others are as they were read."""
    gathered = Gathered(
        {"openmetrics": Reading(subjects=(SERVER,))}, {"openmetrics": UP, "training": FAILED}
    )
    found = kept_after(BEFORE, gathered)
    assert found.subjects["openmetrics"] == (SERVER,)
    ((job),) = found.subjects["training"]
    assert (job.id, job.pid, job.started, job.run) == ("run:1", 7, 8, "r1")
    assert (job.up, job.ready, job.running) == (False, None, None)
    assert kept_after(found, gathered) == found


@pytest.mark.parametrize("state", [UP, NOTHING])
def test_a_collector_that_has_nothing_to_say_has_no_subjects(state: CollectorState) -> None:
    """The last state file was removed: that is no failure."""
    assert kept_after(BEFORE, Gathered({}, {"training": state})) == Kept()


def test_a_collector_that_is_not_run_any_more_has_no_subjects() -> None:
    """The configuration was reloaded."""
    assert kept_after(BEFORE, Gathered({}, {})) == Kept()


def test_pods_and_their_devices_stay_while_the_collector_fails() -> None:
    """They are known to be old; an answer of the kubelet takes their place."""
    found = kept_after(BEFORE, Gathered({}, {"kubernetes": FAILED}))
    assert (found.pods, found.kubelets) == ({"kubernetes": (POD,)}, {"kubernetes": VIEW})
    assert found.stale
    observed, _ = observed_of({}, found)
    assert (observed.pods, observed.kubelet, observed.stale) == ((POD,), VIEW, True)
    fresh = Kubelet(2, 1)
    gathered = Gathered({"kubernetes": Reading(kubelet=fresh, pods=())}, {"kubernetes": UP})
    observed, _ = observed_of(gathered.readings, kept_after(found, gathered))
    assert (observed.pods, observed.kubelet, observed.stale) == ((), fresh, False)


def test_a_late_answer_is_an_answer() -> None:
    """What it says is a tick old and better than nothing."""
    reading = Reading(subjects=(JOB,), marks=(EpochMark("run:1", 1.0, 5),))
    gathered = Gathered({"training": reading}, {"training": FAILED})
    found = kept_after(Kept(), gathered)
    assert found.subjects == {"training": (JOB,)}
    observed, marks = observed_of(gathered.readings, found)
    assert (observed.subjects, marks) == ((JOB,), reading.marks)


def test_a_job_keeps_its_processes_while_its_collector_fails() -> None:
    """They are neither the system's nor unpaid, and the epoch they work on has its whole cost."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    job.steps = 1
    before = site.usd("job", site.tick())
    site.host.silent.add(job.id)
    last = site.tick()
    assert abs(site.usd("job", last) - before) * 10**9 < 1
    assert site.usd(SYSTEM, last) == 0
    assert site.units("job", "unitcost_steps_total") == 1
    site.host.silent.clear()
    job.steps = 3
    job.end_epoch(site.host.clock.wall_ns)
    site.tick()
    assert site.units("job", "unitcost_steps_total") == 3
    run = site.ledger.runs["job", "r1"]
    assert run.epoch_cost is not None
    assert run.whole
