"""Training: what the processes that use `unitcost_client` say of their runs, epochs and steps."""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from unitcost.collectors import procfs
from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.state_files import Folder, Record, StateFiles
from unitcost.pricing.sample import (
    NS_PER_SECOND,
    EpochMark,
    Quantity,
    Sample,
    Subject,
    TokenType,
)
from unitcost.pricing.workload import WorkloadKind, clean_name

SYSTEM_FOLDER = "/run/unitcost/train"
TEMPORARY = "/tmp"  # noqa: S108 - owners are checked
MAX_MARKS = 65_536
MARKS_KEPT_NS = 3600 * NS_PER_SECOND
"""How long after its end the epoch marks of a run are still reported."""
MISSED_FLUSHES_NS = 3 * NS_PER_SECOND
"""A process that is gone and left no last word for this long has failed."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`directories`: where state files are; empty: where the client writes them by default.

    `retire_after`: seconds after which the file of a process that is gone is left out. `procfs`:
    where the host's /proc is seen. Files are never removed: their owners' next start does that.
    """

    directories: tuple[str, ...] = ()
    retire_after: float = 86_400.0
    procfs: str = "/proc"


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks, in nanoseconds."""

    wall_ns: Callable[[], int] = time.time_ns
    mono_ns: Callable[[], int] = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class _Process:
    """One state file, and whether its process is at work (None: that cannot be seen from here)."""

    id: str
    record: Record
    alive: bool | None

    @property
    def running(self) -> bool | None:
        """Whether the run goes on."""
        return False if self.record.state != "running" else self.alive

    def failed(self, now_ns: int) -> bool:
        """It said so, or it is gone without a last word."""
        if self.record.state == "running" and self.alive is False:
            return now_ns - self.record.now_ns >= MISSED_FLUSHES_NS
        return self.record.state == "failed"


class TrainingCollector:
    """Turns state files into subjects, counters and epoch marks."""

    name = "training"

    def __init__(self, options: Options, clocks: Clocks | None = None) -> None:
        self._options = options
        self._clocks = clocks or Clocks()
        self._files = StateFiles()

    def collect(self, deadline: float) -> Reading:
        """Read all state files. Raises NoData where there is none.

        A file that cannot be used is left out and reported as a problem.
        """
        folders = self._folders()
        found = self._files.read(folders, deadline)
        if not found.records and not found.problems:
            where = ", ".join(folder.path for folder in folders)
            raise NoData(f"no state file in {where}" if found.existed else f"there is no {where}")
        now_ns = self._clocks.wall_ns()
        processes = self._processes(found.records, now_ns)
        marks, problems = _marks(processes, now_ns)
        mono_ns = self._clocks.mono_ns()
        hosts = {key: _hosts(group) for key, group in _groups(processes).items()}
        return Reading(
            subjects=tuple(_subject(each, hosts[_key(each)], now_ns) for each in processes),
            samples=tuple(sample for each in processes for sample in _samples(each, mono_ns)),
            marks=marks,
            problems=found.problems + problems,
        )

    def _folders(self) -> tuple[Folder, ...]:
        given = tuple(Folder(path) for path in self._options.directories)
        return given or default_folders(os.environ)

    def _processes(self, records: Mapping[str, Record], now_ns: int) -> list[_Process]:
        """The processes that are not retired, by name; each is looked up in /proc if need be."""
        namespace = pid_namespace(self._options.procfs)
        oldest = now_ns - int(self._options.retire_after * NS_PER_SECOND)
        kept = []
        for name in sorted(records):
            record = records[name]
            alive = is_alive(self._options.procfs, record, namespace)
            if alive or record.now_ns >= oldest:
                kept.append(_Process(f"run:{name}", record, alive))
        return kept


def make_collector(options: Options, context: Context) -> TrainingCollector:
    """The collector's entry point; see `unitcost.collectors.base`."""
    return TrainingCollector(options)


def default_folders(env: Mapping[str, str]) -> tuple[Folder, ...]:
    """Where the client writes by default: for root, every user's folders."""
    given = env.get("UNITCOST_STATE_DIR", "")
    user = os.geteuid()
    folders = [Folder(given)] if given else []
    folders.append(Folder(SYSTEM_FOLDER))
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        folders.append(Folder(f"{runtime.rstrip('/')}/unitcost/train", user))
    users = {user}
    if user == 0:
        users |= _users("/run/user", "") | _users(TEMPORARY, "unitcost-")
    for each in sorted(users):
        folders.append(Folder(f"/run/user/{each}/unitcost/train", each))
        folders.append(Folder(f"{TEMPORARY}/unitcost-{each}/train", each))
    return tuple(dict.fromkeys(folders))


def _users(path: str, prefix: str) -> set[int]:
    """The user ids that names of the form <prefix><id> in a folder stand for."""
    try:
        names = [name.removeprefix(prefix) for name in os.listdir(path) if name.startswith(prefix)]
    except OSError:
        return set()
    return {int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 11}


def pid_namespace(root: str) -> int | None:
    """The pid namespace that the pids below `root` are of, if that can be seen."""
    try:
        return os.stat(f"{root}/{'self' if root == '/proc' else '1'}/ns/pid").st_ino
    except OSError:
        return None


def is_alive(root: str, record: Record, namespace: int | None) -> bool | None:
    """Whether the process is still at its run; None where its pid means nothing here.

    A reused pid has another start time, and a zombie does nothing any more.
    """
    if record.pid_started is None:
        return None
    if None not in (namespace, record.pid_namespace) and namespace != record.pid_namespace:
        return None
    if record.state != "running":
        return False
    try:
        fields = procfs.read(f"{root}/{record.pid}/stat").rpartition(b") ")[2].split(None, 20)
        return int(fields[19]) == record.pid_started and fields[0] not in (b"Z", b"X")
    except procfs.Gone:
        return False
    except (OSError, ValueError, IndexError):
        return None


def _key(process: _Process) -> tuple[str, str, int]:
    """What the processes of one attempt at one run share."""
    return process.record.job, process.record.run, process.record.attempt


def _groups(processes: Iterable[_Process]) -> dict[tuple[str, str, int], list[Record]]:
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for each in processes:
        groups.setdefault(_key(each), []).append(each.record)
    return groups


def _hosts(group: list[Record]) -> int:
    """On how many hosts the run works: its size by that of this host; 1 where nothing tells.

    This host's size is what the launcher said, else the local ranks seen, if there are several
    and none is missing below the highest.
    """
    size = max(record.world_size for record in group)
    here = max(record.local_world_size or 0 for record in group)
    if not here:
        local = {record.local_rank for record in group if record.local_rank is not None}
        here = len(local) if len(local) > 1 and max(local) == len(local) - 1 else 0
    return math.ceil(size / here) if here else 1


def _subject(process: _Process, hosts: int, now_ns: int) -> Subject:
    record = process.record
    visible = process.alive is not None
    advanced = record.steps > record.resumed_step or record.epochs > record.resumed_epoch
    return Subject(
        id=process.id,
        workload=clean_name(record.job),
        kind=WorkloadKind.TRAINING,
        run=clean_name(record.run),
        attempt=record.attempt,
        pid=record.pid if visible else None,
        started=record.pid_started if visible else None,
        ready=advanced,
        running=process.running,
        failed=process.failed(now_ns),
        born_wall_ns=record.started_ns if record.started_ns <= now_ns else None,
        generation=str(record.started_ns),
        hosts=hosts,
        resumed_epoch=record.resumed_epoch,
        resumed_step=record.resumed_step,
        goal_epochs=record.total_epochs or None,
        goal_steps=record.total_steps or None,
    )


def _samples(process: _Process, mono_ns: int) -> Iterable[Sample]:
    """Counters that stood at zero when the process started.

    Epochs and steps are the whole run's, so rank 0 speaks for all; samples, tokens and stalls are
    each rank's own. None of those counted yet: nobody may ever count them, so they are absent.
    """
    record = process.record
    part = "" if record.rank is None else str(record.rank)
    if record.rank == 0:
        epochs = record.epochs - record.resumed_epoch
        steps = float(record.steps - record.resumed_step)
        yield Sample(process.id, Quantity.EPOCHS, epochs, mono_ns, part=part)
        yield Sample(process.id, Quantity.STEPS, steps, mono_ns, part=part)
    if record.samples:
        yield Sample(process.id, Quantity.SAMPLES, float(record.samples), mono_ns, part=part)
    if record.tokens:
        label, tokens = TokenType.INPUT.value, float(record.tokens)
        yield Sample(process.id, Quantity.TOKENS, tokens, mono_ns, label=label, part=part)
    for kind, seconds in record.stalls.by_kind():
        stall = Quantity.STALL_SECONDS
        yield Sample(process.id, stall, seconds, mono_ns, label=kind.value, part=part)


def _marks(
    processes: list[_Process], now_ns: int
) -> tuple[tuple[EpochMark, ...], tuple[Problem, ...]]:
    """The marks of each run's lowest rank on this host; of runs long over, none."""
    lowest: dict[tuple[str, str, int], int] = {}
    for each in processes:
        rank, key = each.record.rank, _key(each)
        if rank is not None:
            lowest[key] = min(lowest.get(key, rank), rank)
    marks = [
        EpochMark(each.id, epoch, wall_ns)
        for each in processes
        if each.record.rank is not None and each.record.rank == lowest[_key(each)]
        if each.running or now_ns - each.record.now_ns < MARKS_KEPT_NS
        for epoch, wall_ns in each.record.epoch_marks
    ]
    if len(marks) <= MAX_MARKS:
        return tuple(marks), ()
    marks.sort(key=lambda mark: mark.wall_ns)
    problem = Problem("too_many_marks", f"more than {MAX_MARKS}, the oldest are left out")
    return tuple(marks[-MAX_MARKS:]), (problem,)
