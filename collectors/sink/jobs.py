"""The jobs that posted: each with its process, as far as that can be seen, and its progress.

Posts come in one thread and readings in another: the lock is held while either looks at jobs, and
never while files of /proc are read for a post.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import chain, count

from unitcost.collectors.progress import Track
from unitcost.collectors.sink.peer import Launched, ProcessId
from unitcost.collectors.sink.server import Refused
from unitcost.collectors.sink.status import Place, Status, final_steps
from unitcost.pricing.training_sources import SINK, Progress
from unitcost.pricing.workload import clean_name

MAX_JOBS = 1024


@dataclass(frozen=True, slots=True)
class Poster:
    """The process that posts (global rank 0), and what its launcher said."""

    process: ProcessId
    launched: Launched


@dataclass(slots=True)
class Job:
    """One training, or one process's several; `id` stays as it is for as long as it is known."""

    id: str
    place: Place
    run: str
    poster: Poster | None = None
    fellows: tuple[ProcessId, ...] | None = None
    track: Track = field(default_factory=Track)
    total_steps: int | None = None
    heard_ns: int = 0
    ended: bool = False

    def take(self, status: Status) -> None:
        """Take what it posted."""
        progress = status.progress
        self.heard_ns = progress.wall_ns
        if status.total_steps is not None:
            self.total_steps = status.total_steps
        if status.begins:
            self.ended = False
            self.track.begin(progress.wall_ns)
        elif status.ends:
            if not self.ended:
                self._end(progress)
        elif not _empty(progress):
            self.ended = False
            self.track.add(progress)

    def _end(self, progress: Progress) -> None:
        last = self.track.latest
        steps = progress.steps
        if steps is None:
            steps = final_steps(last, self.total_steps, progress.epochs)
        self.ended = True
        if not _empty(replace(progress, steps=steps)):
            self.track.add(replace(progress, steps=steps), judge=False)
        self.track.end()


class Jobs:
    """All jobs that are known; where there are too many, those long over make room."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._jobs: dict[tuple[Place, ProcessId | None], Job] = {}

    def all(self) -> list[Job]:
        """Every job, in the order in which they came; call it with the lock held."""
        return list(self._jobs.values())

    def posters(self, place: Place) -> list[Poster]:
        """Those that posted to a place before, the latest first."""
        with self.lock:
            found = [job for job in self._jobs.values() if job.place == place and job.poster]
        found.sort(key=lambda job: job.heard_ns, reverse=True)
        return [job.poster for job in found if job.poster]

    def take(self, place: Place, poster: Poster | None, status: Status) -> None:
        """Take a post. Raises Refused where there are too many jobs."""
        with self.lock:
            self._job(place, poster, begins=status.begins).take(status)

    def keep(self, wanted: Callable[[Job], bool]) -> None:
        """Forget all others; call it with the lock held."""
        self._jobs = {key: job for key, job in self._jobs.items() if wanted(job)}

    def _job(self, place: Place, poster: Poster | None, *, begins: bool) -> Job:
        """The job of a post: of its process; else, where that is not seen, the place's latest."""
        process = poster.process if poster else None
        job = self._jobs.get((place, process))
        if job is None and process is None:
            job = self._latest(place)
        if job is None and process is not None and not begins:
            job = self._jobs.pop((place, None), None)
            if job is not None:
                job.poster = poster
                self._jobs[place, process] = job
        return job or self._new(place, poster)

    def _latest(self, place: Place) -> Job | None:
        found = [job for job in self._jobs.values() if job.place == place and not job.ended]
        return max(found, key=lambda job: job.heard_ns, default=None)

    def _new(self, place: Place, poster: Poster | None) -> Job:
        if len(self._jobs) >= MAX_JOBS:
            over = [key for key, job in self._jobs.items() if job.ended or job.track.over]
            if not over:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"more than {MAX_JOBS} jobs")
            del self._jobs[min(over, key=lambda key: self._jobs[key].heard_ns)]
        process = poster.process if poster else None
        own = f"{process.pid}-{process.started}" if process else ""
        said = place.run or (poster.launched.run if poster else "")
        run = said or clean_name(f"hf-{own}" if own else "hf")
        name, taken = f"{SINK}{place.job}/{run}@{own}", {job.id for job in self._jobs.values()}
        names = chain([name], (f"{name}~{number}" for number in count(1)))
        job = Job(next(each for each in names if each not in taken), place, run, poster)
        self._jobs[place, process] = job
        return job


def _empty(progress: Progress) -> bool:
    return progress.steps is None and progress.epochs is None and progress.tokens is None
