"""Emissions in a tick: micrograms of CO2e of each resource's energy, to whom the energy is counted.

Energy is emitted at the intensity that held when its interval began, so a new one never touches
energy that was used before it: not after a reload, and not after a stop of a week.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcost.exporter.settling.batch import Batch
from unitcost.pricing.carbon import GridIntensity, emitted
from unitcost.pricing.sample import Source

EMISSIONS = "unitcost_emissions_grams_total"
MEASURED = frozenset({Source.COUNTER, Source.SENSOR})
"""How energy must have been obtained: what a model says is no measurement."""


@dataclass(slots=True)
class Emissions:
    """`picograms_per_kwh` holds for energy up to the next reading; None: nothing is counted.

    `left`: by resource, the part of a microgram that is owed (`pricing.carbon.emitted`).
    """

    picograms_per_kwh: int | None = None
    left: dict[str, int] = field(default_factory=dict)

    def count(
        self, pending: Batch, resource: str, source: str, microjoules: Mapping[str, int]
    ) -> None:
        """Add what a resource's energy emitted to the counters of those it is counted to."""
        if self.picograms_per_kwh is None or source not in MEASURED:
            return
        carried = self.left.get(resource, 0)
        parts, self.left[resource] = emitted(microjoules, self.picograms_per_kwh, carried)
        for workload, micrograms in parts.items():
            pending.count(EMISSIONS, (workload, resource), micrograms)

    def follow(self, carbon: GridIntensity | None) -> None:
        """Energy from now on is emitted at this intensity."""
        self.picograms_per_kwh = None if carbon is None else carbon.picograms_per_kwh
