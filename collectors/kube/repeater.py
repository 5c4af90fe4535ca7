"""A thread that does one thing again and again until it is closed."""

import threading
from collections.abc import Callable


class Repeater:
    """Calls `act` every `period` seconds, sooner when woken, never sooner than after `least`.

    `act` must not raise. `at_end` is called once, in the same thread, after the last time.
    """

    def __init__(
        self,
        name: str,
        act: Callable[[], None],
        period: float,
        least: float,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._act = act
        self._at_end = at_end
        self._period = period
        self._least = least
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun or was closed."""
        if self._thread.ident is None and not self._closed.is_set():
            self._thread.start()

    def wake(self) -> None:
        """Have it act again soon."""
        self._wake.set()

    def close(self, timeout: float = 0.0) -> None:
        """End it, and wait until it has ended, `timeout` seconds at most."""
        self._closed.set()
        self._wake.set()
        if timeout and self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._act()
            if not self._closed.wait(self._least):
                self._wake.wait(self._period - self._least)
                self._wake.clear()
        self._at_end()
