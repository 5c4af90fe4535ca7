"""The host, from recorded and made-up /proc trees, and the live one beside psutil."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from unitcost.collectors import procfs
from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.host import HostCollector, Options, make_collector
from unitcost.collectors.listeners import RETRY_NS
from unitcost.collectors.processes import HIDDEN, MALFORMED, UNREADABLE, ProcessTable
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.sample import Kind, Listener, Process, Quantity

CAPTURE = Path(__file__).parent.parent / "captures/procfs-container"
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
STAT_HEAD = (
    "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu3 1 1 1 1 1 1 1 1 0 0\n"
)
TCP_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


class Tree:
    """A made-up /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.write("stat", STAT_HEAD + "intr 1 2 3\nctxt 4\nbtime 5\n")
        self.write("meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n")
        self.process(1, "init", parent=0, started=0)

    def write(self, name: str, text: str | bytes) -> None:
        """One file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def process(
        self,
        pid: int,
        command: str = "sleep",
        *,
        parent: int = 1,
        started: int = 10,
        flags: int = 0,
        faults: int = 0,
        times: tuple[int, int, int, int] = (0, 0, 0, 0),
        pages: tuple[int, int] = (50, 20),
        arguments: str = "sleep\0 9\0",
        cgroup: str = "0::/user.slice\n",
    ) -> None:
        """One process, or what has become of it."""
        clock = " ".join(map(str, times))
        rest = f"S {parent} 0 0 0 -1 {flags} {faults} 0 0 0 {clock} 20 0 1 0 {started} 0 {pages[0]}"
        self.write(f"{pid}/stat", f"{pid} ({command}) {rest} 18446744073709551615 1 1\n")
        self.write(f"{pid}/statm", f"999 {pages[0]} {pages[1]} 0 0 0 0\n")
        self.write(f"{pid}/cmdline", arguments)
        self.write(f"{pid}/cgroup", cgroup)

    def end(self, pid: int) -> None:
        """The process is gone."""
        shutil.rmtree(self.root / str(pid))

    def listening(self, *rows: tuple[int, int], name: str = "tcp") -> None:
        """Sockets that listen, as port and inode; and some that do not."""
        lines = [
            f"   {n}: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000"
            f"     0        0 {inode} 1 0 100 0 0 10 0\n"
            for n, (port, inode) in enumerate(rows)
        ]
        busy = lines[0].replace(" 0A ", " 01 ") if lines else ""
        self.write(f"net/{name}", TCP_HEAD + "".join(lines) + busy)

    def open_socket(self, pid: int, *inodes: int) -> None:
        """The process has these sockets open, and some files."""
        folder = self.root / f"{pid}/fd"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for number, inode in enumerate(inodes, 3):
            (folder / str(number)).symlink_to(f"socket:[{inode}]")
        (folder / "0").symlink_to("/dev/null")
        (folder / "1").symlink_to("pipe:[77]")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A host with two CPUs and an init."""
    return Tree(tmp_path / "proc")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The recorded container, its descriptors made links again."""
    root = tmp_path / "proc"
    shutil.copytree(CAPTURE, root)
    for file in root.glob("*/fds"):
        (file.parent / "fd").mkdir()
        for line in file.read_text(encoding="utf-8").splitlines():
            number, _, target = line.partition(" ")
            (file.parent / "fd" / number).symlink_to(target)
    return root


def collector(root: Path, *ports: int, now: Callable[[], int] = time.monotonic_ns) -> HostCollector:
    """One that reads this tree."""
    return HostCollector(
        Options(procfs=str(root), sysfs=str(root / "no-bus")), Context(ports=frozenset(ports)), now
    )


def read(root: Path, *ports: int) -> Reading:
    """The first reading of a tree; it passes the exporter's door."""
    return validate(collector(root, *ports).collect(time.monotonic() + 60))


def pids(reading: Reading) -> set[int]:
    """Of its processes."""
    return set(by_pid(reading))


def by_pid(reading: Reading) -> dict[int, Process]:
    """Its processes."""
    return {process.pid: process for process in reading.processes}


def values(reading: Reading) -> dict[Quantity, float]:
    """Its samples' values; all are about the host."""
    assert {sample.subject for sample in reading.samples} <= {"host"}
    return {sample.quantity: sample.value for sample in reading.samples}


# Recorded


def test_a_recorded_container_is_read_whole(recorded: Path) -> None:
    """Seven processes, one with an odd name, one a zombie; one server."""
    reading = read(recorded, 8000, 8001)
    assert reading.problems == ()
    found = by_pid(reading)
    assert {pid: (p.parent, p.command) for pid, p in found.items() if pid != 5} == {
        1: (0, "bash init.sh"),
        3: (1, "/usr/bin/python3 -m http.server --bind 127.0.0.1 8000"),
        4: (1, "./odd) R (name 1000"),
        6: (1, "sh -c sleep 1000; true"),
        8: (6, "sleep 1000"),
        9: (5, "[python3]"),
    }
    assert found[5].command.startswith("/usr/bin/python3 -c import os,time\nif os.fork()")
    assert found[5].cpu_ns == 21 * TICK_NS
    assert (found[9].memory_bytes, found[9].cpu_ns) == (0, 0)
    resident, shared = (recorded / "3/statm").read_text(encoding="ascii").split()[1:3]
    assert found[3].memory_bytes == (int(resident) - int(shared)) * PAGE
    assert reading.listeners == (Listener(8000, 3, found[3].started),)


def test_the_recorded_hosts_totals_are_the_files(recorded: Path) -> None:
    """Computed here from the same lines by hand."""
    line = (recorded / "stat").read_text(encoding="ascii").splitlines()[0].split()
    user, nice, system, _, _, irq, softirq, steal = map(int, line[1:9])
    memory = dict(
        row.split(":") for row in (recorded / "meminfo").read_text(encoding="ascii").splitlines()
    )
    total, available = (int(memory[k].split()[0]) * 1024 for k in ("MemTotal", "MemAvailable"))
    assert values(read(recorded)) == {
        Quantity.CPU_CAPACITY: 2,
        Quantity.CPU_SECONDS: (user + nice + system + irq + softirq + steal)
        / os.sysconf("SC_CLK_TCK"),
        Quantity.MEMORY_CAPACITY: total,
        Quantity.MEMORY_USED: total - available,
    }


# Made up: totals


def test_busy_is_neither_idle_nor_iowait_and_guests_are_not_counted_twice(tree: Tree) -> None:
    """100 + 20 + 30 + 6 + 7 + 8 ticks; CPUs are the lines, whatever their numbers."""
    reading = read(tree.root)
    assert values(reading)[Quantity.CPU_SECONDS] == 171 / os.sysconf("SC_CLK_TCK")
    assert values(reading)[Quantity.CPU_CAPACITY] == 2
    assert values(reading)[Quantity.MEMORY_USED] == 600 * 1024
    kinds = {sample.quantity: sample.kind for sample in reading.samples}
    assert kinds[Quantity.CPU_SECONDS] is Kind.COUNTER
    assert kinds[Quantity.MEMORY_USED] is Kind.GAUGE


@pytest.mark.parametrize(
    "text",
    ["", "cpu  \n", "cpu  a b c d e f g h\ncpu0 1\n", "cpu  1 2 3\ncpu0 1 2 3\n", "x\n"],
)
def test_a_stat_that_makes_no_sense_is_a_problem_and_no_zero(tree: Tree, text: str) -> None:
    """Memory and processes are read all the same."""
    tree.write("stat", text)
    reading = read(tree.root)
    assert values(reading).keys() == {Quantity.MEMORY_CAPACITY, Quantity.MEMORY_USED}
    assert [problem.kind for problem in reading.problems] == ["cpu"]
    assert 1 in by_pid(reading)


def test_cpus_are_counted_whatever_follows_them(tree: Tree) -> None:
    """Not every kernel has all the lines."""
    tree.write("stat", STAT_HEAD + "ctxt 4\nbtime 5\n")
    assert values(read(tree.root))[Quantity.CPU_CAPACITY] == 2


def test_a_kernel_that_counts_no_cpu_time_is_not_an_idle_host(tree: Tree) -> None:
    """Some sandboxes show zeros in every field."""
    tree.write("stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nintr 0\n")
    reading = read(tree.root)
    assert Quantity.CPU_SECONDS not in values(reading)
    assert [problem.kind for problem in reading.problems] == ["cpu"]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("MemTotal: 1000 kB\n", {Quantity.MEMORY_CAPACITY}),
        ("MemTotal: 1000 kB\nMemAvailable: 1001 kB\n", {Quantity.MEMORY_CAPACITY}),
        ("MemAvailable: 400 kB\n", set()),
        ("MemTotal: 0 kB\nMemAvailable: 0 kB\n", set()),
        ("MemTotal: many\n", set()),
        ("", set()),
    ],
)
def test_memory_that_is_not_told_is_unknown(tree: Tree, text: str, known: set[Quantity]) -> None:
    """And said to be."""
    tree.write("meminfo", text)
    reading = read(tree.root)
    cpu = {Quantity.CPU_CAPACITY, Quantity.CPU_SECONDS}
    assert values(reading).keys() - cpu == known
    assert [problem.kind for problem in reading.problems] == ["memory"]


def test_files_that_are_missing_break_nothing_else(tree: Tree) -> None:
    """Two problems, and the processes."""
    (tree.root / "stat").unlink()
    (tree.root / "meminfo").unlink()
    reading = read(tree.root)
    assert [problem.kind for problem in reading.problems] == ["cpu", "memory"]
    assert 1 in by_pid(reading)


def test_without_a_proc_there_is_no_data(tmp_path: Path) -> None:
    """As on a system that is not Linux: not an error."""
    with pytest.raises(NoData):
        read(tmp_path / "none")


# Made up: processes


def test_a_process_is_read_with_all_its_fields(tree: Tree) -> None:
    """Times, memory less what is shared, who it is."""
    tree.process(
        5,
        "python3",
        parent=4,
        started=77,
        times=(11, 2, 30, 4),
        arguments="python3\0-u\0train me.py\0",
        cgroup="0::/system.slice/train.service\n",
    )
    assert by_pid(read(tree.root))[5] == Process(
        pid=5,
        started=77,
        parent=4,
        cpu_ns=13 * TICK_NS,
        reaped_cpu_ns=34 * TICK_NS,
        memory_bytes=30 * PAGE,
        command="python3 -u train me.py",
        user=tree.root.owner(),
        cgroup="/system.slice/train.service",
    )


@pytest.mark.parametrize(
    "name", ["a b", "a) R 1 (b", "((", "))", ") S 9 9", "a\nb", "", " ", "tmux: server"]
)
def test_a_command_may_have_any_name(tree: Tree, name: str) -> None:
    """Spaces, parentheses and line ends do not shift the fields."""
    tree.process(5, name, parent=3, started=77, arguments="")
    found = by_pid(read(tree.root))[5]
    assert (found.parent, found.started, found.command) == (3, 77, f"[{name}]")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/a/b:c\n", "/a/b:c"),
        ("0::/\n", ""),
        ("", ""),
        ("12:cpu,cpuacct:/c\n11:memory:/m\n1:name=systemd:/s\n0::/u\n", "/u"),
        ("12:cpu,cpuacct:/c\n11:memory:/m\n1:name=systemd:/s\n0::/\n", "/c"),
        ("12:cpu,cpuacct:/\n11:memory:/m\n1:name=systemd:/s\n", "/m"),
        ("5:devices:/\n1:name=systemd:/s\n", "/s"),
        ("nonsense\n", ""),
    ],
)
def test_the_cgroup_is_the_unified_one_else_that_of_cpu_or_memory(
    tree: Tree, text: str, path: str
) -> None:
    """Version 2, version 1, and both."""
    tree.process(5, cgroup=text)
    assert by_pid(read(tree.root))[5].cgroup == path


def test_kernel_threads_are_left_out(tree: Tree) -> None:
    """With and without the list of the kernel's children."""
    kernel = procfs.KERNEL_THREAD
    tree.process(2, "kthreadd", parent=0, flags=kernel, arguments="")
    tree.process(3, "ksoftirqd/0", parent=2, flags=kernel, arguments="")
    tree.process(5)
    assert by_pid(read(tree.root)).keys() == {1, 5}
    tree.write("2/task/2/children", "3 ")
    assert by_pid(read(tree.root)).keys() == {1, 5}


def test_pid_2_of_a_container_is_a_process_like_any_other(tree: Tree) -> None:
    """Its children too."""
    tree.process(2)
    tree.write("2/task/2/children", "3 ")
    tree.process(3, parent=2)
    assert by_pid(read(tree.root)).keys() == {1, 2, 3}


def test_processes_come_ancestors_first_even_after_pids_started_anew(tree: Tree) -> None:
    """A child's pid may be the lower one; a new process comes last, then in its place."""
    tree.process(900, started=50)
    tree.process(30, parent=900, started=60)
    one = collector(tree.root)
    assert [p.pid for p in one.collect(0).processes] == [1, 900, 30]
    tree.process(20, parent=30, started=70)
    tree.process(10, parent=20, started=70)
    assert [p.pid for p in one.collect(0).processes] == [1, 900, 30, 10, 20]


@pytest.fixture
def stats_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids whose stat was read, in order."""
    order: list[int] = []
    real = procfs.stat

    def watched(root: str, pid: int) -> procfs.Stat:
        order.append(pid)
        return real(root, pid)

    monkeypatch.setattr(procfs, "stat", watched)
    return order


def test_processes_are_read_ancestors_first(tree: Tree, stats_read: list[int]) -> None:
    """Else a child could be read in its own counter and then again in its parent's."""
    tree.process(900, started=50)
    tree.process(30, parent=900, started=60)
    one = collector(tree.root)
    one.collect(0)
    tree.process(20, parent=30, started=70)
    for expected in ([1, 900, 30, 20], [1, 900, 30, 20]):
        stats_read.clear()
        one.collect(0)
        assert [pid for pid in stats_read if pid != 2] == expected


def test_kernel_threads_are_not_even_read_where_the_kernel_lists_them(
    tree: Tree, stats_read: list[int]
) -> None:
    """There may be thousands; one read tells them all."""
    kernel = procfs.KERNEL_THREAD
    tree.process(2, "kthreadd", parent=0, flags=kernel, arguments="")
    for pid in range(3, 40):
        tree.process(pid, "kworker", parent=2, flags=kernel, arguments="")
    tree.write("2/task/2/children", " ".join(map(str, range(3, 40))) + " ")
    tree.process(50)
    assert by_pid(read(tree.root)).keys() == {1, 50}
    assert stats_read == [2, 1, 50]


def test_times_are_read_at_every_reading(tree: Tree) -> None:
    """They are what changes."""
    one = collector(tree.root)
    for ticks in range(5):
        tree.process(5, times=(ticks, ticks, 10 * ticks, 0))
        found = by_pid(one.collect(0))[5]
        assert (found.cpu_ns, found.reaped_cpu_ns) == (2 * ticks * TICK_NS, 10 * ticks * TICK_NS)


def test_who_a_process_is_is_read_twice_and_again_after_an_exec(tree: Tree) -> None:
    """Between fork and exec it still looks like its parent."""
    tree.process(5, "bash", arguments="bash\0")
    one = collector(tree.root)
    assert by_pid(one.collect(0))[5].command == "bash"
    tree.process(5, "bash", arguments="bash\0train.sh\0", cgroup="0::/job\n")
    assert by_pid(one.collect(0))[5].command == "bash train.sh"
    tree.process(5, "bash", arguments="never read\0")
    assert by_pid(one.collect(0))[5].command == "bash train.sh"
    tree.process(5, "python3", arguments="python3\0train.py\0", cgroup="0::/job2\n")
    found = by_pid(one.collect(0))[5]
    assert (found.command, found.cgroup) == ("python3 train.py", "/job2")
    tree.process(5, "python3", arguments="train: epoch 1\0")
    assert by_pid(one.collect(0))[5].command == "train: epoch 1"
    tree.process(5, "python3", arguments="never read\0")
    assert by_pid(one.collect(0))[5].command == "train: epoch 1"


def test_memory_is_read_again_when_pages_changed_or_were_touched(tree: Tree) -> None:
    """And only then: most of a host sleeps."""
    tree.process(5)
    one = collector(tree.root)
    one.collect(0)
    one.collect(0)
    tree.write("5/statm", "999 40 1 0 0 0 0\n")
    assert by_pid(one.collect(0))[5].memory_bytes == 30 * PAGE
    tree.process(5, pages=(60, 20))
    assert by_pid(one.collect(0))[5].memory_bytes == 40 * PAGE
    tree.process(5, pages=(60, 5), faults=1)
    assert by_pid(one.collect(0))[5].memory_bytes == 55 * PAGE


def test_a_reused_pid_is_read_anew(tree: Tree) -> None:
    """Nothing is left of who had it before."""
    tree.process(5, started=10, arguments="old\0")
    one = collector(tree.root)
    one.collect(0)
    one.collect(0)
    tree.process(5, started=99, arguments="new\0", pages=(50, 49))
    found = by_pid(one.collect(0))[5]
    assert (found.started, found.command, found.memory_bytes) == (99, "new", PAGE)


@pytest.mark.parametrize("missing", ["stat", "statm", "cmdline", "cgroup"])
def test_a_process_that_ends_while_it_is_read_is_gone_and_no_problem(
    tree: Tree, missing: str
) -> None:
    """Whichever file is the first that is no longer there."""
    tree.process(5)
    tree.process(6)
    (tree.root / "5" / missing).unlink()
    reading = read(tree.root)
    assert (pids(reading), reading.problems) == ({1, 6}, ())


def test_a_process_that_ended_since_is_forgotten(tree: Tree) -> None:
    """The next reading is without it."""
    tree.process(5)
    one = collector(tree.root)
    assert 5 in by_pid(one.collect(0))
    tree.end(5)
    assert 5 not in by_pid(one.collect(0))


@pytest.mark.parametrize("text", ["5 (x", "5 (x) S 1\n", "5 (x) S one" + " 2" * 40, "\xff" * 400])
def test_a_stat_that_is_none_is_a_problem_and_the_others_are_read(tree: Tree, text: str) -> None:
    """It is left out, not guessed."""
    tree.process(5)
    tree.process(6)
    tree.write("5/stat", text)
    reading = read(tree.root)
    assert by_pid(reading).keys() == {1, 6}
    assert reading.problems == (MALFORMED,)


def test_a_hidden_first_process_means_that_others_are_hidden(tree: Tree) -> None:
    """As with hidepid=2: what is seen is reported, and that there is more."""
    tree.process(5)
    tree.end(1)
    reading = read(tree.root)
    assert (pids(reading), reading.problems) == ({5}, (HIDDEN,))


def test_processes_that_may_not_be_read_are_left_out_and_reported_once(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with hidepid=1, where opening fails. (Root may open all: so it is made to fail here.)"""
    for pid in (5, 6, 7):
        tree.process(pid)
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if "/5/" in path or "/6/cmdline" in path:
            raise PermissionError(1, "Operation not permitted", path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    reading = read(tree.root)
    assert (pids(reading), reading.problems) == ({1, 7}, (UNREADABLE,))


def test_a_proc_that_is_out_of_order_is_an_error_and_not_an_empty_host(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files must not look like processes that ended."""
    tree.process(5)
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if path.endswith("/5/stat"):
            raise OSError(24, "Too many open files", path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Too many"):
        read(tree.root)


def test_a_user_without_a_name_goes_by_the_number(tree: Tree) -> None:
    """As in a container that does not know the host's users."""
    table = ProcessTable(str(tree.root))
    for uid in range(4_123_450_000, 4_123_455_000):
        assert table._user(uid) == table._user(uid) == str(uid)
    assert len(table._users) <= 4096


# Made up: listeners


class Clock:
    """Time for the retries."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids whose descriptors were looked through, in order: that is what is expensive."""
    looked: list[int] = []
    real = procfs.socket_inodes

    def watched(root: str, pid: int) -> set[bytes]:
        looked.append(pid)
        return real(root, pid)

    monkeypatch.setattr(procfs, "socket_inodes", watched)
    return looked


def listeners_of(one: HostCollector) -> set[tuple[int, int]]:
    """Port and pid of each listener it reports now."""
    return {(each.port, each.pid) for each in one.collect(0).listeners}


def test_who_listens_is_looked_for_once_while_it_lives(tree: Tree, searches: list[int]) -> None:
    """And again as soon as it does not."""
    tree.process(5)
    tree.open_socket(5, 111)
    tree.process(6)
    tree.open_socket(6, 222)
    tree.listening((22, 111))
    tree.listening((8000, 222), name="tcp6")
    one = collector(tree.root, 22, 8000, now=Clock())
    assert listeners_of(one) == {(22, 5), (8000, 6)}
    assert searches == [1, 5, 6]
    assert listeners_of(one) == {(22, 5), (8000, 6)}
    assert len(searches) == 3
    tree.end(6)
    tree.process(7, started=20)
    tree.open_socket(7, 333)
    tree.listening((8000, 333), name="tcp6")
    assert listeners_of(one) == {(22, 5), (8000, 7)}
    assert searches[3:] == [1, 5, 7]


def test_a_port_is_seen_to_be_served_at_once_and_costs_no_search_before(
    tree: Tree, searches: list[int]
) -> None:
    """Without a socket in the kernel's table no process is looked through."""
    tree.process(5)
    tree.listening((22, 111))
    one = collector(tree.root, 8000, now=Clock())
    assert listeners_of(one) == listeners_of(one) == set()
    assert searches == []
    tree.open_socket(5, 222)
    tree.listening((8000, 222))
    assert listeners_of(one) == {(8000, 5)}


def test_the_owner_of_a_socket_is_looked_for_in_vain_every_ten_seconds_only(
    tree: Tree, searches: list[int]
) -> None:
    """Such as the kernel's own, or one of another container's process."""
    clock = Clock()
    tree.process(5)
    tree.open_socket(5)
    tree.listening((8000, 222))
    one = collector(tree.root, 8000, now=clock)
    assert listeners_of(one) == set()
    tree.open_socket(5, 222)
    clock.ns = RETRY_NS - 1
    assert listeners_of(one) == set()
    assert searches == [1, 5]
    clock.ns = RETRY_NS
    assert listeners_of(one) == {(8000, 5)}


def test_of_those_that_share_a_socket_only_the_topmost_listens(tree: Tree) -> None:
    """A server and the workers that inherited its socket."""
    tree.process(5)
    tree.process(6, parent=5)
    tree.process(7, parent=6)
    for pid in (5, 7):
        tree.open_socket(pid, 222)
    tree.listening((8000, 222))
    assert listeners_of(collector(tree.root, 8000)) == {(8000, 5)}


def test_several_sockets_on_one_port_have_several_listeners(tree: Tree) -> None:
    """As with SO_REUSEPORT."""
    for pid, inode in ((5, 222), (6, 333)):
        tree.process(pid)
        tree.open_socket(pid, inode)
    tree.listening((8000, 222), (8000, 333))
    assert listeners_of(collector(tree.root, 8000)) == {(8000, 5), (8000, 6)}


def test_an_init_that_holds_a_socket_for_a_service_does_not_listen(tree: Tree) -> None:
    """The service does, once it runs. A server that is pid 1 of its container does listen."""
    tree.process(1, "systemd", parent=0, started=0, arguments="/lib/systemd/systemd\0--system\0")
    tree.open_socket(1, 222)
    tree.listening((8000, 222))
    clock = Clock()
    one = collector(tree.root, 8000, now=clock)
    assert listeners_of(one) == set()
    tree.process(5)
    tree.open_socket(5, 222)
    clock.ns = RETRY_NS
    assert listeners_of(one) == {(8000, 5)}
    tree.process(1, "python3", parent=0, started=0, arguments="python3\0serve.py\0")
    assert listeners_of(collector(tree.root, 8000)) == {(8000, 1)}


def test_a_listener_that_may_not_be_seen_is_a_problem(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Descriptors of other users' processes are shown to root only."""
    tree.process(5)
    tree.open_socket(5, 222)
    tree.process(6)
    tree.open_socket(6, 333)
    tree.listening((8000, 222), (8001, 333))
    real = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/5/fd"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", refuse)
    reading = read(tree.root, 8000, 8001, 8002)
    assert [each.port for each in reading.listeners] == [8001]
    (problem,) = reading.problems
    assert (problem.kind, "port 8000" in problem.detail) == ("permission", True)


def test_without_a_table_of_sockets_that_is_a_problem_and_no_more(tree: Tree) -> None:
    """The processes are there all the same; and who asks for no ports has no problem."""
    reading = read(tree.root, 8000)
    assert reading.processes
    assert [problem.kind for problem in reading.problems] == ["listeners"]
    assert read(tree.root).problems == ()


def test_only_sockets_that_listen_are_listening(tree: Tree) -> None:
    """Not one that is being opened, nor a connection; behind those nothing is read any more."""
    row = " 0: 0100007F:{:04X} 0100007F:0050 {} 0:0 0:0 0 0 0 {} 1 0 100 0 0\n"
    rows = ((80, "0A", 1), (81, "03", 2), (82, "0A", 3), (83, "01", 4), (84, "0A", 5))
    tree.write("net/tcp", TCP_HEAD + "".join(row.format(*each) for each in rows))
    found = procfs.listening_inodes(str(tree.root), [80, 81, 82, 83, 84, 85])
    assert found == {80: {b"1"}, 82: {b"3"}}


def test_a_process_that_ends_during_the_search_is_passed_over(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the search goes on."""
    tree.process(5)
    tree.process(6)
    tree.open_socket(6, 222)
    tree.listening((8000, 222))
    real = procfs.socket_inodes

    def vanish(root: str, pid: int) -> set[bytes]:
        if pid == 5:
            raise procfs.Gone
        return real(root, pid)

    monkeypatch.setattr(procfs, "socket_inodes", vanish)
    assert listeners_of(collector(tree.root, 8000)) == {(8000, 6)}


# Live


def test_the_live_host_is_as_psutil_sees_it() -> None:
    """Totals read before and after enclose ours; capacity is the same."""
    before = psutil.cpu_times()
    reading = make_collector(Options(), Context()).collect(time.monotonic() + 60)
    after = psutil.cpu_times()

    def busy(times: object) -> float:
        fields = ("user", "nice", "system", "irq", "softirq", "steal")
        return sum(float(getattr(times, field)) for field in fields)

    found = values(validate(reading))
    assert busy(before) - 0.01 <= found[Quantity.CPU_SECONDS] <= busy(after) + 0.01
    assert found[Quantity.CPU_CAPACITY] == psutil.cpu_count()
    assert found[Quantity.MEMORY_CAPACITY] == psutil.virtual_memory().total
    assert 0 < found[Quantity.MEMORY_USED] < psutil.virtual_memory().total


def test_every_live_process_is_as_psutil_sees_it() -> None:
    """Those that live through both readings, field by field; times between two of psutil's."""
    first = {p.pid: p.cpu_times() for p in psutil.process_iter(["pid"])}
    found = by_pid(make_collector(Options(), Context()).collect(time.monotonic() + 60))
    compared = 0
    for theirs in psutil.process_iter():
        ours = found.get(theirs.pid)
        if ours is None or theirs.pid not in first:
            continue
        try:
            with theirs.oneshot():
                times, parent, user = theirs.cpu_times(), theirs.ppid(), theirs.username()
                command, created = theirs.cmdline(), theirs.create_time()
        except psutil.Error:
            continue
        if " ".join(command) != ours.command or parent != ours.parent:
            continue  # it has done an exec, or its parent ended, in between
        assert user == ours.user
        assert abs(created - psutil.boot_time() - ours.started * TICK_NS / 1e9) < 1.1
        earlier = first[theirs.pid]
        own = earlier.user + earlier.system, times.user + times.system
        reaped = (
            earlier.children_user + earlier.children_system,
            times.children_user + times.children_system,
        )
        assert own[0] - 0.02 <= ours.cpu_ns / 1e9 <= own[1] + 0.02
        assert reaped[0] - 0.02 <= ours.reaped_cpu_ns / 1e9 <= reaped[1] + 0.02
        compared += 1
    assert compared >= 1


def test_our_own_process_is_among_them() -> None:
    """Down to the memory: resident less shared, within a few MiB of a moment later."""
    ours = by_pid(make_collector(Options(), Context()).collect(time.monotonic() + 60))[os.getpid()]
    memory = psutil.Process().memory_info()
    assert abs(ours.memory_bytes - (memory.rss - memory.shared)) < 16 * 2**20
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        paths = {line.rstrip("\n").split(":", 2)[2] for line in file}
    assert ours.cgroup in paths or (ours.cgroup, paths) == ("", {"/"})


def test_our_own_listening_socket_is_found() -> None:
    """IPv4 and IPv6; a connection to it changes nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            context = Context(ports=frozenset({port}))
            reading = make_collector(Options(), context).collect(time.monotonic() + 60)
    (mine,) = [each for each in reading.listeners if each.port == port]
    assert mine == Listener(port, os.getpid(), by_pid(reading)[os.getpid()].started)


def test_what_the_exporter_is_limited_to_is_not_the_hosts_capacity() -> None:
    """Pinned to one CPU it sees them all."""
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from unitcost.collectors.host import Options, make_collector\n"
        "from unitcost.collectors.base import Context\n"
        "print(make_collector(Options(), Context()).collect(0).samples[0].value)"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) == psutil.cpu_count()


def test_problems_say_the_same_each_time(tree: Tree) -> None:
    """They are logged once by what they say."""
    tree.end(1)
    tree.write("meminfo", "")
    one = collector(tree.root, 8000)
    first: tuple[Problem, ...] = one.collect(0).problems
    tree.process(9)
    assert set(one.collect(0).problems) <= set(first)
