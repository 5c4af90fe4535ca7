"""A host's energy in a tick: read, told to whoever drew it, and ready to be charged."""

from collections.abc import Sequence
from dataclasses import dataclass

from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.emissions import Emissions
from unitcost.exporter.settling.energy import EnergyMeter
from unitcost.exporter.settling.gaps import Cost
from unitcost.exporter.settling.holding import Observed
from unitcost.exporter.settling.metering import Metering, Sight, is_late, metering_of
from unitcost.exporter.settling.owed import Owed, owed_of
from unitcost.exporter.settling.state import State


@dataclass(frozen=True, slots=True)
class Electricity:
    """Meters, what silent ones owe, what of it is charged by the kWh, and what it emitted."""

    meter: EnergyMeter
    owed: Owed
    metering: Metering
    emissions: Emissions
    scope: str = "host"

    def start_anew(self) -> None:
        """Forget where counters stood: the host booted, or its clocks were changed."""
        self.meter.start_anew()
        self.owed.keep(frozenset())

    def count(
        self, observed: Observed, costs: Sequence[Cost], pending: Batch, mono_ns: int
    ) -> None:
        """Count the energy used since the last reading, by who held what then.

        With scope `units` another agent does.
        """
        if self.scope == "units":
            return
        used = self.meter.read(observed.meters)
        if not costs:
            return
        tick = costs[-1].interval.period
        products = {each.id: (each.product, each.vendor) for each in observed.devices or ()}
        waiting = self.meter.waiting()
        self.owed.add(costs, waiting)
        drawn = []
        for late, shares in ((False, costs[-1].shares), (True, self.owed.shares())):
            own = [each for each in used if is_late(each.span_ns, tick) is late]
            drawn += self.meter.count(pending, own, shares, products, self.emissions)
        self.owed.keep(waiting)
        seen = frozenset(each.id for each in observed.devices or () if not each.lost)
        sight = Sight(self.meter.metered(), self.meter.unknown(mono_ns), seen)
        self.metering.begin(drawn, tick, sight)


def electricity_of(state: State, scope: str) -> Electricity:
    """Go on from the state."""
    floors, places = dict(state.floors), dict(state.places)
    return Electricity(
        meter=EnergyMeter(dict(state.energy), floors, places, scope == "pod"),
        scope=scope,
        owed=owed_of(state.owed),
        metering=metering_of(state.counts),
        emissions=Emissions(state.picograms_per_kwh, dict(state.micrograms_left)),
    )
