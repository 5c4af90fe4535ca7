"""What owned hardware was bought for, and how that is spread: from the configuration to prices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.instants import instant, instant_ns
from unitcost.exporter.config.owned_settings import EstimateChange, Hardware, Money, Owned
from unitcost.exporter.config.yaml_strict import Path
from unitcost.pricing.amortisation import (
    DecliningBalance,
    Estimate,
    Schedule,
    StraightLine,
    UnitsOfProduction,
)
from unitcost.pricing.currency import USD, Rates
from unitcost.pricing.figures import divide
from unitcost.pricing.price import (
    HOURS_PER_YEAR,
    Component,
    Price,
    PriceModel,
    straight_line,
)
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of
from unitcost.pricing.use_price import UsePrice, use_price

if TYPE_CHECKING:
    from unitcost.collectors.reference.hardware import Hardware as Product

OWNED: Path = ("price", "owned")
CONFIGURATION = "configuration"
MAX_SOURCE = 128
DOUBLE = Decimal(2)
BY_WORK = "active_hours"
_PLACES = Decimal(1).scaleb(-25)  # of 28 digits


@dataclass(frozen=True, slots=True)
class Amortisation:
    """What the purchase costs: prices by the hour, and one for each hour of work if that counts."""

    prices: tuple[Price, ...]
    use: UsePrice | None = None


@dataclass(frozen=True, slots=True)
class _Bought:
    """US dollars, the life if the table says it, and who says so."""

    usd: Decimal
    life_years: Decimal | None
    source: str


def amortisation(owned: Owned, rates: Rates) -> Amortisation:
    """The prices of the component `amortisation`. Raises Mistake."""
    bought = _bought(owned, rates)
    if owned.residual_usd > bought.usd:
        problem = f"must not be more than the purchase ({_figure(bought.usd)} USD)"
        raise Mistake((*OWNED, "residual_usd"), problem)
    for mistake in _mistakes(owned):
        raise mistake
    if not owned.in_service:
        life = _life(owned.life_years or bought.life_years, OWNED)
        hourly = straight_line(bought.usd, owned.residual_usd, life)
        price = Price(Component.AMORTISATION, hourly, PriceModel.OWNED, bought.source)
        return Amortisation((price,))
    schedule = Schedule(bought.usd, tuple(_estimates(owned, bought)))
    use = use_price(schedule, bought.source, owned.gpu_hours_before)
    return Amortisation(
        (*schedule.prices(bought.source), *_nothing_by_the_hour(use)), use if use.phases else None
    )


def _nothing_by_the_hour(use: UsePrice) -> Iterator[Price]:
    """While work is counted an hour by itself costs nothing, which is a price.

    It is of another kind than a price for time, so that neither ever corrects what was charged by
    the other: the work of then was charged, or not, and stays so.
    """
    for phase in use.phases:
        yield Price(
            Component.AMORTISATION,
            Decimal(0),
            PriceModel.OWNED,
            use.source,
            valid_from_ns=phase.start_ns,
            valid_to_ns=phase.end_ns,
            as_of_ns=phase.start_ns,
            sku=BY_WORK,
        )


def _bought(owned: Owned, rates: Rates) -> _Bought:
    """The purchase. Raises Mistake where it is not said, said twice, or not known."""
    said = {
        "purchase_usd": owned.purchase_usd is not None,
        "purchase": owned.purchase is not None,
        "hardware.at": owned.hardware is not None and owned.hardware.at is not None,
    }
    given = [key for key, is_given in said.items() if is_given]
    if len(given) > 1:
        raise Mistake(OWNED, f"expected one of {' and '.join(given)}, which all say the purchase")
    product = _product(owned.hardware) if owned.hardware else None
    life = product.useful_life_years if product else None
    if owned.purchase_usd is not None:
        return _Bought(owned.purchase_usd, life, _source(CONFIGURATION, owned, product))
    if owned.purchase is not None:
        usd, rate = _in_dollars(owned.purchase, owned, rates)
        return _Bought(usd, life, _source(rate, owned, product))
    if owned.hardware is None or product is None:
        problem = "missing, expected purchase_usd, purchase or hardware"
        raise Mistake((*OWNED, "purchase_usd"), problem)
    usd, said_by = _table_price(owned.hardware, product)
    return _Bought(usd, life, _source(said_by, owned, product))


def _product(hardware: Hardware) -> Product:
    from unitcost.collectors.reference.hardware import read_hardware  # few have a use for it

    table = {each.product: each for each in read_hardware()}
    if hardware.product not in table:
        problem = f"not in the built-in table: {shown(hardware.product)}; it has {', '.join(table)}"
        raise Mistake((*OWNED, "hardware", "product"), problem)
    return table[hardware.product]


def _table_price(hardware: Hardware, product: Product) -> tuple[Decimal, str]:
    """What the table says was paid, with who said it and when. Raises Mistake if it does not."""
    path = (*OWNED, "hardware")
    price = product.purchase
    if price is None:
        problem = f"the table has no price of {product.product}: say purchase_usd"
        raise Mistake((*path, "product"), problem)
    if hardware.at is None and price.low_usd != price.high_usd:
        low, high = _figure(price.low_usd), _figure(price.high_usd)
        problem = f"missing, expected low ({low} USD) or high ({high} USD), or say purchase_usd"
        raise Mistake((*path, "at"), problem)
    each = price.low_usd if hardware.at == "low" else price.high_usd
    said_by = f"{price.as_of.year}, {price.source}"
    count = f"{hardware.count} x " if hardware.count > 1 else ""
    text = f"{count}{product.product} at {_figure(each)} USD ({said_by})"
    return each * hardware.count, text


def _source(said_by: str, owned: Owned, product: Product | None) -> str:
    """Who says what the price is made of, short enough for a label."""
    if product is not None and owned.life_years is None and owned.method != "units_of_production":
        years = f"{_figure(product.useful_life_years)} years"
        said_by = f"{said_by}; {years} ({product.life_source})"
    return said_by if len(said_by) <= MAX_SOURCE else f"{said_by[: MAX_SOURCE - 3]}..."


def _in_dollars(money: Money, owned: Owned, rates: Rates) -> tuple[Decimal, str]:
    """The purchase at the rate of when the hardware came into service. Raises Mistake."""
    path = (*OWNED, "purchase", "currency")
    if not owned.in_service:
        problem = "missing, expected an instant: the rate of that day makes dollars of the purchase"
        raise Mistake((*OWNED, "in_service"), problem)
    at_ns = _whole_hour(owned.in_service, (*OWNED, "in_service"))
    check_currency(money.currency, rates, at_ns, path)
    converted = rates.to_usd(money.amount, money.currency, at_ns)
    assert converted is not None  # noqa: S101 - it was checked
    per = f"{_figure(converted.rate.units_per_usd)} {money.currency} for a dollar"
    text = f"{CONFIGURATION}, {per}, {converted.rate.source}"
    return converted.usd, CONFIGURATION if money.currency == USD else text


def check_currency(currency: str, rates: Rates, at_ns: int, path: Path) -> None:
    """Raise Mistake for a currency without a rate at an instant."""
    known = sorted({USD, *rates.currencies(at_ns)})
    if currency not in known:
        problem = f"there is no rate of {shown(currency)} then, only of {', '.join(known)}"
        raise Mistake(path, f"{problem}: state one in price.currency.rates, or state USD")


def _mistakes(owned: Owned) -> Iterator[Mistake]:
    timed = owned.method != "units_of_production"
    if not owned.in_service and (owned.method != "straight_line" or owned.changes):
        problem = "missing, expected an instant: the amortisation depends on it"
        yield Mistake((*OWNED, "in_service"), problem)
    if timed and owned.gpu_hours_before:
        yield Mistake((*OWNED, "gpu_hours_before"), "is for units_of_production")
    yield from _method_mistakes(owned.method, owned, OWNED)
    method = owned.method
    for index, change in enumerate(owned.changes):
        path = (*OWNED, "changes", index)
        if (change.gpu_hours_before is None) == (method == "units_of_production"):
            wanted = "the hours of work until then" if change.gpu_hours_before is None else ""
            problem = f"missing, expected {wanted}" if wanted else "no hours were counted before it"
            yield Mistake((*path, "gpu_hours_before"), problem)
        method = change.method or method
        yield from _method_mistakes(method, change, path)


def _method_mistakes(method: str, said: Owned | EstimateChange, path: Path) -> Iterator[Mistake]:
    """Keys that are of another method."""
    if method != "declining_balance" and said.factor is not None:
        yield Mistake((*path, "factor"), f"is for declining_balance, the method is {method}")
    if method == "units_of_production":
        if not said.expected_gpu_hours:
            problem = "missing, expected the hours of work of all GPUs together, above 0"
            yield Mistake((*path, "expected_gpu_hours"), problem)
        if said.life_years is not None:
            yield Mistake((*path, "life_years"), "the method counts hours of work, not years")
    elif said.expected_gpu_hours is not None:
        problem = f"is for units_of_production, the method is {method}"
        yield Mistake((*path, "expected_gpu_hours"), problem)


def _estimates(owned: Owned, bought: _Bought) -> Iterator[Estimate]:
    """The first estimate, and each change, on whole clock hours. Raises Mistake."""
    starts = [(*OWNED, "in_service"), *((*OWNED, "changes", i, "at") for i in _range(owned))]
    texts = [owned.in_service, *(change.at for change in owned.changes)]
    instants = [_whole_hour(text, path) for text, path in zip(texts, starts, strict=True)]
    for path, (before, after) in zip(starts[1:], itertools.pairwise(instants), strict=True):
        if after <= before:
            raise Mistake(path, "expected a later clock hour than that of the estimate before it")
    method, residual = owned.method, owned.residual_usd
    life = owned.life_years or bought.life_years
    yield Estimate(instants[0], _method(method, owned, life, OWNED), residual)
    for index, (change, at_ns) in enumerate(zip(owned.changes, instants[1:], strict=True)):
        method = change.method or method
        residual = residual if change.residual_usd is None else change.residual_usd
        path = (*OWNED, "changes", index)
        made = _method(method, change, change.life_years, path)
        yield Estimate(at_ns, made, residual, change.gpu_hours_before or Decimal(0))


def _range(owned: Owned) -> range:
    return range(len(owned.changes))


def _method(
    method: str, said: Owned | EstimateChange, life: Decimal | None, path: Path
) -> StraightLine | DecliningBalance | UnitsOfProduction:
    if method == "units_of_production":
        return UnitsOfProduction(said.expected_gpu_hours or Decimal(0))
    years = whole_hours(_life(life, path))
    if method == "declining_balance":
        return DecliningBalance(years, said.factor or DOUBLE)
    return StraightLine(years)


def _life(years: Decimal | None, path: Path) -> Decimal:
    if years is None:
        problem = "missing, expected how many years it is used" + (
            " from then on" if path != OWNED else ""
        )
        raise Mistake((*path, "life_years"), problem)
    return years


def _whole_hour(text: str, path: Path) -> int:
    """The start of the clock hour of an instant: then each hour's row is exact, and the life's sum.

    Raises Mistake.
    """
    try:
        instant(text)
    except ValueError as error:
        raise Mistake(path, str(error)) from None
    return hour_of(instant_ns(text)) * NS_PER_HOUR


def whole_hours(years: Decimal) -> Decimal:
    """A life in years that is a whole number of hours."""
    hours = (years * HOURS_PER_YEAR).to_integral_value(ROUND_HALF_EVEN)
    return divide(hours, Decimal(HOURS_PER_YEAR)).quantize(_PLACES)


def _figure(value: Decimal) -> str:
    return f"{value.normalize():f}"
