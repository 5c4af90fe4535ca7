"""CPU-only siblings of GPU instances: the provider's type that is alike but for the GPUs.

One is named only where its price says what CPU and memory of the GPU instance cost: of the same
provider, with as many vCPUs or a price in proportion to them; where it has more or less memory,
that is weighed. What it costs is never in here: that is looked up, as the host's price is.
"""

from dataclasses import dataclass
from datetime import date

from unitcost.collectors.reference.table import Row, packaged_text, rows_of
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.sibling import Shape, Sibling

FILE = "cpu_siblings.csv"
COLUMNS = (
    "provider",
    "sku",
    "vcpus",
    "memory_gib",
    "sibling",
    "sibling_vcpus",
    "sibling_memory_gib",
    "as_of",
    "source",
    "note",
)
MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class SiblingRow:
    """One line: the sibling of `sku` at `provider`. `as_of`: the day of the sizes' source."""

    provider: str
    sku: str
    sibling: Sibling
    as_of: date
    source: str
    note: str


def sibling_of(identity: HostIdentity) -> Sibling | None:
    """The sibling of a host; None where none is known. Raises BadTable if the table is bad."""
    if not (identity.provider and identity.sku):
        return None
    key = (identity.provider, identity.sku)
    found = (row.sibling for row in read_siblings() if (row.provider, row.sku) == key)
    return next(found, None)


def read_siblings() -> tuple[SiblingRow, ...]:
    """The table that comes with the exporter. Raises BadTable if a row of it is bad."""
    return parse_siblings(packaged_text("unitcost.collectors.reference", FILE))


def parse_siblings(text: str) -> tuple[SiblingRow, ...]:
    """The rows of a table, sorted by provider and type. Raises BadTable."""
    found: list[SiblingRow] = []
    for row in rows_of(text, FILE, COLUMNS, MAX_ROWS):
        this = _sibling_row(row)
        if found and (found[-1].provider, found[-1].sku) >= (this.provider, this.sku):
            raise row.wrong("the rows are not sorted, or a type is there twice")
        found.append(this)
    return tuple(found)


def _sibling_row(row: Row) -> SiblingRow:
    sku, sibling, source = row.text("sku"), row.text("sibling"), row.text("source")
    as_of = row.day("as_of")
    if sku == sibling:
        raise row.wrong("a type is not its own sibling")
    if not source.endswith(f" {as_of}"):
        raise row.wrong("the source must end with the day as_of")
    own = _shape(row, "sibling_vcpus", "sibling_memory_gib")
    host = _shape(row, "vcpus", "memory_gib")
    named = Sibling(sibling, own, host)
    return SiblingRow(row.text("provider"), sku, named, as_of, source, row.text("note"))


def _shape(row: Row, vcpus: str, memory: str) -> Shape:
    amounts = row.number(vcpus), row.number(memory)
    try:
        return Shape(*amounts)
    except ValueError as error:
        raise row.wrong(str(error)) from error
