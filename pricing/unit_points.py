"""What is remembered of counters between two rounds, and what is known of one seen first now."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from unitcost.pricing.meter import Point
from unitcost.pricing.sample import Layer, Quantity, Subject
from unitcost.pricing.timeline import ClockReading

MAX_STALE = 32_768
"""Most counters of one subject that are remembered and not there just now.

More than one reading can have, so that a subject which is away for a while loses none.
"""


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

    `reading` and `tenancy`: how it was read then, empty where that was not noted. `gone`: nobody
    named it any more when last counted.
    """

    generation: str
    boot_ns: int
    layer: Layer = Layer.ENGINE
    claims: frozenset[Quantity] = frozenset()
    reading: str = ""
    tenancy: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class UnitMeter:
    """All counters' last points, and the subjects they belong to. Immutable; see `count`."""

    points: Mapping[Series, Point] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)


_OUTWARD = (Layer.ENGINE, Layer.FRONTEND, Layer.GATEWAY)


def _stood_in_for(meter: UnitMeter, subjects: Sequence[Subject]) -> set[str]:
    """Subjects that are named again, and for which a layer further in was billed meanwhile.

    What their counters went on by is on the bill already.
    """
    innermost: dict[str, int] = {}
    for subject in subjects:
        before = meter.seen.get(subject.id)
        if before is not None and not before.gone:
            place = _OUTWARD.index(before.layer)
            known = innermost.get(subject.workload, place)
            innermost[subject.workload] = min(known, place)
    return {
        each.id
        for each in subjects
        if each.id in meter.seen
        and meter.seen[each.id].gone
        and innermost.get(each.workload, len(_OUTWARD)) < _OUTWARD.index(meter.seen[each.id].layer)
    }


def with_gone(seen: Mapping[str, Seen], subjects: Sequence[Subject]) -> dict[str, Seen]:
    """Those of whom nobody speaks now are gone."""
    missing = seen.keys() - {subject.id for subject in subjects}
    return {**seen, **{name: replace(seen[name], gone=True) for name in missing}}


def _without_points(meter: UnitMeter, names: Set[str]) -> UnitMeter:
    """The meter without the points of these subjects."""
    if not names:
        return meter
    kept = {series: point for series, point in meter.points.items() if series.subject not in names}
    return UnitMeter(kept, meter.seen)


Otherwise = Set[tuple[str, bool]]
"""Subjects that are read otherwise than before: their counters without and with a tenant."""


def _read_otherwise(meter: UnitMeter, known: Mapping[str, Subject]) -> tuple[UnitMeter, Otherwise]:
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


@dataclass(frozen=True, slots=True)
class Before:
    """What a round of readings is held against: the meter, and which of its subjects are others.

    `otherwise`: those read otherwise; `stood_in`: those whose work is on the bill already.
    """

    meter: UnitMeter
    otherwise: Otherwise
    stood_in: Set[str]

    def born(self, subject: Subject, now: Seen, tenant: str, metered_since_wall_ns: int) -> bool:
        """Whether a counter seen for the first time is known to have been zero in metered time.

        Nothing is known from before of one that is read otherwise, unless its server started since.
        """
        if subject.id in self.stood_in:
            return False
        before = self.meter.seen.get(subject.id)
        otherwise = (subject.id, bool(tenant)) in self.otherwise
        if before is not None and (not otherwise or now.generation == before.generation):
            return not otherwise
        return subject.born_wall_ns is not None and subject.born_wall_ns >= metered_since_wall_ns


def before_round(meter: UnitMeter, subjects: Sequence[Subject]) -> Before:
    """The meter as this round can use it."""
    stood_in = _stood_in_for(meter, subjects)
    answering = {subject.id: subject for subject in subjects if subject.up}
    meter, otherwise = _read_otherwise(_without_points(meter, stood_in), answering)
    return Before(meter, otherwise, stood_in)


def without_oldest(points: dict[Series, Point], fresh: Set[Series]) -> dict[Series, Point]:
    """The points without those last read longest ago, of subjects that have too many.

    `fresh`: those of this round. Names that change all the time must not fill the memory.
    """
    if len(points) - len(fresh) <= MAX_STALE:
        return points
    stale: dict[str, list[Series]] = {}
    for series in points:
        if series not in fresh:
            stale.setdefault(series.subject, []).append(series)
    dropped: set[Series] = set()
    for known in stale.values():
        if len(known) > MAX_STALE:
            known.sort(key=lambda series: points[series].mono_ns, reverse=True)
            dropped.update(known[MAX_STALE:])
    return {series: point for series, point in points.items() if series not in dropped}


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
