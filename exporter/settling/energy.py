"""Energy in a tick: from meters to joules of each resource, and to whom they are counted.

Here it is only told. Where hardware is owned it is charged as well, by `metering.py`; on a rented
host electricity is in the rent (docs/cost-model.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.emissions import Emissions
from unitcost.pricing.allocate import Share, State, unheld
from unitcost.pricing.energy import Meter, Path, Place, of_resources, overlaps
from unitcost.pricing.meter import Event, Point, Usage, read_counter
from unitcost.pricing.money import distribute
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import UNALLOCATED, UNMETERED

DEVICE_ENERGY = "unitcost_device_energy_joules_total"
WORKLOAD_ENERGY = "unitcost_energy_joules_total"
MAX_WATTS = 100_000.0
"""No single meter of a host measures more; one that says so is broken."""
MARGIN = 1.5
"""How far above its limit a device's mean power may be before the counter is not believed."""
GRACE_NS = 15 * NS_PER_SECOND
"""For so long a meter may be silent before what it measures is unknown: it may only be late."""


Products = Mapping[str, tuple[str, str]]
"""Product and vendor of each device, by resource."""


@dataclass(frozen=True, slots=True)
class Used:
    """Energy that one resource used since the last reading: microjoules, over nanoseconds."""

    resource: str
    source: str
    micro: int
    span_ns: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a resource used, by share; the parts sum to it exactly."""

    used: Used
    parts: tuple[tuple[Share, int], ...]


@dataclass(slots=True)
class EnergyMeter:
    """Counters' last points, and the least power each resource was seen to draw while idle.

    `floors` are microwatts. `rejected` counts readings that no hardware can have meant. `places`:
    the meters that were read since the host booted. `pod`: what nobody here held is not counted,
    for it is of other pods. Of the last reading: `fresh` are the meters
    that said something new, `broken` the resources of which some of that says nothing.
    """

    points: dict[str, Point] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    pod: bool = False
    rejected: int = 0
    fresh: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def read(self, meters: Sequence[Meter]) -> list[Used]:
        """What each resource used since the last reading, each joule once.

        A counter that is seen for the first time, or starts anew, only sets where it stands: what
        it shows may be from before this interval.
        """
        found = []
        self.fresh, self.broken = set(), set()
        for meter in of_resources([each for each in meters if each.joules is not None]):
            name = f"{meter.id} {meter.source}"
            before = self.points.get(name)
            point, usage = read_counter(
                before,
                meter.joules or 0.0,
                meter.mono_ns,
                generation=meter.generation,
                wraps_at=meter.wraps_at,
            )
            if usage.event is Event.JUNK:
                self.rejected += 1
            if point is None:
                continue
            self.points[name] = point
            self.places[name] = Place(meter.resource, meter.path)
            if point is not before:
                self.fresh.add(name)
            if (used := self._used(meter, name, usage)) is not None:
                found.append(used)
            elif point is not before:
                self.broken.add(meter.resource)
        return found

    def _used(self, meter: Meter, name: str, usage: Usage) -> Used | None:
        """What a reading says was used; None where it only says where the counter stands."""
        if usage.event not in (Event.COUNTED, Event.WRAP):
            return None
        self._drop_others(name, meter.path)
        span = usage.end_ns - usage.start_ns
        if usage.micro > _most(meter) * max(span, NS_PER_SECOND) // NS_PER_SECOND:
            self.rejected += 1
            return None
        return Used(meter.resource, str(meter.source), usage.micro, span)

    def _drop_others(self, name: str, path: Path) -> None:
        """Meters of what was counted just now must not count it again when they are back."""
        for other in [each for each, at in self.places.items() if overlaps(at.path, path)]:
            if other != name:
                del self.places[other]
                self.points.pop(other, None)

    def start_anew(self) -> None:
        """The clocks did: what meters showed before says nothing."""
        self.points.clear()
        self.places.clear()

    def metered(self) -> frozenset[str]:
        """Resources that have a meter, whether or not it can be read now."""
        return frozenset(place.resource for place in self.places.values())

    def waiting(self) -> frozenset[str]:
        """Resources some of whose energy since the last reading is still to be told."""
        return frozenset(
            place.resource for name, place in self.places.items() if name not in self.fresh
        )

    def unknown(self, mono_ns: int) -> frozenset[str]:
        """Resources with a meter of which it is not known what they used since the last tick."""
        silent = {
            place.resource
            for name, place in self.places.items()
            if mono_ns - self.points[name].mono_ns > GRACE_NS
        }
        return frozenset(silent | self.broken)

    def count(
        self,
        pending: Batch,
        found: Sequence[Used],
        shares: Mapping[str, Sequence[Share]],
        products: Products,
        emissions: Emissions,
    ) -> list[Drawn]:
        """Add what was used, and emitted by it, to the counters of devices and of workloads.

        Returns who used it, and in which state.
        """
        drawn = []
        for used in found:
            if used.resource in products:
                labels = (used.resource, *products[used.resource], used.source)
                pending.count(DEVICE_ENERGY, labels, used.micro)
            drawn.append(self.draw(used, shares.get(used.resource, ())))
            parts = by_workload(drawn[-1])
            if self.pod:
                parts.pop(UNALLOCATED, None)
            for workload, micro in parts.items():
                pending.count(WORKLOAD_ENERGY, (workload, used.resource, used.source), micro)
            emissions.count(pending, used.resource, used.source, parts)
        return drawn

    def draw(self, used: Used, shares: Sequence[Share]) -> Drawn:
        """Microjoules by share; they sum to what was used, exactly.

        What the resource draws anyway (the least seen while nobody worked) is counted by what each
        held, the rest by what each worked. Until that least is known, all of it by what each held.
        Without any shares it is unmetered.
        """
        weights = [share.weight for share in shares]
        working = [share.weight if _works(share) else 0 for share in shares]
        if not any(weights):
            return Drawn(used, tuple((share, used.micro) for share in unheld(1, UNMETERED)))
        if not any(working):
            self._learn(used)
        floor = self.floors.get(used.resource)
        rest = (
            used.micro if floor is None else min(used.micro, floor * used.span_ns // NS_PER_SECOND)
        )
        if not any(working):
            rest = used.micro
        parts = distribute(rest, weights)
        if used.micro > rest:
            above = distribute(used.micro - rest, working)
            parts = [a + b for a, b in zip(parts, above, strict=True)]
        return Drawn(used, tuple(zip(shares, parts, strict=True)))

    def _learn(self, used: Used) -> None:
        """The least power of an interval in which nobody worked."""
        if used.span_ns < NS_PER_SECOND or not used.micro:
            return
        drawn = used.micro * NS_PER_SECOND // used.span_ns
        self.floors[used.resource] = min(drawn, self.floors.get(used.resource, drawn))


def by_workload(drawn: Drawn) -> dict[str, int]:
    """Microjoules by workload, in whatever state."""
    found: dict[str, int] = {}
    for share, part in drawn.parts:
        name = share.account.workload
        found[name] = found.get(name, 0) + part
    return found


def _most(meter: Meter) -> int:
    """Microwatts above which the counter is not believed."""
    return round((meter.limit_watts * MARGIN if meter.limit_watts else MAX_WATTS) * 10**6)


def _works(share: Share) -> bool:
    """Shares of reserved accounts are all idle by name; only what nobody held is sure to be."""
    reserved = share.account.reserved and share.account.workload != UNALLOCATED
    return share.state is not State.IDLE or reserved
