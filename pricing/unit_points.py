"""What is remembered of counters between two rounds, and what is known of one seen first now."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from unitcost.pricing.meter import Point
from unitcost.pricing.sample import Layer, Quantity, Subject
from unitcost.pricing.timeline import ClockReading


@dataclass(frozen=True, slots=True)
class Series:
    """One counter of one subject."""

    subject: str
    quantity: Quantity
    label: str
    model: str
    part: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A subject as it last answered: its generation, when (CLOCK_BOOTTIME), what it counts.

    `reading` and `tenancy`: how it was read then, empty where that was not noted.
    """

    generation: str
    boot_ns: int
    layer: Layer = Layer.ENGINE
    claims: frozenset[Quantity] = frozenset()
    reading: str = ""
    tenancy: str = ""


@dataclass(frozen=True, slots=True)
class UnitMeter:
    """All counters' last points, and the subjects they belong to. Immutable; see `count`."""

    points: Mapping[Series, Point] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)


Otherwise = Set[tuple[str, bool]]
"""Subjects that are read otherwise than before: their counters without and with a tenant."""


def read_otherwise(meter: UnitMeter, known: Mapping[str, Subject]) -> tuple[UnitMeter, Otherwise]:
    """The meter without the points that say nothing of what the same series are now."""
    found: set[tuple[str, bool]] = set()
    for name in known.keys() & meter.seen.keys():
        subject, before = known[name], meter.seen[name]
        if before.reading and before.reading != subject.reading:
            found.update({(name, False), (name, True)})
        elif before.tenancy and before.tenancy != subject.tenancy:
            found.add((name, True))
    if not found:
        return meter, found
    points = {
        series: point
        for series, point in meter.points.items()
        if (series.subject, bool(series.tenant)) not in found
    }
    return UnitMeter(points, meter.seen), found


def seen_now(subject: Subject, before: Seen | None, clock: ClockReading) -> Seen:
    """The subject as it answers now."""
    return Seen(
        generation_of(subject, before, clock),
        clock.boot_ns,
        subject.layer,
        subject.claims,
        subject.reading,
        subject.tenancy,
    )


def with_earlier_claims(now: Seen, before: Seen | None) -> Seen:
    """One that has served nothing since its start counts what it did before, though it has not

    shown it yet; else another layer would count its first work, and then it does as well.
    """
    if before is None or before.reading != now.reading:
        return now
    return replace(now, claims=now.claims | before.claims)


def generation_of(subject: Subject, before: Seen | None, clock: ClockReading) -> str:
    """The generation of its counters: what it says, unless that cannot be.

    Who was born before we last read it has not started anew since. Some servers work out their
    birth at each request, a little differently each time.
    """
    born = subject.born_wall_ns
    boot_wall_ns = clock.wall_ns - clock.boot_ns
    if before is None or born is None or born >= boot_wall_ns + before.boot_ns:
        return subject.generation
    return before.generation


def is_born(
    subject: Subject,
    before: Seen | None,
    now: Seen,
    metered_since_wall_ns: int,
    *,
    otherwise: bool,
) -> bool:
    """Whether a counter seen for the first time is known to have been zero in metered time.

    Nothing is known from before of one that is read otherwise, unless its server started since.
    """
    if before is not None and (not otherwise or now.generation == before.generation):
        return not otherwise
    return subject.born_wall_ns is not None and subject.born_wall_ns >= metered_since_wall_ns


def rebased(meter: UnitMeter) -> UnitMeter:
    """The same points, read before anything that clocks which started anew can say."""
    points = {series: replace(point, mono_ns=0) for series, point in meter.points.items()}
    seen = {name: replace(each, boot_ns=0) for name, each in meter.seen.items()}
    return UnitMeter(points, seen)


def forget(meter: UnitMeter, keep: Iterable[str], before_boot_ns: int) -> UnitMeter:
    """Drop the points of subjects that are not in `keep` and last answered before an instant."""
    kept = set(keep)
    kept.update(name for name, seen in meter.seen.items() if seen.boot_ns >= before_boot_ns)
    if kept >= meter.seen.keys():
        return meter
    points = {series: point for series, point in meter.points.items() if series.subject in kept}
    return UnitMeter(points, {name: seen for name, seen in meter.seen.items() if name in kept})
