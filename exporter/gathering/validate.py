"""Refuses readings that no collector should return, before anything is computed from them.

A collector is a plug-in: what it returns is input from outside, and is taken whole or not at all.
"""

from collections.abc import Callable
from typing import Any

from unitcost.collectors.base import Problem, Reading
from unitcost.exporter.gathering.validate_devices import (
    container_fault,
    device_fault,
    kubelet_fault,
    meter_fault,
    pod_fault,
)
from unitcost.exporter.gathering.values import (
    MAX_TEXT,
    MAX_VALUE,
    is_number,
    short,
    wrong_integers,
    wrong_texts,
)
from unitcost.pricing.container import ContainerUse, Pod
from unitcost.pricing.device import Device
from unitcost.pricing.energy import Meter
from unitcost.pricing.sample import (
    EpochMark,
    Kind,
    Layer,
    Listener,
    Process,
    Quantity,
    Sample,
    Source,
    Subject,
)
from unitcost.pricing.workload import WorkloadKind

__all__ = ["MAX_ITEMS", "MAX_TEXT", "MAX_VALUE", "Junk", "validate"]

MAX_ITEMS = 100_000
"""More samples, processes or anything else than this are no reading but a fault."""


class Junk(Exception):
    """Not a reading, or one with something impossible in it; the text says what and where."""


def validate(reading: object) -> Reading:
    """Return the reading if all that is in it can be used. Raises Junk."""
    if type(reading) is not Reading:
        raise Junk(f"returned {type(reading).__name__} instead of a Reading")
    for name, type_, check in _PARTS:
        part: Any = getattr(reading, name, None)
        if part is not None or name not in _OPTIONAL:
            _check_part(name, part, type_, check)
    if fault := _fault(reading.kubelet, kubelet_fault):
        raise Junk(f"Kubelet: {fault}"[:200])
    return reading


def _fault(item: Any, check: Callable[[Any], str]) -> str:
    """What is wrong with an item; one that lacks a field altogether says so by an error."""
    try:
        return check(item)
    except AttributeError as error:
        return str(error)


def _check_part(name: str, part: Any, type_: type, check: Callable[[Any], str]) -> None:
    if type(part) is not tuple:
        raise Junk(f"{name} is {type(part).__name__} instead of a tuple")
    if len(part) > MAX_ITEMS:
        raise Junk(f"{len(part)} {name}: more than {MAX_ITEMS}")
    for item in part:
        if type(item) is not type_:
            raise Junk(f"{name} holds {type(item).__name__} instead of {type_.__name__}")
        if fault := _fault(item, check):
            raise Junk(f"{type_.__name__}: {fault}"[:200])


def _sample(sample: Sample) -> str:
    texts = (sample.subject, sample.label, sample.model, sample.part, sample.tenant)
    if type(sample.quantity) is not Quantity or type(sample.kind) is not Kind:
        return f"{short(sample.quantity)} or {short(sample.kind)} is unknown"
    if type(sample.source) is not Source:
        return f"source {short(sample.source)} is unknown"
    if not is_number(sample.value):
        return f"{sample.quantity} of {short(sample.subject)} is {short(sample.value)}"
    if sample.wraps_at is not None and not is_number(sample.wraps_at):
        return f"wraps at {short(sample.wraps_at)}"
    return wrong_integers(sample.mono_ns) or wrong_texts(*texts)


def _subject(subject: Subject) -> str:
    if type(subject.kind) is not WorkloadKind:
        return f"kind {short(subject.kind)} is unknown"
    if type(subject.up) is not bool or type(subject.failed) is not bool:
        return f"up {short(subject.up)} or failed {short(subject.failed)} is unknown"
    if not {type(subject.ready), type(subject.running)} <= {bool, type(None)}:
        return f"ready {short(subject.ready)} or running {short(subject.running)} is unknown"
    if not is_number(subject.resumed_epoch):
        return f"resumed epoch {short(subject.resumed_epoch)}"
    if subject.goal_epochs is not None and not is_number(subject.goal_epochs):
        return f"goal of epochs {short(subject.goal_epochs)}"
    if type(subject.layer) is not Layer or type(subject.claims) is not frozenset:
        return f"layer {short(subject.layer)} or claims {short(subject.claims)} is unknown"
    if any(type(each) is not Quantity for each in subject.claims):
        return f"claims {short(subject.claims)}"
    return _subject_numbers(subject) or wrong_texts(
        subject.id,
        subject.workload,
        subject.model,
        subject.run,
        subject.generation,
        subject.pod,
        subject.fallback,
        subject.reading,
        subject.tenancy,
    )


def _subject_numbers(subject: Subject) -> str:
    optional = (
        subject.pid,
        subject.started,
        subject.port,
        subject.born_wall_ns,
        subject.goal_steps,
    )
    given = [number for number in optional if number is not None]
    return wrong_integers(subject.attempt, subject.hosts, subject.resumed_step, *given)


def _process(process: Process) -> str:
    return wrong_integers(
        process.pid,
        process.started,
        process.parent,
        process.cpu_ns,
        process.reaped_cpu_ns,
        process.memory_bytes,
    ) or wrong_texts(
        process.command, process.user, process.cgroup, process.visible_devices, process.identity
    )


def _listener(listener: Listener) -> str:
    return wrong_integers(listener.port, listener.pid, listener.started)


def _mark(mark: EpochMark) -> str:
    if not is_number(mark.epoch):
        return f"epoch {short(mark.epoch)}"
    return wrong_integers(mark.wall_ns) or wrong_texts(mark.subject)


def _problem(problem: Problem) -> str:
    return wrong_texts(problem.kind, problem.detail)


_PARTS: tuple[tuple[str, type, Callable[[Any], str]], ...] = (
    ("samples", Sample, _sample),
    ("subjects", Subject, _subject),
    ("processes", Process, _process),
    ("listeners", Listener, _listener),
    ("marks", EpochMark, _mark),
    ("problems", Problem, _problem),
    ("devices", Device, device_fault),
    ("meters", Meter, meter_fault),
    ("pods", Pod, pod_fault),
    ("containers", ContainerUse, container_fault),
)
_OPTIONAL = frozenset({"devices", "pods", "containers"})
