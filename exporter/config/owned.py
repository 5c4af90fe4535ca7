"""Owned hardware as configured: all its prices, by the hour and by what is measured."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from unitcost.exporter.config.currency import fixed_rates
from unitcost.exporter.config.owned_power import running
from unitcost.exporter.config.owned_purchase import amortisation
from unitcost.exporter.config.owned_settings import Electricity, Owned
from unitcost.exporter.config.settings import Currency
from unitcost.pricing.currency import Rates
from unitcost.pricing.metered import Metered
from unitcost.pricing.price import Component, PriceBook


@dataclass(frozen=True, slots=True)
class OwnedCosts:
    """The prices of an owned host by the hour, and of what is measured."""

    book: PriceBook
    metered: Metered


def owned_warnings(owned: Owned | None, timezone: str) -> Iterator[str]:
    """What is allowed, and seldom meant."""
    power = owned.electricity if owned is not None else None
    if not isinstance(power, Electricity):
        return
    if power.watts is None and power.unmetered_watts is None:
        yield (
            "price.owned.electricity: without unmetered_watts what has no sensor is unpriced, and "
            "workloads that hold it have no unit costs"
        )
    if power.tariff is not None and timezone == "UTC":
        yield "timezone: not given, so the tariff's months and windows are those of UTC"


def owned_costs(owned: Owned, currency: Currency, timezone: str) -> OwnedCosts:
    """What owned hardware costs; `timezone` is that of the tariff's windows and months.

    Amounts in other currencies are converted by the rates that `currency` states, and by pegs.

    Raises Mistake: an impossible combination, or what the built-in tables do not know.
    """
    rates = Rates(fixed=fixed_rates(currency))
    bought, runs = amortisation(owned, rates), running(owned, rates, timezone)
    prices = (*bought.prices, *runs.prices)
    named = {price.component for price in prices} | {Component.AMORTISATION}
    components = tuple(each for each in Component if each in named)
    return OwnedCosts(PriceBook(components, prices), replace(runs.metered, use=bought.use))
