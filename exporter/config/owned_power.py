"""What the energy of owned hardware costs, and its overheads: from the configuration to prices."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import Decimal

from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.owned_purchase import CONFIGURATION, MAX_SOURCE, OWNED, check_currency
from unitcost.exporter.config.owned_settings import Electricity, Owned, Slab, Tariff, Window
from unitcost.exporter.config.yaml_strict import Path
from unitcost.pricing import metered, overhead, tariff
from unitcost.pricing.currency import Rates
from unitcost.pricing.metered import NOT_METERED, Metered
from unitcost.pricing.price import Component, Price, PriceModel, electricity_per_hour

POWER: Path = (*OWNED, "electricity")
OVERHEADS: Path = (*OWNED, "overheads")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NO_LOSSES = Decimal(1)
FOR_EVER = 2**62
"""Unix nanoseconds: by then every rate that there is has come into use."""
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)


@dataclass(frozen=True, slots=True)
class Running:
    """What an owned host costs while it runs: prices by the hour, and what is charged by energy."""

    prices: tuple[Price, ...]
    metered: Metered = NOT_METERED


def running(owned: Owned, rates: Rates, timezone: str) -> Running:
    """The prices of `electricity` and `overhead`. Raises Mistake.

    A draw that is stated, at one price for every kWh, has a price by the hour. All else is charged
    by energy.
    """
    power = owned.electricity if isinstance(owned.electricity, Electricity) else None
    for mistake in _mistakes(owned, power):
        raise mistake
    per_hour, per_kwh = _overheads(owned)
    if power is None:
        return Running((_hourly(Component.OVERHEAD, per_hour, CONFIGURATION),))
    paid, source = _paid(power, rates)
    if power.watts is not None and power.tariff is None:
        cost = electricity_per_hour(power.watts, paid.per_kwh(0, UTC), power.pue)
        kw = power.watts / 1000
        return Running(
            (
                _hourly(Component.OVERHEAD, per_hour + per_kwh * kw, CONFIGURATION),
                _hourly(Component.ELECTRICITY, cost, source),
            )
        )
    draw = power.unmetered_watts if power.watts is None else power.watts
    by_energy = Metered(
        electricity=metered.Electricity(
            paid,
            _zone(timezone),
            overhead.Pue(power.pue, CONFIGURATION),
            source,
            rates,
            power.month_kwh_elsewhere,
        ),
        overhead=metered.EnergyOverhead(per_kwh, _named(owned)) if per_kwh else None,
        sensors=power.watts is None,
        stated_microwatts=None if draw is None else round(draw * 10**6),
    )
    return Running((_hourly(Component.OVERHEAD, per_hour, CONFIGURATION),), by_energy)


def _hourly(component: Component, usd: Decimal, source: str) -> Price:
    return Price(component, usd, PriceModel.OWNED, source)


def _mistakes(owned: Owned, power: Electricity | None) -> Iterator[Mistake]:
    for name, item in owned.overheads.items():
        if name not in list(overhead.OverheadKind):
            known = ", ".join(overhead.OverheadKind)
            yield Mistake((*OVERHEADS, name), f"unknown overhead, expected one of {known}")
        at_server = power is not None and power.watts_at == "server"
        if item.usd_per_kwh and not at_server:
            problem = "needs the energy at the server, which electricity does not say"
            yield Mistake((*OVERHEADS, name, "usd_per_kwh"), problem)
    if power is not None:
        yield from _power_mistakes(power)


def _power_mistakes(power: Electricity) -> Iterator[Mistake]:
    prices = (power.usd_per_kwh is not None, power.tariff is not None, bool(power.country))
    if sum(prices) != 1:
        problem = "expected usd_per_kwh, a tariff or a country, and only one of them"
        yield Mistake((*POWER, "usd_per_kwh"), problem)
    if power.watts is not None and power.unmetered_watts is not None:
        problem = "watts is the draw of the whole host already: state one of the two"
        yield Mistake((*POWER, "unmetered_watts"), problem)
    if power.watts_at == "meter" and power.watts is None:
        yield Mistake((*POWER, "watts_at"), "sensors are at the server: it is for stated watts")
    if power.watts_at == "meter" and power.pue != NO_LOSSES:
        problem = "what the utility's meter counts has cooling and losses in it: leave it out"
        yield Mistake((*POWER, "pue"), problem)
    slabs = power.tariff is not None and _has_slabs(power.tariff)
    if power.month_kwh_elsewhere and not slabs:
        yield Mistake((*POWER, "month_kwh_elsewhere"), "is for a tariff with slabs")


def _has_slabs(said: Tariff) -> bool:
    return any(len(each) > 1 for each in (said.slabs, *(window.slabs for window in said.windows)))


def _overheads(owned: Owned) -> tuple[Decimal, Decimal]:
    """US dollars for each hour, and for each kWh at the server."""
    items = [
        overhead.Overhead(overhead.OverheadKind(name), usd, per)
        for name, item in owned.overheads.items()
        for usd, per in (
            (item.usd_per_hour, overhead.Per.HOUR),
            (item.usd_per_kwh, overhead.Per.KWH),
        )
    ]
    by_hour = _sum(items, Decimal(1), Decimal(0)) + owned.overhead_usd_per_hour
    return by_hour, _sum(items, Decimal(0), Decimal(1))


def _sum(items: Sequence[overhead.Overhead], hours: Decimal, kwh: Decimal) -> Decimal:
    found = overhead.overhead_usd(items, hours, overhead.AtServer(kwh)) or {}
    return sum(found.values(), Decimal(0))


def _named(owned: Owned) -> str:
    names = (name for name, item in owned.overheads.items() if item.usd_per_kwh)
    return f"{CONFIGURATION}: {', '.join(sorted(names))}"


def _paid(power: Electricity, rates: Rates) -> tuple[tariff.Tariff, str]:
    """What is paid at the meter, and who says so. Raises Mistake."""
    if power.tariff is not None:
        check_currency(power.tariff.currency, rates, FOR_EVER, (*POWER, "tariff", "currency"))
        made, source = _tariff(power.tariff), CONFIGURATION
    elif power.country:
        made, source = _of_country(power.country)
    else:
        made, source = tariff.Tariff(tariff.flat(power.usd_per_kwh or Decimal(0))), CONFIGURATION
    if power.pue != NO_LOSSES:
        source += f", PUE {power.pue.normalize():f}"
    return made, source[:MAX_SOURCE]


def _of_country(country: str) -> tuple[tariff.Tariff, str]:
    from unitcost.collectors.reference.electricity import read_electricity  # few ask for it

    table = {each.country: each for each in read_electricity()}
    row = table.get(country)
    if row is None:
        problem = f"no price of {shown(country)}, only of {' '.join(table)}; else say usd_per_kwh"
        raise Mistake((*POWER, "country"), problem)
    source = f"{row.name} {row.price_year}, {row.price_source}"
    return tariff.Tariff(tariff.flat(row.usd_per_kwh)), source


def _tariff(said: Tariff) -> tariff.Tariff:
    path = (*POWER, "tariff")
    windows = [_window(each, (*path, "windows", i)) for i, each in enumerate(said.windows)]
    try:
        return tariff.Tariff(
            _slabs(said.per_kwh, said.slabs, path),
            tuple(windows),
            said.surcharge_per_kwh,
            tariff.Vat(said.vat_percent / 100, said.vat_included, not said.vat_recoverable),
            currency=said.currency,
        )
    except ValueError as error:
        raise Mistake(path, str(error)) from None


def _slabs(per_kwh: Decimal | None, slabs: tuple[Slab, ...], path: Path) -> tariff.Slabs:
    if (per_kwh is None) == (not slabs):
        raise Mistake((*path, "per_kwh"), "expected either per_kwh or slabs")
    if per_kwh is not None:
        return tariff.flat(per_kwh)
    return tuple(tariff.Slab(each.per_kwh, each.up_to_kwh) for each in slabs)


def _window(said: Window, path: Path) -> tariff.Window:
    start, end = _minute(said.start, (*path, "start")), _minute(said.end, (*path, "end"))
    slabs = _slabs(said.per_kwh, said.slabs, path)
    days = frozenset(DAYS.index(day) for day in said.days or DAYS)
    try:
        return tariff.Window(days, start, end or tariff.MINUTES_PER_DAY, slabs)
    except ValueError as error:
        raise Mistake(path, str(error)) from None


def _minute(text: str, path: Path) -> int:
    if not _TIME.fullmatch(text):
        raise Mistake(path, f'expected a local time such as "22:00", got {shown(text)}')
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else zoneinfo.ZoneInfo(name)
