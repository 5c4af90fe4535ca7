"""Files of the user's are read as a whole: never a half that somebody is writing just now."""

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from unitcost.collectors.price_contract import PriceSourceError
from unitcost.collectors.whole_file import ATTEMPTS, YOUNG_NS, read_whole


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Callable[[], object]]], None]:
    """What somebody else does between our reading and our second look, each time."""

    def put(deeds: list[Callable[[], object]]) -> None:
        left = iter(deeds)
        slept = SimpleNamespace(  # the module's alone: threads of others sleep, too
            time_ns=time.time_ns, sleep=lambda _: next(left, lambda: None)()
        )
        monkeypatch.setattr("unitcost.collectors.whole_file.time", slept)

    return put


def grow(file: Path) -> Callable[[], object]:
    """Write on."""
    return lambda: file.write_text(file.read_text() + "more\n")


def test_a_file_that_grows_is_read_again(
    tmp_path: Path, meanwhile: Callable[[list[Callable[[], object]]], None]
) -> None:
    """Until it stays as it is."""
    file = tmp_path / "prices.csv"
    file.write_text("half\n")
    meanwhile([grow(file), grow(file)])
    assert read_whole(file, 100) == b"half\nmore\nmore\n"


def test_a_file_that_changes_all_the_time_is_an_error(
    tmp_path: Path, meanwhile: Callable[[list[Callable[[], object]]], None]
) -> None:
    """By its size, or by its time alone."""
    file = tmp_path / "prices.csv"
    file.write_text("half\n")
    meanwhile([grow(file)] * ATTEMPTS)
    with pytest.raises(PriceSourceError, match=r"^prices\.csv changed while it was read$"):
        read_whole(file, 100)
    stamps = itertools.count(time.time_ns() - YOUNG_NS // 2, 10**6)
    meanwhile([lambda: os.utime(file, ns=(1, next(stamps)))] * ATTEMPTS)
    with pytest.raises(PriceSourceError, match="changed while"):
        read_whole(file, 100)


def test_an_old_file_is_not_waited_for(
    tmp_path: Path, meanwhile: Callable[[list[Callable[[], object]]], None]
) -> None:
    """Nobody has written to it for a while."""
    file = tmp_path / "prices.csv"
    file.write_text("whole\n")
    os.utime(file, ns=(1, file.stat().st_mtime_ns - 2 * YOUNG_NS))
    meanwhile([grow(file)])
    assert read_whole(file, 100) == b"whole\n"


def test_a_file_that_is_replaced_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """By renaming, as it should be: whole in either case."""
    file = tmp_path / "prices.csv"
    wholes = [letter * 10_000 for letter in ("a", "b")]
    file.write_text(wholes[0])
    over = threading.Event()

    def replace() -> None:
        for n in range(200):
            (tmp_path / "new").write_text(wholes[n % 2])
            os.replace(tmp_path / "new", file)
        over.set()

    thread = threading.Thread(target=replace)
    thread.start()
    while not over.is_set():
        assert read_whole(file, 20_000).decode() in wholes
    thread.join()


def test_what_cannot_be_read_is_an_error_without_its_folder(tmp_path: Path) -> None:
    """Nothing there, a folder, a pipe that nobody writes to, too large, no name at all."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * 11)
    for name, message in (
        ("none", "none cannot be read: No such file or directory"),
        ("pipe", "pipe is no file"),
        ("large", "large is larger than 10 bytes"),
        ("a\0b", "a file's name has a null character"),
        ("n" * 300, "File name too long"),
    ):
        with pytest.raises(PriceSourceError, match=message) as caught:
            read_whole(tmp_path / name, 10)
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(PriceSourceError, match="cannot be read: Is a directory"):
        read_whole(tmp_path, 10)
