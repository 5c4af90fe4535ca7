"""Calls of foreign code, one at a time, in one thread of its own, waited for with a limit."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: a result or an error; `late` where it did not end in time."""

    result: Any = None
    error: BaseException | None = None
    late: bool = False
    before_ns: int = 0
    after_ns: int = 0


class Caller:
    """As in the exporter: a collector lives in one thread, and is never called twice at once."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self.thread = Thread(target=self._run, name="conformance", daemon=True)
        self.thread.start()

    def call(self, function: Callable[[], Any], seconds: float) -> Outcome:
        """Have it called; after one that is late there must be no other."""
        began = time.monotonic_ns()
        self._calls.put(function)
        try:
            return self._outcomes.get(timeout=seconds)
        except Empty:
            return Outcome(late=True, before_ns=began, after_ns=time.monotonic_ns())

    def end(self, seconds: float) -> None:
        """Let the thread end."""
        self._calls.put(None)
        self.thread.join(seconds)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            result, error = None, None
            began = time.monotonic_ns()
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001 - foreign code may raise anything
                error = raised
            self._outcomes.put(
                Outcome(result, error, before_ns=began, after_ns=time.monotonic_ns())
            )


def described(error: BaseException) -> str:
    """The error and the line it came from; an error may fail even at saying what it is."""
    try:
        text = f"{type(error).__name__}: {error}"[:300]
    except Exception:  # noqa: BLE001 - its own __str__ raised
        text = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({frames[-1].filename}:{frames[-1].lineno})" if frames else text
