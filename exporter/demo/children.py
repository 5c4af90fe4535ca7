"""The demo's child processes: started so that none of them can outlive the demo, and ended."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PR_SET_PDEATHSIG = 1
TERM_SECONDS = 3.0
SINGLE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
}
"""Environment that keeps NumPy's linear algebra on one core."""


class Ended(threading.Event):
    """Set by the signal that ends the demo; `number` is that signal's."""

    number: int = 0


class ChildFailed(Exception):
    """A child ended by itself; the text has its name and the last lines it wrote."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child process and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def bind_to_parent() -> Callable[[], None]:
    """Return what a child runs before its program, so that it dies when its parent does.

    Even of SIGKILL, which no handler sees: the kernel sends the signal (prctl(2),
    PR_SET_PDEATHSIG; it is kept over execve).
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec


class Children:
    """Starts Python modules as children in process groups of their own, and ends them all.

    Start them from the main thread: the kernel ties them to the thread, not to the process.
    """

    def __init__(self, folder: Path) -> None:
        """Write the children's output to files in `folder`."""
        self._folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {child.name: child.process.pid for child in self._children}

    def start(self, name: str, module: str, args: Sequence[str], env: Mapping[str, str]) -> None:
        """Run ``python -m module args`` with `env` on top of our own environment."""
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                [sys.executable, "-P", "-m", module, *args],
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C at the terminal reaches the demo alone
                preexec_fn=bind_to_parent(),  # safe: no other thread runs yet
            )
        self._children.append(Child(name, process, log))

    def check(self) -> None:
        """Raise ChildFailed if any child has ended."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                lines = child.log.read_text(errors="replace").splitlines()[-8:]
                tail = "\n".join(f"  {line}" for line in lines)
                raise ChildFailed(f"{child.name} ended by itself (exit status {code}):\n{tail}")

    def stop(self) -> None:
        """End all children: SIGTERM, after 3 s SIGKILL; returns when none is left."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + TERM_SECONDS
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)  # whatever is left of their groups, too
        for child in self._children:
            child.process.wait()
        self._children.clear()

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, number)
