"""Training by what it logs to an MLflow tracking server, asked over its REST API.

The latest value of each metric says how far a run is; whose the costs are a rule of the workload
says (docs/training-sources.md).
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.progress import Track, amount_of, count_of, counters
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Sample, Subject
from unitcost.pricing.training_sources import MLFLOW, Progress
from unitcost.pricing.workload import WorkloadKind, clean_name

Answer = TypeVar("Answer")
API = "/api/2.0/mlflow"
MAX_RUNS = 20
"""The latest runs of an experiment that are looked at."""
MAX_KNOWN = 256
_MARGIN = 0.1
_NS_PER_MS = 1_000_000
_MAX_MS = 9 * 10**12
_SYSTEM = "system/"
"""Metrics of the host, which MLflow numbers itself."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
RunId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=10_000_000)]
Timeout = Annotated[float, msgspec.Meta(ge=0.05, le=60)]


class MlflowJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`job`: the workload of an `experiment` by name, or of `runs` by their ids.

    `step_is` says what a metric's step is: optimiser updates done, the index of the one under way
    (Lightning's logger), or that of an epoch. `epoch_metric`: the metric with the epochs done.
    """

    job: Name
    experiment: str = ""
    runs: tuple[RunId, ...] = ()
    step_is: Literal["steps", "step_index", "epoch_index"] = "steps"
    epoch_metric: str = "epoch"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`url`: the tracking server's; `jobs`: which of its runs are whose.

    `token_file`: the bearer token; `period`: seconds from one look to the next; `timeout`: for an
    answer. `silent_after`, `retire_after`: seconds after its last metric after which a run that
    says it goes on is over, and after which one that is over is left out.
    """

    url: str = ""
    jobs: tuple[MlflowJob, ...] = ()
    token_file: str = ""
    period: Seconds = 15.0
    timeout: Timeout = 2.0
    silent_after: Seconds = 3600.0
    retire_after: Seconds = 86_400.0

    def __post_init__(self) -> None:
        """Check the address. Raises ValueError."""
        if self.url:
            fetch.check_url(self.url)


class _Metric(msgspec.Struct, frozen=True):
    key: str = ""
    value: float | str = 0.0
    timestamp: int = 0
    step: int = 0


class _Param(msgspec.Struct, frozen=True):
    key: str = ""
    value: str = ""


class _Info(msgspec.Struct, frozen=True):
    run_id: str = ""
    status: str = ""
    start_time: int = 0
    end_time: int | None = None


class _Data(msgspec.Struct, frozen=True):
    metrics: tuple[_Metric, ...] = ()
    params: tuple[_Param, ...] = ()


class _Run(msgspec.Struct, frozen=True):
    info: _Info = _Info()
    data: _Data = _Data()


class _One(msgspec.Struct, frozen=True):
    run: _Run


class _Many(msgspec.Struct, frozen=True):
    runs: tuple[_Run, ...] = ()


class _Experiment(msgspec.Struct, frozen=True):
    experiment_id: str


class _Found(msgspec.Struct, frozen=True):
    experiment: _Experiment


class _Trouble(Exception):
    """The server did not give what was asked for; the text says why, without the token."""


@dataclass(slots=True)
class _Known:
    """A run as it was told last."""

    job: MlflowJob
    told: _Run
    track: Track = field(default_factory=Track)


class Mlflow:
    """Asks a tracking server now and then; says between what it said last."""

    name = "mlflow"

    def __init__(self, options: Options, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._options = options
        self._wall_ns = wall_ns
        self._known: dict[str, _Known] = {}
        self._due = 0.0

    def collect(self, deadline: float) -> Reading:
        """How far the runs are. Raises NoData where no server or no job is configured."""
        if not self._options.url or not self._options.jobs:
            raise NoData("no tracking server is configured")
        problems = []
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._options.period
            # Of a run that is not among the latest any more nothing is told again.
            kept = {i: each for i, each in self._known.items() if not self._is_old(each.told)}
            self._known = kept
            for job in self._options.jobs:
                try:
                    self._take(job, self._ask(job, deadline))
                except _Trouble as trouble:
                    problems.append(Problem("mlflow", f"{job.job}: {trouble}"[:300]))
        subjects: list[Subject] = []
        samples: list[Sample] = []
        marks: list[EpochMark] = []
        mono_ns = time.monotonic_ns()
        for run_id, known in self._known.items():
            subject = self._subject(run_id, known)
            subjects.append(subject)
            samples += counters(subject.id, known.track.take(), mono_ns)
            marks += known.track.marks(subject.id, known.track.begin_ns or self._wall_ns())
        return Reading(
            tuple(samples), tuple(subjects), marks=tuple(marks), problems=tuple(problems)
        )

    def _ask(self, job: MlflowJob, deadline: float) -> Iterable[_Run]:
        """The runs of a job. Raises _Trouble."""
        runs = [
            self._decoded(f"/runs/get?run_id={quote(run_id)}", None, deadline, _One).run
            for run_id in job.runs[:MAX_RUNS]
        ]
        if job.experiment:
            name = quote(job.experiment, safe="")
            path = f"/experiments/get-by-name?experiment_name={name}"
            found = self._decoded(path, None, deadline, _Found).experiment.experiment_id
            question = {
                "experiment_ids": [found],
                "max_results": MAX_RUNS,
                "order_by": ["attributes.start_time DESC"],
            }
            body = json.dumps(question).encode()
            runs += self._decoded("/runs/search", body, deadline, _Many).runs
        return runs

    def _decoded(
        self, path: str, body: bytes | None, deadline: float, wanted: type[Answer]
    ) -> Answer:
        """What the server answers. Raises _Trouble."""
        left = min(self._options.timeout, deadline - _MARGIN - time.monotonic())
        if left <= 0:
            raise _Trouble("not all was asked for in time")
        url, token = self._options.url.rstrip("/") + API + path, self._token()
        try:
            if body is None:
                answer = fetch.fetch(url, timeout=left, bearer_token=token)
            else:
                answer = fetch.post(url, body, timeout=left, bearer_token=token)
            return msgspec.json.decode(answer, type=wanted)
        except fetch.FetchError as error:
            raise _Trouble(f"{path.partition('?')[0]}: {error}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _Trouble(f"{path.partition('?')[0]}: not MLflow: {error}") from None

    def _token(self) -> str | None:
        if not self._options.token_file:
            return None
        try:
            with Path(self._options.token_file).open(encoding="ascii") as file:
                return file.read(fetch.MAX_TOKEN_LENGTH + 1).strip()
        except OSError as error:
            raise _Trouble(f"token_file cannot be read: {error.strerror}") from None
        except ValueError:
            raise _Trouble("token_file is no plain text") from None

    def _take(self, job: MlflowJob, runs: Iterable[_Run]) -> None:
        """Take what is told of runs."""
        for run in runs:
            run_id = clean_name(run.info.run_id)
            if not run_id or self._is_old(run):
                self._known.pop(run_id, None)
                continue
            if run_id not in self._known and len(self._known) >= MAX_KNOWN:
                continue
            known = self._known.setdefault(run_id, _Known(job, run))
            known.told = run
            if known.track.begin_ns is None and 0 < run.info.start_time < _MAX_MS:
                known.track.begin(run.info.start_time * _NS_PER_MS)
            progress = progress_of(job, run.data.metrics)
            if progress is not None and progress != known.track.latest:
                known.track.add(progress)
            if not self._is_running(run):
                known.track.end()

    def _subject(self, run_id: str, known: _Known) -> Subject:
        name = f"{MLFLOW}{run_id}"
        params = {each.key: each.value for each in known.told.data.params}
        return Subject(
            # Who is known before its counters are is taken to have counted from zero: another id.
            id=name if known.track.known else f"{name}#begun",
            workload=clean_name(known.job.job),
            kind=WorkloadKind.TRAINING,
            run=clean_name(f"mlflow-{run_id}"),
            ready=known.track.latest is not None,
            running=self._is_running(known.told),
            failed=known.told.info.status in ("FAILED", "KILLED"),
            born_wall_ns=known.track.begin_ns if known.track.from_zero else None,
            goal_steps=count_of(_number(params.get("max_steps"))) or None,
            goal_epochs=amount_of(_number(params.get("num_train_epochs"))) or None,
        )

    def _is_running(self, run: _Run) -> bool:
        silent_ns = self._wall_ns() - _last_ms(run) * _NS_PER_MS
        silent = silent_ns > self._options.silent_after * NS_PER_SECOND
        return run.info.status == "RUNNING" and not silent

    def _is_old(self, run: _Run) -> bool:
        silent_ns = self._wall_ns() - _last_ms(run) * _NS_PER_MS
        return silent_ns > self._options.retire_after * NS_PER_SECOND


def progress_of(job: MlflowJob, metrics: Iterable[_Metric]) -> Progress | None:
    """How far a run is by the latest values of its metrics; None where they do not say."""
    own = [
        each
        for each in metrics
        if not each.key.startswith(_SYSTEM) and each.step >= 0 and 0 < each.timestamp < _MAX_MS
    ]
    if not own:
        return None
    wall_ns = max(each.timestamp for each in own) * _NS_PER_MS
    last = max(each.step for each in own)
    if job.step_is == "epoch_index":
        return Progress(wall_ns, None, amount_of(last + 1))
    told = next((each.value for each in own if each.key == job.epoch_metric), None)
    epochs = amount_of(told) if isinstance(told, float) else None
    return Progress(wall_ns, count_of(last + (job.step_is == "step_index")), epochs)


def _last_ms(run: _Run) -> int:
    """When a run was last heard of, in Unix milliseconds."""
    heard = [each.timestamp for each in run.data.metrics if 0 < each.timestamp < _MAX_MS]
    return max([run.info.start_time, run.info.end_time or 0, *heard])


def _number(text: str | None) -> float | None:
    try:
        return float((text or "")[:64])
    except ValueError:
        return None


def make_collector(options: Options, context: Context) -> Mlflow:
    """The collector's entry point; see `unitcost.collectors.base`."""
    return Mlflow(options)
