"""A run: the counters of one training process, and the record made of them."""

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from unitcost_client import _statefile
from unitcost_client._environment import Place, find_place, given_place
from unitcost_client._flusher import Flusher
from unitcost_client._folder import Folder
from unitcost_client._hooks import Hooks, is_failure
from unitcost_client._process import pid_namespace, start_ticks
from unitcost_client._quiet import complain, harmless
from unitcost_client._values import LIMIT, amount, text, whole

T = TypeVar("T")

VERSION = 1
MAX_MARKS = 64
EPOCH_WAIT = 0.5
"""Seconds an epoch waits at most for its record to be written, which takes about 0.1 ms."""
FORK_WAIT = 0.1
"""Seconds a fork waits at most for our thread to end."""
EXIT_WAIT = 2.0
"""Seconds the end of the process waits for the last record."""

# Adding to an attribute is one step for CPython's GIL: threads switch at jumps and calls only.
# Anywhere else a lock is needed for each step.
_GIL = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()


@dataclass(frozen=True)
class Start:
    """What is said of a run when it starts; `epoch` and `step` are where it resumes."""

    job: str
    run: str
    attempt: int
    epoch: float
    step: int
    total_epochs: float | None
    total_steps: int | None
    labels: dict[str, str]


@dataclass(frozen=True)
class Totals:
    """What a run has done so far, resumed work included."""

    state: str
    epochs: float
    steps: int
    samples: int
    tokens: int
    place: Place


class Run:
    """Counts steps and epochs. Made by `start`; every method is safe to call at any time.

    A copy of it in a forked child counts nothing: call `start` in the process that trains.
    """

    def __init__(self, start: Start, folder: Folder) -> None:
        self._start = start
        self._folder = folder
        self._pid = os.getpid()
        self._ticks = start_ticks(self._pid)
        self._namespace = pid_namespace()
        self._started_ns = time.time_ns()
        self._name = _statefile.file_name(start.job, self._pid, self._started_ns)
        self._lock = threading.RLock()
        self._place = find_place(os.environ)
        self._epochs: float = start.epoch
        self._steps = start.step
        self._samples = 0
        self._tokens = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=MAX_MARKS)
        self._seq = 0
        self._final: Totals | None = None
        self._hooks: Hooks | None = None
        self._flusher = Flusher(self._totals, self._write)
        self._begin()

    @harmless
    def _begin(self) -> None:
        """Hook into the process and write the first record."""
        self._hooks = Hooks(self)
        self._flusher.flush(EPOCH_WAIT)

    def step(self, n: int = 1, samples: int = 0, tokens: int = 0) -> None:
        """Count `n` optimiser updates, over so many training examples and tokens."""
        if not (
            type(n) is type(samples) is type(tokens) is int
            and n >= 0 <= samples
            and tokens >= 0
            and _GIL
        ):
            self._step_checked(n, samples, tokens)
            return
        self._steps += n
        self._samples += samples
        self._tokens += tokens
        if not self._flusher.awake:
            self._flusher.wake()

    @harmless
    def _step_checked(self, n: object, samples: object, tokens: object) -> None:
        """As `step`, for any types: what is no count from 0 on counts as 0."""
        updates, examples, words = whole(n), whole(samples), whole(tokens)
        with self._lock:
            self._steps += updates
            self._samples += examples
            self._tokens += words
        if not self._flusher.awake:
            self._flusher.wake()

    @harmless
    def epoch(self, n: float = 1) -> None:
        """Count `n` passes over the data (fractions allowed) and write the record now.

        Each whole pass completed leaves a mark with the time: it cuts the costs there.
        """
        with self._lock:
            if self._final is not None:
                return
            before = self._epochs
            self._epochs = amount(before + amount(n), before)
            if int(self._epochs) > int(before):
                self._marks.append((self._epochs, time.time_ns()))
        self._flusher.flush(EPOCH_WAIT)

    @contextmanager
    def epoch_timer(self) -> Iterator[None]:
        """``with run.epoch_timer():`` counts one epoch if the block ends without an exception."""
        yield
        self.epoch()

    def steps(self, loader: Iterable[T]) -> Iterator[T]:
        """``for batch in run.steps(loader)`` counts a step after each batch is worked on."""
        for batch in loader:
            yield batch
            self.step()

    @harmless
    def set_place(
        self,
        rank: int,
        world_size: int,
        local_rank: int | None = None,
        local_world_size: int | None = None,
    ) -> None:
        """Say which of how many processes this is, where no launcher's environment says so."""
        local = None if local_rank is None else whole(local_rank)
        self._place = given_place(
            whole(rank), local, whole(world_size) or None, whole(local_world_size) or None
        )
        if not self._flusher.awake:
            self._flusher.wake()

    @harmless
    def end(self, state: str = "ended") -> None:
        """Write the last record, ``ended`` or ``failed``; what is counted later is ignored."""
        with self._lock:
            if self._final is not None or os.getpid() != self._pid:
                return
            self._final = self._now("failed" if text(state) == "failed" else "ended")
        self._flusher.flush(EXIT_WAIT)
        if self._hooks is not None:
            self._hooks.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end("failed" if is_failure(error) else "ended")

    @harmless
    def before_fork(self) -> None:
        """Called before this process forks: no thread of ours may be in the middle of things."""
        self._flusher.hold(EPOCH_WAIT, FORK_WAIT)

    @harmless
    def after_fork_in_parent(self) -> None:
        """Called after a fork, in the process that trains."""
        self._flusher.release()

    @harmless
    def after_fork_in_child(self) -> None:
        """Called after a fork, in the child: the file is its parent's."""
        self._lock = threading.RLock()
        self._flusher.abandon()

    def _totals(self) -> Totals:
        """What is to be written: as it is now, or as it was at the end."""
        return self._final or self._now("running")

    def _now(self, state: str) -> Totals:
        steps, samples, tokens = self._steps, self._samples, self._tokens
        place = self._place
        return Totals(
            state, self._epochs, min(steps, LIMIT), min(samples, LIMIT), min(tokens, LIMIT), place
        )

    def _write(self) -> bool:
        """Write the record; whether that worked. Runs on the flusher's thread."""
        if os.getpid() != self._pid:  # a fork that Python was not told of
            return True
        try:
            if not self._place.found:
                self._place = find_place(os.environ)  # some launchers set it after the start
            _statefile.write(self._folder, self._name, self._record())
            if self._seq == 1:
                _statefile.clear_old(self._folder)
        except Exception as error:  # noqa: BLE001 - training goes on whatever happens here
            complain(f"no state file in {self._folder.path} ({error}), so no cost per epoch")
            return False
        return True

    def _record(self) -> bytes:
        """The record as JSON; docs/training.md says what each field means."""
        totals, start = self._totals(), self._start
        self._seq += 1
        record = {
            "v": VERSION,
            "job": start.job,
            "run": start.run,
            "attempt": start.attempt,
            "rank": totals.place.rank,
            "local_rank": totals.place.local_rank,
            "world_size": totals.place.world_size,
            "local_world_size": totals.place.local_world_size,
            "pid": self._pid,
            "pid_started": self._ticks,
            "pid_namespace": self._namespace,
            "started_ns": self._started_ns,
            "now_ns": time.time_ns(),
            "seq": self._seq,
            "steps": totals.steps,
            "epochs": totals.epochs,
            "samples": totals.samples,
            "tokens": totals.tokens,
            "resumed_epoch": start.epoch,
            "resumed_step": start.step,
            "epoch_marks": list(self._marks),
            "total_epochs": start.total_epochs,
            "total_steps": start.total_steps,
            "labels": start.labels,
            "state": totals.state,
        }
        return json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
