"""Units counted: from servers' and training runs' samples to what each account did.

Differences are taken for each replica and engine first and then summed, so that one that comes,
goes or restarts moves nothing but its own part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from unitcost.pricing.meter import Event, Point, read_counter
from unitcost.pricing.sample import Kind, Quantity, Sample, Subject
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.workload import Account

Counted = dict[tuple[Account, Quantity, str], int]
"""Units of an account by quantity and label (outcome, token type, phase), in millionths."""


@dataclass(frozen=True, slots=True)
class Series:
    """One counter of one subject."""

    subject: str
    quantity: Quantity
    label: str
    model: str
    part: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A subject as it last answered: its counters' generation, and when (CLOCK_BOOTTIME)."""

    generation: str
    boot_ns: int


@dataclass(frozen=True, slots=True)
class UnitMeter:
    """All counters' last points, and the subjects they belong to. Immutable; see `count`."""

    points: Mapping[Series, Point] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """What a tick counted, the gauges beside it, and how often each event happened."""

    meter: UnitMeter
    units: Counted
    gauges: Counted
    events: Mapping[Event, int]


def account_of(subject: Subject, model: str = "") -> Account:
    """The account a subject's units and costs are booked on; a reserved one has no parts."""
    account = Account(subject.workload, subject.model or model, subject.run, subject.attempt)
    return Account(subject.workload) if account.reserved else account


def count(
    meter: UnitMeter,
    subjects: Iterable[Subject],
    samples: Iterable[Sample],
    metered_since_wall_ns: int,
    clock: ClockReading,
) -> Count:
    """Take one round of samples; nothing is billed at first sight unless birth is proven.

    Birth is proven by the subject (`born_wall_ns` inside our metered time), or by having read the
    same subject before without the counter: it was absent then, so it was zero. A subject that
    did not answer, or is gone, keeps its points; they are dropped by `forget`. Of a series that is
    given twice the first reading counts. `clock`: the clocks of this tick.
    """
    known = {subject.id: subject for subject in subjects if subject.up}
    points = dict(meter.points)
    seen = {
        name: Seen(_generation(subject, meter.seen.get(name), clock), clock.boot_ns)
        for name, subject in known.items()
    }
    units: Counted = {}
    gauges: Counted = {}
    events: dict[Event, int] = {}
    fresh: set[Series] = set()
    for sample in samples:
        subject = known.get(sample.subject)
        if subject is None:
            continue
        key = (account_of(subject, sample.model), sample.quantity, sample.label)
        if sample.kind is Kind.GAUGE:
            gauges[key] = gauges.get(key, 0) + round(sample.value * 10**6)
            continue
        series = Series(sample.subject, sample.quantity, sample.label, sample.model, sample.part)
        if series in fresh:
            events[Event.DUPLICATE] = events.get(Event.DUPLICATE, 0) + 1
            continue
        fresh.add(series)
        point, usage = read_counter(
            meter.points.get(series),
            sample.value,
            sample.mono_ns,
            generation=seen[subject.id].generation,
            born=_born(subject, meter.seen.get(subject.id), metered_since_wall_ns),
            wraps_at=sample.wraps_at,
        )
        if point is not None:
            points[series] = point
        events[usage.event] = events.get(usage.event, 0) + 1
        units[key] = units.get(key, 0) + usage.micro
    return Count(UnitMeter(points, {**meter.seen, **seen}), units, gauges, events)


def _generation(subject: Subject, before: Seen | None, clock: ClockReading) -> str:
    """The generation of its counters: what it says, unless that cannot be.

    Who was born before we last read it has not started anew since. Some servers work out their
    birth at each request, a little differently each time.
    """
    born = subject.born_wall_ns
    boot_wall_ns = clock.wall_ns - clock.boot_ns
    if before is None or born is None or born >= boot_wall_ns + before.boot_ns:
        return subject.generation
    return before.generation


def rebased(meter: UnitMeter) -> UnitMeter:
    """The same points, read before anything that clocks which started anew can say."""
    points = {series: replace(point, mono_ns=0) for series, point in meter.points.items()}
    seen = {name: replace(each, boot_ns=0) for name, each in meter.seen.items()}
    return UnitMeter(points, seen)


def _born(subject: Subject, before: Seen | None, metered_since_wall_ns: int) -> bool:
    """Whether a counter seen for the first time is known to have been zero in metered time."""
    if before is not None:
        return True
    return subject.born_wall_ns is not None and subject.born_wall_ns >= metered_since_wall_ns


def forget(meter: UnitMeter, keep: Iterable[str], before_boot_ns: int) -> UnitMeter:
    """Drop the points of subjects that are not in `keep` and last answered before an instant."""
    kept = set(keep)
    kept.update(name for name, seen in meter.seen.items() if seen.boot_ns >= before_boot_ns)
    if kept >= meter.seen.keys():
        return meter
    points = {series: point for series, point in meter.points.items() if series.subject in kept}
    return UnitMeter(points, {name: seen for name, seen in meter.seen.items() if name in kept})
