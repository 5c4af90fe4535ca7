"""Which process listens on a port: found through the socket's inode, and only when needed."""

from collections.abc import Callable, Iterable, Sequence

from unitcost.collectors import procfs
from unitcost.collectors.base import Problem
from unitcost.collectors.processes import topmost
from unitcost.pricing.sample import NS_PER_SECOND, Listener, Process

RETRY_NS = 10 * NS_PER_SECOND
"""How often, at most, the owner of a socket is looked for in vain: that reads every process."""
_INITS = ("systemd", "init")


class ListenerTable:
    """Remembers who listens on the ports given, for as long as those processes live."""

    def __init__(self, root: str, ports: Iterable[int], now_ns: Callable[[], int]) -> None:
        self._root = root
        self._ports = sorted(ports)
        self._now_ns = now_ns
        self._known: dict[int, tuple[Listener, ...]] = {}
        self._tried: dict[int, int] = {}

    def read(
        self, processes: Sequence[Process]
    ) -> tuple[tuple[Listener, ...], tuple[Problem, ...]]:
        """The listeners among `processes`, and what kept us from finding some.

        Several for one port where processes share it. Of those that inherited one socket only
        the topmost is named: the others are its workers.
        """
        if not self._ports:
            return (), ()
        alive = {(process.pid, process.started) for process in processes}
        due = [port for port in self._ports if self._is_due(port, alive)]
        problems = self._search(due, processes) if due else ()
        found = tuple(each for port in self._ports for each in self._known.get(port, ()))
        return found, problems

    def _is_due(self, port: int, alive: set[tuple[int, int]]) -> bool:
        known = self._known.get(port, ())
        if known:
            return any((each.pid, each.started) not in alive for each in known)
        tried = self._tried.get(port)
        return tried is None or self._now_ns() - tried >= RETRY_NS

    def _search(self, ports: list[int], processes: Sequence[Process]) -> tuple[Problem, ...]:
        now = self._now_ns()
        for port in ports:
            self._tried.pop(port, None)
            self._known.pop(port, None)
        try:
            inodes = procfs.listening_inodes(self._root, ports)
            self._tried.update(dict.fromkeys(inodes, now))
            holders, denied = self._holders(inodes, processes) if inodes else ({}, False)
        except OSError as error:
            return (Problem("listeners", f"cannot see who listens on which port: {error}"),)
        for port, pids in holders.items():
            found = topmost(pids, processes)
            self._known[port] = tuple(Listener(port, each.pid, each.started) for each in found)
        if not denied:
            return ()
        return tuple(_unseen(port) for port in inodes if port not in self._known)

    def _holders(
        self, inodes: dict[int, set[bytes]], processes: Sequence[Process]
    ) -> tuple[dict[int, set[int]], bool]:
        """The pids that have a listening socket open, by port; whether some were kept from us."""
        port_of = {inode: port for port, found in inodes.items() for inode in found}
        holders: dict[int, set[int]] = {}
        denied = False
        for process in processes:
            try:
                open_sockets = procfs.socket_inodes(self._root, process.pid)
            except procfs.Gone:
                continue
            except PermissionError:
                denied = True
                continue
            if _is_init(process):
                continue
            for inode in open_sockets & port_of.keys():
                holders.setdefault(port_of[inode], set()).add(process.pid)
        return holders, denied


def _is_init(process: Process) -> bool:
    """Whether it keeps sockets for services it starts (socket activation), and serves nothing."""
    name = process.command.partition(" ")[0].rpartition("/")[2]
    return process.pid == 1 and name in _INITS


def _unseen(port: int) -> Problem:
    detail = (
        f"cannot see which process listens on port {port}: the files of other users' processes "
        "can be read by root or with CAP_SYS_PTRACE only"
    )
    return Problem("permission", detail)
