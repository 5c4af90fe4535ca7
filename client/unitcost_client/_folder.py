"""Where state files go, and how the folder is opened without being led astray."""

import os
from contextlib import suppress

from unitcost_client._environment import Environment
from unitcost_client._opened import ByDescriptor, ByPath, Opened, has_descriptors, is_own

SYSTEM = "/run/unitcost/train"
TEMPORARY = "/tmp"  # noqa: S108 - what lies below it is checked at each opening


class Folder:
    """A folder for state files. `below` are folders under `base` that must be this user's own.

    `make`: create `base` where it is missing (the user named it).
    """

    __slots__ = ("base", "below", "make")

    def __init__(self, base: str, below: tuple[str, ...] = (), make: bool = False) -> None:
        self.base = base
        self.below = below
        self.make = make

    @property
    def path(self) -> str:
        """The whole path, for people."""
        return os.path.join(self.base, *self.below)

    def open(self) -> Opened:
        """The folder, made if need be; raises OSError.

        It is opened anew for each write, so a folder that vanished and came back is found. Below
        a folder that others can write to, a link or someone else's folder is refused.
        """
        if self.make:
            os.makedirs(self.base, exist_ok=True)
        if not has_descriptors():
            os.makedirs(self.path, exist_ok=True)
            return ByPath(self.path)
        folder = os.open(self.base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in self.below:
            try:
                inner = _open_own(name, folder)
            finally:
                os.close(folder)
            folder = inner
        return ByDescriptor(folder)


def _open_own(name: str, parent: int) -> int:
    """Open `name` in `parent`, made with mode 0700; raises PermissionError if not ours alone."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(name, flags, dir_fd=parent)
    status = os.fstat(folder)
    if not is_own(status) or status.st_mode & 0o022:
        os.close(folder)
        raise PermissionError(f"{name} belongs to another user or others may write to it")
    return folder


def choose_folder(env: Environment) -> Folder:
    """``UNITCOST_STATE_DIR``, else /run/unitcost/train if writable, else the user's own."""
    given = env.get("UNITCOST_STATE_DIR", "")
    if given:
        return Folder(os.path.abspath(given), make=True)
    if os.access(SYSTEM, os.W_OK | os.X_OK):
        return Folder(SYSTEM)
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and os.access(runtime, os.W_OK | os.X_OK):
        return Folder(runtime, ("unitcost", "train"))
    return own_folder()


def own_folder() -> Folder:
    """The user's own folder under /tmp, where there is no better one; on Windows in its profile."""
    user = getattr(os, "geteuid", None)
    if user is not None:
        return Folder(TEMPORARY, (f"unitcost-{user()}", "train"))
    profile = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    return Folder(os.path.abspath(profile), ("unitcost", "train"))
