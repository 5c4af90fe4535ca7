"""Versions: folders of logs, each read by what lies in it, and the progress that they tell.

What the tags and columns mean is the frameworks' convention, read in their code (docs/
training-sources.md): Hugging Face's `train/epoch` is at a number of finished steps, Lightning's
`epoch` and `step` are numbers of what is under way, Keras's `epoch_…` are at a finished epoch.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from unitcost.collectors.base import Problem
from unitcost.collectors.progress import Track, amount_of, count_of
from unitcost.collectors.trainlog.events import Corrupt, EventFile, Scalar
from unitcost.collectors.trainlog.folder import LogFile
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.training_sources import Progress

MAX_READ = 2 << 20
"""Bytes of one file that are read in one go."""
MAX_STATE = 8 << 20
MAX_LINE = 65_536
MAX_SECONDS = 9e9
MAX_FILES = 8192
"""Files of one folder that are remembered, the removed ones included."""
_STAMP = re.compile(r"tfevents\.(\d{1,12})")
_EVALUATION = re.compile(r"(val|test|eval)", re.IGNORECASE)


Remembered = TypeVar("Remembered")


class Version(Protocol):
    """One folder of logs. `behind`: there is more in its files than was read of them yet."""

    track: Track
    behind: bool
    goal_steps: int | None
    goal_epochs: float | None
    written_ns: int

    def look(self, file: LogFile) -> Iterator[Problem]:
        """Read what is new in one of its files. Raises OSError."""
        ...


@dataclass(slots=True)
class EventVersion:
    """A folder of TensorBoard event files, which are read one after the other."""

    track: Track = field(default_factory=Track)
    goal_steps: int | None = None
    goal_epochs: float | None = None
    written_ns: int = 0
    behind: bool = False
    _files: dict[tuple[str, int], EventFile] = field(default_factory=dict)
    _whole_at: int = -1

    def look(self, file: LogFile) -> Iterator[Problem]:
        """Read what is new. Raises OSError."""
        self.written_ns = max(self.written_ns, file.mtime_ns)
        # The number of a file that was removed is the next one's at once on most file systems.
        known = _remembered(self._files, (file.name, file.inode), EventFile)
        if known.broken or file.size <= known.offset:
            return
        data = file.read(known.offset, MAX_READ)
        try:
            scalars: Sequence[Scalar] = known.feed(data)
        except Corrupt as error:
            known.broken, scalars = True, error.before
            yield Problem("corrupt", f"{file.where}: {error}")
        more = (len(data) == MAX_READ or known.skipped) and known.offset < file.size
        self.behind |= more and not known.broken
        if self.track.begin_ns is None and self.track.latest is None:
            begun_ns = _wall_ns(known.begun or 0.0)
            if begun_ns:
                self.track.begin(begun_ns)
        for scalar in scalars:
            progress = self._progress(scalar)
            if progress is not None:
                self.track.add(progress)

    def _progress(self, scalar: Scalar) -> Progress | None:
        wall_ns = _wall_ns(scalar.wall_seconds)
        if wall_ns is None:
            return None
        if scalar.tag == "train/epoch":
            return Progress(wall_ns, count_of(scalar.step), amount_of(scalar.value))
        if scalar.tag == "epoch":
            epochs = amount_of(scalar.value)
            if epochs is not None and scalar.step == self._whole_at:
                epochs += 1
            return Progress(wall_ns, count_of(scalar.step + 1), epochs)
        if scalar.tag.startswith("epoch_"):
            return Progress(wall_ns, None, amount_of(scalar.step + 1))
        if scalar.tag.endswith("_epoch") and not _EVALUATION.match(scalar.tag):
            self._whole_at = scalar.step
        return None


def _wall_ns(seconds: float) -> int | None:
    """Seconds as written in nanoseconds; None for no time that there was."""
    return int(seconds * NS_PER_SECOND) if 0 <= seconds < MAX_SECONDS else None


@dataclass(slots=True)
class CsvVersion:
    """Lightning's `metrics.csv`; its rows have no times, so they are of when they were seen."""

    track: Track = field(default_factory=Track)
    goal_steps: int | None = None
    goal_epochs: float | None = None
    written_ns: int = 0
    behind: bool = False
    _offset: int = 0
    _inode: int = 0
    _header: list[str] = field(default_factory=list)
    _head: bytes = b""

    def look(self, file: LogFile) -> Iterator[Problem]:
        """Read what is new; all of it again where the file was written anew. Raises OSError."""
        changed = file.mtime_ns != self.written_ns or file.size > self._offset
        self.written_ns = file.mtime_ns
        if not changed:
            return
        head = file.read(0, MAX_LINE).partition(b"\n")[0]
        if (file.inode, head) != (self._inode, self._head) or file.size < self._offset:
            self._inode, self._head, self._offset, self._header = file.inode, head, 0, []
        data = file.read(self._offset, MAX_READ)
        end = data.rfind(b"\n") + 1
        self._offset += end
        self.behind |= len(data) == MAX_READ and end > 0
        rows = data[:end].decode("utf-8", "replace").splitlines()
        try:
            for row in csv.reader(rows, strict=True):
                self._take(row, file.mtime_ns)
        except csv.Error as error:
            yield Problem("corrupt", f"{file.where}: {error}")

    def _take(self, row: list[str], wall_ns: int) -> None:
        if not self._header:
            self._header = row
            return
        cells = dict(zip(self._header, row, strict=False))
        epoch, step = _cell(cells, "epoch"), count_of(_cell(cells, "step"))
        if epoch is None or step is None:
            return
        whole = any(
            value and name.endswith("_epoch") and not _EVALUATION.match(name)
            for name, value in cells.items()
        )
        progress = Progress(wall_ns, step + 1, epoch + whole)
        track = self.track
        if track.begin_ns is not None and track.base is None:
            # The first row of a run that did not resume is of its first epoch.
            zero = Progress(track.begin_ns, 0, 0.0)
            track.base = zero if epoch < 1 else Progress(track.begin_ns, step, epoch)
        track.add(progress)


def _cell(cells: dict[str, str], name: str) -> float | None:
    try:
        return amount_of(float(cells.get(name, "")[:64]))
    except ValueError:
        return None


class _State(msgspec.Struct, frozen=True):
    """What we use of `trainer_state.json`; others of its fields are left out."""

    global_step: int
    epoch: float | None = None
    num_input_tokens_seen: int | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None


_DECODER = msgspec.json.Decoder(_State)


def _state_of(data: bytes) -> _State:
    """The state in a file. Raises ValueError or RecursionError for what is none."""
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Python writes NaN and Infinity as they are, which is no JSON: norms of gradients are.
        return msgspec.convert(json.loads(data), _State)


@dataclass(slots=True)
class _ReadState:
    """A checkpoint's file as it was read."""

    mtime_ns: int = -1
    size: int = -1


@dataclass(slots=True)
class StateVersion:
    """A folder of Hugging Face's checkpoints, each with the trainer's state when it was saved."""

    track: Track = field(default_factory=Track)
    goal_steps: int | None = None
    goal_epochs: float | None = None
    written_ns: int = 0
    behind: bool = False
    _read: dict[tuple[str, int], _ReadState] = field(default_factory=dict)

    def look(self, file: LogFile) -> Iterator[Problem]:
        """Read a state that is new. Raises OSError."""
        self.written_ns = max(self.written_ns, file.mtime_ns)
        known = _remembered(self._read, (file.folder, file.inode), _ReadState)
        if (known.mtime_ns, known.size) == (file.mtime_ns, file.size):
            return
        known.mtime_ns, known.size = file.mtime_ns, file.size
        try:
            if file.size > MAX_STATE:
                raise ValueError(f"more than {MAX_STATE} bytes")
            told = _state_of(file.read(0, MAX_STATE))
        except (ValueError, RecursionError) as error:
            yield Problem("corrupt", f"{file.where}: {error}"[:300])
            return
        # Whole numbers have no limit in JSON: one that no float can hold is none that there was.
        steps, tokens = count_of(told.global_step), told.num_input_tokens_seen
        if steps is None:
            yield Problem("corrupt", f"{file.where}: global_step is no count")
            return
        self.goal_steps = count_of(told.max_steps or -1)
        self.goal_epochs = amount_of(told.num_train_epochs or -1)
        seen = count_of(tokens) if tokens else None
        self.track.add(Progress(file.mtime_ns, steps, amount_of(told.epoch), seen))


def _remembered(
    files: dict[tuple[str, int], Remembered], key: tuple[str, int], make: Callable[[], Remembered]
) -> Remembered:
    """What is known of a file; the one known longest is forgotten where there are too many."""
    if key not in files and len(files) >= MAX_FILES:
        del files[next(iter(files))]
    return files.setdefault(key, make())


def started_of(name: str) -> int:
    """When an event file was begun, by its name, in Unix seconds; 0 for other names."""
    found = _STAMP.search(name)
    return int(found[1]) if found else 0
