"""What `unitcost doctor` can say about the host itself, read from a procfs root."""

import ctypes
import errno
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from unitcost.collectors import procfs

PROC = Path("/proc")

LOW_DISK_BYTES = 1 << 30
NO_DISK_BYTES = 64 << 20

# SQLite's WAL needs shared memory and locks that these do not give (sqlite.org/wal.html).
_NETWORK = re.compile(
    r"(nfs[0-9]*|cifs|smb[0-9]*|smbfs|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|davfs|ncpfs"
    r"|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph|gcsfuse|juicefs|blobfuse2?))"
)
_FLEETING = {"tmpfs": "lost at a reboot", "overlay": "lost with the container"}
_TIME_ERROR = 5


class Status(StrEnum):
    """How a finding turned out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, what was seen, and the mend if it is not ok."""

    status: Status
    subject: str
    text: str
    mend: str = ""

    def line(self) -> str:
        """As printed; what came from outside is escaped."""
        text = f"{self.text}; {self.mend}" if self.mend else self.text
        return (
            f"{self.status:<4}  {self.subject:<16}  {text if text.isprintable() else ascii(text)}"
        )


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, subject, text)


def warn(subject: str, text: str, mend: str = "") -> Finding:
    """It works, but less well."""
    return Finding(Status.WARN, subject, text, mend)


def fail(subject: str, text: str, mend: str = "") -> Finding:
    """It does not work."""
    return Finding(Status.FAIL, subject, text, mend)


def host_findings(proc: Path = PROC) -> Iterator[Finding]:
    """Python, kernel, capacity, cgroups, what may be seen of other users' processes, clock."""
    yield ok("python", f"{platform.python_implementation()} {platform.python_version()}")
    if sys.platform == "linux":
        yield ok("kernel", f"{platform.system()} {platform.release()}")
    else:
        yield fail("kernel", platform.system(), "unitcost reads Linux's /proc: run it on Linux")
    yield _capacity(proc)
    yield cgroup_finding(mounts(proc))
    yield _other_processes(proc)
    yield clock_finding(_kernel_clock())


def _capacity(proc: Path) -> Finding:
    try:
        cpus = len(re.findall(rb"^cpu[0-9]+ ", (proc / "stat").read_bytes(), re.MULTILINE))
        memory = re.search(rb"^MemTotal: +([0-9]+) kB$", (proc / "meminfo").read_bytes(), re.M)
    except OSError as error:
        return fail("capacity", f"{proc} cannot be read: {error.strerror}", "mount procfs there")
    if not cpus or memory is None:
        return fail("capacity", f"{proc} has no CPUs or no MemTotal", "mount procfs there")
    return ok("capacity", f"{cpus} CPUs, {int(memory[1]) / (1 << 20):.1f} GiB of memory")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system."""

    point: str
    type: str
    options: tuple[str, ...]


def mounts(proc: Path = PROC) -> tuple[Mount, ...]:
    """What is mounted, in the order of mounting; nothing if it cannot be read."""
    try:
        text = (proc / "self" / "mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    rows = [line.split(" ") for line in text.splitlines()]
    return tuple(
        Mount(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), row[1]), row[2], _options(row))
        for row in rows
        if len(row) >= 4
    )


def _options(row: list[str]) -> tuple[str, ...]:
    return tuple(row[3].split(","))


def cgroup_finding(mounted: tuple[Mount, ...]) -> Finding:
    """Which control groups the host has."""
    types = {mount.type for mount in mounted if mount.point.startswith("/sys/fs/cgroup")}
    if types == {"cgroup2"}:
        return ok("cgroup", "version 2")
    if "cgroup2" in types:
        return ok("cgroup", "versions 1 and 2 (hybrid)")
    if "cgroup" in types:
        return ok("cgroup", "version 1")
    return warn("cgroup", "not mounted: `match: cgroup` finds no process", "mount /sys/fs/cgroup")


def _other_processes(proc: Path) -> Finding:
    """Whether the open files of another user's process may be listed: port to process needs it."""
    subject, denied, seen = "processes", 0, 0
    kernel = procfs.kernel_threads(str(proc))
    for entry in _processes(proc):
        try:
            if entry.stat().st_uid == os.geteuid() or int(entry.name) in kernel:
                continue
            links = list((entry / "fd").iterdir())
            seen += 1
            if links:
                links[0].readlink()
        except PermissionError:
            denied += 1
        except OSError:
            continue  # it ended meanwhile
    if denied:
        mend = "run as root or grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or use match: command"
        text = f"{denied} of other users' processes hide which port they listen on"
        return warn(subject, text, mend)
    if any(o.startswith("hidepid=") and o != "hidepid=0" for o in _proc_options(proc)):
        return warn(subject, "/proc is mounted with hidepid", "remount it with hidepid=0")
    return ok(subject, f"open files of all processes are readable ({seen} of other users)")


def _processes(proc: Path) -> Iterator[Path]:
    try:
        yield from (
            entry for entry in proc.iterdir() if entry.name.isdecimal() and entry.name.isascii()
        )
    except OSError:
        return


def _proc_options(proc: Path) -> tuple[str, ...]:
    found = [mount.options for mount in mounts(proc) if mount.type == "proc"]
    return found[-1] if found and os.geteuid() else ()


def _kernel_clock() -> int | None:
    """What adjtimex(2) returns; None where it cannot be asked."""
    try:
        buffer = ctypes.create_string_buffer(512)  # struct timex, all zero: ask, change nothing
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def clock_finding(state: int | None) -> Finding:
    """Whether the clock is synchronised, by adjtimex's answer."""
    if state is None:
        return ok("clock", "it cannot be told here whether it is synchronised")
    if state == _TIME_ERROR:
        mend = "run chrony or systemd-timesyncd, else hours and price changes drift"
        return warn("clock", "the kernel says it is not synchronised", mend)
    return ok("clock", "synchronised")


def filesystem(path: Path, mounted: tuple[Mount, ...]) -> str:
    """The type of the file system that holds `path`, "" if it cannot be told."""
    best, found = -1, ""
    for mount in mounted:
        point = mount.point.rstrip("/")
        if (str(path) == point or str(path).startswith(f"{point}/")) and len(point) >= best:
            best, found = len(point), mount.type
    return found


def ledger_findings(path: Path, mounted: tuple[Mount, ...]) -> Iterator[Finding]:
    """Whether the ledger may lie there: kind of file system, space left."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    folder = folder.resolve()
    type_ = filesystem(folder, mounted)
    if _NETWORK.fullmatch(type_):
        mend = "set ledger.path to a local disk: SQLite's write-ahead log needs one"
        yield fail("ledger", f"{path} is on {type_}", mend)
    elif type_ in _FLEETING:
        mend = "set ledger.path to a disk that stays"
        yield warn("ledger", f"{path} is on {type_}: {_FLEETING[type_]}", mend)
    else:
        yield ok("ledger", f"{path} is on {type_ or 'an unknown file system'}")
    yield _space(folder)


def _space(folder: Path) -> Finding:
    try:
        state = os.statvfs(folder)
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "error")
        return fail("disk", f"{folder} does not say how much is free: {reason}")
    free = state.f_bavail * state.f_frsize
    text = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < NO_DISK_BYTES:
        return fail("disk", text, "free some: nothing is recorded on a full disk")
    if free < LOW_DISK_BYTES:
        return warn("disk", text, "free some: the ledger grows by up to 5 MB a day")
    return ok("disk", text)
