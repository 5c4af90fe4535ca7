"""What a host costs an hour: prices with validity periods, and `unpriced` where there is none."""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from unitcost.pricing.currency import DOLLAR, USD, Rate, day_ns
from unitcost.pricing.money import to_pico
from unitcost.pricing.resource import Resource
from unitcost.pricing.sibling import Sibling
from unitcost.pricing.timeline import Period

HOURS_PER_YEAR = 8760
"""Amortisation counts calendar hours of a 365-day year."""


class Component(StrEnum):
    """What a host's cost is made of."""

    RENT = "rent"
    AMORTISATION = "amortisation"
    ELECTRICITY = "electricity"
    OVERHEAD = "overhead"


class PriceUnit(StrEnum):
    """What a unit price is for.

    What it multiplies is nanoseconds by the hour, and microjoules by the kWh: there are as many of
    the one in an hour as of the other in a kWh (3.6e12). Quantities are millionths of
    resource-seconds and millijoules, of which an hour and a kWh have 3.6e9.
    """

    HOUR = "hour"
    KWH = "kwh"
    ACTIVE_HOUR = "active_hour"  # of one device, while its holder works


class PriceModel(StrEnum):
    """Under which terms a price holds."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    RESERVED = "reserved"
    COMMITTED = "committed"
    SAVINGS_PLAN = "savings_plan"
    CAPACITY_BLOCK = "capacity_block"
    OWNED = "owned"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Price:
    """What one component of the whole host costs, from `valid_from_ns` until `valid_to_ns`.

    `as_of_ns` is when its source stated it, `known_at_ns` when we learnt it (bitemporal); `sku`
    and `region` say of what host it is, where it was looked up. `list_usd_per_hour` is what it
    was before any discount; None where nobody said. `rate` is that at which it was converted from
    the currency it is billed in. `precedence`: how good its source is, 0 being the best.
    `discount_from_ns`: since when a discount is agreed that is in it, 0 where it does not say so.
    `restated_ns` is when its source said the same again; that makes it no other price. Raises
    ValueError if an amount is negative or not finite, or if it is valid for no time.
    """

    component: Component
    usd_per_hour: Decimal
    model: PriceModel
    source: str
    valid_from_ns: int = 0
    valid_to_ns: int | None = None
    as_of_ns: int = 0
    known_at_ns: int = 0
    sku: str = ""
    region: str = ""
    list_usd_per_hour: Decimal | None = None
    rate: Rate = DOLLAR
    precedence: int = 0
    discount_from_ns: int | None = None
    restated_ns: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        for amount in (self.usd_per_hour, self.list_usd_per_hour):
            if amount is not None and not (amount.is_finite() and amount >= 0):
                raise ValueError(f"a price is finite and not negative, not {amount}")
        if self.valid_to_ns is not None and self.valid_to_ns <= self.valid_from_ns:
            raise ValueError("a price must be valid for some time")

    @property
    def currency(self) -> str:
        """What it is billed in."""
        return self.rate.currency

    @property
    def stated_ns(self) -> int:
        """When its source stated it last."""
        return max(self.as_of_ns, self.restated_ns)

    def again(self, other: "Price") -> "Price | None":
        """This price as `other` states it again; None if that is another price."""
        same = replace(self, restated_ns=other.stated_ns, precedence=other.precedence)
        stated = replace(other, as_of_ns=self.as_of_ns, known_at_ns=self.known_at_ns)
        return same if same == stated else None

    @property
    def pico_per_hour(self) -> int:
        """Pico-dollars an hour."""
        return to_pico(self.usd_per_hour)

    @property
    def list_pico_per_hour(self) -> int | None:
        """What it was before any discount; None where nobody said."""
        return None if self.list_usd_per_hour is None else to_pico(self.list_usd_per_hour)

    def covers(self, instant_ns: int) -> bool:
        """Whether it holds at that instant."""
        after = self.valid_to_ns is not None and instant_ns >= self.valid_to_ns
        return instant_ns >= self.valid_from_ns and not after


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All prices known for one host.

    `components` are those the host has; a component without a price at some instant is unpriced
    there. `sibling` is the same machine without its GPUs, and `sibling_prices` what that costs:
    they are charged to nobody, but the host's price may be split by them. Raises ValueError if
    two prices of a component, or of the sibling, overlap, or a price is of no component.
    """

    components: tuple[Component, ...]
    prices: tuple[Price, ...] = ()
    sibling: Sibling | None = None
    sibling_prices: tuple[Price, ...] = ()

    def __post_init__(self) -> None:
        for component in {price.component for price in self.prices}:
            if component not in self.components:
                raise ValueError(f"a price of {component}, which this host does not have")
            own = (price for price in self.prices if price.component == component)
            _check_one_at_a_time(own, str(component))
        _check_one_at_a_time(self.sibling_prices, "the sibling")

    def at(self, component: Component, instant_ns: int) -> Price | None:
        """The price of a component at an instant, None if it is unpriced then."""
        for price in self.prices:
            if price.component == component and price.covers(instant_ns):
                return price
        return None

    def sibling_at(self, instant_ns: int) -> Price | None:
        """What the sibling costs at an instant, None where that is not known."""
        return next((each for each in self.sibling_prices if each.covers(instant_ns)), None)

    def changes(self, period: Period) -> tuple[int, ...]:
        """Instants inside the period at which some price begins or ends, the sibling's included."""
        prices = (*self.prices, *self.sibling_prices)
        bounds = {price.valid_from_ns for price in prices}
        bounds.update(price.valid_to_ns for price in prices if price.valid_to_ns is not None)
        return tuple(sorted(at for at in bounds if period.start_ns < at < period.end_ns))


def _check_one_at_a_time(prices: Iterable[Price], what: str) -> None:
    ordered = sorted(prices, key=lambda price: price.valid_from_ns)
    for earlier, later in itertools.pairwise(ordered):
        if earlier.covers(later.valid_from_ns):
            raise ValueError(f"two prices of {what} for the same time")


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """What one resource of the host costs for one component, as charged: an hour, or a kWh.

    `pico_per_unit` None means unpriced. `id` is a digest of all the rest: two charges with the
    same id were charged at the same price from the same source. `list_pico_per_unit` is what it
    was before any discount, None where nobody said. What is billed in another `currency` was
    converted at `rate` units of it for one US dollar; whose rate that is, and of
    when, stands beside it.
    """

    resource: str
    component: Component
    pico_per_unit: int | None
    model: str
    source: str
    valid_from_ns: int
    valid_to_ns: int | None
    as_of_ns: int
    known_at_ns: int
    currency: str
    rule: str
    id: str
    unit: PriceUnit = PriceUnit.HOUR
    rate: str = "1"
    rate_source: str = ""
    rate_as_of_ns: int = 0
    list_pico_per_unit: int | None = None


def unit_price(
    resource: Resource,
    component: Component,
    pico: int | None,
    price: Price | None,
    rule: str,
    list_pico: int | None = None,
) -> UnitPrice:
    """The unit price of a resource whose part of `price` is `pico`; without a price, unpriced.

    `list_pico` is its part of the list price, None where there is none.
    """
    fields = (
        (str(price.model), price.source, price.valid_from_ns, price.valid_to_ns, price.as_of_ns)
        if price
        else ("", "", 0, None, 0)
    )
    known_at = price.known_at_ns if price else 0
    currency = price.currency if price else USD
    rate = _rate_fields(price.rate) if price and currency != USD else {}
    capacity = resource.capacity_micro
    named = (resource.id, capacity, str(component), pico, *fields, known_at, currency, rule)
    listed = () if list_pico is None else (list_pico,)
    digest = _digest((*named, *rate.values(), *listed))
    return UnitPrice(
        resource.id,
        component,
        pico,
        *fields,
        known_at,
        currency,
        rule,
        digest,
        list_pico_per_unit=list_pico,
        **rate,
    )


def metered_price(
    resource: str,
    component: Component,
    unit: PriceUnit,
    pico: int | None,
    source: str,
    rule: str,
    rate: Rate = DOLLAR,
) -> UnitPrice:
    """The price of what is measured of a resource: `pico` for a kWh, or for an hour of work.

    It holds while it is that price: an hour has a row for each, whenever they took turns. `rate`:
    at which it was made dollars.
    """
    fields = (str(PriceModel.OWNED), source, 0, None, 0, 0, rate.currency, rule)
    converted = _rate_fields(rate) if rate.currency != USD else {}
    id_ = _digest((resource, str(component), str(unit), pico, *fields, *converted.values()))
    return UnitPrice(resource, component, pico, *fields, id_, unit=unit, **converted)


def _rate_fields(rate: Rate) -> dict[str, Any]:
    return {
        "rate": str(rate.units_per_usd),
        "rate_source": rate.source,
        "rate_as_of_ns": day_ns(rate.on),
    }


def _digest(named: tuple[object, ...]) -> str:
    return hashlib.blake2s(repr(named).encode(), digest_size=8).hexdigest()


def straight_line(purchase: Decimal, residual: Decimal, life_years: Decimal) -> Decimal:
    """Amortisation in USD an hour over calendar hours. Raises ValueError for a life of nothing."""
    if life_years <= 0 or residual > purchase or residual < 0:
        raise ValueError("amortisation needs a positive life and 0 <= residual <= purchase")
    return (purchase - residual) / (life_years * HOURS_PER_YEAR)


def electricity_per_hour(watts: Decimal, usd_per_kwh: Decimal, pue: Decimal) -> Decimal:
    """What a mean draw of `watts` at the host costs an hour, cooling and losses by `pue` >= 1."""
    if pue < 1:
        raise ValueError("PUE is the facility's energy over the host's: it is never below 1")
    return watts / 1000 * pue * usd_per_kwh
