"""What `unitcost doctor` says of NVIDIA GPUs: what can be read of each, or why there is none."""

import re
from collections.abc import Iterator, Sequence

from unitcost.collectors.base import NoData, Problem, Reading
from unitcost.collectors.nvidia.board import BY_GPM
from unitcost.exporter.doctor.ask import Result, Scene, problem_findings, unread
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.exporter.doctor.no_devices import no_driver, no_gpus, no_session
from unitcost.exporter.doctor.traces import traces_of
from unitcost.pricing.device import Device
from unitcost.pricing.energy import Meter
from unitcost.pricing.sample import Quantity, Source

MAX_GPUS = 32
"""How many GPUs have a line each."""
_GPU = re.compile(r"GPU (\d+): ")
_LOST = "see the kernel's log for an Xid; reset the GPU or restart the host"
_MENDS = {
    "gpu_is_lost": _LOST,
    "gpu_not_found": _LOST,
    "reset_required": "nvidia-smi --gpu-reset, while nobody uses it",
    "timeout": "see the kernel's log for an Xid, and whether nvidia-smi hangs as well",
    "unknown": "in a container: make it anew; else see the kernel's log for an Xid",
    "no_permission": "run as user 0; without it, GPUs that are shared are split equally",
}


def explain_nvml(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """A line for each GPU and what it keeps from us; or why there is none, and the mend."""
    if isinstance(result, NoData):
        yield no_driver(subject, str(result), traces_of(scene))
    elif isinstance(result, str):
        yield unread(subject, result)
    elif result.devices is None:
        for problem in result.problems:
            yield no_session(subject, problem, traces_of(scene))
    else:
        if result.devices:
            yield ok(subject, f"{len(result.devices)} GPUs{_driver(result.meters)}")
        yield from _gpu_findings(result, result.devices, scene)
        yield from problem_findings(subject, grouped(result.problems), _mend)
        yield from no_gpus(subject, result.devices, result.problems, traces_of(scene), scene)


def _mend(problem: Problem) -> str:
    if "GPM" in problem.detail or "MIG" in problem.detail:
        return ""  # says it itself
    return _MENDS.get(problem.kind, "")


def grouped(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """What several GPUs have in common, once: ``GPU 0: no`` and ``GPU 1: no``."""
    numbers: dict[Problem, list[str]] = {}
    for problem in problems:
        match = _GPU.match(problem.detail)
        rest = problem.detail[match.end() :] if match else problem.detail
        numbers.setdefault(Problem(problem.kind, rest), []).append(match[1] if match else "")
    return tuple(
        Problem(each.kind, f"{_named(found)}{each.detail}") for each, found in numbers.items()
    )


def _named(numbers: list[str]) -> str:
    known = list(dict.fromkeys(filter(None, numbers)))
    if not known:
        return ""
    return f"GPU {known[0]}: " if len(known) == 1 else f"GPUs {', '.join(known)}: "


def _driver(meters: Sequence[Meter]) -> str:
    """Its version, as the generation of an energy counter has it."""
    found = {each.generation for each in meters if each.generation.startswith("driver ")}
    return f", {min(found)}" if found else ""


def _gpu_findings(reading: Reading, devices: tuple[Device, ...], scene: Scene) -> Iterator[Finding]:
    for device in devices[:MAX_GPUS]:
        yield _gpu_finding(reading, device, scene)
    if len(devices) > MAX_GPUS:
        yield ok("gpu", f"and {len(devices) - MAX_GPUS} more GPUs")


def name_of(device: Device) -> str:
    """How findings name a GPU: by the driver's number."""
    return f"gpu {device.index}" if device.index is not None else "gpu"


def _gpu_finding(reading: Reading, device: Device, scene: Scene) -> Finding:
    subject, who = name_of(device), f"{device.product} {device.uuid}"
    if device.lost:
        return warn(subject, f"{who}: it fell off the bus; its cost is carried", _LOST)
    meter = next((each for each in reading.meters if each.id == device.id), None)
    parts = [_energy(meter), *_work(device, scene)]
    if not any(each.subject == device.id for each in reading.samples) and meter is None:
        return warn(subject, f"{who}: nothing can be read of it", "see the lines below")
    metrics = sorted(
        {s.label for s in reading.samples if _is_metric(s.subject, s.quantity, device)}
    )
    if metrics:
        parts.append(f"GPM ({', '.join(metrics)})")
    return ok(subject, f"{who}: {'; '.join(parts)}")


def _is_metric(subject: str, quantity: Quantity, device: Device) -> bool:
    return subject == device.id and quantity is Quantity.DEVICE_METRIC


def _energy(meter: Meter | None) -> str:
    if meter is None:
        return "no energy and no power (as in a vGPU guest)"
    watts = f", {meter.watts:.0f} W" if meter.watts is not None else ""
    limit = f" of {meter.limit_watts:.0f} W" if watts and meter.limit_watts else ""
    if meter.joules is None:
        return f"power only{watts}{limit}"
    how = (
        "energy counter" if meter.source is Source.COUNTER else "no energy counter: power over time"
    )
    return f"{how}{watts}{limit}"


def _work(device: Device, scene: Scene) -> Iterator[str]:
    """How much it works, as far as that is seen."""
    if device.slices:
        yield from _instances(device, scene)
        return
    if device.busy is None:
        yield "no utilisation"
    else:
        by = " (GPM)" if device.busy_signal == BY_GPM else ""
        yield f"utilisation {device.busy:.0%}{by}"
    if device.samples is not None:
        yield "SM time of each process"
    elif scene.option("nvml", "process_samples", True):
        yield "no SM time of processes: equal split if it is shared"
    else:
        yield "SM time of processes is switched off (collectors.nvml.process_samples)"


def _instances(device: Device, scene: Scene) -> Iterator[str]:
    used = sum(each.slices for each in device.instances)
    profiles = ", ".join(each.profile or f"{each.slices} slices" for each in device.instances)
    yield f"MIG, {used} of {device.slices} slices cut: {profiles or 'no instance'}"
    if any(each.busy is not None for each in device.instances):
        yield "work of instances by GPM"
    elif not scene.option("nvml", "gpm", False):
        yield "work of instances by requests alone (collectors.nvml.gpm is off)"
    elif device.instances:
        yield "work of instances by requests alone: no GPM here"
