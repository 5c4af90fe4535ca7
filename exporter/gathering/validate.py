"""Refuses readings that no collector should return, before anything is computed from them.

A collector is a plug-in: what it returns is input from outside, and is taken whole or not at all.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from unitcost.collectors.base import Problem, Reading
from unitcost.pricing.sample import (
    EpochMark,
    Kind,
    Listener,
    Process,
    Quantity,
    Sample,
    Source,
    Subject,
)
from unitcost.pricing.workload import WorkloadKind

MAX_ITEMS = 100_000
"""More samples, processes or anything else than this are no reading but a fault."""
MAX_VALUE = 2.0**53
"""Above it a float no longer tells one unit from the next."""
MAX_TEXT = 16_384
_MAX_INTEGER = 2**63


class Junk(Exception):
    """Not a reading, or one with something impossible in it; the text says what and where."""


def validate(reading: object) -> Reading:
    """Return the reading if all that is in it can be used. Raises Junk."""
    if type(reading) is not Reading:
        raise Junk(f"returned {type(reading).__name__} instead of a Reading")
    for name, type_, check in _PARTS:
        part: Any = getattr(reading, name, None)
        if type(part) is not tuple:
            raise Junk(f"{name} is {type(part).__name__} instead of a tuple")
        if len(part) > MAX_ITEMS:
            raise Junk(f"{len(part)} {name}: more than {MAX_ITEMS}")
        for item in part:
            if type(item) is not type_:
                raise Junk(f"{name} holds {type(item).__name__} instead of {type_.__name__}")
            try:
                fault = check(item)
            except AttributeError as error:
                fault = str(error)
            if fault:
                raise Junk(f"{type_.__name__}: {fault}"[:200])
    return reading


def _sample(sample: Sample) -> str:
    texts = (sample.subject, sample.label, sample.model, sample.part)
    if type(sample.quantity) is not Quantity or type(sample.kind) is not Kind:
        return f"{_short(sample.quantity)} or {_short(sample.kind)} is unknown"
    if type(sample.source) is not Source:
        return f"source {_short(sample.source)} is unknown"
    if not _is_number(sample.value):
        return f"{sample.quantity} of {_short(sample.subject)} is {_short(sample.value)}"
    if sample.wraps_at is not None and not _is_number(sample.wraps_at):
        return f"wraps at {_short(sample.wraps_at)}"
    return _wrong_integers(sample.mono_ns) or _wrong_texts(*texts)


def _subject(subject: Subject) -> str:
    if type(subject.kind) is not WorkloadKind:
        return f"kind {_short(subject.kind)} is unknown"
    if type(subject.up) is not bool or type(subject.failed) is not bool:
        return f"up {_short(subject.up)} or failed {_short(subject.failed)} is unknown"
    if not {type(subject.ready), type(subject.running)} <= {bool, type(None)}:
        return f"ready {_short(subject.ready)} or running {_short(subject.running)} is unknown"
    if not _is_number(subject.resumed_epoch):
        return f"resumed epoch {_short(subject.resumed_epoch)}"
    texts = (subject.id, subject.workload, subject.model, subject.run, subject.generation)
    optional = (subject.pid, subject.started, subject.port, subject.born_wall_ns)
    given = [number for number in optional if number is not None]
    return _wrong_integers(subject.attempt, subject.hosts, *given) or _wrong_texts(*texts)


def _process(process: Process) -> str:
    return _wrong_integers(
        process.pid,
        process.started,
        process.parent,
        process.cpu_ns,
        process.reaped_cpu_ns,
        process.memory_bytes,
    ) or _wrong_texts(process.command, process.user, process.cgroup)


def _listener(listener: Listener) -> str:
    return _wrong_integers(listener.port, listener.pid, listener.started)


def _mark(mark: EpochMark) -> str:
    if not _is_number(mark.epoch):
        return f"epoch {_short(mark.epoch)}"
    return _wrong_integers(mark.wall_ns) or _wrong_texts(mark.subject)


def _problem(problem: Problem) -> str:
    return _wrong_texts(problem.kind, problem.detail)


def _is_number(value: object) -> bool:
    """Finite, not negative, and small enough to be exact."""
    if type(value) is float:
        return math.isfinite(value) and 0 <= value <= MAX_VALUE
    return type(value) is int and 0 <= value <= MAX_VALUE


def _wrong_integers(*values: object) -> str:
    for value in values:
        if type(value) is not int or not 0 <= value < _MAX_INTEGER:
            return f"{_short(value)} is no whole number from 0 on"
    return ""


def _wrong_texts(*values: object) -> str:
    for value in values:
        if not isinstance(value, str) or not _is_text(type(value)):
            return f"{type(value).__name__} instead of a text"
        if len(value) > MAX_TEXT:
            return f"a text of {len(value)} characters"
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            return "a text that is not Unicode"
    return ""


def _is_text(kind: type) -> bool:
    """Whether it is plain text or a name of ours (Outcome, TokenType, Phase); no other subclass."""
    return kind is str or issubclass(kind, StrEnum)


def _short(value: object) -> str:
    """What a fault is named by: never a long text, never code of a foreign type."""
    if isinstance(value, str):
        return str.__repr__(value)[:60]
    if type(value) is int:
        return str(value) if abs(value) < _MAX_INTEGER else "a huge number"
    return repr(value) if type(value) in (float, bool) or value is None else type(value).__name__


_PARTS: tuple[tuple[str, type, Callable[[Any], str]], ...] = (
    ("samples", Sample, _sample),
    ("subjects", Subject, _subject),
    ("processes", Process, _process),
    ("listeners", Listener, _listener),
    ("marks", EpochMark, _mark),
    ("problems", Problem, _problem),
)
