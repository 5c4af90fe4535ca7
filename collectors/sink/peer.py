"""Which process is at the other end of a loopback connection, and what its launcher told it."""

import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unitcost.collectors import procfs
from unitcost.collectors.sink.server import ADDRESS
from unitcost.pricing.sample import Process
from unitcost.pricing.workload import clean_name

_RUN = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "JOBSET_NAME")
_ATTEMPT = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
_RANKS = ("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID")
MAX_TABLE = 4 * 1024 * 1024
MAX_RANKS = 64
_LISTEN = b"0A"


@dataclass(frozen=True, slots=True, order=True)
class ProcessId:
    """A process: its pid, and its start in clock ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Launched:
    """What a process's environment says of its run; empty, 0 or 1 where it says nothing."""

    run: str = ""
    attempt: int = 0
    hosts: int = 1
    ranked: bool = False


def socket_inode(root: str, peer_port: int, own_port: int) -> bytes | None:
    """The inode of the socket at `peer_port` that is connected to ours. Raises OSError."""
    here = b"%08X" % int.from_bytes(socket.inet_aton(ADDRESS), sys.byteorder)
    wanted = b"%s:%04X %s:%04X " % (here, peer_port, here, own_port)
    table = procfs.read_whole(f"{root}/net/tcp", MAX_TABLE)
    place = table.find(b": " + wanted)
    if place < 0:
        return None
    fields = table[place + 2 :].split(None, 10)
    return fields[8] if len(fields) > 9 and fields[2] != _LISTEN and fields[8] != b"0" else None


def holds(root: str, process: ProcessId, inode: bytes) -> bool:
    """Whether a process is at work and has the socket open."""
    try:
        return is_alive(root, process) and inode in procfs.socket_inodes(root, process.pid)
    except (procfs.Gone, OSError):
        return False


def find_holder(root: str, inode: bytes) -> tuple[ProcessId | None, bool]:
    """The process that has the socket open, the eldest if several do; whether any was hidden.

    Looks through the open files of all processes. Raises OSError.
    """
    found: list[ProcessId] = []
    hidden = False
    for pid in procfs.pids(root):
        try:
            if inode in procfs.socket_inodes(root, pid):
                found.append(ProcessId(pid, procfs.stat(root, pid).started))
        except PermissionError:
            hidden = True
        except (procfs.Gone, OSError, ValueError):
            continue
    return min(found, key=lambda each: (each.started, each.pid), default=None), hidden


def is_alive(root: str, process: ProcessId) -> bool:
    """Whether it is at work: neither gone, nor a zombie, nor another one by the same pid."""
    try:
        fields = procfs.read(f"{root}/{process.pid}/stat").rpartition(b") ")[2].split(None, 20)
        return int(fields[19]) == process.started and fields[0] not in (b"Z", b"X")
    except (procfs.Gone, OSError, ValueError, IndexError):
        return False


def launched(root: str, pid: int) -> Launched:
    """What the launcher put into a process's environment."""
    found = _environment(root, pid)
    run = next((found[n] for n in _RUN if found.get(n, "none") not in ("", "none")), "")
    size, local = _number(found.get("WORLD_SIZE")), _number(found.get("LOCAL_WORLD_SIZE"))
    return Launched(
        clean_name(run),
        max(_number(found.get(name)) for name in _ATTEMPT),
        max(1, -(-size // local)) if size and local else 1,
        any(name in found for name in _RANKS),
    )


def fellows(root: str, poster: ProcessId, processes: Sequence[Process]) -> tuple[ProcessId, ...]:
    """The other ranks on this host: children of the same launcher that have a rank as well."""
    parent = next((each.parent for each in processes if each.pid == poster.pid), 0)
    if parent <= 1:
        return ()
    siblings: Iterable[Process] = (
        each for each in processes if each.parent == parent and each.pid != poster.pid
    )
    found = [each for each in siblings if launched(root, each.pid).ranked]
    return tuple(ProcessId(each.pid, each.started) for each in found[:MAX_RANKS])


def _environment(root: str, pid: int) -> dict[str, str]:
    try:
        data = procfs.read_whole(f"{root}/{pid}/environ", 1 << 18)
    except (procfs.Gone, OSError):
        return {}
    wanted = {*_RUN, *_ATTEMPT, *_RANKS, "WORLD_SIZE", "LOCAL_WORLD_SIZE"}
    found = {}
    for entry in data.split(b"\0"):
        name, _, value = entry.decode("utf-8", "replace").partition("=")
        if name in wanted:
            found[name] = value[:512]
    return found


def _number(text: str | None) -> int:
    known = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if known and text is not None else 0
