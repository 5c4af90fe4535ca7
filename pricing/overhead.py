"""What owned hardware costs beside itself: energy by way of the building, and overheads.

Energy is of one of two types, by where it was measured: `AtServer`, or `AtMeter`, the building's,
which has cooling and losses in it. `Pue` leads from the first to the second, there is no other
way, and only energy at the meter is paid for. So PUE is applied exactly once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from unitcost.pricing.figures import within
from unitcost.pricing.money import distribute, to_pico, to_usd

MAX_PUE = Decimal(10)
MAX_KWH = Decimal(10**12)
MAX_USD = Decimal(10**9)
MAX_HOURS = Decimal(10**9)
MAX_WEIGHT = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class AtServer:
    """Energy that went into a server, in kWh: cooling and losses of the building are not in it."""

    kwh: Decimal

    def __post_init__(self) -> None:
        within("energy in kWh", self.kwh, 0, MAX_KWH)

    @classmethod
    def of(cls, watts: Decimal, hours: Decimal) -> "AtServer":
        """A mean draw over a time."""
        return cls(watts * hours / 1000)


@dataclass(frozen=True, slots=True)
class AtMeter:
    """Energy as the utility counts it, in kWh: everything is in it already."""

    kwh: Decimal

    def __post_init__(self) -> None:
        within("energy in kWh", self.kwh, 0, MAX_KWH)

    def usd(self, usd_per_kwh: Decimal) -> Decimal:
        """What it costs at a price for a kWh."""
        return self.kwh * usd_per_kwh


@dataclass(frozen=True, slots=True)
class Pue:
    """The building's energy over the servers', and who says so. Raises ValueError below 1."""

    value: Decimal
    source: str

    def __post_init__(self) -> None:
        within("PUE, the facility's energy over the servers',", self.value, 1, MAX_PUE)

    def at_meter(self, energy: AtServer) -> AtMeter:
        """What the meter counts for energy at a server. Raises TypeError for any other energy."""
        if type(energy) is not AtServer:
            raise TypeError("PUE is applied to energy at the server, and once only")
        return AtMeter(energy.kwh * self.value)


TYPICAL_PUE = Pue(Decimal("1.54"), "Uptime Institute survey 2025, weighted average")
"""A default to be labelled as one: most sites differ."""


class OverheadKind(StrEnum):
    """What an overhead is for. The electricity of cooling is in PUE, never here."""

    COOLING = "cooling"
    RACK = "rack"
    MAINTENANCE = "maintenance"
    STAFF = "staff"
    OTHER = "other"


class Per(StrEnum):
    """What an overhead grows with: calendar hours, or kWh at the server."""

    HOUR = "hour"
    KWH = "kwh"


@dataclass(frozen=True, slots=True)
class Overhead:
    """One overhead of a host: `usd` for each hour, or for each kWh at the server."""

    kind: OverheadKind
    usd: Decimal
    per: Per = Per.HOUR

    def __post_init__(self) -> None:
        within("an overhead in USD", self.usd, 0, MAX_USD)


def overhead_usd(
    items: Iterable[Overhead], hours: Decimal, energy: AtServer | None
) -> dict[OverheadKind, Decimal] | None:
    """USD of a time by kind; None where an item counts kWh and the energy is not known.

    Raises ValueError for hours below 0, and TypeError for energy that is not at the server.
    """
    within("a time in hours", hours, 0, MAX_HOURS)
    if energy is not None and type(energy) is not AtServer:
        raise TypeError("overheads are by energy at the server")
    sums: dict[OverheadKind, Decimal] = {}
    for item in items:
        if item.per is Per.HOUR:
            amount = item.usd * hours
        elif energy is None:
            return None
        else:
            amount = item.usd * energy.kwh
        sums[item.kind] = sums.get(item.kind, Decimal(0)) + amount
    return sums


def allocate(usd: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Split a common overhead over hosts by weights (rack units, kW, heads): it sums exactly.

    The amount and the weights count to 12 digits after the point. Raises ValueError for what is
    negative or not finite, and if all weights are zero while the amount is not.
    """
    within("an overhead in USD", usd, 0, MAX_USD)
    for weight in weights.values():
        within("a weight", weight, 0, MAX_WEIGHT)
    parts = distribute(to_pico(usd), [to_pico(weight) for weight in weights.values()])
    return {name: to_usd(part) for name, part in zip(weights, parts, strict=True)}
