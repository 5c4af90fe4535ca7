"""Which process this is, in terms that outlive it: pid, start time, pid namespace."""

import os
import sys


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (field 22 of /proc/<pid>/stat)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
        # The command (field 2) is in brackets and may hold anything, brackets included.
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def pid_namespace() -> int | None:
    """The inode of this process's pid namespace: pids of another one mean other processes."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def alive(pid: int, ticks: int | None) -> bool:
    """Whether this very process still runs; a reused pid has other start ticks."""
    return ticks is not None and start_ticks(pid) == ticks


def launcher(itself: bool) -> str:
    """A name that all processes of one launcher share: its pid, its start and the boot.

    That is the parent, unless this process has started the others `itself`, which a child of
    multiprocessing has not, whatever the environment makes of it.
    """
    multiprocessing = sys.modules.get("multiprocessing")
    child = multiprocessing is not None and multiprocessing.parent_process() is not None
    pid = os.getpid() if itself and not child else os.getppid()
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read(8)
    except (OSError, ValueError):
        boot = ""
    return f"{boot}-{pid}-{start_ticks(pid) or 0}"
