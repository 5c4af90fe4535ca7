"""Settling training that several sources tell of, and whose process nobody claims."""

from dataclasses import replace

from tests.sites import Site, rules, workload_rule
from tests.worlds import Host, Job
from unitcost.pricing.sample import EpochMark, Sample, Subject
from unitcost.pricing.workload import WorkloadKind

TUNER = workload_rule("tuner", kind=WorkloadKind.TRAINING)


class Told(Host):
    """A host on which a second source tells of each job, without claiming its process.

    `source`: what its ids begin with; `alone`: only that source tells.
    """

    source = "logs:"
    alone = False

    def observe(self, host: bool = True):  # type: ignore[no-untyped-def]
        """As the host's collectors say, and the source."""
        observed, marks = super().observe(host)
        own = {job.id: f"{self.source}{job.workload}" for job in self.jobs}
        again = [_elsewhere(each, own) for each in observed.subjects if each.id in own]
        samples = [replace(s, subject=own[s.subject]) for s in observed.samples if s.subject in own]
        told = tuple(EpochMark(own[m.subject], m.epoch, m.wall_ns) for m in marks)
        kept = [each for each in observed.subjects if not (self.alone and each.id in own)]
        left = [each for each in observed.samples if not (self.alone and each.subject in own)]
        observed = replace(observed, subjects=(*kept, *again), samples=(*left, *samples))
        return observed, (() if self.alone else marks) + told


def _elsewhere(subject: Subject, ids: dict[str, str]) -> Subject:
    return replace(subject, id=ids[subject.id], pid=None, started=None)


def site(*, alone: bool = False) -> tuple[Site, Job]:
    """A job on it, tied to its workload by a rule as well."""
    host = Told()
    host.alone = alone
    job = host.train("tuner", "night", cores=1.0, gibs=1.0)
    return Site(rules(workloads=(TUNER,)), host, match={"tuner": "tuner"}), job


def work(its: Site, job: Job, ticks: int = 6) -> None:
    """Two steps each tick."""
    its.settle()
    for _ in range(ticks):
        job.steps += 2
        its.tick()


def test_a_job_that_two_sources_tell_of_is_counted_once() -> None:
    """By the client, which knows most."""
    its, job = site()
    work(its, job)
    assert its.units("tuner", "unitcost_steps_total") == 12


def test_the_source_that_is_left_takes_over_without_a_jump() -> None:
    """When the client's state file is gone, what the other tells from then on counts."""
    its, job = site()
    work(its, job)
    host = its.host
    assert isinstance(host, Told)
    host.alone = True
    its.tick()
    job.steps += 5
    its.tick()
    assert 12 <= its.units("tuner", "unitcost_steps_total") <= 17


def test_a_run_whose_process_nobody_claims_has_what_its_workload_holds() -> None:
    """Its cost is the workload's, of which it is the only run; the epoch it ends has a cost."""
    its, job = site(alone=True)
    work(its, job)
    job.end_epoch(its.host.clock.wall_ns)
    work(its, job)
    job.end_epoch(its.host.clock.wall_ns)
    its.tick()
    spent = float(its.usd("tuner"))
    assert spent > 0
    assert its.point("unitcost_run_cost_usd", "tuner", "night") == spent
    assert its.point("unitcost_epoch_cost_usd", "tuner", "", "allocated") is not None
    assert its.units("tuner", "unitcost_steps_total") == 24


def test_two_runs_of_one_workload_are_not_guessed_apart() -> None:
    """Then nobody knows whose the processes are: units count, runs have no cost."""
    its, job = site(alone=True)
    host = its.host
    other = host.train("tuner", "day", cores=1.0)
    assert isinstance(host, Told)
    work(its, job)
    assert other.steps == 0
    assert its.point("unitcost_run_cost_usd", "tuner", "night") is None
    assert float(its.usd("tuner")) > 0


def test_samples_without_a_subject_are_nobodys() -> None:
    """A sample of a source that is left out has no subject any more."""
    its, job = site()
    work(its, job, 1)
    observed, marks = its.host.observe()
    stray = Sample("logs:other", observed.samples[-1].quantity, 5.0, its.host.clock.mono_ns)
    observed = replace(observed, samples=(*observed.samples, stray))
    its.settler.tick(observed, marks, its.host.clock.read())
    assert its.units("tuner", "unitcost_steps_total") == 2
