"""A thread for calls that may never return: they can be given up, but not ended."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any

_Task = tuple["Future[Any]", Callable[[], Any]]


class Worker:
    """Runs what it is asked to, one after the other. Its methods are for one thread at a time.

    The thread begins with the first task and does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._last: Future[Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether it has not yet done all that it was asked to."""
        return self._last is not None and not self._last.done()

    def ask(self, function: Callable[[], Any]) -> "Future[Any]":
        """Have a function run; what it returns or raises is in the future."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._last = Future()
        self._tasks.put((self._last, function))
        return self._last

    def end(self) -> None:
        """Let the thread end when it has done all that it was asked to."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread = None

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function = task
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - for whoever looks into the future
                future.set_exception(error)
            del task, future, function  # a thread that waits keeps nothing alive
