"""A pod seen from inside of it: what of all that is read is its own, and what it holds."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from unitcost.exporter.config.settings import Settings
from unitcost.exporter.settling.observed import Observed
from unitcost.pricing.allocate import Busy, Method, Share, memory_shares, unheld
from unitcost.pricing.allocate import Holding as Held
from unitcost.pricing.container_path import container_of
from unitcost.pricing.device import Device
from unitcost.pricing.pod import own_part
from unitcost.pricing.resource import GIB, MICRO, REST, Resource
from unitcost.pricing.sample import Kind, Process, Quantity, Sample, Subject
from unitcost.pricing.tenants import Identity, Request, Tenants
from unitcost.pricing.workload import Account, WorkloadKind

HOST = "host"
NOTHING = Request()
ALL_GPUS = "all"
"""What NVIDIA_VISIBLE_DEVICES is where a container sees every GPU of the host."""


@dataclass(frozen=True, slots=True)
class PodRule:
    """The pod we are in. `size`: what the host has, where that is stated rather than measured.

    `gpus` is how many it was given, None where nobody says; `sees_all`: we see those of others too.
    """

    account: Account
    id: str
    kind: WorkloadKind = WorkloadKind.INFERENCE
    uid: str = ""
    request: Request = NOTHING
    gpus: int | None = None
    replicas: int = 1
    sees_all: bool = False
    own_pid: int = 0
    size: tuple[tuple[Quantity, float], ...] = ()


def pod_rule(
    settings: Settings, environ: Mapping[str, str] = os.environ, pid: int | None = None
) -> PodRule | None:
    """The pod that checked settings tell of, None where they tell of none."""
    pod = settings.host.pod
    if pod is None or settings.host.scope == "host":
        return None
    milli = int((pod.cpu or 0) * 1000)
    return PodRule(
        account=Account(pod.workload),
        id=f"pod:{pod.uid or f'{pod.namespace}/{pod.name}'}",
        kind=WorkloadKind(pod.kind),
        uid=pod.uid,
        request=Request(milli, round((pod.memory_gib or 0) * GIB)),
        gpus=pod.gpus,
        replicas=pod.gpu_replicas,
        sees_all=environ.get("NVIDIA_VISIBLE_DEVICES", "") == ALL_GPUS,
        own_pid=os.getpid() if pid is None else pid,
        size=tuple(_size(settings)),
    )


def _size(settings: Settings) -> Iterator[tuple[Quantity, float]]:
    size = settings.host.size
    if size is None:
        return
    if size.cores is not None:
        yield Quantity.CPU_CAPACITY, float(size.cores)
    if size.memory_gib is not None:
        yield Quantity.MEMORY_CAPACITY, float(round(size.memory_gib * GIB))
    if size.gpus is not None:
        yield Quantity.DEVICES_PRESENT, float(size.gpus)


def seen_from(pod: PodRule | None, observed: Observed) -> Observed:
    """What of a reading is the pod's own, and the host as it is stated to be.

    Other pods may be seen where somebody shares the host's processes or control groups with us.
    """
    if pod is None:
        return observed
    return replace(
        observed,
        samples=_sized(observed.samples, pod.size),
        subjects=[_owned(pod, each) for each in observed.subjects],
        processes=[each for each in observed.processes if _is_inside(pod, each)],
        kubelet=None,
        pods=(),
        containers=None,
    )


def _sized(samples: Sequence[Sample], size: Iterable[tuple[Quantity, float]]) -> Sequence[Sample]:
    stated = dict(size)
    read = next((each.mono_ns for each in samples if each.subject == HOST), None)
    if not stated or read is None:
        return samples
    kept = [each for each in samples if each.subject != HOST or each.quantity not in stated]
    return kept + [Sample(HOST, name, value, read, Kind.GAUGE) for name, value in stated.items()]


def _owned(pod: PodRule, subject: Subject) -> Subject:
    """A server that nobody configured and whose process cannot be seen is the pod's."""
    if subject.workload or subject.pid is not None:
        return subject
    return replace(subject, workload=pod.account.workload, port=None)


def _is_inside(pod: PodRule, process: Process) -> bool:
    found = container_of(process.cgroup) if pod.uid else None
    return found is None or found[0] in ("", pod.uid)


def pod_tenants(pod: PodRule, processes: Sequence[Process]) -> Tenants:
    """Every process is the pod's but ours; each control group of theirs is a container."""
    own = _own(processes, pod.own_pid)
    inside = {each.identity: f"{pod.id}{each.cgroup}" for each in processes if each.pid not in own}
    identities = {pod.account.workload: Identity(pod.kind)}
    return Tenants(dict.fromkeys(inside.values(), pod.account), inside, identities=identities)


def _own(processes: Sequence[Process], pid: int) -> set[int]:
    """Our own pids, those below us, and the one that only holds the pod's namespaces open."""
    own = {pid}
    for each in sorted(processes, key=lambda each: each.started):
        pause = each.pid == 1 and each.command.split(" ")[0].rpartition("/")[2] == "pause"
        if pause or each.parent in own:
            own.add(each.pid)
    return own


def requests_of(pod: PodRule, stated: Mapping[Account, Request]) -> dict[Account, Request]:
    """What each account asked for: as stated, and the pod's the rest of its requests."""
    found = dict(stated)
    milli = pod.request.milli_cores - sum(each.milli_cores for each in stated.values())
    memory = pod.request.memory_bytes - sum(each.memory_bytes for each in stated.values())
    rest = Request(max(0, milli), max(0, memory))
    found[pod.account] = found.get(pod.account, Request()).plus(rest)
    return found


def pod_places(pod: PodRule, devices: Sequence[Device]) -> list[tuple[str, str]]:
    """The devices, or MIG instances, that the pod was given: all we see, unless that is too much.

    Where it is, only processes and the configuration can say which are the pod's.
    """
    if pod.sees_all if pod.gpus is None else len(devices) > pod.gpus:
        return []
    return [
        (device.id, name)
        for device in devices
        for name in ([each.id for each in device.instances] if device.slices else [""])
    ]


def unseen_gpus(present: float | None, seen: int) -> tuple[Resource, ...]:
    """GPUs of the host that we cannot see. A capacity of 0 says: nobody knows how many."""
    if present is None or present < seen:
        return (Resource(REST, 0),)
    missing = int(present) - seen
    return (Resource(REST, missing * MICRO),) if missing else ()


def rest_shares(
    pod: PodRule,
    rest: Resource,
    devices: Mapping[str, Sequence[Share]],
    loading: set[Account],
    signals: Mapping[Account, Busy],
) -> list[Share]:
    """What the pod holds of the GPUs it cannot see: those it was given beyond the ones it sees."""
    held = sum(any(not s.account.reserved for s in shares) for shares in devices.values())
    wanted = max(0, (pod.gpus or 0) - held) * MICRO
    whole = rest.capacity_micro or max(wanted, MICRO)
    if not wanted:
        return unheld(whole)
    shares = memory_shares(whole, {pod.account: Held(0, wanted)}, loading, signals)
    named = [s if s.account.reserved else replace(s, method=Method.CONFIGURED) for s in shares]
    return own_part(named, pod.replicas)
