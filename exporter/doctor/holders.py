"""Who holds which GPU just now, found as the exporter finds it, and what hides holders from us."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from unitcost.collectors.base import Reading
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.cluster import HOST_PID
from unitcost.exporter.doctor.devices import MAX_GPUS, name_of
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.exporter.settling.devices import DeviceMeter
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.owners import owners_of
from unitcost.exporter.settling.pod import pod_rule, seen_from
from unitcost.exporter.settling.rules import matcher_of, rules_of
from unitcost.pricing.allocate import Method, Share
from unitcost.pricing.container import Grant, Kubelet
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import Quantity
from unitcost.pricing.tenants import ContainerFinder
from unitcost.pricing.workload import SYSTEM, UNALLOCATED

MAX_NAMES = 8
"""How many holders of one GPU, or devices out of sight, are named."""
_HOW = {
    Method.EXCLUSIVE: "alone",
    Method.PROCESS_SM_TIME: "shared by SM time",
    Method.EQUAL_SPLIT: "shared in equal parts, for want of SM time",
    Method.MIG_SLICE: "shared by MIG slices",
    Method.CONFIGURED: "as configured (reserve.gpus)",
}
_NAMES = {UNALLOCATED: "nobody", SYSTEM: "processes of no workload"}


def holder_findings(
    settings: Settings, readings: Mapping[str, Reading], scene: Scene
) -> Iterator[Finding]:
    """A line for GPUs held alike; warnings about processes and devices out of sight."""
    rules = replace(rules_of(settings), pod=pod_rule(settings, scene.environ))
    observed = seen_from(rules.pod, _observed(readings.values()))
    devices = observed.devices or ()
    if not devices and not (observed.kubelet and observed.kubelet.grants):
        return
    finder, matcher = ContainerFinder(), matcher_of(settings)
    owners = owners_of(observed, matcher, finder, lambda account, _: account, pod=rules.pod)
    meter = DeviceMeter()
    shares = meter.shares(rules, observed, owners, owners.ready, frozenset(), {}, ())
    alike: dict[str, list[str]] = {}
    for device in devices[:MAX_GPUS]:
        if device.id in shares:
            alike.setdefault(told(shares[device.id]), []).append(name_of(device))
    for text, names in alike.items():
        yield ok("holders", f"{', '.join(names)}: {text if rules.pod is None else _in_pod(text)}")
    if rules.pod is None:  # in one it is usual, and hostPID would show other pods
        yield from _hidden(observed, scene)
        yield from _unseen(observed)
    yield from _unknown(meter.unknown)


def _observed(readings: Iterable[Reading]) -> Observed:
    """All readings as one tick's, of which what is held now is held all along."""
    found = list(readings)
    devices = [each for reading in found for each in reading.devices or ()]
    containers = [each for reading in found for each in reading.containers or ()]
    counted = any(reading.containers is not None for reading in found)
    kubelet = next((reading.kubelet for reading in found if reading.kubelet), None)
    return Observed(
        samples=[each for reading in found for each in reading.samples],
        subjects=[each for reading in found for each in reading.subjects],
        processes=[each for reading in found for each in reading.processes],
        listeners=[each for reading in found for each in reading.listeners],
        devices=devices,
        kubelet=_now(kubelet) if kubelet else None,
        pods=[each for reading in found for each in reading.pods or ()],
        containers=containers if counted else None,
    )


def _now(kubelet: Kubelet) -> Kubelet:
    """The first view has no span: let it be one nanosecond, all of which everything was held."""
    grants = tuple(replace(grant, held_ns=1) for grant in kubelet.grants)
    return replace(kubelet, span_ns=1, grants=grants)


def told(shares: Sequence[Share]) -> str:
    """Who holds how much of a device just now, and by which method that was found."""
    sums: dict[str, int] = {}
    for share in shares:
        name = share.account.workload
        sums[name] = sums.get(name, 0) + share.weight
    methods = {share.method for share in shares if not share.account.reserved}
    if not methods:
        return "nobody, so the cost is unallocated"
    how = ", ".join(text for method, text in _HOW.items() if method in methods)
    if len(sums) == 1:
        return f"{next(iter(sums))}, {how}"
    whole = sum(sums.values())
    ranked = sorted(sums, key=lambda name: (name in _NAMES, -sums[name], name))
    parts = [f"{_NAMES.get(name, name)} {sums[name] / whole:.0%}" for name in ranked]
    more = f" and {len(parts) - MAX_NAMES} more" if len(parts) > MAX_NAMES else ""
    return f"{', '.join(parts[:MAX_NAMES])}{more}, {how}"


def _in_pod(text: str) -> str:
    """The same as seen from a pod: what nobody here holds may be another pod's."""
    text = text.replace("nobody, so the cost is unallocated", "not this pod's")
    given = "in sight, or as configured (reserve.gpus)"
    return text.replace("nobody ", "others ").replace(_HOW[Method.CONFIGURED], given)


def _hidden(observed: Observed, scene: Scene) -> Iterator[Finding]:
    """Processes on GPUs that are not among those of the host: other pids than ours."""
    pids = {each.pid for device in observed.devices or () for each in device.processes or ()}
    known = {process.pid for process in observed.processes}
    hidden = [pid for pid in pids - known if not (scene.proc / str(pid)).exists()]
    if known and hidden:
        text = (
            f"{len(hidden)} of {len(pids)} processes on GPUs are not in {scene.proc}: GPUs that "
            "are shared are split equally"
        )
        yield warn("gpu processes", text, HOST_PID)


def _unseen(observed: Observed) -> Iterator[Finding]:
    """GPUs that work, or have memory in use, without any process."""
    memory = {
        each.subject: each.value
        for each in observed.samples
        if each.quantity is Quantity.DEVICE_MEMORY_USED
    }
    for device in observed.devices or ():
        used = memory.get(device.id, 0.0)
        if device.processes == () and (device.busy or used > GIB):
            doing = (
                f"works ({device.busy:.0%})" if device.busy else f"has {used / GIB:.1f} GiB in use"
            )
            text = f"{name_of(device)} {doing}, but no process is seen on it"
            yield warn("gpu processes", text, f"{HOST_PID}; or it is a virtual machine's")


def _unknown(grants: Sequence[Grant]) -> Iterator[Finding]:
    """Devices that the kubelet gave out and no collector sees."""
    if not grants:
        return
    names = [f"{each.device} ({each.namespace}/{each.pod})" for each in grants]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    text = f"{len(names)} devices were given to pods and are not seen: {', '.join(names[:8])}{more}"
    mend = "see `read nvml`; what is no NVIDIA device leave out of collectors.kubernetes.resources"
    yield warn("kubelet", text, mend)
