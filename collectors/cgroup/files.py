"""What one control group used, from either version of the kernel's interface."""

import errno
import os
from dataclasses import dataclass
from typing import NamedTuple

_GONE = frozenset({errno.ENOENT, errno.ENODEV})


class Used(NamedTuple):
    """CPU time (a counter, ns), memory charged and inactive; CPU weight or shares if any."""

    cpu_ns: int
    charged_bytes: int
    inactive_bytes: int
    weight: int | None

    @property
    def memory_bytes(self) -> int:
        """The working set: what could not be had back at once."""
        return max(0, self.charged_bytes - self.inactive_bytes)


class Gone(Exception):
    """The group, or a file of it, is not there: it ended, or has no such controller."""


@dataclass(frozen=True, slots=True)
class Unified:
    """Version 2: one tree."""

    root: str

    def read(self, path: str, before: Used | None = None) -> Used:
        """Read one group. Raises Gone, ValueError or OSError.

        `before`: a recent reading. Its weight is kept, and its inactive files too while the memory
        charged is the same: the file that has them is dear to read.
        """
        folder = self.root + path
        cpu_us = _field(read(f"{folder}/cpu.stat"), b"usage_usec")
        charged = int(read(f"{folder}/memory.current"))
        if before is not None and before.charged_bytes == charged:
            return before._replace(cpu_ns=cpu_us * 1000)
        inactive = _field(read(f"{folder}/memory.stat"), b"inactive_file")
        weight = before.weight if before else _optional(f"{folder}/cpu.weight")
        return Used(cpu_us * 1000, charged, inactive, weight)

    def weight(self, path: str) -> int:
        """The CPU weight of a group, 0 where it is not known."""
        try:
            return _optional(f"{self.root}{path}/cpu.weight") or 0
        except (OSError, ValueError):
            return 0


@dataclass(frozen=True, slots=True)
class Split:
    """Version 1, or hybrid: a tree for each controller; `root` is that of CPU accounting.

    `cpu` is empty where there is none.
    """

    root: str
    memory: str
    cpu: str

    def read(self, path: str, before: Used | None = None) -> Used:
        """Read one group. Raises Gone, ValueError or OSError. `before`: as with version 2."""
        cpu_ns = int(read(f"{self.root}{path}/cpuacct.usage"))
        charged = int(read(f"{self.memory}{path}/memory.usage_in_bytes"))
        if before is not None and before.charged_bytes == charged:
            return before._replace(cpu_ns=cpu_ns)
        inactive = _field(read(f"{self.memory}{path}/memory.stat"), b"total_inactive_file")
        if before is not None:
            return Used(cpu_ns, charged, inactive, before.weight)
        shares = _optional(f"{self.cpu}{path}/cpu.shares") if self.cpu else None
        return Used(cpu_ns, charged, inactive, shares)


def hierarchy(root: str) -> Unified | Split | None:
    """The tree or trees below `root`; None where CPU time or memory is not counted."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        return Unified(root)
    usage = _first(root, "cpuacct.usage", "cpu,cpuacct", "cpuacct,cpu", "cpuacct")
    memory = _first(root, "memory.usage_in_bytes", "memory")
    shares = _first(root, "cpu.shares", "cpu,cpuacct", "cpuacct,cpu", "cpu")
    return Split(usage, memory, shares) if usage and memory else None


def is_part(found: Unified | Split) -> bool:
    """Whether `found.root` is not the host's, but a container's view of its own group alone."""
    if isinstance(found, Unified):
        return os.path.exists(f"{found.root}/cgroup.events")
    return not os.path.exists(f"{found.root}/release_agent")


def _first(root: str, file: str, *names: str) -> str:
    paths = (f"{root}/{name}" for name in names)
    return next((path for path in paths if os.path.exists(f"{path}/{file}")), "")


def read(path: str) -> bytes:
    """A file of a group. Raises Gone, or OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, 8192)
        finally:
            os.close(file)
    except OSError as error:
        if error.errno in _GONE:
            raise Gone(path) from None
        raise


def _optional(path: str) -> int | None:
    try:
        return int(read(path))
    except Gone:
        return None


def _field(data: bytes, name: bytes) -> int:
    """A number of a file with a name and a number in each line. Raises ValueError."""
    line = b"\n" + name + b" "
    start = (b"\n" + data).find(line)
    if start < 0:
        raise ValueError(f"no {name.decode()}")
    return int(data[start + len(line) - 1 :].split(None, 1)[0])
