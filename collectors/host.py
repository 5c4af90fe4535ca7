"""The host: its CPUs and memory, every process on it, and who listens on the ports of interest.

Reads /proc, and how many accelerators are on the PCI bus. What the exporter itself is limited to
(affinity, cgroup) makes no difference.
"""

import os
import time
from collections.abc import Callable

import msgspec

from unitcost.collectors import procfs
from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.listeners import ListenerTable
from unitcost.collectors.pci import bus_is_seen, gpu_drivers
from unitcost.collectors.processes import ProcessTable
from unitcost.pricing.sample import NS_PER_SECOND, Kind, Quantity, Sample

SUBJECT = "host"
LOOK_NS = 60 * NS_PER_SECOND


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`procfs`, `sysfs`: where the host's are seen; a container may have them mounted elsewhere."""

    procfs: str = "/proc"
    sysfs: str = "/sys"


class HostCollector:
    """Remembers between readings what need not be read again."""

    name = "host"

    def __init__(
        self,
        options: Options,
        context: Context,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._root = options.procfs
        self._now_ns = now_ns
        self._processes = ProcessTable(options.procfs, context.visible_devices)
        self._listeners = ListenerTable(options.procfs, context.ports, now_ns)
        self._tick_seconds = os.sysconf("SC_CLK_TCK")
        self._sysfs = options.sysfs
        self._present: int | None = None
        self._present_ns: int | None = None

    def collect(self, deadline: float) -> Reading:
        """Read everything. Raises NoData without a /proc, OSError where it is out of order.

        A part that cannot be read is absent and reported as a problem.
        """
        if not os.path.isdir(self._root):
            raise NoData(f"there is no {self._root}")
        cpu, cpu_problems = self._cpu()
        memory, memory_problems = self._memory()
        processes, problems = self._processes.read()
        listeners, unseen = self._listeners.read(processes)
        return Reading(
            samples=cpu + memory + self._devices(),
            processes=processes,
            listeners=listeners,
            problems=cpu_problems + memory_problems + problems + unseen,
        )

    def _devices(self) -> tuple[Sample, ...]:
        """How many accelerators there are, looked at once a minute; nothing without a bus."""
        now = self._now_ns()
        if self._present_ns is None or now - self._present_ns >= LOOK_NS:
            seen = bus_is_seen(self._sysfs)
            self._present = len(gpu_drivers(self._sysfs)) if seen else None
            self._present_ns = now
        if self._present is None:
            return ()
        present = float(self._present)
        return (Sample(SUBJECT, Quantity.DEVICES_PRESENT, present, now, Kind.GAUGE),)

    def _cpu(self) -> tuple[tuple[Sample, ...], tuple[Problem, ...]]:
        try:
            total = procfs.cpu_total(self._root)
        except (procfs.Gone, OSError, ValueError) as error:
            return (), (_unread("cpu", f"{self._root}/stat", error),)
        now = self._now_ns()
        seconds = total.busy / self._tick_seconds
        capacity = Sample(SUBJECT, Quantity.CPU_CAPACITY, float(total.cpus), now, Kind.GAUGE)
        return (capacity, Sample(SUBJECT, Quantity.CPU_SECONDS, seconds, now)), ()

    def _memory(self) -> tuple[tuple[Sample, ...], tuple[Problem, ...]]:
        path = f"{self._root}/meminfo"
        try:
            found = procfs.memory(self._root)
        except (procfs.Gone, OSError, ValueError) as error:
            return (), (_unread("memory", path, error),)
        now = self._now_ns()
        total, available = found.get("MemTotal"), found.get("MemAvailable")
        if not total:
            return (), (_unread("memory", path, ValueError("no MemTotal")),)
        capacity = Sample(SUBJECT, Quantity.MEMORY_CAPACITY, float(total), now, Kind.GAUGE)
        if available is None or available > total:
            return (capacity,), (_unread("memory", path, ValueError("no MemAvailable")),)
        used = float(total - available)
        return (capacity, Sample(SUBJECT, Quantity.MEMORY_USED, used, now, Kind.GAUGE)), ()


def _unread(kind: str, path: str, error: Exception) -> Problem:
    reason = "it is not there" if isinstance(error, procfs.Gone) else str(error)
    return Problem(kind, f"{path} cannot be used: {reason}")


def make_collector(options: Options, context: Context) -> HostCollector:
    """The collector of the host `options.procfs` shows, with the listeners on `context.ports`."""
    return HostCollector(options, context)
