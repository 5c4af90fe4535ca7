"""Energy in a tick: from meters to joules of each resource, and to whom they are counted.

Energy is told, not charged: on a rented host electricity is in the rent (docs/cost-model.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.emissions import Emissions
from unitcost.pricing.allocate import Share, State
from unitcost.pricing.energy import Meter, Path, of_resources, overlaps
from unitcost.pricing.meter import Event, Point, read_counter
from unitcost.pricing.money import distribute
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import UNALLOCATED, UNMETERED

DEVICE_ENERGY = "unitcost_device_energy_joules_total"
WORKLOAD_ENERGY = "unitcost_energy_joules_total"
MAX_WATTS = 100_000.0
"""No single meter of a host measures more; one that says so is broken."""
MARGIN = 1.5
"""How far above its limit a device's mean power may be before the counter is not believed."""


Products = Mapping[str, tuple[str, str]]
"""Product and vendor of each device, by resource."""


@dataclass(frozen=True, slots=True)
class Used:
    """Energy that one resource used since the last reading: microjoules, over nanoseconds."""

    resource: str
    source: str
    micro: int
    span_ns: int


@dataclass(slots=True)
class EnergyMeter:
    """Counters' last points, and the least power each resource was seen to draw while idle.

    `floors` are microwatts. `rejected` counts readings that no hardware can have meant.
    """

    points: dict[str, Point] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    _paths: dict[str, Path] = field(default_factory=dict, init=False)

    def read(self, meters: Sequence[Meter]) -> list[Used]:
        """What each resource used since the last reading, each joule once.

        A counter that is seen for the first time, or starts anew, only sets where it stands: what
        it shows may be from before this interval.
        """
        found = []
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
            if point is not None:
                self.points[name], self._paths[name] = point, meter.path
            if usage.event is Event.JUNK:
                self.rejected += 1
            if usage.event not in (Event.COUNTED, Event.WRAP):
                continue
            self._drop_others(name, meter.path)
            span = usage.end_ns - usage.start_ns
            if usage.micro > _most(meter) * max(span, NS_PER_SECOND) // NS_PER_SECOND:
                self.rejected += 1
                continue
            found.append(Used(meter.resource, str(meter.source), usage.micro, span))
        return found

    def _drop_others(self, name: str, path: Path) -> None:
        """Meters of what was counted just now must not count it again when they are back."""
        for other in [each for each, where in self._paths.items() if overlaps(where, path)]:
            if other != name:
                del self._paths[other]
                self.points.pop(other, None)

    def count(
        self,
        pending: Batch,
        found: Sequence[Used],
        shares: Mapping[str, Sequence[Share]],
        products: Products,
        emissions: Emissions,
    ) -> None:
        """Add what was used, and emitted by it, to the counters of devices and of workloads."""
        for used in found:
            if used.resource in products:
                labels = (used.resource, *products[used.resource], used.source)
                pending.count(DEVICE_ENERGY, labels, used.micro)
            held = shares.get(used.resource, ())
            parts = self.split(used, held)
            for workload, micro in parts.items():
                pending.count(WORKLOAD_ENERGY, (workload, used.resource, used.source), micro)
            emissions.count(pending, used.resource, used.source, parts)

    def split(self, used: Used, shares: Sequence[Share]) -> dict[str, int]:
        """Microjoules by workload; they sum to what was used, exactly.

        What the resource draws anyway (the least seen while nobody worked) is counted by what each
        held, the rest by what each worked. Until that least is known, all of it by what each held.
        Without any shares it is unmetered.
        """
        weights = [share.weight for share in shares]
        working = [share.weight if _works(share) else 0 for share in shares]
        if not any(weights):
            return {UNMETERED: used.micro}
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
        found: dict[str, int] = {}
        for share, part in zip(shares, parts, strict=True):
            name = share.account.workload
            found[name] = found.get(name, 0) + part
        return found

    def _learn(self, used: Used) -> None:
        """The least power of an interval in which nobody worked."""
        if used.span_ns < NS_PER_SECOND or not used.micro:
            return
        drawn = used.micro * NS_PER_SECOND // used.span_ns
        self.floors[used.resource] = min(drawn, self.floors.get(used.resource, drawn))


def _most(meter: Meter) -> int:
    """Microwatts above which the counter is not believed."""
    return round((meter.limit_watts * MARGIN if meter.limit_watts else MAX_WATTS) * 10**6)


def _works(share: Share) -> bool:
    """Shares of reserved accounts are all idle by name; only what nobody held is sure to be."""
    reserved = share.account.reserved and share.account.workload != UNALLOCATED
    return share.state is not State.IDLE or reserved
