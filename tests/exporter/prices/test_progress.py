"""Progress: a bar on a terminal, plain lines elsewhere; who hangs is left behind."""

import io
import os
import pty
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from unitcost.exporter.prices.progress import Progress


@contextmanager
def terminal() -> Iterator[tuple[TextIO, int]]:
    """A terminal to write to, and where what was written can be read."""
    reading, writing = pty.openpty()
    try:
        with os.fdopen(writing, "w") as out:
            yield out, reading
    finally:
        os.close(reading)


def test_a_terminal_gets_a_bar_that_goes_when_all_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says which it is at, and for how long; lines that are said stay."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    go = threading.Event()
    with terminal() as (out, reading):
        progress = Progress(out, 2)
        threading.Timer(0.25, go.set).start()
        assert progress.do("azure_retail", go.wait, 60)
        progress.say("azure_retail: 3 quotes")
        progress.do("rate_card", lambda: None, 60)
        progress.close()
        print("over", file=out, flush=True)
        shown = ""
        while "over" not in shown:
            shown += os.read(reading, 100_000).decode()
    assert "\r\x1b[K[....................] 0/2 azure_retail 0 s" in shown
    assert "\r\x1b[Kazure_retail: 3 quotes\r\n" in shown
    assert "\r\x1b[Kover" in shown
    assert all(len(line) < 60 + 5 for line in shown.replace("\r", "\n").splitlines())


@pytest.mark.parametrize("term", ["", "dumb"])
def test_elsewhere_there_are_lines_only(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """In a file, and on a terminal that can do no more."""
    out = io.StringIO()
    progress = Progress(out, 1)
    assert progress.do("x", lambda: None, 60)
    progress.say("x: 3\u202e quotes")
    progress.close()
    assert out.getvalue() == "x: 3\\u202e quotes\n"
    monkeypatch.setenv("TERM", "dumb")
    with terminal() as (dumb, reading):
        progress = Progress(dumb, 1)
        assert progress.do("x", lambda: None, 60)
        progress.say("done")
        progress.close()
        assert os.read(reading, 1000) == b"done\r\n"


def test_who_hangs_is_left_behind() -> None:
    """After the seconds it had; the next thing is done."""
    never = threading.Event()
    progress = Progress(io.StringIO(), 2)
    assert not progress.do("hangs", never.wait, 0.05)
    done: list[int] = []
    assert progress.do("works", lambda: done.append(1), 60)
    assert done == [1]
    never.set()
