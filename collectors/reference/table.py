"""Reads the CSV tables that come with the exporter, strictly: one bad row and the table is refused.

A table is written by people. What is not exactly as it should be (a space too many, a number with
an exponent, a date that does not exist) is a mistake to be mended, not something to be guessed at.
"""

import csv
import importlib.resources
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

MAX_CELL = 160
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,12})?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NS_PER_SECOND = 1_000_000_000


class BadTable(ValueError):
    """A table is not as it should be; the text names the table, the line and the mistake."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. `cells` by column; an empty cell is an empty text."""

    place: str
    cells: dict[str, str]

    def wrong(self, problem: str) -> BadTable:
        """The error to raise for a mistake in this row."""
        return BadTable(f"{self.place}: {problem}")

    def text(self, column: str) -> str:
        """A cell that must not be empty."""
        if not self.cells[column]:
            raise self.wrong(f"{column} is empty")
        return self.cells[column]

    def number(self, column: str) -> Decimal:
        """A plain decimal number from 0: digits and a point, neither sign nor exponent."""
        text = self.text(column)
        if not _NUMBER.fullmatch(text):
            raise self.wrong(f"{column} is not a plain number: {text!r}")
        return Decimal(text)

    def maybe_number(self, column: str) -> Decimal | None:
        """The same; None where the cell is empty."""
        return self.number(column) if self.cells[column] else None

    def day(self, column: str) -> date:
        """A day as YYYY-MM-DD, from 1970 on."""
        text = self.text(column)
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None or day.year < 1970:
            raise self.wrong(f"{column} is not a day: {text!r}")
        return day

    def year(self, column: str) -> int:
        """A year of four digits."""
        text = self.text(column)
        if not (len(text) == 4 and text.isascii() and text.isdigit() and int(text) >= 1970):
            raise self.wrong(f"{column} is not a year: {text!r}")
        return int(text)


def start_ns(day: date) -> int:
    """When a day begins in UTC: Unix time in nanoseconds."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * _NS_PER_SECOND


def packaged_text(package: str, name: str) -> str:
    """The text of a file that lies in `package`. Raises BadTable if it cannot be read."""
    try:
        return importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8")
    except (OSError, ValueError, ImportError) as error:
        raise BadTable(f"{name}: cannot be read: {error}") from error


def rows_of(text: str, name: str, columns: Sequence[str], max_rows: int) -> Iterator[Row]:
    """The rows of a table with exactly these columns. Raises BadTable at the first mistake."""
    reader = csv.reader(text.splitlines(), strict=True)
    count = -1
    try:
        for count, cells in enumerate(reader):
            place = f"{name}, line {reader.line_num}"
            if count == 0 and cells != list(columns):
                raise BadTable(f"{place}: the columns must be {','.join(columns)}")
            if count > max_rows:
                raise BadTable(f"{place}: more than {max_rows} rows")
            if count:
                yield _row(place, columns, cells)
    except csv.Error as error:
        raise BadTable(f"{name}, line {reader.line_num}: {error}") from error
    if count < 1:
        raise BadTable(f"{name}: there are no rows")


def _row(place: str, columns: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(columns):
        raise BadTable(f"{place}: {len(cells)} cells instead of {len(columns)}")
    for column, cell in zip(columns, cells, strict=True):
        tidy = cell == cell.strip() and cell.isascii() and cell.isprintable()
        if not tidy or len(cell) > MAX_CELL:
            raise BadTable(f"{place}: {column} is too long or not plain text")
    return Row(place, dict(zip(columns, cells, strict=True)))
