"""Reads the files of /proc that we need, each with one open and one read, from any root."""

import errno
import ipaddress
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
KERNEL_THREAD = 0x0020_0000
"""PF_KTHREAD in the flags of /proc/<pid>/stat (include/linux/sched.h)."""
_LISTEN, _SYN_RECV = b"0A", b"03"
_CHUNK = 65_536


class Stat(NamedTuple):
    """What we use of /proc/<pid>/stat (proc_pid_stat(5)); times in clock ticks, rss in pages."""

    command: bytes
    parent: int
    flags: int
    minor_faults: int
    cpu: int
    reaped: int
    started: int
    resident: int


class CpuTotal(NamedTuple):
    """The whole host: clock ticks that CPUs were busy, and the number of CPUs online."""

    busy: int
    cpus: int


class Gone(Exception):
    """The process ended while it was being read: normal."""


def read(path: str, size: int = 4096) -> bytes:
    """The first `size` bytes of a file of /proc. Raises Gone, or OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        raise Gone from None
    try:
        return os.read(file, size)
    except ProcessLookupError:
        raise Gone from None
    finally:
        os.close(file)


def read_whole(path: str, limit: int) -> bytes:
    """A file of more than one page, up to `limit` bytes. Raises Gone, or OSError."""
    try:
        with open(path, "rb", buffering=0) as file:
            parts, size = [], 0
            while size < limit and (part := file.read(_CHUNK)):
                parts.append(part)
                size += len(part)
            return b"".join(parts)
    except (FileNotFoundError, ProcessLookupError):
        raise Gone from None


def pids(procfs: str) -> set[int]:
    """The processes there are. Raises OSError."""
    return {int(name) for name in os.listdir(procfs) if name.isdecimal() and name.isascii()}


def stat(procfs: str, pid: int) -> Stat:
    """Read /proc/<pid>/stat. Raises Gone, ValueError for what is no such file, or OSError.

    The command is in parentheses and may itself hold spaces, parentheses and line ends: the last
    parenthesis closes it.
    """
    head, closed, rest = read(f"{procfs}/{pid}/stat").rpartition(b") ")
    if not closed:
        raise Gone if not rest else ValueError("no command in stat")
    field = rest.split(None, 22)
    if len(field) < 22:
        raise ValueError("too few fields in stat")
    return Stat(
        command=head[head.index(b"(") + 1 :],
        parent=int(field[1]),
        flags=int(field[6]),
        minor_faults=int(field[7]),
        cpu=int(field[11]) + int(field[12]),
        reaped=int(field[13]) + int(field[14]),
        started=int(field[19]),
        resident=int(field[21]),
    )


def unshared_pages(procfs: str, pid: int) -> int:
    """Resident pages less shared ones (statm). Raises Gone, ValueError or OSError."""
    field = read(f"{procfs}/{pid}/statm").split(None, 3)
    if len(field) < 3:
        raise Gone if not field else ValueError("too few fields in statm")
    return max(0, int(field[1]) - int(field[2]))


def environment(procfs: str, pid: int, name: str) -> str:
    """A variable of the environment a process was started with, "" without it.

    Raises Gone, or OSError. At most 256 KiB are looked through.
    """
    prefix = name.encode() + b"="
    entries = read_whole(f"{procfs}/{pid}/environ", 1 << 18).split(b"\0")
    found = next((entry for entry in entries if entry.startswith(prefix)), prefix)
    return found[len(prefix) :].decode("utf-8", "replace")[:1024]


def cgroup(procfs: str, pid: int) -> str:
    """The cgroup's path: the unified one; else (version 1) that of cpu, memory or any other.

    "" where there is none but the root. Raises Gone or OSError.
    """
    paths: dict[str, str] = {}
    for line in read(f"{procfs}/{pid}/cgroup", 8192).decode("utf-8", "replace").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path not in ("", "/"):
            paths.update(dict.fromkeys(controllers.split(","), path))
    for name in ("", "cpu", "memory", *paths):
        if name in paths:
            return paths[name]
    return ""


def command_line(procfs: str, pid: int, limit: int = 8192) -> str:
    """The arguments, joined by spaces; "" for a zombie. Raises Gone or OSError."""
    data = read(f"{procfs}/{pid}/cmdline", limit)
    return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")


def kernel_threads(procfs: str) -> set[int]:
    """The pids of kernel threads, where that is cheap to know; they may be missing from it.

    All are children of pid 2, if that is a kernel thread (in a container it need not be).
    """
    try:
        if not stat(procfs, 2).flags & KERNEL_THREAD:
            return set()
        children = read_whole(f"{procfs}/2/task/2/children", 1 << 20)
    except (Gone, OSError, ValueError):
        return set()
    return {2, *map(int, children.split())}


def cpu_total(procfs: str) -> CpuTotal:
    """Read the head of /proc/stat. Raises Gone, ValueError or OSError.

    Busy is user, nice, system, irq, softirq and steal (guest time is part of user); idle and
    iowait are not (proc_stat(5)). A kernel that counts nothing at all (some sandboxes) is a
    ValueError, for that is not an idle host.
    """
    lines = read_whole(f"{procfs}/stat", 1 << 20).split(b"\nintr", 1)[0].splitlines()
    if not lines or not lines[0].startswith(b"cpu "):
        raise ValueError("no cpu line in stat")
    ticks = [int(field) for field in lines[0].split()[1:9]]
    if len(ticks) < 8 or not any(ticks):
        raise ValueError("no CPU time in stat")
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks
    cpus = sum(line.startswith(b"cpu") for line in lines) - 1
    if not cpus:
        raise ValueError("no CPU in stat")
    return CpuTotal(user + nice + system + irq + softirq + steal, cpus)


def memory(procfs: str) -> dict[str, int]:
    """MemTotal and MemAvailable in bytes, as far as they are there. Raises as `cpu_total`."""
    wanted = {b"MemTotal:": "MemTotal", b"MemAvailable:": "MemAvailable"}
    found = {}
    for line in read(f"{procfs}/meminfo").splitlines():
        field = line.split()
        if field and field[0] in wanted:
            found[wanted[field[0]]] = int(field[1]) * 1024
    return found


def listening_inodes(procfs: str, ports: Iterable[int]) -> dict[int, set[bytes]]:
    """The inodes of the sockets that listen on `ports`, by port. Raises OSError.

    The kernel lists listening sockets first: reading stops where connections begin.
    """
    wanted = {b"%04X" % port: port for port in ports}
    found: dict[int, set[bytes]] = {}
    tables = 0
    for name in ("tcp", "tcp6"):
        try:
            lines = _listening_lines(f"{procfs}/net/{name}")
        except (FileNotFoundError, ProcessLookupError):
            continue
        tables += 1
        for line in lines:
            field = line.split(None, 10)
            port = wanted.get(field[1].rpartition(b":")[2])
            if field[3] == _LISTEN and port is not None:
                found.setdefault(port, set()).add(field[9])
    if not tables:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{procfs}/net/tcp")
    return found


def listening_sockets(procfs: str) -> list[tuple[IPAddress, int, bytes]]:
    """Address, port and inode of every listening TCP socket of our own network. Raises OSError.

    Addresses are there in words of 32 bits, each in the order of the processor. One that is no
    socket any more has inode 0 and is left out.
    """
    found = []
    for name in ("tcp", "tcp6"):
        try:
            lines = _listening_lines(f"{procfs}/net/{name}")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in lines:
            field = line.split(None, 10)
            address, _, port = field[1].partition(b":")
            if field[3] == _LISTEN and field[9] != b"0":
                found.append((_address(address), int(port, 16), field[9]))
    return found


def _address(text: bytes) -> IPAddress:
    raw = bytes.fromhex(text.decode("ascii"))
    words = [raw[i : i + 4] for i in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return ipaddress.ip_address(b"".join(words))


def port_range(procfs: str) -> range:
    """The ports that the kernel gives to who names none; Linux's usual ones if it is not said."""
    try:
        low, high = read(f"{procfs}/sys/net/ipv4/ip_local_port_range").split()
        return range(int(low), int(high) + 1)
    except (Gone, OSError, ValueError):
        return range(32768, 61000)


def _listening_lines(path: str) -> list[bytes]:
    """The lines of listening sockets; a little more, at most a chunk's worth, may follow."""
    lines: list[bytes] = []
    with open(path, "rb", buffering=_CHUNK) as file:
        file.readline()
        for line in file:
            field = line.split(None, 10)
            if len(field) < 11 or field[3] not in (_LISTEN, _SYN_RECV):
                break
            lines.append(line)
    return lines


def socket_inodes(procfs: str, pid: int) -> set[bytes]:
    """The inodes of the sockets a process has open. Raises Gone, or OSError.

    A file that is closed meanwhile is left out.
    """
    folder = f"{procfs}/{pid}/fd"
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError):
        raise Gone from None
    found = set()
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1].encode())
    return found
