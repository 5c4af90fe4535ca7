"""Checks of what collectors say about accelerators, meters, pods and containers."""

from collections.abc import Callable, Iterable
from typing import Any

from unitcost.exporter.gathering.values import is_number, short, wrong_integers, wrong_texts
from unitcost.pricing.container import (
    Allocatable,
    ContainerUse,
    Grant,
    Kubelet,
    Pod,
    PodContainer,
    Scrape,
)
from unitcost.pricing.device import Device, DeviceProcess, Instance, SmSample
from unitcost.pricing.energy import Meter, Scope
from unitcost.pricing.sample import Source
from unitcost.pricing.workload import WorkloadKind

MAX_PARTS = 10_000
"""More processes, samples or grants of one thing than this are a fault."""


def device_fault(device: Device) -> str:
    """What is wrong with a device, empty if nothing is."""
    return (
        wrong_texts(device.id, device.product, device.vendor, device.busy_signal)
        or ("" if device.id.startswith("gpu:") else f"{short(device.id)} does not begin with gpu:")
        or wrong_integers(device.slices, *_given(device.index, device.minor))
        or _wrong_flags(device.lost)
        or _wrong_ratio(device.busy)
        or _wrong_parts(device.instances, Instance, _instance)
        or _wrong_optional(device.processes, DeviceProcess, _device_process)
        or _wrong_optional(device.samples, SmSample, _sm_sample)
    )


def _instance(instance: Instance) -> str:
    return (
        wrong_texts(instance.id, instance.profile, instance.busy_signal)
        or wrong_integers(instance.gpu_instance, instance.compute_instance, instance.slices)
        or _wrong_ratio(instance.busy)
    )


def _device_process(process: DeviceProcess) -> str:
    numbers = _given(process.memory_bytes)
    return (
        wrong_integers(process.pid, *numbers)
        or wrong_texts(process.instance)
        or _wrong_flags(process.graphics)
    )


def _sm_sample(sample: SmSample) -> str:
    fault = wrong_integers(sample.pid, sample.at_us, sample.percent)
    return fault or ("" if sample.percent <= 100 else f"{sample.percent} percent of the SM time")


def meter_fault(meter: Meter) -> str:
    """What is wrong with a meter, empty if nothing is."""
    if type(meter.scope) is not Scope:
        return f"scope {short(meter.scope)} is unknown"
    if not {type(meter.source), type(meter.power_source)} <= {Source}:
        return f"source {short(meter.source)} or {short(meter.power_source)} is unknown"
    if type(meter.path) is not tuple:
        return f"path is {type(meter.path).__name__} instead of a tuple"
    values = (meter.joules, meter.watts, meter.instant_watts, meter.wraps_at, meter.limit_watts)
    for value in values:
        if value is not None and not is_number(value):
            return f"{short(value)} of {short(meter.id)}"
    return wrong_integers(meter.mono_ns) or wrong_texts(
        meter.id, meter.resource, meter.generation, *meter.path
    )


def kubelet_fault(kubelet: object) -> str:
    """What is wrong with a view of the kubelet, empty if nothing is (None is no view)."""
    if kubelet is None:
        return ""
    if type(kubelet) is not Kubelet:
        return f"kubelet is {type(kubelet).__name__} instead of a Kubelet"
    return (
        wrong_integers(kubelet.mono_ns, kubelet.span_ns)
        or _wrong_parts(kubelet.grants, Grant, _grant)
        or _wrong_optional(kubelet.allocatable, Allocatable, _allocatable)
    )


def _grant(grant: Grant) -> str:
    names = (grant.namespace, grant.pod, grant.container, grant.resource, grant.device)
    return wrong_integers(grant.held_ns) or wrong_texts(*names)


def _allocatable(each: Allocatable) -> str:
    return wrong_texts(each.resource, each.device)


def pod_fault(pod: Pod) -> str:
    """What is wrong with a pod, empty if nothing is."""
    if type(pod.kind) is not WorkloadKind:
        return f"kind {short(pod.kind)} is unknown"
    if type(pod.counts_itself) is not bool:
        return f"counts_itself {short(pod.counts_itself)} is unknown"
    names = (pod.uid, pod.namespace, pod.name, pod.controller, pod.owner, pod.group, pod.address)
    return (
        wrong_integers(pod.hosts)
        or wrong_texts(*names)
        or _scrape(pod.scrape)
        or _wrong_parts(pod.containers, PodContainer, _pod_container)
    )


def _scrape(scrape: Scrape | None) -> str:
    if scrape is None:
        return ""
    if type(scrape) is not Scrape:
        return f"scrape {short(scrape)} is unknown"
    return wrong_integers(scrape.port) or wrong_texts(scrape.path, scrape.server, scrape.scheme)


def _pod_container(container: PodContainer) -> str:
    if container.ready is not None and type(container.ready) is not bool:
        return f"ready {short(container.ready)} is unknown"
    numbers = _given(container.cpu_milli, container.memory_bytes)
    return wrong_integers(*numbers) or wrong_texts(container.name, container.id)


def container_fault(use: ContainerUse) -> str:
    """What is wrong with a container's use, empty if nothing is."""
    numbers = (use.cpu_ns, use.memory_bytes, use.mono_ns, *_given(use.cpu_request_milli))
    return wrong_integers(*numbers) or wrong_texts(use.id, use.pod_uid)


def _given(*values: Any) -> list[Any]:
    return [value for value in values if value is not None]


def _wrong_flags(*values: object) -> str:
    for value in values:
        if type(value) is not bool:
            return f"{short(value)} instead of true or false"
    return ""


def _wrong_ratio(value: float | None) -> str:
    if value is None or (is_number(value) and value <= 1):
        return ""
    return f"{short(value)} is not between 0 and 1"


def _wrong_optional(parts: Any, type_: type, check: Callable[[Any], str]) -> str:
    return "" if parts is None else _wrong_parts(parts, type_, check)


def _wrong_parts(parts: Any, type_: type, check: Callable[[Any], str]) -> str:
    if type(parts) is not tuple or len(parts) > MAX_PARTS:
        return f"{type(parts).__name__} instead of a tuple of at most {MAX_PARTS}"
    return next(filter(None, _faults(parts, type_, check)), "")


def _faults(parts: Iterable[Any], type_: type, check: Callable[[Any], str]) -> Iterable[str]:
    for part in parts:
        if type(part) is type_:
            yield check(part)
        else:
            yield f"{type(part).__name__} instead of {type_.__name__}"
