"""Who held which part of an accelerator: from grants, processes and configuration to parts."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from unitcost.pricing.allocate import Method
from unitcost.pricing.container import Grant, Kubelet
from unitcost.pricing.device import Device, Instance
from unitcost.pricing.device_id import DeviceId, parse
from unitcost.pricing.device_shares import MILLION, Part
from unitcost.pricing.workload import SYSTEM, Account

PodName = tuple[str, str]
"""Namespace and name."""
Place = tuple[str, str]
"""A device's id, and the id of its MIG instance or nothing for the whole."""


@dataclass(frozen=True, slots=True)
class Holds:
    """Who held one part: time times replicas by account, and how much there was to hold.

    `loading`: accounts of which no pod that holds this part is ready yet, though others may be.
    """

    held: Mapping[Account, int]
    capacity: int
    replicated: bool
    method: Method = Method.EXCLUSIVE
    loading: frozenset[Account] = frozenset()


@dataclass(frozen=True, slots=True)
class Granted:
    """What the kubelet gave out, by place. `unknown`: devices granted that no reading shows."""

    holds: Mapping[Place, Holds]
    unknown: tuple[Grant, ...] = ()


@dataclass(slots=True)
class _Pool:
    """What was granted of one place by pod and id, and the ids by which it can be granted."""

    held: dict[tuple[PodName, str], int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    replicas: bool = False


def granted(
    kubelet: Kubelet,
    devices: Sequence[Device],
    account_of: Mapping[PodName, Account],
    loading: Set[PodName] = frozenset(),
) -> Granted:
    """Resolve the kubelet's grants; `account_of` has the account of each pod.

    `loading`: pods that are known not to be ready yet.
    A device shared without replicas (a DRA claim of several pods) is held in parts by what each
    held of it; replicas that nobody was given count as unheld. A pod holds a device once, however
    many of its containers were given it.
    """
    places = _Places(devices)
    pools: dict[Place, _Pool] = {}
    unknown = []
    for each in kubelet.grants:
        pool = places.pool(pools, each.device)
        if pool is None:
            unknown.append(each)
        else:
            key = ((each.namespace, each.pod), each.device)
            pool.held[key] = pool.held.get(key, 0) + each.held_ns
    for other in kubelet.allocatable or ():
        places.pool(pools, other.device)
    holds = {
        place: _holds(pool, max(1, kubelet.span_ns), account_of, loading)
        for place, pool in pools.items()
    }
    return Granted(holds, tuple(unknown))


def _holds(
    pool: _Pool, span_ns: int, account_of: Mapping[PodName, Account], loading: Set[PodName]
) -> Holds:
    held: dict[Account, int] = {}
    working = set()
    for (pod, _), held_ns in pool.held.items():
        if held_ns:
            account = account_of[pod]
            held[account] = held.get(account, 0) + min(held_ns, span_ns)
            if pod not in loading:
                working.add(account)
    early, all_held = frozenset(held.keys() - working), sum(held.values())
    if pool.replicas:
        capacity = max(len(pool.ids) * span_ns, all_held)
        return Holds(held, capacity, replicated=True, loading=early)
    shared = all_held > span_ns and len(held) > 1
    return Holds(held, max(span_ns, all_held), replicated=shared, loading=early)


class _Places:
    """Finds what a device id names among the devices there are."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._by_uuid: dict[str, Place] = {}
        self._by_instance: dict[tuple[str, int, int], Place] = {}
        self._by_minor: dict[int, Device] = {}
        self._by_index: dict[str, Device] = {}
        for device in devices:
            self._by_uuid[device.uuid] = (device.id, "")
            if device.index is not None:
                self._by_index[str(device.index)] = device
            if device.minor is not None:
                self._by_minor[device.minor] = device
            for instance in device.instances:
                place = (device.id, instance.id)
                self._by_uuid[instance.id] = place
                ids = (device.uuid, instance.gpu_instance, instance.compute_instance)
                self._by_instance[ids] = place

    def pool(self, pools: dict[Place, _Pool], device: str) -> _Pool | None:
        """The pool of the place that a device id names, with that id in it; None if unknown."""
        name = parse(device)
        place = self.find(name)
        if place is None:
            return None
        pool = pools.setdefault(place, _Pool())
        pool.ids.add(device)
        pool.replicas = pool.replicas or bool(name.replica)
        return pool

    def find(self, name: DeviceId) -> Place | None:
        """Where the device is that an id names, None if there is none."""
        uuid, device = name.uuid, self._by_index.get(name.base)
        if name.minor is not None:
            device = self._by_minor.get(name.minor)
        if device is not None:
            uuid = device.uuid
        if not uuid:
            return None
        if name.gpu_instance is None:
            return self._by_uuid.get(uuid)
        return self._by_instance.get((uuid, name.gpu_instance, name.compute_instance or 0))


Claims = Mapping[Place, Mapping[Account, int]]
"""For each place the accounts that hold it at once, and for how many replicas each counts."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything that says who holds what. The best source that knows of a place decides it."""

    granted: Mapping[Place, Holds] = field(default_factory=dict)
    by_process: Claims = field(default_factory=dict)
    configured: Claims = field(default_factory=dict)

    def of(self, place: Place) -> Holds:
        """By the kubelet's grants, else by processes, else as configured; else nobody.

        A MIG instance that nobody has is theirs to whom the whole device was given.
        """
        whole = (place[0], "")
        for known in (self._granted(place), self._claimed(place), self._granted(whole)):
            if known is not None:
                return known
        if claims := self.configured.get(whole):
            return _at_once(claims, Method.CONFIGURED)
        return Holds({}, 1, replicated=False)

    def _granted(self, place: Place) -> Holds | None:
        found = self.granted.get(place)
        return found if found is not None and (found.held or found.replicated) else None

    def _claimed(self, place: Place) -> Holds | None:
        if claims := self.by_process.get(place):
            return _at_once(claims, Method.EXCLUSIVE)
        if claims := self.configured.get(place):
            return _at_once(claims, Method.CONFIGURED)
        return None


def _at_once(claims: Mapping[Account, int], method: Method) -> Holds:
    return Holds(claims, sum(claims.values()), replicated=len(claims) > 1, method=method)


def claims_by_process(device: Device, account_of_pid: Mapping[int, Account]) -> Claims:
    """Who has a process on which part of a device; each account counts once.

    Processes that only draw, and those of no workload, make nobody a holder.
    """
    found: dict[Place, dict[Account, int]] = {}
    for process in device.processes or ():
        account = account_of_pid.get(process.pid)
        if account is None or process.graphics or account.workload == SYSTEM:
            continue
        found.setdefault((device.id, process.instance), {})[account] = 1
    return found


def parts_of(
    device: Device, holdings: Holdings, sm_by_account: Mapping[Account, int] | None
) -> list[Part]:
    """The parts of a device: its MIG instances while it is partitioned, else the whole of it.

    SM time of an account that holds nothing of the device is the system's. There are no samples of
    MIG instances: the driver gives none.
    """
    if device.slices:
        return [_instance(each, holdings.of((device.id, each.id))) for each in device.instances]
    holds = holdings.of((device.id, ""))
    part = Part(
        slices=1,
        held=holds.held,
        capacity=holds.capacity,
        replicated=holds.replicated,
        sm_millionths=_of_holders(sm_by_account, holds.held),
        busy_millionths=_millionths(device.busy),
        busy_signal=device.busy_signal,
        method=holds.method,
        loading=holds.loading,
    )
    return [part]


def _instance(instance: Instance, holds: Holds) -> Part:
    return Part(
        slices=instance.slices,
        held=holds.held,
        capacity=holds.capacity,
        replicated=holds.replicated,
        busy_millionths=_millionths(instance.busy),
        busy_signal=instance.busy_signal,
        method=Method.MIG_SLICE,
        loading=holds.loading,
    )


def _of_holders(
    sm: Mapping[Account, int] | None, held: Mapping[Account, int]
) -> dict[Account, int] | None:
    if sm is None:
        return None
    found: dict[Account, int] = {}
    for account, millionths in sm.items():
        name = account if account in held else Account(SYSTEM)
        found[name] = found.get(name, 0) + millionths
    return found


def _millionths(ratio: float | None) -> int | None:
    return None if ratio is None else round(ratio * MILLION)
