"""The rules of what a reading says, beyond what the exporter refuses it for: pure checks."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum

from unitcost.collectors.base import Reading
from unitcost.exporter.conformance.report import Violation
from unitcost.pricing.sample import Kind, Outcome, Phase, Quantity, Sample, Stall, TokenType
from unitcost.pricing.workload import clean_name

HOST = "host"
MAX_NAMES = 4096
"""More models times parts times tenants of one subject than this are no bound on labels."""
MAX_PROBLEM_KINDS = 32
"""Each kind of problem is a series of its own."""
ROUNDING = 1e-6
"""Sums of floats may differ in their last digits."""

_LABELS: Mapping[Quantity, type[StrEnum]] = {
    Quantity.REQUESTS: Outcome,
    Quantity.TOKENS: TokenType,
    Quantity.PHASE_SECONDS: Phase,
    Quantity.OUTCOME_SECONDS: Outcome,
    Quantity.OUTCOME_TOKENS: Outcome,
    Quantity.STALL_SECONDS: Stall,
}
_FREE_LABELS = frozenset(
    {Quantity.DEVICE_THROTTLED, Quantity.DEVICE_THROTTLING, Quantity.DEVICE_METRIC}
)
_GAUGES = frozenset(
    {
        Quantity.REQUESTS_RUNNING,
        Quantity.REQUESTS_WAITING,
        Quantity.CPU_CAPACITY,
        Quantity.MEMORY_CAPACITY,
        Quantity.MEMORY_USED,
        Quantity.DEVICES_PRESENT,
        Quantity.DEVICE_UTILIZATION,
        Quantity.DEVICE_MEMORY_USED,
        Quantity.DEVICE_MEMORY_CAPACITY,
        Quantity.DEVICE_POWER_LIMIT,
        Quantity.DEVICE_THROTTLING,
        Quantity.DEVICE_METRIC,
    }
)
_RATIOS = frozenset({Quantity.DEVICE_UTILIZATION, Quantity.DEVICE_METRIC})

Series = tuple[str, Quantity, str, str, str, str]
"""Subject, quantity, label, model, part, tenant: what makes two samples the same counter."""


def reading_violations(reading: Reading, *, before_ns: int, after_ns: int) -> Iterator[Violation]:
    """What is wrong with one reading, taken between two instants of the monotonic clock."""
    for sample in reading.samples:
        yield from _sample_violations(sample)
        if not before_ns - _OLDEST_NS <= sample.mono_ns <= after_ns:
            detail = f"{_shown(sample)} is of an instant that is not on the monotonic clock, or old"
            yield Violation("sample.instant", detail)
    yield from _belonging(reading)
    yield from _twice(reading)
    yield from _tenants(reading)
    yield from _bounds(reading)


_OLDEST_NS = 3600 * 10**9
"""A reading may repeat what it read before, but not for ever."""


def pair_violations(first: Reading, second: Reading) -> Iterator[Violation]:
    """What is wrong with a reading that follows another: counters that fall, above all."""
    generations = {subject.id: subject.generation for subject in first.subjects}
    anew = {
        subject.id
        for subject in second.subjects
        if generations.get(subject.id, subject.generation) != subject.generation
    }
    before = {series_of(sample): sample for sample in first.samples}
    for sample in second.samples:
        earlier = before.get(series_of(sample))
        if earlier is None:
            continue
        if earlier.kind is not sample.kind:
            yield Violation("sample.kind", f"{_shown(sample)} is now a counter and now a gauge")
        if sample.mono_ns < earlier.mono_ns:
            yield Violation("sample.instant", f"{_shown(sample)} went back in time")
        falls = sample.kind is Kind.COUNTER and sample.value < earlier.value
        if falls and sample.wraps_at is None and sample.subject not in anew:
            detail = f"{_shown(sample)} fell from {earlier.value:g}: no cumulative counter"
            yield Violation("counter.falls", detail)
    later = dict(_other_counters(second))
    for name, value in _other_counters(first):
        if later.get(name, value) < value:
            yield Violation("counter.falls", f"{name} fell from {value:g} to {later[name]:g}")


def _other_counters(reading: Reading) -> Iterator[tuple[str, float]]:
    """What counts up and is no sample, under a name that changes where it starts anew."""
    for process in reading.processes:
        yield f"cpu_ns of process {process.identity}", process.cpu_ns
        yield f"reaped_cpu_ns of process {process.identity}", process.reaped_cpu_ns
    for use in reading.containers or ():
        yield f"cpu_ns of container {use.id[:60]}", use.cpu_ns
    for meter in reading.meters:
        if meter.joules is not None and meter.wraps_at is None:
            yield f"joules of meter {meter.id[:60]} {meter.generation[:60]}", meter.joules


def series_of(sample: Sample) -> Series:
    """What makes two samples the same counter."""
    whose = (sample.model, sample.part, sample.tenant)
    return (sample.subject, sample.quantity, sample.label, *whose)


def _sample_violations(sample: Sample) -> Iterator[Violation]:
    wanted = Kind.GAUGE if sample.quantity in _GAUGES else Kind.COUNTER
    if sample.kind is not wanted:
        yield Violation("sample.kind", f"{_shown(sample)} must be a {wanted}")
    labels = _LABELS.get(sample.quantity)
    if labels is not None and sample.label not in set(labels):
        expected = ", ".join(labels)
        yield Violation("sample.label", f"{_shown(sample)}: expected one of {expected}")
    if labels is None and sample.label and sample.quantity not in _FREE_LABELS:
        yield Violation("sample.label", f"{_shown(sample)}: {sample.quantity} has no label")
    if sample.quantity in _RATIOS and sample.value > 1:
        yield Violation("sample.unit", f"{_shown(sample)} is a ratio, from 0 to 1")
    for name in (sample.label, sample.model, sample.part, sample.tenant):
        if name != clean_name(name):
            yield Violation(
                "name", f"{_shown(sample)}: {name[:60]!r} is not as clean_name makes it"
            )


def _belonging(reading: Reading) -> Iterator[Violation]:
    """Samples and marks are about something that the reading has; names are fit to be labels."""
    known = {HOST, *(subject.id for subject in reading.subjects)}
    for device in reading.devices or ():
        known.update((device.id, *(instance.id for instance in device.instances)))
    about = {sample.subject for sample in reading.samples}
    about.update(mark.subject for mark in reading.marks)
    for name in sorted(about - known):
        yield Violation("subject.unknown", f"{name[:60]!r} is no subject of the reading")
    for name, count in Counter(subject.id for subject in reading.subjects).items():
        if count > 1:
            yield Violation("subject.twice", f"{count} subjects have the id {name[:60]!r}")
    for subject in reading.subjects:
        for name in (subject.workload, subject.model, subject.run, subject.fallback):
            if name != clean_name(name):
                detail = f"{name[:60]!r} of {subject.id[:60]!r} is not as clean_name makes it"
                yield Violation("name", detail)


def _twice(reading: Reading) -> Iterator[Violation]:
    for series, count in Counter(map(series_of, reading.samples)).items():
        if count > 1:
            yield Violation("sample.twice", f"{series[1]} of {series[0][:60]!r}: {count} samples")


def _tenants(reading: Reading) -> Iterator[Violation]:
    """What tenants have is a part of what there is."""
    parts: defaultdict[Series, float] = defaultdict(float)
    wholes = {series_of(each): each.value for each in reading.samples if not each.tenant}
    for sample in reading.samples:
        if sample.tenant:
            parts[(*series_of(sample)[:-1], "")] += sample.value
    for series, value in parts.items():
        whole = wholes.get(series)
        if whole is None or value > whole * (1 + ROUNDING):
            of = "nothing" if whole is None else f"{whole:g}"
            detail = f"{series[1]} of {series[0][:60]!r}: tenants have {value:g} of {of}"
            yield Violation("sample.tenant", detail)


def _bounds(reading: Reading) -> Iterator[Violation]:
    names: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for sample in reading.samples:
        names[sample.subject].add((sample.model, sample.part, sample.tenant))
    for subject, found in names.items():
        if len(found) > MAX_NAMES:
            detail = f"{subject[:60]!r} has {len(found)} models, parts and tenants"
            yield Violation("bounds", f"{detail}, more than {MAX_NAMES}")
    kinds = {problem.kind for problem in reading.problems}
    if len(kinds) > MAX_PROBLEM_KINDS:
        yield Violation("bounds", f"{len(kinds)} kinds of problems: details belong in `detail`")


def _shown(sample: Sample) -> str:
    parts = (sample.label, sample.model, sample.part, sample.tenant)
    whose = ", ".join([sample.subject[:60], *(part[:60] for part in parts if part)])
    return f"{sample.quantity} of {whose} = {sample.value:g}"
