"""How a run learns that its process ends, fails or forks."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer than all else here
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol

    class Ends(Protocol):
        """What the hooks need of a run."""

        def end(self, state: str = "ended") -> None:
            """Write the last record."""

        def before_fork(self) -> None:
            """Have no thread."""

        def after_fork_in_parent(self) -> None:
            """Go on."""

        def after_fork_in_child(self) -> None:
            """Be a copy that never writes."""


def is_failure(error: BaseException | None) -> bool:
    """Whether a process that ends with this exception has failed; ``sys.exit(0)`` has not."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return error is not None and not isinstance(error, GeneratorExit)


class Hooks:
    """Ends the run at exit: ``failed`` after an unhandled exception, else ``ended``."""

    def __init__(self, run: Ends) -> None:
        self._run = run
        self._previous = sys.excepthook
        sys.excepthook = self._on_exception
        atexit.register(self._at_exit)
        self._finalizer = self._in_multiprocessing_child()
        _watch_forks(run)

    def remove(self) -> None:
        """Let go of the process, as far as nobody has hooked in after us."""
        if sys.excepthook == self._on_exception:
            sys.excepthook = self._previous
        atexit.unregister(self._at_exit)
        if self._finalizer is not None:
            self._finalizer()

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """Chained in front of whoever was there: note the failure, then let him report it."""
        self._run.end("failed")
        self._previous(kind, error, trace)

    def _at_exit(self) -> None:
        self._run.end("ended")

    def _in_multiprocessing_child(self) -> Callable[[], object] | None:
        """A child of multiprocessing may leave without atexit; it has a way of its own."""
        multiprocessing = sys.modules.get("multiprocessing")
        if multiprocessing is None or multiprocessing.parent_process() is None:
            return None
        from multiprocessing import util

        cancel = util.Finalize(None, self._at_finalize, exitpriority=100).cancel
        return cancel

    def _at_finalize(self) -> None:
        """Called while the exception that ends the child, if any, is being handled."""
        self._run.end("failed" if is_failure(sys.exc_info()[1]) else "ended")


def _watch_forks(run: Ends) -> None:
    """Tell the run of forks while it lives; hooks of a fork cannot be taken back."""
    if not hasattr(os, "register_at_fork"):  # Windows
        return
    reference = weakref.ref(run)

    def before() -> None:
        found = reference()
        if found is not None:
            found.before_fork()

    def in_parent() -> None:
        found = reference()
        if found is not None:
            found.after_fork_in_parent()

    def in_child() -> None:
        found = reference()
        if found is not None:
            found.after_fork_in_child()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
