"""What a kWh of each country's grid emits: a small table, each figure with its year. Opt-in only.

A yearly mean of what is generated in the country (location-based), with what fuels and plants
emit upstream. It is read only where a configuration names a country.
"""

from dataclasses import dataclass
from decimal import Decimal

from unitcost.collectors.reference.table import Row, packaged_text, rows_of

FILE = "grid_intensity.csv"
COLUMNS = ("country", "alpha3", "name", "grams_per_kwh", "year", "source")
MAX_ROWS = 260
MAX_GRAMS_PER_KWH = Decimal(2000)
"""Lignite emits about 1200."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A country (ISO 3166-1, two letters and three) and grams of CO2e for a kWh in `year`."""

    country: str
    alpha3: str
    name: str
    grams_per_kwh: Decimal
    year: int
    source: str


def read_grids() -> tuple[Grid, ...]:
    """The table that comes with the exporter. Raises BadTable if a row of it is bad."""
    return parse_grids(packaged_text("unitcost.collectors.reference", FILE))


def parse_grids(text: str) -> tuple[Grid, ...]:
    """The rows of a table, sorted by country. Raises BadTable."""
    found: list[Grid] = []
    for row in rows_of(text, FILE, COLUMNS, MAX_ROWS):
        grid = _grid(row)
        if found and found[-1].country >= grid.country:
            raise row.wrong("the rows are not sorted, or a country is there twice")
        if any(each.alpha3 == grid.alpha3 for each in found):
            raise row.wrong(f"{grid.alpha3} is there twice")
        found.append(grid)
    return tuple(found)


def _grid(row: Row) -> Grid:
    grams = row.number("grams_per_kwh")
    if not 0 < grams <= MAX_GRAMS_PER_KWH:
        raise row.wrong("no country has such a grid")
    return Grid(
        country=_code(row, "country", 2),
        alpha3=_code(row, "alpha3", 3),
        name=row.text("name"),
        grams_per_kwh=grams,
        year=row.year("year"),
        source=row.text("source"),
    )


def _code(row: Row, column: str, letters: int) -> str:
    code = row.text(column)
    if not (len(code) == letters and code.isalpha() and code.isupper()):
        raise row.wrong(f"{column}: {code!r} is not a country's code of {letters} letters")
    return code
