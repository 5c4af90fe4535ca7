"""The thread that writes, so that a slow or hanging disk never holds up a step."""

import os
import threading
import time
from collections.abc import Callable

INTERVAL = 1.0
"""Steps are written at most once in so many seconds."""


class Flusher:
    """Calls `write` when `progress` has changed: at most once an interval, or at once on request.

    The thread lives while there is something to write, or the run says that it is `waiting`, and
    ends one quiet interval later, so the last steps before a long pause are written too, and an
    idle process has no thread. All locks are reentrant: a signal handler may end the run while it
    interrupts any of this.
    """

    def __init__(
        self,
        progress: Callable[[], object],
        write: Callable[[], bool],
        waiting: Callable[[], bool] = lambda: False,
    ) -> None:
        self.awake = False
        """Whether what is counted from now on will be seen; if not, call `wake`."""
        self._progress = progress
        self._write = write
        self._waiting = waiting
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._serving = False
        self._written: object = None
        self._due = 0.0
        self._asked = 0
        self._answered = 0
        self._writing_since: float | None = None
        self._failed = False
        self._held = False

    def wake(self) -> None:
        """Start the thread if there is none."""
        with self._changed:
            if self.awake or self._held:
                return
            self.awake = True
            thread = threading.Thread(target=self._serve, name="unitcost-client", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                return  # `awake` stays: a step must not try this again and again
            self._thread, self._serving = thread, True

    def flush(self, timeout: float) -> None:
        """Have what is counted so far written now; wait at most `timeout` seconds for it."""
        began = time.monotonic()
        with self._changed:
            self._asked += 1
            asked = self._asked
            if not self._serving:
                self.awake = False
                self.wake()
            if self._serving:
                self._changed.notify_all()
                since = self._writing_since
                if since is None or began - since < timeout:  # a hanging one is waited for once
                    self._changed.wait_for(lambda: self._answered >= asked, timeout)
                return
        if not self._held:
            self._write_once(asked)

    def hold(self, write_timeout: float, end_timeout: float) -> None:
        """Write what is unwritten, then end the thread until `release`: a fork comes now."""
        if self._progress() != self._written:
            self.flush(write_timeout)
        with self._changed:
            self._held = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(end_timeout)
            _await_gone(self._thread)

    def release(self) -> None:
        """The fork is over. The thread starts again with the next step, or to write what is left.

        Not where the last write failed: Python warns of threads when it has forked.
        """
        with self._changed:
            self._held = False
        if not self._failed and self._progress() != self._written:
            self.wake()

    def abandon(self) -> None:
        """Never write again: this is a forked copy, whose locks and thread mean nothing."""
        self._changed = threading.Condition(threading.RLock())
        self._serving = False
        self._held = True
        self.awake = True

    def _serve(self) -> None:
        """Write until there is nothing left to write."""
        while (asked := self._next()) is not None:
            self._write_once(asked)

    def _next(self) -> int | None:
        """Wait for the next write: the number of the latest request it answers; None: stop."""
        with self._changed:
            while not self._held:
                if self._asked > self._answered:
                    return self._asked
                wait = self._due - time.monotonic()
                if wait > 0:
                    self._changed.wait(wait)
                elif self._progress() != self._written:
                    return self._asked
                elif self._waiting():  # its stall grows without anybody saying so
                    self._changed.wait(INTERVAL)
                else:
                    # A step counts first and looks at `awake` then; here it is the other way
                    # round, so one of the two sees the other.
                    self.awake = False
                    if self._progress() == self._written:
                        break
                    self.awake = True
            self.awake = self._serving = False
            return None

    def _write_once(self, asked: int) -> None:
        """Write, and note what is written; nobody waits for the lock meanwhile."""
        progress = self._progress()
        self._writing_since = time.monotonic()
        good = self._write()
        with self._changed:
            self._writing_since = None
            self._due = time.monotonic() + INTERVAL
            self._answered = max(self._answered, asked)
            self._failed = not good
            if good:
                self._written = progress
            self._changed.notify_all()


def _await_gone(thread: threading.Thread) -> None:
    """Wait the few microseconds that the kernel's thread outlives Python's (up to CPython 3.12)."""
    for _ in range(50):
        if thread.is_alive() or not os.path.exists(f"/proc/self/task/{thread.native_id}"):
            return
        time.sleep(0.0001)
