"""CPU time by account: never twice, never made up, and exact where every exit is waited for."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.pricing.process_tree import Host, Simulated
from unitcost.collectors.processes import ProcessTable
from unitcost.pricing.cpu_time import CpuState, CpuTime, count_cpu
from unitcost.pricing.sample import NS_PER_SECOND, Process
from unitcost.pricing.workload import SYSTEM, Account

SYS = Account(SYSTEM)
A = Account("a")
B = Account("b")


def process(
    pid: int, cpu: int = 0, reaped: int = 0, *, parent: int = 1, started: int = 10
) -> Process:
    """A process; only what is counted by."""
    return Process(pid, started, parent, cpu, reaped, 0)


@dataclass
class Counter:
    """Counts reading after reading, as the exporter does."""

    accounts: dict[int, Account] = field(default_factory=dict)
    state: CpuState | None = None
    read_at: int = 0
    total: dict[Account, int] = field(default_factory=dict)

    def read(self, *processes: Process, at: int = 20) -> dict[Account, int]:
        """One reading that began at `at`; returns what it counted."""
        accounts = {p.identity: self.accounts.get(p.pid, SYS) for p in processes}
        counted = count_cpu(self.state, processes, accounts, self.read_at)
        self.state, self.read_at = counted.state, at
        for account, ns in counted.used_ns.items():
            assert ns >= 0
            self.total[account] = self.total.get(account, 0) + ns
        return dict(counted.used_ns)


INIT = process(1, started=0, parent=0)


def test_the_first_reading_counts_nothing() -> None:
    """What was used before we looked is not ours to bill."""
    counter = Counter()
    assert counter.read(INIT, process(5, cpu=700, reaped=900)) == {}
    assert counter.read(INIT, process(5, cpu=700, reaped=900)) == {}


def test_a_process_counts_by_its_own_counter() -> None:
    """The difference, on its account."""
    counter = Counter({5: A})
    counter.read(INIT, process(5, cpu=700))
    assert counter.read(INIT, process(5, cpu=750)) == {A: 50}


def test_a_process_born_since_counts_from_zero() -> None:
    """Also one that was born at the very tick the reading before began."""
    counter = Counter({6: A, 7: B})
    counter.read(INIT, at=20)
    young, same_tick = process(6, cpu=30, started=25), process(7, cpu=4, started=20)
    assert counter.read(INIT, young, same_tick, at=30) == {A: 30, B: 4}


def test_an_older_process_seen_for_the_first_time_counts_from_then_on() -> None:
    """It was hidden, or its reading failed."""
    counter = Counter({6: A})
    counter.read(INIT, at=20)
    assert counter.read(INIT, process(6, cpu=30, reaped=8, started=19)) == {}
    assert counter.read(INIT, process(6, cpu=31, reaped=10, started=19)) == {A: 3}


def test_a_child_that_was_never_seen_counts_when_it_is_waited_for() -> None:
    """On its parent's account: nothing else is known of it."""
    counter = Counter({5: A})
    counter.read(INIT, process(5))
    assert counter.read(INIT, process(5, reaped=40)) == {A: 40}


def test_of_a_child_that_was_seen_only_the_rest_counts_when_it_is_waited_for() -> None:
    """On the child's account, though it is the parent's counter that shows it."""
    counter = Counter({5: A, 6: B})
    counter.read(INIT, process(5), process(6, cpu=100, parent=5))
    assert counter.read(INIT, process(5), process(6, cpu=130, parent=5)) == {B: 30}
    assert counter.read(INIT, process(5, reaped=137)) == {B: 7}
    assert counter.read(INIT, process(5, reaped=137)) == {}


def test_what_children_of_several_accounts_leave_is_the_parents() -> None:
    """It cannot be told whose it was."""
    counter = Counter({5: SYS, 6: A, 7: B})
    counter.read(INIT, process(5), process(6, cpu=10, parent=5), process(7, cpu=20, parent=5))
    assert counter.read(INIT, process(5, reaped=35)) == {SYS: 5}


def test_a_family_that_ends_in_one_go_is_counted_once() -> None:
    """The grandparent's counter holds them both."""
    counter = Counter({5: A, 6: A, 7: A})
    family = (process(6, cpu=10, reaped=3, parent=5), process(7, cpu=20, parent=6))
    counter.read(INIT, process(5, reaped=1), *family)
    assert counter.read(INIT, process(5, reaped=1 + 10 + 3 + 20 + 9)) == {A: 9}


def test_an_orphan_waited_for_by_another_ancestor_is_not_counted_again() -> None:
    """Its parent ended too; the first process took it over and waited for it."""
    counter = Counter({5: A, 6: A, 7: A})
    counter.read(
        INIT, process(5, cpu=5), process(6, cpu=10, parent=5), process(7, cpu=20, parent=6)
    )
    init = replace(INIT, reaped_cpu_ns=20)
    assert counter.read(init, process(5, cpu=5, reaped=10)) == {}


def test_a_child_nobody_waits_for_counts_as_far_as_it_was_seen() -> None:
    """The parent ignores its children: the kernel drops their times."""
    counter = Counter({5: A, 6: A})
    counter.read(INIT, process(5), process(6, cpu=10, parent=5))
    assert counter.read(INIT, process(5)) == {}
    assert counter.read(INIT, process(5)) == {}
    assert counter.state is not None
    assert counter.state.owed == {}
    assert counter.read(INIT, process(5, reaped=12)) == {A: 12}


def test_a_child_gone_before_its_parents_counter_rose_is_not_counted_again() -> None:
    """The parent is read, then it waits, then the child is looked for: all within one reading."""
    counter = Counter({5: A, 6: A})
    counter.read(INIT, process(5), process(6, cpu=100, parent=5))
    assert counter.read(INIT, process(5)) == {}
    assert counter.read(INIT, process(5, reaped=103)) == {A: 3}


def test_a_family_gone_before_its_ancestors_counter_rose_is_not_counted_again() -> None:
    """The same with a parent in between, which was gone as well."""
    counter = Counter({5: A, 6: A, 7: A})
    counter.read(INIT, process(5), process(6, cpu=10, parent=5), process(7, cpu=20, parent=6))
    assert counter.read(INIT, process(5)) == {}
    assert counter.read(INIT, process(5, reaped=34)) == {A: 4}


def test_a_reused_pid_is_another_process() -> None:
    """Its times are its own, however much smaller."""
    counter = Counter({6: A})
    counter.read(INIT, process(6, cpu=500, started=10))
    assert counter.read(INIT, process(6, cpu=3, started=25)) == {A: 3}


def test_a_reading_without_processes_counts_nothing_and_forgets_nothing() -> None:
    """The one after it counts for both."""
    counter = Counter({5: A})
    counter.read(INIT, process(5, cpu=10))
    assert count_cpu(counter.state, (), {}, 20) == CpuTime({}, counter.state or CpuState({}, {}))
    assert count_cpu(None, (), {}, 20).used_ns == {}
    assert counter.read(INIT, process(5, cpu=30)) == {A: 20}


def test_a_counter_that_falls_counts_nothing_and_not_twice_when_it_rises() -> None:
    """No kernel should, some do."""
    counter = Counter({5: A})
    counter.read(INIT, process(5, cpu=100))
    assert counter.read(INIT, process(5, cpu=90)) == {}
    assert counter.read(INIT, process(5, cpu=110)) == {A: 10}
    assert counter.read(INIT, process(5, cpu=110, reaped=50)) == {A: 50}
    assert counter.read(INIT, process(5, cpu=110, reaped=30)) == {}
    assert counter.read(INIT, process(5, cpu=110, reaped=51)) == {A: 1}


def test_a_loop_of_parents_ends() -> None:
    """Two processes that name each other as parent, both gone."""
    counter = Counter({6: A, 7: A})
    counter.read(INIT, process(6, cpu=1, parent=7), process(7, cpu=2, parent=6))
    assert counter.read(replace(INIT, reaped_cpu_ns=9)) == {SYS: 9}


def test_state_of_processes_that_do_nothing_is_not_made_anew() -> None:
    """Most of a host sleeps."""
    counter = Counter()
    counter.read(INIT, process(5, cpu=3))
    before = counter.state
    counter.read(INIT, process(5, cpu=3))
    assert before is not None
    assert counter.state is not None
    assert counter.state.alive["5@10"] is before.alive["5@10"]


# The simulated host: any history, read at any moments.

Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["fork", "fork", "burn", "burn", "exit", "reap", "reap", "tick", "read", "odd"]
        ),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=20,
    max_size=150,
)


class Life:
    """Plays steps on a simulated host, and counts at the readings."""

    def __init__(self, accounts: tuple[Account, ...], orphans: bool) -> None:
        self.host = Host(accounts)
        self.counter = Counter()
        self._orphans = orphans

    def play(self, steps: Iterator[Step], after_reading: Callable[[], None], torn: bool) -> None:
        """All of them; if `torn`, other steps happen in the middle of a reading."""
        self._read(lambda: None)
        for kind, one, two in steps:
            if kind == "read":
                self._read(partial(self._some, steps, one % 6 if torn else 0))
                after_reading()
            else:
                self._step(kind, one, two)

    def _some(self, steps: Iterator[Step], count: int) -> None:
        for _ in range(count):
            kind, one, two = next(steps, ("tick", 0, 0))
            self._step(kind, one, two)

    def _read(self, between: Callable[[], None]) -> None:
        began = self.host.now
        self.counter.accounts = {}
        processes = []
        for each in self.host.read(between):
            processes.append(each)
            self.counter.accounts[each.pid] = self.host.processes[each.pid].account
        self.counter.read(*processes, at=began)

    def _may_exit(self, process: Simulated) -> bool:
        """Where no orphans are wanted, and none of another account than its parent's."""
        parent = self.host.processes.get(process.parent)
        same = parent is not None and parent.account == process.account
        return same and not self.host.children(process)

    def _step(self, kind: str, one: int, two: int) -> None:
        host, living, zombies = self.host, self.host.living(), self.host.zombies()
        subject: Simulated = living[one % len(living)]
        if kind == "fork":
            account = host.accounts[two % len(host.accounts)] if two % 3 == 0 else None
            host.fork(subject, account)
        elif kind == "burn":
            host.burn(subject, two)
        elif kind == "exit" and (self._orphans or self._may_exit(subject)):
            host.exit(subject)
        elif kind == "reap" and zombies:
            host.reap(zombies[one % len(zombies)])
        elif kind == "tick":
            host.now += one % 3
        elif kind == "odd" and self._orphans and subject.pid != 1:
            subject.subreaper = True
            subject.ignores_children = two % 2 == 0


@given(STEPS)
def test_where_parents_wait_for_children_of_their_account_every_nanosecond_is_counted_once(
    steps: list[Step],
) -> None:
    """At every reading, what each account burned is what was counted, to the nanosecond."""
    life = Life((SYS, A, B), orphans=False)

    def exact() -> None:
        for account in (SYS, A, B):
            assert life.counter.total.get(account, 0) == life.host.burned.get(account, 0)

    life.play(iter(steps), exact, torn=False)


@given(STEPS, st.booleans())
def test_never_more_is_counted_than_was_burned(steps: list[Step], torn: bool) -> None:
    """Whoever waits for whom, or for nobody, and whatever happens while it is read."""
    life = Life((SYS, A, B), orphans=True)

    def within() -> None:
        assert sum(life.counter.total.values()) <= sum(life.host.burned.values())

    life.play(iter(steps), within, torn=torn)


# A real process tree, read through the real /proc.

FAMILY = """
import os, sys, time

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def child(depth):
    pid = os.fork()
    if not pid:
        burn(0.02)
        if depth:
            child(depth - 1)
        os._exit(0)
    os.waitpid(pid, 0)

print("ready", flush=True)
sys.stdin.readline()
for _ in range(12):
    child(1)
    burn(0.01)
times = os.times()
print(sum(times[:4]), flush=True)
sys.stdin.readline()
"""


def test_short_lived_children_of_a_real_process_are_counted_in_full() -> None:
    """Two dozen real processes, each far shorter than the time between readings."""
    table, state, began = ProcessTable(), None, 0
    used: dict[Account, int] = {}
    command = [sys.executable, "-I", "-c", FAMILY]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as family:
        assert family.stdin is not None
        assert family.stdout is not None
        assert family.stdout.readline() == "ready\n"

        def read() -> int:
            nonlocal state, began
            since, began = began, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000
            processes, _ = table.read()
            ours = {family.pid}
            for each in processes:
                if each.parent in ours:
                    ours.add(each.pid)
            accounts = {p.identity: A if p.pid in ours else SYS for p in processes}
            counted = count_cpu(state, processes, accounts, since)
            state = counted.state
            for account, ns in counted.used_ns.items():
                used[account] = used.get(account, 0) + ns
            (own,) = [p for p in processes if p.pid == family.pid]
            return own.cpu_ns + own.reaped_cpu_ns

        before = read()
        family.stdin.write("go\n")
        os.set_blocking(family.stdout.fileno(), False)
        line = ""
        while not line:
            time.sleep(0.05)
            read()
            line = family.stdout.readline()
        read()
        family.stdin.write("end\n")
    told = round(float(line) * NS_PER_SECOND) - before
    ticks = NS_PER_SECOND // os.sysconf("SC_CLK_TCK")
    assert told >= 30 * ticks, "the family did burn"
    assert abs(used[A] - told) <= 4 * ticks
