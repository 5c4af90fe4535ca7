"""Reads the state files that `unitcost_client` writes. Every byte of them is input from outside.

Files are opened without following links, read only if regular and small, and parsed again only
when they have changed. docs/training.md describes the record.
"""

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Annotated, Literal

import msgspec

from unitcost.collectors.base import Problem
from unitcost.pricing.sample import Stall
from unitcost.pricing.workload import clean_name

MAX_BYTES = 65_536
MAX_FILES = 4096
MAX_ENTRIES = 65_536
"""How many names of a folder are looked at."""
SETTLED_NS = 2_000_000_000
"""A file this old is known by its inode, time and size; a younger one may change unseen."""

_NAME = re.compile(r"train-[A-Za-z0-9._-]{1,200}\.json")
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Epochs = Annotated[float, msgspec.Meta(ge=0, lt=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=0, lt=2**53)]
WallNs = Annotated[int, msgspec.Meta(gt=0, le=2**63 - 1)]
Rank = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Size = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Pid = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Marks = Annotated[tuple[tuple[Epochs, WallNs], ...], msgspec.Meta(max_length=64)]


class Stalls(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Seconds a process has waited; None: not measured. Kinds of a later client are left out."""

    data_loading: Seconds | None = None
    checkpoint: Seconds | None = None
    straggler: Seconds | None = None

    def by_kind(self) -> Iterator[tuple[Stall, float]]:
        """Those that were measured."""
        for kind in Stall:
            seconds = getattr(self, kind.value)
            if seconds is not None:
                yield kind, seconds


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one training process says of itself, version 1; fields we do not use are left out.

    Counts include what was done before the process resumed.
    """

    v: Literal[1]
    job: Name
    run: Name
    attempt: Count
    rank: Rank | None
    local_rank: Rank | None
    world_size: Size
    pid: Pid
    pid_started: Count | None
    started_ns: WallNs
    now_ns: WallNs
    steps: Count
    epochs: Epochs
    samples: Count
    tokens: Count
    resumed_epoch: Epochs
    resumed_step: Count
    epoch_marks: Marks
    state: Literal["running", "ended", "failed"]
    local_world_size: Size | None = None
    pid_namespace: Count | None = None
    total_epochs: Epochs | None = None
    total_steps: Count | None = None
    stalls: Stalls = msgspec.field(default_factory=Stalls)

    def __post_init__(self) -> None:
        """Raises ValueError for values that contradict each other."""
        if self.steps < self.resumed_step or self.epochs < self.resumed_epoch:
            raise ValueError("counts are below those resumed from")
        if self.rank is not None and self.rank >= self.world_size:
            raise ValueError("rank is not below world_size")
        epochs = [self.resumed_epoch, *(epoch for epoch, _ in self.epoch_marks)]
        if any(later <= before for before, later in pairwise(epochs)):
            raise ValueError("epoch marks do not rise")
        if epochs[-1] > self.epochs:
            raise ValueError("an epoch mark is beyond epochs")
        if not clean_name(self.job) or not clean_name(self.run):
            raise ValueError("job or run is blank")


_DECODER = msgspec.json.Decoder(Record)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where state files may be. `owner`: the last two folders must be this user's and no links."""

    path: str
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All state files that could be read, by name without suffix; `existed`: any folder did."""

    records: dict[str, Record]
    problems: tuple[Problem, ...]
    existed: bool


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    """A file as listed: newest first in reverse order."""

    mtime_ns: int
    name: str
    folder: str
    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as read: what it held, or why it is of no use."""

    entry: _Entry
    read_wall_ns: int
    content: Record | Problem

    def still(self, entry: _Entry) -> bool:
        """Whether the file is surely the one that was read."""
        return self.entry == entry and self.read_wall_ns - entry.mtime_ns > SETTLED_NS


class StateFiles:
    """Reads all state files of some folders and remembers those that do not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def read(self, folders: Iterable[Folder], deadline: float) -> Found:
        """Read what has changed, the newest files first, until `deadline` (``time.monotonic()``).

        A name that two folders have is read in the first: it is the same process.
        """
        reader = _Reading(self._known, deadline)
        existed = False
        for folder in folders:
            try:
                with open_folder(folder) as descriptor:
                    existed = True
                    reader.read_folder(folder.path, descriptor)
            except FileNotFoundError:
                continue
            except OSError as error:
                reader.problems.append(Problem("folder", f"{folder.path}: {_why(error)}"))
        self._known = reader.seen
        return Found(reader.records, tuple(reader.problems), existed)


@contextmanager
def open_folder(folder: Folder) -> Iterator[int]:
    """A descriptor of the folder; raises OSError, PermissionError if it is not its owner's."""
    if folder.owner is None:
        descriptor = os.open(folder.path, _OPEN_FOLDER)
    else:
        descriptor = _open_owned(folder.path, folder.owner)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_owned(path: str, owner: int) -> int:
    base, first, second = path.rsplit("/", 2)
    descriptor = os.open(base or "/", _OPEN_FOLDER)
    for name in (first, second):
        try:
            inner = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
        if os.fstat(descriptor).st_uid != owner:
            os.close(descriptor)
            raise PermissionError(f"not owned by user {owner}")
    return descriptor


class _Reading:
    """One round over the folders: what is found, and what is known of each file afterwards."""

    def __init__(self, known: dict[tuple[str, str], _Known], deadline: float) -> None:
        self.known = known
        self.deadline = deadline
        self.seen: dict[tuple[str, str], _Known] = {}
        self.records: dict[str, Record] = {}
        self.problems: list[Problem] = []

    def read_folder(self, path: str, descriptor: int) -> None:
        """Read the folder's state files, the newest first."""
        with os.scandir(descriptor) as listing:
            names = [each for each in islice(listing, MAX_ENTRIES) if _NAME.fullmatch(each.name)]
        entries = sorted(filter(None, (self._entry(path, each) for each in names)), reverse=True)
        room = MAX_FILES - len(self.seen)
        if len(entries) > room:
            detail = f"{path}: more than {MAX_FILES} state files, the oldest are left out"
            self.problems.append(Problem("too_many", detail))
        for entry in entries[:room]:
            self._take(entry, descriptor)

    def _entry(self, path: str, listed: os.DirEntry[str]) -> _Entry | None:
        """The file's identity, or None (and a problem) if it is none that is ever opened."""
        try:
            status = listed.stat(follow_symlinks=False)
        except OSError:
            return None  # replaced or removed meanwhile
        if not stat.S_ISREG(status.st_mode):
            self.problems.append(Problem("not_a_file", f"{path}/{listed.name}"))
            return None
        if status.st_size > MAX_BYTES:
            self.problems.append(Problem("too_large", f"{path}/{listed.name}"))
            return None
        return _Entry(status.st_mtime_ns, listed.name, path, status.st_ino, status.st_size)

    def _take(self, entry: _Entry, descriptor: int) -> None:
        """Use what is known of the file, or read it."""
        key = (entry.folder, entry.name)
        identity = entry.name.removesuffix(".json")
        known = self.known.get(key)
        if known is None or not known.still(entry):
            if time.monotonic() < self.deadline:
                known = _read(entry, descriptor)
            else:
                self.problems.append(Problem("deadline", "not all state files were read in time"))
        if known is None:
            return
        self.seen[key] = known
        if isinstance(known.content, Problem):
            self.problems.append(known.content)
        else:
            self.records.setdefault(identity, known.content)


def _read(entry: _Entry, descriptor: int) -> _Known | None:
    """Read and check one file; None if it is gone."""
    now = time.time_ns()
    path = f"{entry.folder}/{entry.name}"
    try:
        data = _bytes_of(entry.name, descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _Known(entry, now, Problem("unreadable", f"{path}: {_why(error)}"))
    try:
        return _Known(entry, now, decode(data))
    except ValueError as error:
        return _Known(entry, now, Problem("invalid", f"{path}: {error}"[:300]))


def _bytes_of(name: str, descriptor: int) -> bytes:
    """The file's bytes, one more than allowed at most; raises OSError."""
    file = os.open(name, _OPEN_FILE, dir_fd=descriptor)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("not a regular file")
        data = b""
        while part := os.read(file, MAX_BYTES + 1 - len(data)):
            data += part
        return data
    finally:
        os.close(file)


def decode(data: bytes) -> Record:
    """The record in a state file; raises ValueError if anything in it is not as described."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _why(error: OSError) -> str:
    """The error without the path, which is said once already."""
    return error.strerror or str(error)
