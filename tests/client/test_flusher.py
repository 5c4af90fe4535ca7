"""The thread that writes: it misses nothing, whatever the instant."""

import threading
from collections.abc import Callable

import pytest

from unitcost_client._flusher import Flusher

Eventually = Callable[[Callable[[], bool]], None]


class Counter:
    """A count that grows behind the flusher's back, once, at a call of `progress` of our choice."""

    def __init__(self, at_call: int) -> None:
        self.count = 1
        self.written = 0
        self.flusher = Flusher(self.progress, self.write)
        self._calls_left = at_call
        self._looked = threading.Event()
        self._stepper: threading.Thread | None = None

    def progress(self) -> int:
        """The count; the step comes after it was looked up and before the flusher uses it."""
        seen = self.count
        self._calls_left -= 1
        if self._calls_left == 0:
            self._stepper = threading.Thread(target=self.step)
            self._stepper.start()
            self._looked.wait()
        return seen

    def step(self) -> None:
        """As `Run.step` does it, in another thread."""
        self.count += 1
        asleep = not self.flusher.awake
        self._looked.set()
        if asleep:
            self.flusher.wake()

    def write(self) -> bool:
        """Note what a record would hold."""
        self.written = self.count
        return True


@pytest.mark.parametrize("at_call", range(1, 5))
def test_a_step_at_the_worst_instant_is_written(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually, at_call: int
) -> None:
    """Also just when the thread has seen that there is nothing to do and goes."""
    monkeypatch.setattr("unitcost_client._flusher.INTERVAL", 0.01)
    counter = Counter(at_call)
    counter.flusher.wake()
    eventually(lambda: counter.count == 2 and counter.written == 2)
    eventually(lambda: not counter.flusher.awake)


def test_a_write_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """Until it succeeds, without anybody asking."""
    monkeypatch.setattr("unitcost_client._flusher.INTERVAL", 0.01)
    tries: list[int] = []

    def write() -> bool:
        tries.append(1)
        return len(tries) == 5

    flusher = Flusher(lambda: 1, write)
    flusher.wake()
    eventually(lambda: not flusher.awake)
    assert len(tries) == 5


def test_where_no_thread_can_be_started_an_epoch_writes_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a step does not try for a thread again and again."""
    tries: list[int] = []

    def no_more(_: threading.Thread) -> None:
        tries.append(1)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    written: list[int] = []

    def write() -> bool:
        written.append(1)
        return True

    flusher = Flusher(lambda: 1, write)
    for _ in range(10):
        if not flusher.awake:
            flusher.wake()
    assert len(tries) == 1
    assert written == []
    flusher.flush(60)
    assert len(written) == 1
