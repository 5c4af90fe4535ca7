"""Who held what: from the host's processes and the subjects' claims to shares of each resource."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.devices import DeviceMeter, Signals
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.owners import Book, Owners, grounds_of, owners_of, reserved
from unitcost.exporter.settling.pod import PodRule, rest_shares, unseen_gpus
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.state import State
from unitcost.exporter.settling.states import (
    REQUEST_SECONDS,
    busy_of,
    by_holder,
    holding_account,
    now_ready,
    still_loading,
)
from unitcost.exporter.settling.usage import CpuUse, UsageMeter, memory_used
from unitcost.pricing.allocate import (
    ALWAYS,
    Busy,
    Holding,
    Share,
    cpu_shares,
    memory_shares,
    unheld,
)
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.layers import Counted
from unitcost.pricing.pod import pooled
from unitcost.pricing.resource import CPU, GIB, MEMORY, MICRO, REST, Resource
from unitcost.pricing.sample import Quantity, Subject
from unitcost.pricing.tenants import ContainerFinder, Request
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.workload import SYSTEM, Account

__all__ = ["Held", "HostMeter", "Observed", "resources_of"]


@dataclass(frozen=True, slots=True)
class Held:
    """Who held what over the time since the last reading.

    `resources` are all that there are, `shares` those of the resources that could be measured.
    `signals` names each account's busy signal for memory, `device_signals` those for devices; the
    CPU's is always CPU time.
    """

    resources: tuple[Resource, ...]
    shares: Mapping[str, list[Share]]
    holders: Mapping[Account, frozenset[str]]
    ready: frozenset[str]
    signals: Mapping[Account, str]
    device_signals: Signals = field(default_factory=dict)


@dataclass(slots=True)
class HostMeter:
    """Turns readings of the host into holdings; keeps what the next reading is compared with.

    `silent`: nanoseconds taken for busy of each account that has not answered since.
    """

    matcher: RuleMatcher
    usage: UsageMeter = field(default_factory=UsageMeter)
    devices: DeviceMeter = field(default_factory=DeviceMeter)
    finder: ContainerFinder = field(default_factory=ContainerFinder)
    host: Observed | None = None
    owners: Owners | None = None
    grounds: object = None
    busy: dict[Account, Busy] = field(default_factory=dict)
    running: frozenset[Account] = frozenset()
    silent: dict[Account, int] = field(default_factory=dict)
    read_at_mono_ns: int | None = None

    def hold(
        self,
        rules: Rules,
        observed: Observed,
        clock: ClockReading,
        units: Counted,
        book: Book,
        state: State,
    ) -> Held | None:
        """Who held what since the last reading; None while the host was never read at all.

        `state`: what the last tick left. Where /proc cannot be read, the processes are taken to be
        those of when it last could: devices are shared all the same.
        """
        before = tuple(each.resource for each in state.shares)
        host = _host_is_read(observed)
        if host:
            self.host = observed
        elif self.host is None:
            return None
        seen = replace(observed, processes=self.host.processes, listeners=self.host.listeners)
        owners = self._owners(seen, book, _device_holders(state, observed), rules.pod)
        ready = now_ready(observed.subjects, owners.holders, units, state.ready, owners.ready)
        loading = still_loading(rules, observed.subjects, owners.holders, ready, owners.seen())
        span_ns = self._span(clock)
        signals = self._signals(observed.subjects, units, span_ns)
        resources = self._resources(rules, observed, clock, before)
        shares = {each.id: unheld(1) for each in resources if each.id == REST}
        if host:
            shares |= self._host_shares(rules, observed, owners, clock, loading, signals)
        if span_ns:
            devices = self.devices.shares(
                rules, observed, owners, ready, loading, signals, state.shares
            )
            shares |= devices
            for each in resources if rules.pod else ():
                if rules.pod and each.id == REST:
                    shares[REST] = rest_shares(rules.pod, each, devices, loading, signals)
        return Held(
            resources,
            shares,
            owners.holders,
            ready,
            {account: busy.signal for account, busy in signals.items()},
            dict(self.devices.signals),
        )

    def _resources(
        self, rules: Rules, observed: Observed, clock: ClockReading, before: Sequence[Resource]
    ) -> tuple[Resource, ...]:
        """Everything there is: what was read now, and what can only not be seen."""
        host = _host_is_read(observed)
        own = resources_of(observed) if host else _without_devices(before)
        gpus = self.devices.resources(observed, before, clock.mono_ns, rules.retire_after_ns)
        present = _present(observed, host, before)
        if rules.pod is not None:
            return own + gpus + unseen_gpus(present, len(gpus))
        return own + gpus + _unseen((present or 0) - len(gpus))

    def _owners(
        self, seen: Observed, book: Book, known: Mapping[str, Account], pod: PodRule | None
    ) -> Owners:
        """Whose everything is; worked out again only when something came, went or changed."""
        grounds = (self.matcher, grounds_of(seen), known, pod)
        if self.owners is None or grounds != self.grounds:
            self.owners = owners_of(seen, self.matcher, self.finder, book, known, pod)
            self.grounds = grounds
        return self.owners

    def _span(self, clock: ClockReading) -> int:
        """Nanoseconds since the last tick, 0 at the first."""
        before, self.read_at_mono_ns = self.read_at_mono_ns, clock.mono_ns
        return 0 if before is None else max(0, clock.mono_ns - before)

    def _host_shares(
        self,
        rules: Rules,
        observed: Observed,
        owners: Owners,
        clock: ClockReading,
        loading: set[Account],
        signals: Mapping[Account, Busy],
    ) -> dict[str, list[Share]]:
        """The shares of CPU and memory; none at the first reading."""
        read = observed.host(Quantity.CPU_SECONDS)
        if read is None:
            return {}
        use = self.usage.cpu_time(observed, owners, read, clock)
        if not use.span_ns:
            return {}
        requests = reserved(rules, owners)
        cpu, memory = resources_of(observed)
        return {
            cpu.id: _cpu(cpu, use, requests, owners, loading, rules.pod),
            memory.id: _memory(observed, requests, owners, loading, signals, rules.pod),
        }

    def _signals(
        self, subjects: Sequence[Subject], units: Counted, span_ns: int
    ) -> dict[Account, Busy]:
        """How busy each account with subjects was; one that did not answer stays as it was."""
        now: dict[Account, Busy] = {}
        counted = by_holder(units)
        groups: dict[Account, list[Subject]] = {}
        for subject in subjects:
            groups.setdefault(holding_account(subject), []).append(subject)
        for account, own in groups.items():
            if not any(subject.up for subject in own):
                as_before = now[account] = self.busy.get(account, ALWAYS)
                if as_before.signal == REQUEST_SECONDS:
                    busy_ns = span_ns * as_before.numerator // as_before.denominator
                    self.silent[account] = self.silent.get(account, 0) + busy_ns
                continue
            its, told_ns = counted.get(account, {}), self.silent.pop(account, 0)
            ran = account in self.running
            now[account] = busy_of(account, own, its, span_ns, ran, told_ns)
        self.busy = now
        self.silent = {each: told for each, told in self.silent.items() if each in now}
        self.running = frozenset(holding_account(s) for s in subjects if s.running)
        return now


def _device_holders(state: State, observed: Observed) -> dict[str, Account]:
    """Who last held the devices whose processes cannot be seen now, by identity.

    It survives a restart, as the identities do.
    """
    seen = {each.id for each in observed.devices or () if each.processes is not None}
    accounts = {
        replace(share.account, model="")
        for each in state.shares
        if each.resource.is_gpu and each.resource.id not in seen
        for share in each.shares
    }
    return {
        identity: each.account
        for each in state.holders
        if each.account in accounts
        for identity in each.identities
    }


def _host_is_read(observed: Observed) -> bool:
    """Whether processes and CPU time of the host could be read."""
    read = observed.host(Quantity.CPU_SECONDS)
    return bool(read and observed.processes and resources_of(observed))


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


def _without_devices(resources: Sequence[Resource]) -> tuple[Resource, ...]:
    return tuple(each for each in resources if not each.is_gpu and each.id != REST)


def _present(observed: Observed, host: bool, before: Sequence[Resource]) -> int | None:
    """How many accelerators the host has; as many as before where the host cannot be read.

    None where nobody knows.
    """
    if not host:
        known = [each for each in before if each.is_gpu or each.id == REST]
        unknown = any(not each.capacity_micro for each in known)
        return None if unknown else sum(each.capacity_micro for each in known) // MICRO
    sample = observed.host(Quantity.DEVICES_PRESENT)
    return int(sample.value) if sample else None


def _unseen(count: int) -> tuple[Resource, ...]:
    """GPUs that are there and were never shown by a driver: they are a part of the rest."""
    return (Resource(REST, count * MICRO),) if count > 0 else ()


def _cpu(
    cpu: Resource,
    use: CpuUse,
    requests: Mapping[Account, Request],
    owners: Owners,
    loading: set[Account],
    pod: PodRule | None,
) -> list[Share]:
    capacity = cpu.capacity_micro * use.span_ns // MICRO
    nothing = Request()
    accounts = sorted(set(owners.holders) | {a for a in use.used_ns if a.workload != SYSTEM})
    holdings = {
        account: Holding(
            use.used_ns.get(account, 0),
            requests.get(account, nothing).milli_cores * use.span_ns // 1000,
        )
        for account in accounts
    }
    if pod is not None:
        holdings[Account(SYSTEM)] = Holding(use.used_ns.get(Account(SYSTEM), 0))
        return cpu_shares(capacity, pooled(holdings), loading)
    holdings[Account(SYSTEM)] = Holding(use.system_ns)
    return cpu_shares(capacity, holdings, loading)


def _memory(
    observed: Observed,
    requests: Mapping[Account, Request],
    owners: Owners,
    loading: set[Account],
    signals: Mapping[Account, Busy],
    pod: PodRule | None,
) -> list[Share]:
    capacity = observed.host(Quantity.MEMORY_CAPACITY)
    nothing = Request()
    holdings = {
        account: Holding(bytes_used, requests.get(account, nothing).memory_bytes)
        for account, bytes_used in memory_used(observed, owners).items()
    }
    holdings = holdings if pod is None else pooled(holdings)
    return memory_shares(int(capacity.value) if capacity else 0, holdings, loading, signals)
