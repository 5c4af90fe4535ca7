"""The shape of `price.owned`: what hardware of one's own was bought for, and goes on costing.

`owned.py` checks it and makes prices of it. Money is Decimal USD, unless a currency stands by it.
"""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from unitcost.exporter.config.section import Section, Usd, UsdPerHour, between

PerKwh = Annotated[Decimal, between("0", "1000")]
Kwh = Annotated[Decimal, between("0", "1000000000")]
Watts = Annotated[Decimal, between("0", "1000000")]
Years = Annotated[Decimal, between("0.01", "100")]
Hours = Annotated[Decimal, between("0", "1000000000")]
Factor = Annotated[Decimal, between("0.1", "10")]
Method = Literal["straight_line", "declining_balance", "units_of_production"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Money(Section, frozen=True):
    """An amount in a currency, turned into dollars once, by the rate of when it was spent."""

    amount: Annotated[Decimal, between("0", "1000000000000")]
    currency: str


class Hardware(Section, frozen=True):
    """A product of the built-in table: what somebody said it cost, and how long it is used."""

    product: str
    count: Annotated[int, between("1", "1000")] = 1
    at: Literal["low", "high"] | None = None
    """Which end, where the table has only a range."""


class EstimateChange(Section, frozen=True):
    """From an instant on another estimate; what is left of the book value is spread by it.

    Life and hours are those that remain then. What is left out stays: the method, the residual.
    """

    at: str
    method: Method | None = None
    life_years: Years | None = None
    factor: Factor | None = None
    expected_gpu_hours: Hours | None = None
    gpu_hours_before: Hours | None = None
    """How many hours of work the estimate before came to, if it counted them."""
    residual_usd: Usd | None = None


class Slab(Section, frozen=True):
    """The price of each kWh of a month up to `up_to_kwh`; the last slab has no end."""

    per_kwh: PerKwh
    up_to_kwh: Kwh | None = None


class Window(Section, frozen=True):
    """A time of use in local time; one that ends before it starts goes on past midnight."""

    start: str
    end: str
    days: tuple[Weekday, ...] = ()
    """On which days it starts; every day where there is none."""
    per_kwh: PerKwh | None = None
    slabs: tuple[Slab, ...] = ()


class Tariff(Section, frozen=True):
    """What the utility takes for a kWh, in `currency`: one price or slabs, and windows beside."""

    per_kwh: PerKwh | None = None
    slabs: tuple[Slab, ...] = ()
    windows: tuple[Window, ...] = ()
    surcharge_per_kwh: PerKwh = Decimal(0)
    vat_percent: Annotated[Decimal, between("0", "100")] = Decimal(0)
    vat_included: bool = False
    """Whether the prices are stated with it."""
    vat_recoverable: bool = False
    """Whether it is got back, so that it is no cost."""
    currency: str = "USD"


class Electricity(Section, frozen=True):
    """What a kWh costs at the utility's meter, and how it is known how many there are.

    `watts`: the host's mean draw, if it is stated; else sensors measure. `watts_at`: where that
    draw is counted, at the server or, cooling and losses included, at the utility's meter.
    """

    usd_per_kwh: PerKwh | None = None
    tariff: Tariff | None = None
    country: str = ""
    """Instead of either: the country of the built-in table whose old average will do."""
    pue: Annotated[Decimal, between("1", "10")] = Decimal(1)
    watts: Watts | None = None
    watts_at: Literal["server", "meter"] = "server"
    unmetered_watts: Watts | None = None
    """The mean draw of what no sensor sees: fans, network cards, losses, memory."""
    month_kwh_elsewhere: Kwh = Decimal(0)
    """What others on the same meter are taken to have used of the month's slabs already."""


class Overhead(Section, frozen=True):
    """An overhead: for each hour, for each kWh at the server, or for both."""

    usd_per_hour: UsdPerHour = Decimal(0)
    usd_per_kwh: PerKwh = Decimal(0)


class Owned(Section, frozen=True):
    """An owned host: its purchase spread over its life, energy, overhead."""

    electricity: Electricity | Literal["none"]
    purchase_usd: Usd | None = None
    purchase: Money | None = None
    hardware: Hardware | None = None
    in_service: str = ""
    """Since when it is amortised; where it is left out, always."""
    method: Method = "straight_line"
    life_years: Years | None = None
    factor: Factor | None = None
    """Of the declining balance; 2 where it is left out."""
    expected_gpu_hours: Hours | None = None
    gpu_hours_before: Hours = Decimal(0)
    """Hours of work before anybody counted them here."""
    residual_usd: Usd = Decimal(0)
    changes: tuple[EstimateChange, ...] = ()
    overhead_usd_per_hour: UsdPerHour = Decimal(0)
    overheads: dict[str, Overhead] = msgspec.field(default_factory=dict)
