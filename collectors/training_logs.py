"""Training by the logs it leaves: TensorBoard, Lightning's CSV, Hugging Face's checkpoints.

For jobs that cannot be told to report. Logs lag behind, and name no process: whose the costs are
a rule of the workload says (docs/training-sources.md).
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.progress import counters
from unitcost.collectors.trainlog.folder import MAX_ENTRIES, LogFile, Walk
from unitcost.collectors.trainlog.versions import (
    CsvVersion,
    EventVersion,
    StateVersion,
    Version,
    started_of,
)
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Sample, Subject
from unitcost.pricing.training_sources import LOGS
from unitcost.pricing.workload import WorkloadKind, clean_name

MAX_VERSIONS = 256
"""Folders of one job that are followed; those long over do not count, up to `MAX_ENTRIES`."""
Format = Literal["auto", "tensorboard", "lightning_csv", "trainer_state"]
FORMATS: tuple[Format, ...] = ("tensorboard", "lightning_csv", "trainer_state")
"""In `auto` the first of these that tells of progress is the one that counts."""
_MAKE: dict[str, Callable[[], Version]] = {
    "tensorboard": EventVersion,
    "lightning_csv": CsvVersion,
    "trainer_state": StateVersion,
}
_NOT_TRAINING = re.compile(r"(validation|val|eval|evaluation|test)", re.IGNORECASE)
_CHECKPOINT = re.compile(r"checkpoint-\d+")
_DIGITS = re.compile(r"(\d+)")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=10_000_000)]


class JobLogs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`job`: the workload; `path`: the folder below which its logs are, never left by links.

    `run`: the run whose attempts the folders in it are; empty: each folder is a run of its own.
    """

    job: Name
    path: Name
    run: str = ""
    format: Format = "auto"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`jobs`: whose logs are where. `silent_after`: seconds after whose last word a run is over.

    `retire_after`: seconds after which the logs of one that is over are left out.
    """

    jobs: tuple[JobLogs, ...] = ()
    silent_after: Seconds = 3600.0
    retire_after: Seconds = 86_400.0


@dataclass(slots=True)
class _Folder:
    """One folder of logs in one format; nothing is told of it before all of it was read once.

    Less than was told before a restart would be taken for a start anew.
    """

    version: Version
    order: tuple[object, ...]
    whole: bool = False


@dataclass(slots=True)
class _Job:
    """A configured job and what is known of its folders, by format and folder."""

    settings: JobLogs
    folders: dict[tuple[str, str], _Folder] = field(default_factory=dict)
    looked_ns: int = 0
    chosen: str = ""
    followed: int = 0


class TrainingLogs:
    """Reads the logs of all configured jobs."""

    name = "training_logs"

    def __init__(self, options: Options, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._options = options
        self._wall_ns = wall_ns
        self._jobs = [_Job(settings) for settings in options.jobs]
        self._turn = 0

    def collect(self, deadline: float) -> Reading:
        """Read what is new until `deadline`. Raises NoData where no job is configured."""
        if not self._jobs:
            raise NoData("no job is configured")
        problems: list[Problem] = []
        self._turn = (self._turn + 1) % len(self._jobs)
        # Each is first in its turn: one with endless logs must not take the others' time for ever.
        for job in (*self._jobs[self._turn :], *self._jobs[: self._turn]):
            problems += self._look(job, deadline)
        subjects: list[Subject] = []
        samples: list[Sample] = []
        marks: list[EpochMark] = []
        mono_ns = time.monotonic_ns()
        for job in self._jobs:
            for subject, version in self._told(job):
                subjects.append(subject)
                samples += counters(subject.id, version.track.take(), mono_ns)
                born = subject.born_wall_ns or version.track.begin_ns or self._wall_ns()
                marks += version.track.marks(subject.id, born)
        return Reading(
            tuple(samples), tuple(subjects), marks=tuple(marks), problems=tuple(problems)
        )

    def _look(self, job: _Job, deadline: float) -> Iterator[Problem]:
        """Read what is new of one job."""
        walk, path, now = Walk(), job.settings.path, self._wall_ns()
        for each in job.folders.values():
            each.version.behind = False
        job.followed = sum(
            not self._is_retired(each.version.written_ns, now) for each in job.folders.values()
        )
        try:
            for file in walk.files(path):
                key = _key(file, job.settings.format)
                if key is None:
                    continue
                if time.monotonic() >= deadline:
                    yield Problem("deadline", "not all logs were read in time")
                    return
                yield from self._take(job, key, file)
        except OSError as error:
            yield Problem("folder", f"{path}: {error.strerror or error}")
            return
        job.looked_ns = now
        for each in job.folders.values():
            each.whole = each.whole or (each.version.written_ns > 0 and not each.version.behind)
        if walk.cut:
            yield Problem("too_many", f"{path}: more than {MAX_ENTRIES} names")

    def _take(self, job: _Job, key: tuple[str, str], file: LogFile) -> Iterator[Problem]:
        folder, old = job.folders.get(key), self._is_retired(file.mtime_ns, self._wall_ns())
        if folder is None:
            # An old one is kept in mind all the same: it was an attempt, and has its number.
            room = old or job.followed < MAX_VERSIONS
            if not room or len(job.folders) >= MAX_ENTRIES:
                yield Problem("too_many", f"{job.settings.path}: more than {MAX_VERSIONS} folders")
                return
            job.followed += not old
            folder = job.folders[key] = _Folder(
                _MAKE[key[0]](), (started_of(file.name), _natural(key[1]))
            )
            if key[0] == "lightning_csv" and job.looked_ns and not old:
                folder.version.track.begin(job.looked_ns)  # it was not there then
        if old:
            return
        try:
            yield from folder.version.look(file)
        except OSError as error:
            where = f"{job.settings.path}/{file.where}"
            yield Problem("unreadable", f"{where}: {error.strerror or error}"[:300])

    def _is_retired(self, written_ns: int, now_ns: int) -> bool:
        return now_ns - written_ns > self._options.retire_after * NS_PER_SECOND

    def _told(self, job: _Job) -> Iterator[tuple[Subject, Version]]:
        """The folders of one job that tell of progress, in the format that counts."""
        now = self._wall_ns()
        if not job.looked_ns:
            return
        chosen = job.chosen or _best(job)
        whole = all(each.whole or not each.version.written_ns for each in job.folders.values())
        if whole and any(found.version.track.known for (kind, _), found in job.folders.items()):
            job.chosen = chosen
        own = [(key[1], found) for key, found in job.folders.items() if key[0] == chosen]
        own.sort(key=lambda each: each[1].order)
        for attempt, (name, found) in enumerate(own):
            silent_ns = now - found.version.written_ns
            if self._is_retired(found.version.written_ns, now) or not found.whole:
                continue
            running = silent_ns < self._options.silent_after * NS_PER_SECOND
            if not running:
                found.version.track.end()
            if chosen == "trainer_state" or found.version.track.known:
                yield _subject(job, chosen, name, attempt, found.version, running), found.version
        if not own and job.settings.format in ("auto", "trainer_state"):
            # Who saw that there was no checkpoint knows that the first one counts from zero.
            empty = StateVersion()
            yield _subject(job, "trainer_state", "", 0, empty, None), empty


def _subject(
    job: _Job, kind: str, folder: str, attempt: int, version: Version, running: bool | None
) -> Subject:
    given, track = clean_name(job.settings.run), version.track
    run = given or clean_name(f"logs-{folder}" if folder else "logs")
    return Subject(
        id=f"{LOGS}{job.settings.job}/{kind}/{folder}"[:512],
        workload=clean_name(job.settings.job),
        kind=WorkloadKind.TRAINING,
        run=run,
        attempt=attempt if given else 0,
        ready=track.latest is not None,
        running=running,
        born_wall_ns=track.begin_ns if track.from_zero else None,
        goal_steps=version.goal_steps,
        goal_epochs=version.goal_epochs,
    )


def _best(job: _Job) -> str:
    """The format that counts: the first that tells of progress."""
    telling = {kind for (kind, _), found in job.folders.items() if found.version.track.known}
    return next((kind for kind in FORMATS if kind in telling), "trainer_state")


def _key(file: LogFile, wanted: str) -> tuple[str, str] | None:
    """Format and folder of a file; None for one that is none of these, or not wanted."""
    last = file.folder.rpartition("/")[2]
    if ".tfevents." in file.name:
        found = "tensorboard", file.folder
    elif file.name == "metrics.csv":
        found = "lightning_csv", file.folder
    elif file.name == "trainer_state.json":
        above = file.folder.rpartition("/")[0]
        found = "trainer_state", above if _CHECKPOINT.fullmatch(last) else file.folder
    else:
        return None
    if _NOT_TRAINING.fullmatch(last) or wanted not in ("auto", found[0]):
        return None
    return found


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sorts version_2 before version_10."""
    parts: Iterable[str] = _DIGITS.split(text)
    return tuple((int(part[:18]), "") if part.isdecimal() else (0, part) for part in parts)


def make_collector(options: Options, context: Context) -> TrainingLogs:
    """The collector's entry point; see `unitcost.collectors.base`."""
    return TrainingLogs(options)
