"""The process table, read cheaply again and again: what does not change is read only once."""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass

from unitcost.collectors import procfs
from unitcost.collectors.base import Problem
from unitcost.pricing.sample import NS_PER_SECOND, Process

_MAX_USERS = 4096
_LOST = "what they use is not attributed"
HIDDEN = Problem("hidden", f"processes of other users are hidden (hidepid of /proc): {_LOST}")
UNREADABLE = Problem("permission", f"processes of other users cannot be read: {_LOST}")
MALFORMED = Problem("malformed", f"some processes have no valid stat or statm: {_LOST}")


@dataclass(slots=True)
class _Known:
    """What is remembered of a process, and what it was read under."""

    stat: procfs.Stat
    command: str
    user: str
    cgroup: str
    memory_bytes: int
    visible_devices: str = ""
    settled: bool = False


class ProcessTable:
    """All processes of the host but kernel threads (their time is the system's anyway)."""

    def __init__(self, root: str = "/proc", visible_devices: bool = False) -> None:
        self._root = root
        self._visible_devices = visible_devices
        self._tick_ns = NS_PER_SECOND // os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._known: dict[int, _Known] = {}
        self._users: dict[int, str] = {}

    def read(self) -> tuple[tuple[Process, ...], tuple[Problem, ...]]:
        """Read all of them, ancestors before descendants. Raises OSError where /proc is broken.

        The order is what keeps a child's CPU time from being read twice, in its own counter and
        then in its parent's. It is by start; processes not seen before come last.
        """
        listed = procfs.pids(self._root)
        problems = dict.fromkeys([] if 1 in listed else [HIDDEN])
        wanted = listed - procfs.kernel_threads(self._root)
        order = [pid for pid in self._known if pid in wanted]
        order.extend(sorted(wanted.difference(self._known)))
        known: dict[int, _Known] = {}
        processes = []
        for pid in order:
            try:
                found = self._one(pid)
            except procfs.Gone:
                continue
            except PermissionError:
                problems[UNREADABLE] = None
                continue
            except ValueError:
                problems[MALFORMED] = None
                continue
            if found is not None:
                known[pid] = found
                processes.append(self._process(pid, found))
        processes.sort(key=_age)
        self._known = {process.pid: known[process.pid] for process in processes}
        return tuple(processes), tuple(problems)

    def _one(self, pid: int) -> _Known | None:
        """Bring one process up to date; None for a kernel thread.

        Who it is (command line, user, cgroup) is read at the first and at the second sight, for
        a process is often seen between fork and exec, and when the command changes. Its memory
        is read again when the resident pages changed or a page was touched anew.
        """
        now = procfs.stat(self._root, pid)
        known = self._known.get(pid)
        if known is None or known.stat.started != now.started:
            if now.flags & procfs.KERNEL_THREAD:
                return None
            return self._new(pid, now)
        if not known.settled or known.stat.command != now.command:
            settled = known.stat.command == now.command
            known = self._new(pid, now, settled)
        elif (known.stat.resident, known.stat.minor_faults) != (now.resident, now.minor_faults):
            known.memory_bytes = self._memory(pid)
        known.stat = now
        return known

    def _new(self, pid: int, stat: procfs.Stat, settled: bool = False) -> _Known:
        command = procfs.command_line(self._root, pid)
        return _Known(
            stat=stat,
            command=command or f"[{stat.command.decode('utf-8', 'replace')}]",
            user=self._user(os.stat(f"{self._root}/{pid}").st_uid),
            cgroup=procfs.cgroup(self._root, pid),
            memory_bytes=self._memory(pid),
            visible_devices=self._devices(pid) if self._visible_devices else "",
            settled=settled,
        )

    def _devices(self, pid: int) -> str:
        """CUDA_VISIBLE_DEVICES; empty for a process of another user that hides its environment."""
        try:
            return procfs.environment(self._root, pid, "CUDA_VISIBLE_DEVICES")
        except PermissionError:
            return ""

    def _memory(self, pid: int) -> int:
        return procfs.unshared_pages(self._root, pid) * self._page

    def _user(self, uid: int) -> str:
        """The user's name, or the number where it has none."""
        name = self._users.get(uid)
        if name is None:
            try:
                name = pwd.getpwuid(uid).pw_name
            except KeyError:
                name = str(uid)
            if len(self._users) >= _MAX_USERS:
                self._users.clear()
            self._users[uid] = name
        return name

    def _process(self, pid: int, known: _Known) -> Process:
        stat = known.stat
        return Process(
            pid=pid,
            started=stat.started,
            parent=stat.parent,
            cpu_ns=stat.cpu * self._tick_ns,
            reaped_cpu_ns=stat.reaped * self._tick_ns,
            memory_bytes=known.memory_bytes,
            command=known.command,
            user=known.user,
            cgroup=known.cgroup,
            visible_devices=known.visible_devices,
        )


def _age(process: Process) -> tuple[int, int]:
    return process.started, process.pid


def topmost(holders: set[int], processes: Sequence[Process]) -> list[Process]:
    """Those of the processes with pids in `holders` that do not descend from another of them."""
    by_pid = {process.pid: process for process in processes}
    found = []
    for pid in holders:
        walked = {pid}
        above = by_pid[pid].parent
        while above in by_pid and above not in holders and above not in walked:
            walked.add(above)
            above = by_pid[above].parent
        if above not in holders or above in walked:
            found.append(by_pid[pid])
    return found
