"""Carbon as configured: a country of the table, or grams that somebody states; and which PUE."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from unitcost.exporter.config.checks import name_problem
from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.owned_settings import Electricity
from unitcost.exporter.config.settings import Carbon, Price, Settings
from unitcost.pricing.carbon import GridIntensity

if TYPE_CHECKING:
    from unitcost.collectors.reference.grid import Grid

NO_LOSSES = Decimal(1)


def grid_intensity(settings: Settings) -> GridIntensity | None:
    """What a kWh at this host emits; None where it is not asked for. Raises Mistake.

    With scope `units` another agent counts this host's energy, so nothing is counted here.
    """
    carbon = settings.carbon
    if carbon is None:
        return None
    for mistake in _mistakes(carbon, settings.price):
        raise mistake
    pue = _pue(carbon, settings.price)
    if carbon.grams_per_kwh is None:
        grid = _of_country(carbon.country)
        found = GridIntensity(grid.grams_per_kwh, grid.source, grid.country, grid.year, pue)
    else:
        found = GridIntensity(carbon.grams_per_kwh, carbon.source, "", carbon.year, pue)
    return None if settings.host.scope == "units" else found


def _mistakes(carbon: Carbon, price: Price) -> Iterator[Mistake]:
    stated = carbon.grams_per_kwh is not None
    if stated == bool(carbon.country):
        yield Mistake(("carbon",), "expected either country, or grams_per_kwh and its source")
    if not stated:
        for key, value in (("source", carbon.source), ("year", carbon.year)):
            if value:
                yield Mistake(("carbon", key), "the table says it: leave it out with country")
    elif problem := name_problem(carbon.source):
        yield Mistake(("carbon", "source"), f"who says so? {problem}")
    owned = _owned_pue(price)
    if None not in (owned, carbon.pue) and owned != carbon.pue:
        problem = f"price.owned.electricity.pue is {owned}: a host has one PUE"
        yield Mistake(("carbon", "pue"), problem)


def _of_country(country: str) -> Grid:
    from unitcost.collectors.reference.grid import read_grids  # most hosts have no use for it

    grids = read_grids()
    for grid in grids:
        if country in (grid.country, grid.alpha3):
            return grid
    known = " ".join(grid.country for grid in grids)
    problem = f"no figure for {shown(country)}, only for {known}; else state grams_per_kwh"
    raise Mistake(("carbon", "country"), problem)


def _pue(carbon: Carbon, price: Price) -> Decimal:
    """The building's: as stated here, else as the electricity is paid by."""
    return carbon.pue or _owned_pue(price) or NO_LOSSES


def _owned_pue(price: Price) -> Decimal | None:
    paid = price.owned.electricity if price.owned is not None else None
    return paid.pue if isinstance(paid, Electricity) else None
