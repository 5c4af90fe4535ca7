"""Carbon: what measured electricity emitted, in whole micrograms of CO2 equivalent.

Energy at the server x PUE x the mean intensity of the grid (location-based, GHG Protocol scope 2).
Micrograms are to grams what pico-dollars are to dollars: whole numbers, so sums are exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from unitcost.pricing.money import distribute, to_pico

MICROGRAMS = 10**6
"""In a gram."""
MICROJOULES_PER_KWH = 3_600_000 * 10**6
DENOMINATOR = MICROJOULES_PER_KWH * 10**6
"""Microjoules x picograms per kWh that are one microgram."""
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class GridIntensity:
    """Grams of CO2e for each kWh that a grid delivers, who says so, and of which place and year.

    `pue`: kWh at the building's meter for each kWh at the server; 1 where nobody says. Raises
    ValueError for an intensity below 0, a PUE below 1, or either not finite.
    """

    grams_per_kwh: Decimal
    source: str
    country: str = ""
    year: int | None = None
    pue: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        """Check what would make energy swallow carbon."""
        if not (self.grams_per_kwh.is_finite() and self.grams_per_kwh >= 0):
            raise ValueError(f"not grams for a kWh: {self.grams_per_kwh}")
        if not (self.pue.is_finite() and self.pue >= 1):
            raise ValueError(f"not a PUE: {self.pue}")

    @property
    def picograms_per_kwh(self) -> int:
        """Grams x PUE for each kWh at the server, rounded once, half to even."""
        return to_pico(_EXACT.multiply(self.grams_per_kwh, self.pue))


def emitted(
    microjoules: Mapping[str, int], picograms_per_kwh: int, carried: int = 0
) -> tuple[dict[str, int], int]:
    """Micrograms by name for the energy of each, and what is carried to the next time.

    `carried` is the part of a microgram left over before, in 1/`DENOMINATOR`; 0 at the beginning.
    So over any number of calls, whatever the intensities were, the parts sum to the whole part of
    Σ energy x intensity. Each part is within a microgram of its share. Raises ValueError for
    negative energy.
    """
    exact = carried + sum(microjoules.values()) * picograms_per_kwh
    micrograms, left = divmod(exact, DENOMINATOR)
    parts = distribute(micrograms, list(microjoules.values()))
    return dict(zip(microjoules, parts, strict=True)), left
