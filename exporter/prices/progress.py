"""How far a command is that takes its time: a bar on a terminal, else a line for each step."""

import os
import shutil
import time
from collections.abc import Callable
from threading import Thread
from typing import TextIO

REDRAW_SECONDS = 0.1
MAX_BAR = 30


class Progress:
    """Does a number of things one after another, and shows which it is at."""

    def __init__(self, out: TextIO, total: int = 0) -> None:
        self._out = out
        self.total = total
        self._done = 0
        self._bar = out.isatty() and os.environ.get("TERM", "") != "dumb"

    def do(self, name: str, work: Callable[[], object], seconds: float) -> bool:
        """Do one thing, in a thread of its own; whether it came to an end in that many seconds.

        What has not is left behind, and ends with the process. Its errors are its own to keep.
        """
        thread = Thread(target=work, name=f"do-{name}", daemon=True)
        began = time.monotonic()
        thread.start()
        while thread.is_alive() and (passed := time.monotonic() - began) < seconds:
            if self._bar:
                self._draw(f"{name} {passed:.0f} s")
            thread.join(REDRAW_SECONDS)
        self._done += 1
        return not thread.is_alive()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._clear()
        print(line if line.isprintable() else ascii(line)[1:-1], file=self._out, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        self._clear()
        self._out.flush()

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        width = max(1, min(MAX_BAR, columns // 3))
        filled = width * self._done // max(1, self.total)
        bar = "#" * filled + "." * (width - filled)
        line = f"[{bar}] {self._done}/{self.total} {text}"[: columns - 1]
        print(f"\r\033[K{line}", end="", file=self._out, flush=True)

    def _clear(self) -> None:
        if self._bar:
            print("\r\033[K", end="", file=self._out)
