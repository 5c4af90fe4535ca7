"""The exchange rates that a configuration states itself: checked, in the pricing core's type."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from unitcost.collectors.address import parse_url
from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.instants import day_or_instant
from unitcost.exporter.config.settings import Currency, FixedRate, Price
from unitcost.exporter.config.yaml_strict import Path
from unitcost.pricing.currency import USD, Rate, is_code
from unitcost.pricing.sample import NS_PER_SECOND

SOURCE = "configuration"
MAX_RATES = 1000
_PLACE: Path = ("price", "currency")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def currency_mistakes(price: Price) -> Iterator[Mistake]:
    """What is wrong with ``price.currency``, beside the types."""
    currency = price.currency
    if currency == Currency():
        return
    if price.lookup is None and price.owned is None:
        problem = "only what is looked up or owned is converted: needs price.lookup or price.owned"
        yield Mistake(_PLACE, problem)
    if price.owned is not None and (currency.ecb is not None or currency.ecb_file):
        problem = "of owned hardware only stated rates are used: needs price.currency.rates"
        yield Mistake(_PLACE, problem)
    if currency.ecb is not None and currency.ecb_file:
        yield Mistake((*_PLACE, "ecb_file"), "the bank is asked (ecb) or its file read, not both")
    if currency.ecb is not None and currency.ecb.url:
        try:
            parse_url(currency.ecb.url)
        except ValueError as error:
            yield Mistake((*_PLACE, "ecb", "url"), str(error))
    if not currency.ecb_file.isprintable():
        problem = f"must have no control characters, got {shown(currency.ecb_file)}"
        yield Mistake((*_PLACE, "ecb_file"), problem)
    if len(currency.rates) > MAX_RATES:
        yield Mistake((*_PLACE, "rates"), f"at most {MAX_RATES}, got {len(currency.rates)}")
    yield from _rate_mistakes(currency.rates)


def _rate_mistakes(rates: tuple[FixedRate, ...]) -> Iterator[Mistake]:
    seen: dict[tuple[str, int], int] = {}
    for index, stated in enumerate(rates):
        path: Path = (*_PLACE, "rates", index)
        if not is_code(stated.currency) or stated.currency == USD:
            problem = f"expected a code such as EUR, not USD, got {shown(stated.currency)}"
            yield Mistake((*path, "currency"), problem)
        elif (stated.units_per_usd is None) == (stated.usd_per_unit is None):
            yield Mistake(path, "expected either units_per_usd or usd_per_unit")
        else:
            try:
                from_ns = _valid_from(stated.valid_from)[1]
            except ValueError as error:
                yield Mistake((*path, "valid_from"), str(error))
                return
            first = seen.setdefault((stated.currency, from_ns), index)
            if first != index:
                problem = f"rates[{first}] has a rate of {stated.currency} from that instant on"
                yield Mistake((*path, "valid_from"), problem)


def fixed_rates(currency: Currency) -> tuple[Rate, ...]:
    """The rates that are stated, of a section without mistakes."""
    return tuple(_rate(stated) for stated in currency.rates)


def _rate(stated: FixedRate) -> Rate:
    on, from_ns = _valid_from(stated.valid_from)
    units, usd = stated.units_per_usd or Decimal(1), stated.usd_per_unit or Decimal(1)
    # What the user says holds until the user says otherwise: it does not grow stale.
    return Rate(stated.currency, units, usd, on, from_ns, SOURCE, pegged=True)


def _valid_from(text: str) -> tuple[date, int]:
    """The day, and the instant in Unix nanoseconds. Raises ValueError that says what is wrong."""
    at = day_or_instant(text)
    return at.date(), (at - _EPOCH) // timedelta(seconds=1) * NS_PER_SECOND
