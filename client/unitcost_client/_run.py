"""A run: the counters of one training process, and the record made of them."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from unitcost_client import _statefile
from unitcost_client._environment import find_place, given_place
from unitcost_client._flusher import Flusher
from unitcost_client._folder import Folder
from unitcost_client._hooks import Hooks, is_failure
from unitcost_client._quiet import complain, harmless
from unitcost_client._record import Start, Totals, Writer
from unitcost_client._stalls import DATA_LOADING, KINDS, Stalls
from unitcost_client._values import amount, text, whole

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer than all else here
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TypeVar

    T = TypeVar("T")

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


class Run:
    """Counts steps and epochs. Made by `start`; every method is safe to call at any time.

    A copy of it in another process counts nothing: call `start` in the process that trains.
    """

    def __init__(self, start: Start, folder: Folder, counts: bool = True) -> None:
        self._said = start, folder
        self._folder = folder
        self._writer = Writer(start)
        self._name = _statefile.file_name(start.job, self._writer.pid, self._writer.started_ns)
        self._lock = threading.RLock()
        self._place = start.place
        self._epochs, self._steps = start.resumed
        self._samples = 0
        self._tokens = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=MAX_MARKS)
        self._stalls = Stalls()
        self._final: Totals | None = None
        self._hooks: Hooks | None = None
        self._flusher = Flusher(self._totals, self._write, self._stalls.open)
        (self._begin if counts else self.after_fork_in_child)()

    def __reduce__(self) -> tuple[type[Run], tuple[Start, Folder, bool]]:
        return Run, (*self._said, False)

    def __copy__(self) -> Run:
        return self

    def __deepcopy__(self, memo: object) -> Run:
        return self

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
        """Count `n` passes over the data (fractions allowed).

        Each whole pass completed leaves a mark with the time, which cuts the costs there, and is
        on disk when the call returns.
        """
        with self._lock:
            whole_one = self._pass_to(amount(self._epochs + amount(n)))
        self._tell(whole_one)

    @harmless
    def reach(self, step: int = 0, epoch: float = 0) -> None:
        """Count up to `step` updates and `epoch` passes in all, resumed ones included; never back.

        For those who keep count themselves, as frameworks do.
        """
        with self._lock:
            self._steps = max(self._steps, whole(step))
            whole_one = self._pass_to(amount(epoch))
        self._tell(whole_one)

    def _pass_to(self, epochs: float) -> bool:
        """So many passes have been made: whether that completes one. The lock is held."""
        before = self._epochs
        if self._final is not None or epochs <= before:
            return False
        self._epochs = epochs
        if int(epochs) == int(before):
            return False
        self._marks.append((epochs, time.time_ns()))
        return True

    def _tell(self, now: bool) -> None:
        """Have what was counted written: at once, or with the steps."""
        if now:
            self._flusher.flush(EPOCH_WAIT)
        elif not self._flusher.awake:
            self._flusher.wake()

    @property
    def reached(self) -> tuple[int, float]:
        """Optimiser updates and passes over the data so far, resumed ones included."""
        return self._steps, self._epochs

    @contextmanager
    def epoch_timer(self) -> Iterator[None]:
        """``with run.epoch_timer():`` counts one epoch if the block ends without an exception."""
        yield
        self.epoch()

    def steps(self, loader: Iterable[T]) -> Iterator[T]:
        """``for batch in run.steps(loader)`` counts a step after each batch is worked on.

        The time until the loader has the next batch counts as a stall for data.
        """
        waits = self._stalls.here()
        end = object()
        outer = waits.switch(DATA_LOADING)
        try:
            batches = iter(loader)  # starts the loader's workers
        finally:
            waits.switch(outer)
        if not self._flusher.awake:
            self._flusher.wake()
        while True:
            outer = waits.switch(DATA_LOADING)
            try:
                batch = next(batches, end)
            finally:
                waits.switch(outer)
            if batch is end:
                return
            yield batch  # type: ignore[misc]  # it is none of the loader's only if it is `end`
            self.step()

    @contextmanager
    def stalled(self, kind: str) -> Iterator[None]:
        """``with run.stalled("checkpoint"):`` counts the block's time as lost to that.

        `kind`: ``data_loading``, ``checkpoint`` or ``straggler``; another is left out, with one
        warning. Of blocks inside each other the innermost counts. Written once a second.
        """
        waits = self._stalls.here()
        known = text(kind)
        if known not in KINDS:
            complain(f"there is no stall called {known!r}: {', '.join(KINDS)}")
            known = waits.kind
        block = waits.enter(known)
        self._flusher.wake()
        try:
            yield
        finally:
            waits.leave(block)
            self._flusher.wake()

    @harmless
    def add_stall(self, kind: str, seconds: float) -> None:
        """Add seconds that were waited for `kind` (as in `stalled`), measured by somebody else."""
        spent = int(amount(seconds) * 1e9)
        if text(kind) in KINDS:
            self._stalls.here().add(text(kind), spent)
            self._tell(now=False)

    def aim(self, epochs: float | None, steps: int | None) -> None:
        """For adapters: where it will end now, resumed work included; None: that is unknown."""
        self._writer.goal = (amount(epochs) or None, whole(steps) or None)

    def lap(self) -> tuple[int, int]:
        """For adapters: now, and how much this thread has waited for so far; nanoseconds."""
        return self._stalls.lap()

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
            if self._final is not None or os.getpid() != self._writer.pid:
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
        stalls = self._stalls.so_far()
        return state, self._epochs, steps, samples, tokens, stalls, self._place

    def _write(self) -> bool:
        """Write the record; whether that worked. Runs on the flusher's thread."""
        if os.getpid() != self._writer.pid:  # a fork that Python was not told of
            return True
        try:
            if not self._place.found:  # some launchers set it after the start
                late = find_place(os.environ)
                self._place = late if late.found else self._place  # the same one is no progress
            record = self._writer.record(self._totals(), self._marks.copy())
            _statefile.write(self._folder, self._name, record)
            if self._writer.seq == 1:
                _statefile.clear_old(self._folder)
        except Exception as error:  # noqa: BLE001 - training goes on whatever happens here
            complain(f"no state file in {self._folder.path} ({error}), so no cost per epoch")
            return False
        return True
