"""A simulated host: processes that fork, burn CPU, exit and are waited for, as the kernel does it.

It also keeps what no reading shows: how much was really burned, and by whose account.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from unitcost.pricing.sample import Process
from unitcost.pricing.workload import SYSTEM, Account

PIDS = 12
"""So few that pids are reused all the time."""


@dataclass(slots=True)
class Simulated:
    """One process; `zombie` once it has exited and nobody has waited for it."""

    pid: int
    started: int
    parent: int
    account: Account
    cpu: int = 0
    reaped: int = 0
    zombie: bool = False
    subreaper: bool = False
    ignores_children: bool = False


@dataclass(slots=True)
class Host:
    """Processes by pid; pid 1 lives for ever and waits for everybody it inherits."""

    accounts: tuple[Account, ...] = (Account(SYSTEM),)
    now: int = 100
    processes: dict[int, Simulated] = field(default_factory=dict)
    burned: dict[Account, int] = field(default_factory=dict)
    _last_pid: int = 1
    _born: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processes[1] = Simulated(1, 0, 0, self.accounts[0], subreaper=True)

    def living(self) -> list[Simulated]:
        """Those that can still do something."""
        return [process for process in self.processes.values() if not process.zombie]

    def zombies(self) -> list[Simulated]:
        """Those that wait to be waited for."""
        return [process for process in self.processes.values() if process.zombie]

    def children(self, process: Simulated) -> list[Simulated]:
        """Those whose parent it is, zombies included."""
        return [each for each in self.processes.values() if each.parent == process.pid]

    def fork(self, parent: Simulated, account: Account | None = None) -> None:
        """A child with the next free pid, going round; of its parent's account if not told."""
        for step in range(1, PIDS + 1):
            pid = (self._last_pid + step - 1) % PIDS + 2
            if pid not in self.processes:
                self._last_pid = pid
                if self._born.get(pid) == self.now:
                    self.now += 1  # no host goes through all its pids within one tick
                self._born[pid] = self.now
                account = account or parent.account
                self.processes[pid] = Simulated(pid, self.now, parent.pid, account)
                return

    def burn(self, process: Simulated, ns: int) -> None:
        """It computes."""
        process.cpu += ns
        self.burned[process.account] = self.burned.get(process.account, 0) + ns

    def exit(self, process: Simulated) -> None:
        """It becomes a zombie, or vanishes if its parent does not care; its children move up."""
        if process.pid == 1:
            return
        process.zombie = True
        heir = self._heir(process)
        for child in self.children(process):
            child.parent = heir.pid
            if child.zombie and heir.ignores_children:
                del self.processes[child.pid]
        if self.processes[process.parent].ignores_children:
            del self.processes[process.pid]

    def reap(self, zombie: Simulated) -> None:
        """Its parent waits for it, and takes over its times."""
        parent = self.processes[zombie.parent]
        if parent.zombie:
            return
        parent.reaped += zombie.cpu + zombie.reaped
        del self.processes[zombie.pid]

    def read(self, between: Callable[[], None] = lambda: None) -> Iterator[Process]:
        """Each process, ancestors first; `between` two of them anything may happen."""
        order = sorted(self.processes.values(), key=lambda p: (p.started, p.pid))
        for listed in self._ancestors_first(order):
            between()
            if self.processes.get(listed.pid) is listed:
                yield Process(
                    pid=listed.pid,
                    started=listed.started,
                    parent=listed.parent,
                    cpu_ns=listed.cpu,
                    reaped_cpu_ns=listed.reaped,
                    memory_bytes=0,
                )

    def _ancestors_first(self, order: list[Simulated]) -> list[Simulated]:
        """By start alone: a child forked at the same instant comes after its parent."""
        done: dict[int, Simulated] = {}

        def visit(process: Simulated) -> None:
            parent = self.processes.get(process.parent)
            if parent is not None and parent.pid not in done:
                visit(parent)
            done[process.pid] = process

        for process in order:
            if process.pid not in done:
                visit(process)
        return list(done.values())

    def _heir(self, process: Simulated) -> Simulated:
        above = self.processes[process.parent]
        while above.zombie or not above.subreaper:
            above = self.processes[above.parent]
        return above
