"""What accelerators and servers that one can buy cost and draw: figures to start an estimate from.

Nothing reads them by itself. A purchase price is a launch price, a list price or somebody's
estimate of its day, as its source says; what was paid is on the invoice.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from unitcost.collectors.reference.table import Row, packaged_text, rows_of

FILE = "owned_hardware.csv"
COLUMNS = (
    "product",
    "accelerator",
    "accelerators",
    "max_watts",
    "watts_source",
    "purchase_usd_low",
    "purchase_usd_high",
    "purchase_as_of",
    "purchase_source",
    "useful_life_years",
    "life_source",
    "note",
)
MAX_ROWS = 60


@dataclass(frozen=True, slots=True)
class PurchasePrice:
    """What one piece cost in USD, from `low_usd` to `high_usd`, as `source` said on a day."""

    low_usd: Decimal
    high_usd: Decimal
    as_of: date
    source: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """One product: a card or module, a board, or a whole server with `accelerators` of them.

    `max_watts`: of the whole product, by its maker (the thermal design power of a module, the
    highest draw of a server); None where not known, like `purchase`. `useful_life_years` is what
    `life_source` reckons with for servers.
    """

    product: str
    accelerator: str
    accelerators: int
    max_watts: Decimal | None
    watts_source: str
    purchase: PurchasePrice | None
    useful_life_years: Decimal
    life_source: str
    note: str


def read_hardware() -> tuple[Hardware, ...]:
    """The table that comes with the exporter. Raises BadTable if a row of it is bad."""
    return parse_hardware(packaged_text("unitcost.collectors.reference", FILE))


def parse_hardware(text: str) -> tuple[Hardware, ...]:
    """The rows of a table, sorted by product. Raises BadTable."""
    found: list[Hardware] = []
    for row in rows_of(text, FILE, COLUMNS, MAX_ROWS):
        hardware = _hardware(row)
        if found and found[-1].product >= hardware.product:
            raise row.wrong("the rows are not sorted, or a product is there twice")
        found.append(hardware)
    return tuple(found)


def _hardware(row: Row) -> Hardware:
    watts, purchase = row.maybe_number("max_watts"), _purchase(row)
    if (watts is None) != (not row.cells["watts_source"]):
        raise row.wrong("watts need a source, and a source of watts needs watts")
    if watts is None and purchase is None:
        raise row.wrong("it says nothing")
    count, life = row.number("accelerators"), row.number("useful_life_years")
    if count != int(count) or not count or not life or watts == 0:
        raise row.wrong("counts are whole, and counts, watts and years are above 0")
    return Hardware(
        product=row.text("product"),
        accelerator=row.text("accelerator"),
        accelerators=int(count),
        max_watts=watts,
        watts_source=row.cells["watts_source"],
        purchase=purchase,
        useful_life_years=life,
        life_source=row.text("life_source"),
        note=row.cells["note"],
    )


def _purchase(row: Row) -> PurchasePrice | None:
    columns = ("purchase_usd_low", "purchase_usd_high", "purchase_as_of", "purchase_source")
    if not any(row.cells[column] for column in columns):
        return None
    low, high = row.number("purchase_usd_low"), row.number("purchase_usd_high")
    if not 0 < low <= high:
        raise row.wrong("a purchase price goes from low to high, above 0")
    return PurchasePrice(low, high, row.day("purchase_as_of"), row.text("purchase_source"))
