"""Training in a cluster by the status of Kubeflow's TrainJobs.

Only TrainJobs with pods on this node are asked for, each by its name; the exporter on the node of
global rank 0 counts, and all tell when epochs ended.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from unitcost.collectors.base import Context, Neighbours, NoData, Problem, Reading
from unitcost.collectors.kube.apiserver import ApiError, ApiServer, NotThere, api_server
from unitcost.collectors.kube.train_jobs import JobSet, TrainerStatus, TrainJob, job_sets
from unitcost.collectors.progress import Track, counters
from unitcost.collectors.sink.status import final_steps, told_status
from unitcost.pricing.container import Pod
from unitcost.pricing.sample import EpochMark, Sample, Subject
from unitcost.pricing.training_sources import TRAIN_JOB, Progress
from unitcost.pricing.workload import WorkloadKind, clean_name

NOT_THERE_AGAIN = 300.0
"""Seconds after which a JobSet that was no TrainJob's is looked at again."""
Seconds = Annotated[float, msgspec.Meta(ge=1, le=3600)]
Timeout = Annotated[float, msgspec.Meta(ge=0.05, le=60)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`period`: seconds from one look at a TrainJob to the next; `timeout`: for each answer.

    `node_name`: else the environment's NODE_NAME. `service_account`: the folder with our pod's
    token.
    """

    period: Seconds = 15.0
    timeout: Timeout = 2.0
    node_name: str = ""
    service_account: str = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(slots=True)
class _Known:
    """A JobSet as it was looked at last; `job` is None where it is no TrainJob's."""

    due: float = 0.0
    job: TrainJob | None = None
    track: Track = field(default_factory=Track)
    total_steps: int | None = None
    updated: str | None = None
    silent_ns: int | None = None
    """When it was last seen to have reported nothing (Unix nanoseconds)."""


class TrainJobs:
    """Asks for the TrainJobs of this node."""

    name = "trainjob"

    def __init__(
        self,
        options: Options,
        api: ApiServer | None,
        fault: str = "",
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._api = api
        self._fault = fault
        self._seconds = seconds
        self._pods: tuple[Pod, ...] = ()
        self._known: dict[JobSet, _Known] = {}
        self._decode = msgspec.json.Decoder(TrainJob).decode

    def meet(self, neighbours: Neighbours) -> None:
        """Learn of the pods of this node."""
        self._pods = neighbours.pods

    def collect(self, deadline: float) -> Reading:
        """What TrainJobs say. Raises NoData outside of a cluster, and where there are none."""
        if self._api is None and not self._fault:
            raise NoData("not in a cluster")
        sets = job_sets(self._pods)
        if not sets:
            raise NoData("no pod of a JobSet is on this node")
        if self._api is None:
            raise ApiError(self._fault)
        self._known = {each: self._known.get(each, _Known()) for each in sets}
        problems = tuple(self._look(self._api, deadline))
        found = {key: known for key, known in self._known.items() if known.job is not None}
        if not found and not problems:
            raise NoData("no JobSet of this node is a TrainJob's")
        subjects: list[Subject] = []
        samples: list[Sample] = []
        marks: list[EpochMark] = []
        mono_ns = time.monotonic_ns()
        for job_set, known in found.items():
            subject = _subject(job_set, known)
            subjects.append(subject)
            if job_set.leads:
                samples += counters(subject.id, known.track.take(), mono_ns)
            marks += known.track.marks(subject.id, known.track.begin_ns or time.time_ns())
        return Reading(tuple(samples), tuple(subjects), marks=tuple(marks), problems=problems)

    def _look(self, api: ApiServer, deadline: float) -> Iterator[Problem]:
        """Ask for those that are due, as long as there is time."""
        for job_set, known in list(self._known.items()):
            now = self._seconds()
            if now < known.due or time.monotonic() + self._options.timeout > deadline:
                continue
            known.due = now + self._options.period
            try:
                job = api.object(job_set.path, self._decode)
                if known.job is not None and job.metadata.uid != known.job.metadata.uid:
                    # Made anew under the same name: what the former one did is not its.
                    known = self._known[job_set] = _Known(known.due)
                known.job = job
            except NotThere:
                known.job, known.due = None, now + NOT_THERE_AGAIN
            except ApiError as error:
                yield Problem("apiserver", str(error))
            if known.job is None:
                continue
            if (told := known.job.status.trainer_status) is None:
                known.silent_ns = time.time_ns()
            else:
                _take(known, told)


def _take(known: _Known, told: TrainerStatus) -> None:
    """Take a status that was not seen before.

    A run began with its first status, if that was seen, else after it was last seen without one.
    """
    if told.last_updated_time is not None and told.last_updated_time == known.updated:
        return
    known.updated = told.last_updated_time
    metrics = {each.name: each.value for each in told.metrics or ()}
    status = told_status(told.progress_percentage, metrics, time.time_ns())
    progress = status.progress
    if status.total_steps is not None:
        known.total_steps = status.total_steps
    if status.begins:
        known.track.begin(progress.wall_ns)
        return
    if known.silent_ns is not None and known.track.begin_ns is None:
        known.track.begin(known.silent_ns)
    steps = progress.steps
    if status.ends and steps is None:
        steps = final_steps(known.track.latest, known.total_steps, progress.epochs)
    if steps is not None or progress.epochs is not None:
        taken = Progress(progress.wall_ns, steps, progress.epochs, progress.tokens)
        known.track.add(taken, judge=not status.ends)
    if status.ends:
        known.track.end()


def _subject(job_set: JobSet, known: _Known) -> Subject:
    job, track = known.job or TrainJob(), known.track
    trainer = job.spec.trainer
    nodes = (trainer.num_nodes if trainer else None) or 1
    name = f"{TRAIN_JOB}{job_set.namespace}/{job_set.name}/{job.metadata.uid[:64]}"
    over = job.has("Complete") or job.has("Failed")
    return Subject(
        # Who is known before its counters are is taken to have counted from zero: another id.
        id=name if track.known else f"{name}#begun",
        workload=clean_name(job_set.workload),
        kind=WorkloadKind.TRAINING,
        run=clean_name(f"trainjob-{job_set.name}"),
        ready=track.latest is not None,
        running=not over and not job.has("Suspended"),
        failed=job.has("Failed"),
        born_wall_ns=track.begin_ns if track.from_zero else None,
        hosts=min(max(1, nodes), 100_000),
        goal_steps=known.total_steps,
    )


def make_collector(options: Options, context: Context) -> TrainJobs:
    """The collector of this node's TrainJobs."""
    try:
        api = api_server(os.environ, options.service_account, options.node_name, options.timeout)
    except ApiError as error:
        return TrainJobs(options, None, str(error))
    return TrainJobs(options, api)
