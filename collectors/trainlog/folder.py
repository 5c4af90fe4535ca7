"""Looks for log files below a folder, without ever leaving it: links are not followed."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MAX_DEPTH = 4
MAX_ENTRIES = 4096
"""How many names below one configured folder are looked at."""
_OPEN_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FOLDER = _OPEN_ROOT | os.O_NOFOLLOW
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class LogFile:
    """A regular file: its folder below the root (empty: the root itself), its name, its state."""

    folder: str
    name: str
    inode: int
    size: int
    mtime_ns: int
    descriptor: int
    """Of its folder; open only while it is being looked at."""

    @property
    def where(self) -> str:
        """Folder and name as text."""
        return as_text(f"{self.folder}/{self.name}")

    def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`. Raises OSError, also if it was replaced by a link."""
        file = os.open(self.name, _OPEN_FILE, dir_fd=self.descriptor)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError("not a regular file")
            return os.pread(file, limit, offset)
        finally:
            os.close(file)


def as_text(name: str) -> str:
    """A file's name without what is no text: names are bytes, and whoever makes one chooses."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class Walk:
    """One look at all files below a folder; `cut`: there are more than were looked at."""

    def __init__(self) -> None:
        self._left = MAX_ENTRIES
        self.cut = False

    def files(self, path: str) -> Iterator[LogFile]:
        """The regular files, folder by folder. Raises OSError where the root cannot be opened."""
        root = os.open(path, _OPEN_ROOT)
        try:
            yield from self._below(root, "", MAX_DEPTH)
        finally:
            os.close(root)

    def _below(self, descriptor: int, folder: str, depth: int) -> Iterator[LogFile]:
        with os.scandir(descriptor) as listing:
            entries = list(islice(listing, self._left + 1))
        if len(entries) > self._left:
            self.cut = True
            entries = entries[: self._left]
        self._left -= len(entries)
        inner = []
        for entry in sorted(entries, key=lambda each: each.name):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # it is gone
            if stat.S_ISDIR(status.st_mode):
                inner.append(entry.name)
            elif stat.S_ISREG(status.st_mode):
                yield LogFile(
                    folder,
                    entry.name,
                    status.st_ino,
                    status.st_size,
                    status.st_mtime_ns,
                    descriptor,
                )
        for name in inner if depth else ():
            yield from self._inside(descriptor, name, folder, depth)

    def _inside(self, parent: int, name: str, folder: str, depth: int) -> Iterator[LogFile]:
        try:
            descriptor = os.open(name, _OPEN_FOLDER, dir_fd=parent)
        except OSError:
            return
        try:
            inner = as_text(f"{folder}/{name}" if folder else name)
            yield from self._below(descriptor, inner, depth - 1)
        finally:
            os.close(descriptor)
