"""Who used how much CPU time and memory: by control group where there is one, else by process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.owners import Owners
from unitcost.pricing.cpu_time import CpuState, count_cpu
from unitcost.pricing.meter import Event, Point, read_counter
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, Sample
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.workload import SYSTEM, Account

NS_PER_TICK = NS_PER_SECOND // 100
"""Clock ticks in /proc are hundredths of a second (USER_HZ)."""
CONTAINED = Account("__contained__")
"""Processes whose control group counts for them: theirs is only read to be left out."""


@dataclass(frozen=True, slots=True)
class CpuUse:
    """CPU nanoseconds by account, the time in which they were used, and what else was busy."""

    used_ns: Mapping[Account, int]
    span_ns: int
    system_ns: int


@dataclass(slots=True)
class UsageMeter:
    """Keeps what the next reading of CPU time is compared with."""

    cpu: CpuState | None = None
    busy_point: Point | None = None
    read_at_mono_ns: int | None = None
    since_ticks: int = 0
    utilisation: float | None = None
    container_ns: dict[str, int] | None = field(default=None)

    def cpu_time(
        self, observed: Observed, owners: Owners, read: Sample, clock: ClockReading
    ) -> CpuUse:
        """What was used since the last reading; nothing at the first."""
        point, busy = read_counter(self.busy_point, read.value, read.mono_ns)
        # One that starts anew while the host runs (lxcfs does that) says nothing of this interval.
        busy_ns = busy.micro * 1000 if busy.event is Event.COUNTED else None
        accounts = _process_accounts(observed, owners)
        counted = count_cpu(self.cpu, observed.processes, accounts, self.since_ticks)
        used = {a: ns for a, ns in counted.used_ns.items() if a != CONTAINED}
        for account, ns in self._containers(observed, owners).items():
            used[account] = used.get(account, 0) + ns
        first = self.cpu is None or self.read_at_mono_ns is None
        span = 0 if self.read_at_mono_ns is None else read.mono_ns - self.read_at_mono_ns
        self.cpu, self.busy_point, self.read_at_mono_ns = counted.state, point, read.mono_ns
        self.since_ticks = (read.mono_ns + clock.boot_ns - clock.mono_ns) // NS_PER_TICK
        self.utilisation = None
        if first or span <= 0:
            return CpuUse({}, 0, 0)
        cores = observed.host(Quantity.CPU_CAPACITY)
        if cores is not None and cores.value > 0 and busy_ns is not None:
            self.utilisation = min(1.0, busy_ns / span / cores.value)
        others = sum(ns for account, ns in used.items() if account.workload != SYSTEM)
        seen = used.get(Account(SYSTEM), 0)
        return CpuUse(used, span, max(seen, (busy_ns or 0) - others))

    def _containers(self, observed: Observed, owners: Owners) -> dict[Account, int]:
        """CPU time of containers by account; one that is new was born since the last reading.

        After a reading that failed nobody knows which of them are new: they begin anew.
        """
        before = self.container_ns
        if observed.containers is None:
            self.container_ns = None
            return {}
        self.container_ns = {use.id: use.cpu_ns for use in observed.containers}
        used: dict[Account, int] = {}
        for use in observed.containers if before is not None else ():
            account = owners.tenants.account_of_container.get(use.id)
            delta = use.cpu_ns - before.get(use.id, 0) if before is not None else 0
            if account is not None and delta > 0:
                used[account] = used.get(account, 0) + delta
        return used


def _process_accounts(observed: Observed, owners: Owners) -> Mapping[str, Account]:
    """The account of each process, `CONTAINED` where its control group is read."""
    if not observed.containers:
        return owners.account_of
    read = {use.id for use in observed.containers}
    within = owners.tenants.container_of
    return {
        identity: CONTAINED if within.get(identity) in read else account
        for identity, account in owners.account_of.items()
    }


def memory_used(observed: Observed, owners: Owners) -> dict[Account, int]:
    """Bytes by account: working sets of control groups, else what processes do not share."""
    used: dict[Account, int] = dict.fromkeys(sorted(owners.holders), 0)
    accounts = _process_accounts(observed, owners)
    for process in observed.processes:
        account = accounts[process.identity]
        if account != CONTAINED:
            used[account] = used.get(account, 0) + process.memory_bytes
    for use in observed.containers or ():
        tenant = owners.tenants.account_of_container.get(use.id)
        if tenant is not None:
            used[tenant] = used.get(tenant, 0) + use.memory_bytes
    return used
