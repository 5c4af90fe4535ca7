"""A folder that is open, and the files in it: by its descriptor, or by its path on Windows.

The descriptor is the better way: whatever becomes of the path meanwhile, nobody is led astray.
"""

import os
import stat
from contextlib import suppress

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer than all else here
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_OWN_USE = 0o600


class Opened(Protocol):
    """What is done with the files in a folder. All of it raises OSError."""

    def create(self, name: str) -> int:
        """A descriptor of a new file, for writing."""
        ...

    def open(self, name: str) -> int:
        """A descriptor of a file, for reading."""
        ...

    def replace(self, name: str, by: str) -> None:
        """Put the file `by` in place of `name`, if there is one."""

    def remove(self, name: str) -> None:
        """Remove the file, if that is possible."""

    def stat(self, name: str) -> os.stat_result:
        """Its status; of a link itself."""
        ...

    def names(self) -> list[str]:
        """What lies in it."""
        ...

    def close(self) -> None:
        """Be done with it."""


class ByDescriptor:
    """By the folder's descriptor; `close` closes it."""

    __slots__ = ("_folder",)

    def __init__(self, folder: int) -> None:
        self._folder = folder

    def create(self, name: str) -> int:
        flags = _CREATE | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, _OWN_USE, dir_fd=self._folder)

    def open(self, name: str) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=self._folder)

    def replace(self, name: str, by: str) -> None:
        os.rename(by, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder)

    def stat(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._folder, follow_symlinks=False)

    def names(self) -> list[str]:
        return os.listdir(self._folder)

    def close(self) -> None:
        os.close(self._folder)


class ByPath:
    """By the folder's path, where folders have no descriptors: Windows."""

    __slots__ = ("_folder",)

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def create(self, name: str) -> int:
        return os.open(self._at(name), _CREATE | _BINARY, _OWN_USE)

    def open(self, name: str) -> int:
        return os.open(self._at(name), os.O_RDONLY | _BINARY)

    def replace(self, name: str, by: str) -> None:
        os.replace(self._at(by), self._at(name))

    def remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(self._at(name))

    def stat(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), follow_symlinks=False)

    def names(self) -> list[str]:
        return os.listdir(self._folder)

    def close(self) -> None:
        pass

    def _at(self, name: str) -> str:
        return os.path.join(self._folder, name)


_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)


def has_descriptors() -> bool:
    """Whether this system has descriptors of folders."""
    return hasattr(os, "O_DIRECTORY") and os.open in os.supports_dir_fd


def is_own(status: os.stat_result) -> bool:
    """Whether it is this user's. Windows has no such numbers: there the folder's rights decide."""
    user = getattr(os, "geteuid", None)
    return user is None or status.st_uid == user()


def is_own_file(status: os.stat_result) -> bool:
    """Whether it is a plain file of this user's."""
    return stat.S_ISREG(status.st_mode) and is_own(status)
