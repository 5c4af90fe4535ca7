"""Electricity by country: what a business pays for a kWh. Opt-in only.

Nothing reads it by itself: a country's mean is not a site's tariff, and the prices are of 2019.
Whoever uses it shows the year and the source with the figure.
"""

from dataclasses import dataclass
from decimal import Decimal

from unitcost.collectors.reference.table import Row, packaged_text, rows_of

FILE = "electricity_by_country.csv"
COLUMNS = (
    "country",
    "name",
    "usd_per_kwh",
    "price_year",
    "price_source",
)
MAX_ROWS = 260
MAX_USD_PER_KWH = Decimal(5)


@dataclass(frozen=True, slots=True)
class Electricity:
    """A country (ISO 3166-1, three letters); what a standard warehouse paid in `price_year`."""

    country: str
    name: str
    usd_per_kwh: Decimal
    price_year: int
    price_source: str


def read_electricity() -> tuple[Electricity, ...]:
    """The table that comes with the exporter. Raises BadTable if a row of it is bad."""
    return parse_electricity(packaged_text("unitcost.collectors.reference", FILE))


def parse_electricity(text: str) -> tuple[Electricity, ...]:
    """The rows of a table, sorted by country. Raises BadTable."""
    found: list[Electricity] = []
    for row in rows_of(text, FILE, COLUMNS, MAX_ROWS):
        electricity = _electricity(row)
        if found and found[-1].country >= electricity.country:
            raise row.wrong("the rows are not sorted, or a country is there twice")
        found.append(electricity)
    return tuple(found)


def _electricity(row: Row) -> Electricity:
    country = row.text("country")
    if not (len(country) == 3 and country.isalpha() and country.isupper()):
        raise row.wrong(f"{country!r} is not a country's code of three letters")
    price = row.number("usd_per_kwh")
    if not 0 < price <= MAX_USD_PER_KWH:
        raise row.wrong("no country has such a price")
    return Electricity(
        country=country,
        name=row.text("name"),
        usd_per_kwh=price,
        price_year=row.year("price_year"),
        price_source=row.text("price_source"),
    )
