"""Watches the items file in a thread of its own: a disk that hangs holds up no tick."""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from unitcost.exporter.items.file import MAX_BYTES, Contents, NotRead, parse
from unitcost.exporter.log import OncePer, fields
from unitcost.pricing.items import Item
from unitcost.pricing.sample import NS_PER_SECOND

_log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How often the file is looked at; it is read when it was the same twice."""
MAX_SAID = 20
"""Most rejected rows of one reading that are logged one by one."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of the file: its items, None until it was read; another object if it changed.

    `up`: it could be read when it was last looked at.
    """

    items: tuple[Item, ...] | None = None
    rejected: int = 0
    up: bool = False


Mark = tuple[int, int, int]
"""By which a file's contents are told from others: inode, size, time of change."""


class ItemsFile:
    """`current` may be called from any thread; `look` is for one."""

    def __init__(self, path: str, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self._wall_ns = wall_ns
        self._watched = Watched()
        self._read: Mark | None = None
        self._seen: Mark | None = None
        self._usable = False
        self._said = OncePer()
        self._closed = threading.Event()

    def current(self) -> Watched:
        """What is known now."""
        return self._watched

    def start(self) -> None:
        """Begin to look, in a thread of its own. Not to be called twice."""
        threading.Thread(target=self._watch, name="items-file", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            self.look()
            self._closed.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Read the file if it is another one than was read; a file being written is let be.

        It is read once nobody has changed it for a while: half a row is no row, and half of an
        amount is another amount.
        """
        try:
            mark = _mark_of(os.stat(self.path))
            if mark != self._read and self._is_settled(mark):
                data = _bytes(self.path, mark)
                self._read, self._usable = mark, False
                self._take(parse(data))
                self._usable = True
            if mark == self._read and self._usable:
                self._good()
        except (OSError, NotRead) as error:
            self._failed(error)

    def _is_settled(self, mark: Mark) -> bool:
        before, self._seen = self._seen, mark
        return mark == before or self._wall_ns() - mark[2] >= LOOK_SECONDS * NS_PER_SECOND

    def _take(self, contents: Contents) -> None:
        for rejected in contents.rejected[:MAX_SAID]:
            if self._said.first("row", f"{rejected.line} {rejected.problem}"):
                extra = fields(path=self.path, line=rejected.line)
                _log.warning("items file: a row is left out: %s", rejected.problem, extra=extra)
        count = len(contents.rejected)
        self._watched = Watched(contents.items, count, up=True)
        extra = fields(path=self.path, items=len(contents.items), rejected=count)
        _log.info("items file: read", extra=extra)

    def _good(self) -> None:
        self._said.clear("file")
        if not self._watched.up:
            self._watched = replace(self._watched, up=True)

    def _failed(self, error: Exception) -> None:
        """What was read before stays."""
        if self._watched.up:
            self._watched = replace(self._watched, up=False)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if self._said.first("file", str(reason)):
            _log.error("items file: cannot be read: %s", reason, extra=fields(path=self.path))


def _mark_of(status: os.stat_result) -> Mark:
    if not stat.S_ISREG(status.st_mode):
        raise NotRead("it is not a regular file")
    return status.st_ino, status.st_size, status.st_mtime_ns


def _bytes(path: str, mark: Mark) -> bytes:
    """Read the file. Raises NotRead if it is another one by now."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
        if _mark_of(os.fstat(file.fileno())) != mark:
            raise NotRead("it is being changed")
    return data
