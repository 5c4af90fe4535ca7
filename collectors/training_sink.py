"""Training without a line of code: a loopback sink for Hugging Face's callback for Kubeflow.

The Trainer posts its progress to the URL in its environment (docs/training-sources.md). Who is at
the other end of the connection is the process that trains.
"""

import hmac
import time
from collections import deque
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from unitcost.collectors import procfs
from unitcost.collectors.base import Context, Neighbours, NoData, Problem, Reading
from unitcost.collectors.progress import counters
from unitcost.collectors.sink import peer
from unitcost.collectors.sink.jobs import Job, Jobs, Poster
from unitcost.collectors.sink.peer import ProcessId
from unitcost.collectors.sink.server import ADDRESS, Post, Refused, SinkServer
from unitcost.collectors.sink.status import Place, place_of, status_of
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Process, Sample, Subject
from unitcost.pricing.workload import WorkloadKind

MAX_PROBLEMS = 32
MAX_TOKEN = 16 * 1024
NS_PER_TICK = NS_PER_SECOND // 100
_SEARCH_SHARE = 10
"""After a look through all processes, so many times as long nothing is looked for again."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=10_000_000)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`port`: where to listen on 127.0.0.1; 0: not at all. `token_file`: whose text is required.

    `silent_after`: seconds after which a job is over whose process cannot be seen. `retire_after`:
    seconds after which one that is over is left out. `procfs`: where the host's /proc is seen.
    """

    port: Port = 0
    token_file: str = ""
    silent_after: Seconds = 900.0
    retire_after: Seconds = 86_400.0
    procfs: str = "/proc"


class TrainingSink:
    """Listens from its first reading until it is closed."""

    name = "training_sink"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._jobs = Jobs()
        self._server: SinkServer | None = None
        self._problems: deque[Problem] = deque(maxlen=MAX_PROBLEMS)
        self._processes: tuple[Process, ...] = ()
        self._search_after_ns = 0

    @property
    def port(self) -> int:
        """The port that is listened on; 0 while there is none."""
        return self._server.bound if self._server else 0

    def meet(self, neighbours: Neighbours) -> None:
        """Learn of the processes there are: ranks of a run have one parent."""
        self._processes = neighbours.processes

    def stays(self, options: Options, context: Context) -> bool:
        """As long as it can: what is posted while nobody listens is lost, and so are known jobs."""
        return options == self._options

    def collect(self, deadline: float) -> Reading:
        """All jobs that posted. Raises NoData without a port, OSError where it is taken."""
        if not self._options.port:
            raise NoData("no port is configured")
        self.listen()
        now_ns, mono_ns = time.time_ns(), time.monotonic_ns()
        subjects: list[Subject] = []
        samples: list[Sample] = []
        marks: list[EpochMark] = []
        with self._jobs.lock:
            self._jobs.keep(lambda job: not self._is_retired(job, now_ns))
            for job in self._jobs.all():
                told = _Told(job, self._is_running(job, now_ns), now_ns)
                self._find_fellows(job)
                progress = job.track.take()
                subjects += told.subjects(shown=progress is not None)
                if progress is not None:
                    samples += counters(job.id, progress, mono_ns)
                    marks += job.track.marks(job.id, told.born_ns)
        problems = tuple(self._problems)
        self._problems.clear()
        return Reading(
            tuple(samples), tuple(subjects), marks=tuple(marks), problems=tuple(problems)
        )

    def listen(self) -> None:
        """Begin to listen, unless it does. Raises OSError."""
        if self._server is None:
            server = SinkServer(self._options.port, self._check, self._take, self._refused)
            try:
                server.start()
            except OSError as error:
                where = f"{ADDRESS} port {self._options.port}"
                why = f"cannot listen on {where} (does an exporter run?): {error.strerror}"
                raise OSError(error.errno, why) from None
            self._server = server

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    def _check(self, target: str, headers: dict[str, str]) -> None:
        """Refuse what is not a job's post. Web pages of a browser on this host cannot post."""
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname
        except ValueError:
            host = None
        if host not in (ADDRESS, "localhost") or "origin" in headers:
            raise Refused(HTTPStatus.FORBIDDEN, "not for this host, or from a web page")
        if not headers.get("content-type", "").lower().startswith("application/json"):
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not application/json")
        if self._options.token_file:
            given = headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, b"Bearer " + self._token()):
                raise Refused(HTTPStatus.UNAUTHORIZED, "a wrong or no bearer token")
        place_of(target)

    def _token(self) -> bytes:
        """The token as it is now: it may be replaced. Raises Refused where there is none."""
        try:
            with Path(self._options.token_file).open("rb") as file:
                token = file.read(MAX_TOKEN).strip()
        except OSError as error:
            why = f"token_file cannot be read: {error.strerror}"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, why) from None
        if not token:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "token_file is empty")
        return token

    def _take(self, post: Post) -> None:
        place, status = place_of(post.target), status_of(post.body)
        self._jobs.take(place, self._poster(place, post.peer_port), status)

    def _refused(self, status: HTTPStatus, why: str) -> None:
        self._problems.append(Problem(f"http_{status.value}", why))

    def _poster(self, place: Place, port: int) -> Poster | None:
        """The process that posts: most likely one that did before, else looked for."""
        root = self._options.procfs
        try:
            inode = peer.socket_inode(root, port, self.port)
            if inode is None:
                return None
            for known in self._jobs.posters(place):
                if peer.holds(root, known.process, inode):
                    return known
            return self._search(inode)
        except (OSError, procfs.Gone) as error:
            self._problems.append(Problem("poster", f"cannot see who posts: {error}"))
            return None

    def _search(self, inode: bytes) -> Poster | None:
        begun = time.monotonic_ns()
        if begun < self._search_after_ns:
            return None
        process, hidden = peer.find_holder(self._options.procfs, inode)
        now = time.monotonic_ns()
        self._search_after_ns = now + _SEARCH_SHARE * (now - begun)
        if process is None:
            if hidden:
                detail = "cannot see who posts: that takes root, or CAP_SYS_PTRACE"
                self._problems.append(Problem("permission", detail))
            return None
        return Poster(process, peer.launched(self._options.procfs, process.pid))

    def _find_fellows(self, job: Job) -> None:
        if job.fellows is None and job.poster and job.poster.launched.ranked and self._processes:
            process = job.poster.process
            job.fellows = peer.fellows(self._options.procfs, process, self._processes)

    def _is_running(self, job: Job, now_ns: int) -> bool:
        """Whether it goes on: its process is there, or it was heard of lately; not if it ended."""
        if job.ended:
            return False
        if job.poster is not None:
            running = peer.is_alive(self._options.procfs, job.poster.process)
        else:
            running = now_ns - job.heard_ns < self._options.silent_after * NS_PER_SECOND
        if not running and not job.track.over:
            job.track.end()
        return running

    def _is_retired(self, job: Job, now_ns: int) -> bool:
        old = now_ns - job.heard_ns > self._options.retire_after * NS_PER_SECOND
        return old and not self._is_running(job, now_ns)


class _Told:
    """What a job is to the rest: a subject for each of its processes, and one that is counted."""

    def __init__(self, job: Job, running: bool, now_ns: int) -> None:
        self._job = job
        self._running = running
        boot_ns = now_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        begin = job.track.begin_ns
        self.born_ns = begin or now_ns
        if job.poster is not None:
            self.born_ns = boot_ns + job.poster.process.started * NS_PER_TICK

    def subjects(self, *, shown: bool) -> Iterator[Subject]:
        """One for each process, and one for the counts as soon as there are any."""
        job = self._job
        if job.poster is None and not shown:
            yield self._subject(f"{job.id}#begun", job.track.begin_ns)
        if job.poster is not None:
            for process in (job.poster.process, *(job.fellows or ())):
                name = f"{job.id}#{process.pid}-{process.started}"
                yield self._subject(name, self.born_ns, process)
        if shown:
            yield self._subject(job.id, self.born_ns if job.track.from_zero else None)

    def _subject(self, name: str, born_ns: int | None, process: ProcessId | None = None) -> Subject:
        job, launched = self._job, self._job.poster.launched if self._job.poster else None
        return Subject(
            id=name,
            workload=job.place.job,
            kind=WorkloadKind.TRAINING,
            run=job.run,
            attempt=launched.attempt if launched else 0,
            pid=process.pid if process else None,
            started=process.started if process else None,
            ready=job.track.latest is not None,
            running=self._running,
            failed=job.poster is not None and not self._running and not job.ended,
            born_wall_ns=born_ns,
            hosts=launched.hosts if launched else 1,
            goal_steps=job.total_steps,
        )


def make_collector(options: Options, context: Context) -> TrainingSink:
    """The collector's entry point; see `unitcost.collectors.base`."""
    return TrainingSink(options)
