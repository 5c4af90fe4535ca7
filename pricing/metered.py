"""Prices of what is measured, not of time: a kWh, or an hour of work; each joule at its price.

A price may depend on how much there was before it (a tariff's slabs, units of production). So an
amount is charged in stretches, at each of which one price holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from unitcost.pricing.allocate import Share
from unitcost.pricing.currency import DOLLAR, Converted, Rate, Rates
from unitcost.pricing.figures import divide, within
from unitcost.pricing.money import to_pico
from unitcost.pricing.overhead import MAX_USD, AtMeter, AtServer, Pue
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.tariff import MAX_KWH, Tariff, month_start_ns, usd_per_kwh
from unitcost.pricing.timeline import Period
from unitcost.pricing.use_price import UsePrice

MICROJOULES_PER_KWH = 3_600_000 * 10**6
_QUANTUM = Decimal(1).scaleb(-15)  # less than a microjoule


class MeteredPrice(Protocol):
    """What one unit of something costs at an instant, after so much of it.

    Amounts are microjoules at the server, or nanoseconds of a device (`PriceUnit`).
    """

    @property
    def component(self) -> Component:
        """What of the host's cost this is."""
        ...

    @property
    def unit(self) -> PriceUnit:
        """What it is for."""
        ...

    @property
    def source(self) -> str:
        """Who says so."""
        ...

    def counting_since(self, instant_ns: int) -> int | None:
        """From when on amounts are counted for it; None where it does not depend on them."""
        ...

    def pico(self, instant_ns: int, used: int) -> int | None:
        """Pico-dollars for a unit after `used`; None where there is no price."""
        ...

    def left(self, instant_ns: int, used: int) -> int | None:
        """How much more goes at that price; None: whatever follows."""
        ...

    def rate(self, instant_ns: int) -> Rate | None:
        """The exchange rate at which it was made dollars; None where there is none."""
        ...

    def changes(self, period: Period) -> tuple[int, ...]:
        """Instants inside the period at which the price, or where counting starts, may change."""
        ...


@dataclass(frozen=True, slots=True)
class Electricity:
    """A kWh at the server: tariff x PUE, in US dollars at the rate of the instant.

    `elsewhere_kwh`: what others on the same meter are taken to have used of the month already;
    0 takes this host for the only one, whose month begins in the first slab.
    """

    tariff: Tariff
    zone: tzinfo
    pue: Pue
    source: str
    rates: Rates
    elsewhere_kwh: Decimal = Decimal(0)
    component: Component = Component.ELECTRICITY
    unit: PriceUnit = PriceUnit.KWH

    def __post_init__(self) -> None:
        within("kWh elsewhere", self.elsewhere_kwh, 0, MAX_KWH)

    def counting_since(self, instant_ns: int) -> int | None:
        """The beginning of the local month, where the tariff has slabs."""
        counts = self.tariff.counts_month
        return month_start_ns(instant_ns, self.zone) if counts else None

    def at_meter(self, instant_ns: int, used: int) -> Converted | None:
        """What the utility takes for the next kWh; None where its currency has no rate."""
        month = self.month(used).kwh
        return usd_per_kwh(self.tariff, self.rates, instant_ns, self.zone, month)

    def pico(self, instant_ns: int, used: int) -> int | None:
        """For a kWh at the server, rounded once."""
        price = self.at_meter(instant_ns, used)
        kwh = self.pue.at_meter(AtServer(Decimal(1)))
        return None if price is None else to_pico(kwh.usd(price.usd))

    def left(self, instant_ns: int, used: int) -> int | None:
        """Microjoules at the server until the slab ends."""
        end = self.tariff.slab_end(instant_ns, self.zone, self.month(used).kwh)
        if end is None:
            return None
        whole = divide((end - self.elsewhere_kwh) * MICROJOULES_PER_KWH, self.pue.value)
        return max(1, int(whole.to_integral_value(ROUND_CEILING)) - used)

    def rate(self, instant_ns: int) -> Rate | None:
        """That of the tariff's currency."""
        return self.rates.at(self.tariff.currency, instant_ns)

    def changes(self, period: Period) -> tuple[int, ...]:
        """Those of the tariff, and of the rate of its currency."""
        found = set(self.tariff.changes(period, self.zone))
        found.update(self.rates.changes(self.tariff.currency, period))
        return tuple(sorted(found))

    def month(self, used: int) -> AtMeter:
        """What the meter is taken to have counted in the month, after `used` at the server."""
        kwh = divide(Decimal(used), Decimal(MICROJOULES_PER_KWH)).quantize(_QUANTUM)
        return AtMeter(self.pue.at_meter(AtServer(kwh)).kwh + self.elsewhere_kwh)


@dataclass(frozen=True, slots=True)
class EnergyOverhead:
    """What cooling, maintenance and so on cost for each kWh at the server, in USD."""

    usd_per_kwh: Decimal
    source: str
    component: Component = Component.OVERHEAD
    unit: PriceUnit = PriceUnit.KWH

    def __post_init__(self) -> None:
        within("an overhead in USD", self.usd_per_kwh, 0, MAX_USD)

    def counting_since(self, instant_ns: int) -> int | None:
        """The first kWh costs as much as the last."""
        return None

    def pico(self, instant_ns: int, used: int) -> int | None:
        """The same for each."""
        return to_pico(self.usd_per_kwh)

    def left(self, instant_ns: int, used: int) -> int | None:
        """There is no end to it."""
        return None

    def rate(self, instant_ns: int) -> Rate | None:
        """It is in dollars."""
        return DOLLAR

    def changes(self, period: Period) -> tuple[int, ...]:
        """It does not change."""
        return ()


@dataclass(frozen=True, slots=True)
class Metered:
    """What of a host's cost is charged by amounts; nothing at all of a rented one's.

    `sensors`: whether meters say what is used; else the whole draw is stated. `stated_microwatts`:
    the mean draw that no meter sees (or the whole), None where nobody stated it.
    """

    electricity: Electricity | None = None
    overhead: EnergyOverhead | None = None
    use: UsePrice | None = None
    sensors: bool = True
    stated_microwatts: int | None = None

    @property
    def by_energy(self) -> tuple[MeteredPrice, ...]:
        """The prices of a kWh."""
        return tuple(each for each in (self.electricity, self.overhead) if each is not None)

    def changes(self, period: Period) -> tuple[int, ...]:
        """Instants inside the period at which one of the prices may change."""
        found = {at for each in self.by_energy for at in each.changes(period)}
        return (*found, *(self.use.changes(period) if self.use else ()))


NOT_METERED = Metered()
"""All is charged by time."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What one resource used in some time, by share. `rule` says how it was found."""

    resource: str
    parts: tuple[tuple[Share, int], ...]
    rule: str

    @property
    def whole(self) -> int:
        """All shares together."""
        return sum(part for _, part in self.parts)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Amounts of several resources that all go at one price: `pico` for a unit, None without."""

    pico: int | None
    amounts: tuple[Amount, ...]


def stretches(
    price: MeteredPrice, instant_ns: int, used: int, amounts: Sequence[Amount]
) -> Iterator[Stretch]:
    """What was used from `instant_ns` on, after `used`, by the prices it goes at.

    All resources use theirs evenly, side by side: where a price ends in between, each has the
    same part of its amount before that.
    """
    rest = tuple(amounts)
    while True:
        whole = sum(amount.whole for amount in rest)
        left = price.left(instant_ns, used)
        pico = price.pico(instant_ns, used)
        if left is None or whole <= left:
            yield Stretch(pico, rest)
            return
        now = tuple(_part(amount, left, whole) for amount in rest)
        yield Stretch(pico, now)
        rest = tuple(_less(amount, part) for amount, part in zip(rest, now, strict=True))
        used += left


def _part(amount: Amount, left: int, whole: int) -> Amount:
    parts = tuple((share, part * left // whole) for share, part in amount.parts)
    return Amount(amount.resource, parts, amount.rule)


def _less(amount: Amount, part: Amount) -> Amount:
    pairs = zip(amount.parts, part.parts, strict=True)
    parts = tuple((share, whole - gone) for (share, whole), (_, gone) in pairs)
    return Amount(amount.resource, parts, amount.rule)
