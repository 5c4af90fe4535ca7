"""What an exporter in a pod sees of it and of its host, what it misses, and the mend."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from unitcost.collectors.base import Reading
from unitcost.exporter.config.pod import CPU_PREFIX, GPUS, MEMORY_PREFIX, NAMED, NODE
from unitcost.exporter.config.settings import Host, Settings
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.exporter.doctor.no_devices import VISIBLE
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.pod import PodRule, pod_places, pod_rule, pod_tenants, seen_from
from unitcost.pricing.device import Device
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import Process, Quantity

SHARE = "shareProcessNamespace: true in the pod's spec"
_DOWNWARD = "by the downward API (docs/sidecar.md)"


def pod_findings(
    settings: Settings, readings: Mapping[str, Reading], scene: Scene
) -> Iterator[Finding]:
    """A line for each thing that decides what is charged; nothing where we are in no pod."""
    pod = pod_rule(settings, scene.environ)
    if pod is None:
        return
    yield from _who(settings.host, pod, scene)
    processes = [each for reading in readings.values() for each in reading.processes]
    yield from _processes(pod, processes)
    if settings.host.scope == "pod":
        yield from _requests(settings.host, pod)
        devices = [each for reading in readings.values() for each in reading.devices or ()]
        yield from _size(pod, readings, len(devices))
        yield from _gpus(pod, devices)


def _who(host: Host, pod: PodRule, scene: Scene) -> Iterator[Finding]:
    does = "charges what it holds" if host.scope == "pod" else "counts its units, charges nothing"
    name = pod.account.workload
    text = f"{name}: scope {host.scope} {does}"
    if "/Pod/" in name:
        mend = f"set host.pod.workload or {NAMED['workload']} to namespace/kind/name"
        yield warn("pod", f"{text}; named after the pod, so the next pod is another workload", mend)
    else:
        yield ok("pod", text)
    if not scene.environ.get(NODE):
        text = f"the node may not be {host.name}: nobody can tell that its agent charges the same"
        yield warn("pod node", text, f"set {NODE} {_DOWNWARD}, or host.name")


def _processes(pod: PodRule, processes: Sequence[Process]) -> Iterator[Finding]:
    inside = seen_from(pod, Observed(processes=processes)).processes
    others = len(processes) - len(inside)
    if others:
        text = f"{others} processes of other pods are seen (hostPID?), and left out"
        yield warn("pod processes", text)
    tenants = pod_tenants(pod, inside)
    if tenants.container_of:
        count = len(set(tenants.container_of.values()))
        yield ok("pod processes", f"{len(tenants.container_of)} in {count} other containers")
        if not pod.uid and any(each.pid == 1 and "init" in each.command for each in inside):
            text = "the host's processes may be among them: they would be charged to this pod"
            yield warn("pod processes", text, f"set {NAMED['uid']} {_DOWNWARD}; no hostPID")
    else:
        text = "none but ours is seen: what the others use beyond the requests is not counted"
        yield warn("pod processes", text, SHARE)


def _requests(host: Host, pod: PodRule) -> Iterator[Finding]:
    """What the pod asked for; what nobody says is only charged as far as it is used."""
    said = host.pod
    known = {
        f"{CPU_PREFIX}*": None if said is None or said.cpu is None else f"{said.cpu:f} cores",
        f"{MEMORY_PREFIX}*": None
        if said is None or said.memory_gib is None
        else f"{pod.request.memory_bytes / GIB:.2f} GiB",
    }
    told = ", ".join(text for text in known.values() if text)
    missing = [name for name, text in known.items() if not text]
    if missing:
        text = f"{told or 'none'} known; of the rest only what is used is charged"
        yield warn("pod requests", text, f"set {' and '.join(missing)} {_DOWNWARD}")
    else:
        yield ok("pod requests", f"{told} of all containers together")


def _size(pod: PodRule, readings: Mapping[str, Reading], seen: int) -> Iterator[Finding]:
    """The whole host, whose price is split: what a pod's part is depends on it."""
    samples = chain.from_iterable(reading.samples for reading in readings.values())
    host = seen_from(pod, Observed(samples=tuple(samples)))
    stated = {name for name, _ in pod.size}
    parts = []
    for quantity, scale, unit in (
        (Quantity.CPU_CAPACITY, 1, "CPUs"),
        (Quantity.MEMORY_CAPACITY, GIB, "GiB"),
        (Quantity.DEVICES_PRESENT, 1, "GPUs"),
    ):
        sample = host.host(quantity)
        by = " (stated)" if quantity in stated else ""
        parts.append(f"{sample.value / scale:.4g} {unit}{by}" if sample else f"{unit} unknown")
    text = ", ".join(parts)
    present = host.host(Quantity.DEVICES_PRESENT)
    if present is None or present.value < seen:
        what = "GPUs are" if seen else "everything is"
        text += f": how many GPUs it has is not known, so {what} unpriced"
        yield warn("pod host", text, "set host.size.gpus")
    else:
        yield ok("pod host", text)


def _gpus(pod: PodRule, devices: Sequence[Device]) -> Iterator[Finding]:
    """Which GPUs are the pod's."""
    places = pod_places(pod, devices)
    own = len({device for device, _ in places})
    if devices and not places:
        given = "all of the host's" if pod.gpus is None else f"it was given {pod.gpus}"
        text = f"{len(devices)} are seen ({given}): the pod's are those its processes compute on"
        mend = f"set {VISIBLE} to the pod's, and host.pod.gpus to their number"
        yield warn("pod gpus", text, mend)
        return
    missing = max(0, (pod.gpus or 0) - own)
    part = f", each in one of {pod.replicas} replicas" if pod.replicas > 1 else ""
    if missing:
        text = f"{own} seen, {missing} more were given to it{part}: charged as `rest`, idle or not"
        yield warn("pod gpus", text, f"set {VISIBLE} of this container to the pod's GPUs")
    elif own:
        yield ok("pod gpus", f"{own} seen, the pod's{part}")
    elif pod.gpus is None:
        yield ok("pod gpus", f"none seen; if it was given any, set host.pod.gpus or {GPUS}")
