"""Who held what: from the host's processes and the subjects' claims to shares of each resource."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.states import busy_of, holding_account, now_ready, still_loading
from unitcost.pricing.allocate import (
    ALWAYS,
    Busy,
    Holding,
    Share,
    cpu_shares,
    memory_shares,
)
from unitcost.pricing.attribute import Attribution, Claim, RuleMatcher, attribute
from unitcost.pricing.cpu_time import CpuState, count_cpu
from unitcost.pricing.meter import Event, Point, read_counter
from unitcost.pricing.resource import CPU, GIB, MEMORY, MICRO, Resource
from unitcost.pricing.sample import (
    NS_PER_SECOND,
    Listener,
    Process,
    Quantity,
    Sample,
    Subject,
)
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.units import Counted
from unitcost.pricing.workload import SYSTEM, Account

Book = Callable[[Account], Account]
"""Says under which account one that holds something is booked: its own, or ``__other__``."""
NS_PER_TICK = NS_PER_SECOND // 100
"""Clock ticks in /proc are hundredths of a second (USER_HZ)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything the collectors said this tick, merged."""

    samples: Sequence[Sample] = ()
    subjects: Sequence[Subject] = ()
    processes: Sequence[Process] = ()
    listeners: Sequence[Listener] = ()

    def host(self, quantity: Quantity) -> Sample | None:
        """The host's own sample of a quantity, if it was read."""
        found = (s for s in self.samples if s.subject == "host" and s.quantity is quantity)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class Held:
    """Who held what over the time since the last reading.

    `shares` is None where the host could not be read. `signals` names each account's busy
    signal for memory; the CPU's is always CPU time.
    """

    resources: tuple[Resource, ...]
    shares: Mapping[str, list[Share]] | None
    holders: Mapping[Account, frozenset[str]]
    ready: frozenset[str]
    signals: Mapping[Account, str]


@dataclass(slots=True)
class HostMeter:
    """Turns readings of the host into holdings; keeps what the next reading is compared with."""

    matcher: RuleMatcher
    cpu: CpuState | None = None
    busy_point: Point | None = None
    read_at_mono_ns: int | None = None
    since_ticks: int = 0
    busy: dict[Account, Busy] = field(default_factory=dict)
    running: frozenset[Account] = frozenset()
    utilisation: float | None = None

    def hold(
        self,
        rules: Rules,
        observed: Observed,
        clock: ClockReading,
        units: Counted,
        ready: frozenset[str],
        book: Book,
    ) -> Held | None:
        """Who held what since the last reading; None if the host was not read at all."""
        resources = resources_of(observed)
        read = observed.host(Quantity.CPU_SECONDS)
        if not resources or read is None or not observed.processes:
            return None
        claims = [claim_of(subject) for subject in observed.subjects]
        found = attribute(observed.processes, observed.listeners, claims, self.matcher)
        owned = booked(found, book)
        ready = now_ready(observed.subjects, owned.holders, units, ready)
        used, span_ns, system_ns = self._cpu_time(observed, owned, read, clock)
        signals = self._signals(observed.subjects, units, span_ns)
        shares = None
        if span_ns:
            loading = still_loading(rules, observed.subjects, owned.holders, ready)
            shares = {
                CPU: _cpu(rules, resources[0], used, system_ns, span_ns, owned, loading),
                MEMORY: _memory(rules, observed, owned, loading, signals),
            }
        names = {account: busy.signal for account, busy in signals.items()}
        return Held(resources, shares, owned.holders, ready, names)

    def _cpu_time(
        self, observed: Observed, owned: Attribution, read: Sample, clock: ClockReading
    ) -> tuple[Mapping[Account, int], int, int]:
        """CPU nanoseconds by account, the time they were used in, and what else was busy."""
        point, busy = read_counter(self.busy_point, read.value, read.mono_ns)
        # One that starts anew while the host runs (lxcfs does that) says nothing of this interval.
        busy_ns = busy.micro * 1000 if busy.event is Event.COUNTED else None
        counted = count_cpu(self.cpu, observed.processes, owned.account_of, self.since_ticks)
        first = self.cpu is None or self.read_at_mono_ns is None
        span = 0 if self.read_at_mono_ns is None else read.mono_ns - self.read_at_mono_ns
        self.cpu, self.busy_point, self.read_at_mono_ns = counted.state, point, read.mono_ns
        self.since_ticks = (read.mono_ns + clock.boot_ns - clock.mono_ns) // NS_PER_TICK
        self.utilisation = None
        if first or span <= 0:
            return {}, 0, 0
        cores = observed.host(Quantity.CPU_CAPACITY)
        if cores is not None and cores.value > 0 and busy_ns is not None:
            self.utilisation = min(1.0, busy_ns / span / cores.value)
        others = sum(ns for account, ns in counted.used_ns.items() if account.workload != SYSTEM)
        seen = counted.used_ns.get(Account(SYSTEM), 0)
        return counted.used_ns, span, max(seen, (busy_ns or 0) - others)

    def _signals(
        self, subjects: Sequence[Subject], units: Counted, span_ns: int
    ) -> dict[Account, Busy]:
        """How busy each account with subjects was; one that did not answer stays as it was."""
        now: dict[Account, Busy] = {}
        for account in {holding_account(subject) for subject in subjects}:
            own = [subject for subject in subjects if holding_account(subject) == account]
            if not any(subject.up for subject in own):
                now[account] = self.busy.get(account, ALWAYS)
                continue
            now[account] = busy_of(account, own, units, span_ns, account in self.running)
        self.busy = now
        self.running = frozenset(holding_account(s) for s in subjects if s.running)
        return now


def booked(owned: Attribution, book: Book) -> Attribution:
    """The same, with each account under the name it is booked on."""
    names = {account: book(account) for account in owned.holders}
    if all(account == name for account, name in names.items()):
        return owned
    holders: dict[Account, frozenset[str]] = {}
    for account, found in owned.holders.items():
        holders[names[account]] = holders.get(names[account], frozenset()) | found
    account_of = {
        identity: names.get(account, account) for identity, account in owned.account_of.items()
    }
    return Attribution(account_of, holders)


def claim_of(subject: Subject) -> Claim:
    """A subject's claim on the process that does its work."""
    return Claim(holding_account(subject), subject.pid, subject.started, subject.port)


def resources_of(observed: Observed) -> tuple[Resource, ...]:
    """CPU and memory with their capacities, or nothing if either is not known."""
    cores = observed.host(Quantity.CPU_CAPACITY)
    memory = observed.host(Quantity.MEMORY_CAPACITY)
    if cores is None or memory is None or cores.value <= 0 or memory.value <= 0:
        return ()
    return (
        Resource(CPU, round(cores.value * MICRO)),
        Resource(MEMORY, int(memory.value) * MICRO // GIB),
    )


def _reserved(
    rules: Rules, holders: Mapping[Account, frozenset[str]]
) -> dict[Account, tuple[int, int]]:
    """(milli-cores, bytes) of each account that holds; accounts of one workload share equally."""
    sharing: dict[str, int] = {}
    for account in holders:
        sharing[account.workload] = sharing.get(account.workload, 0) + 1
    found = {}
    for account in holders:
        rule = rules.workloads.get(account.workload)
        if rule is not None:
            count = sharing[account.workload]
            held = rule.reservation
            found[account] = (held.milli_cores // count, held.memory_bytes // count)
    return found


def _cpu(
    rules: Rules,
    cpu: Resource,
    used: Mapping[Account, int],
    system_ns: int,
    span_ns: int,
    owned: Attribution,
    loading: set[Account],
) -> list[Share]:
    capacity = cpu.capacity_micro * span_ns // MICRO
    reserved = _reserved(rules, owned.holders)
    accounts = sorted(set(owned.holders) | {a for a in used if a.workload != SYSTEM})
    holdings = {
        account: Holding(used.get(account, 0), reserved.get(account, (0, 0))[0] * span_ns // 1000)
        for account in accounts
    }
    holdings[Account(SYSTEM)] = Holding(system_ns)
    return cpu_shares(capacity, holdings, loading)


def _memory(
    rules: Rules,
    observed: Observed,
    owned: Attribution,
    loading: set[Account],
    signals: Mapping[Account, Busy],
) -> list[Share]:
    capacity = observed.host(Quantity.MEMORY_CAPACITY)
    reserved = _reserved(rules, owned.holders)
    used: dict[Account, int] = dict.fromkeys(sorted(owned.holders), 0)
    for process in observed.processes:
        account = owned.account_of[process.identity]
        used[account] = used.get(account, 0) + process.memory_bytes
    holdings = {
        account: Holding(bytes_used, reserved.get(account, (0, 0))[1])
        for account, bytes_used in used.items()
    }
    return memory_shares(int(capacity.value) if capacity else 0, holdings, loading, signals)
