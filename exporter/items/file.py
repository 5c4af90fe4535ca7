"""The items file: CSV with a header, one item a row, checked as items in the configuration are.

Rows are appended: of several with one id the last good one holds, so a correction is a row more,
and history stays.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from unitcost.exporter.config.decode import Mistake, decode, fields
from unitcost.exporter.config.planned import MAX_ITEMS, item_mistakes, item_of
from unitcost.exporter.config.planning import ItemSettings
from unitcost.pricing.items import Item

COLUMNS = tuple(fields(ItemSettings))
MAX_BYTES = 4 << 20
MAX_ROWS = 20_000


class NotRead(Exception):
    """The file as a whole cannot be used; its text says why."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is no item: its line, and why."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file says: the items that hold, as stated and as priced, and rows that are none."""

    stated: tuple[ItemSettings, ...] = ()
    items: tuple[Item, ...] = ()
    rejected: tuple[Rejected, ...] = field(default_factory=tuple)


def parse(data: bytes) -> Contents:
    """Read a file's bytes. Raises NotRead where not even its rows can be told apart."""
    if len(data) > MAX_BYTES:
        raise NotRead(f"it has more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotRead("it is no text in UTF-8") from None
    rejected: list[Rejected] = []
    holding: dict[str, ItemSettings] = {}
    for line, row in _rows(text):
        try:
            item = _item(row)
        except Mistake as mistake:
            where = "".join(f"{step}: " for step in mistake.path)
            rejected.append(Rejected(line, where + mistake.problem))
            continue
        if item.id not in holding and len(holding) >= MAX_ITEMS:
            rejected.append(Rejected(line, f"more than {MAX_ITEMS} items"))
            continue
        holding.pop(item.id, None)
        holding[item.id] = item
    stated = tuple(holding.values())
    return Contents(stated, tuple(item_of(item) for item in stated), tuple(rejected))


def _rows(text: str) -> Iterator[tuple[int, dict[str, str] | Sequence[str]]]:
    """Each row with its line; cells that are empty are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        if header is None:
            return
        names = [name.strip() for name in header]
        _check_header(names)
        for number, cells in enumerate(reader):
            if number >= MAX_ROWS:
                raise NotRead(f"it has more than {MAX_ROWS} rows")
            if len(cells) > len(names):
                yield reader.line_num, cells
            elif any(cell.strip() for cell in cells):
                pairs = zip(names, (cell.strip() for cell in cells), strict=False)
                yield reader.line_num, {name: cell for name, cell in pairs if cell}
    except csv.Error as error:
        raise NotRead(f"line {reader.line_num}: {error}") from None


def _check_header(names: Sequence[str]) -> None:
    known = ", ".join(COLUMNS)
    for name in names:
        if name not in COLUMNS:
            raise NotRead(f"no column is called {name[:40]!r}, only {known}")
    if len(set(names)) < len(names):
        raise NotRead("a column is there twice")


def _item(row: dict[str, str] | Sequence[str]) -> ItemSettings:
    if not isinstance(row, dict):
        raise Mistake((), "it has more cells than the header")
    item = decode(row, ItemSettings)
    for mistake in item_mistakes(item, ()):
        raise mistake
    return item
