"""Appends rows to the items file, as a person would, and one at a time."""

import csv
import fcntl
import io
import os
from collections.abc import Sequence
from typing import Any

from unitcost.exporter.config.planning import ItemSettings
from unitcost.exporter.items.file import COLUMNS, MAX_BYTES, Contents, NotRead, parse

_MODE = 0o644


def read(path: str) -> Contents:
    """What the file says now; nothing where there is none. Raises OSError, or NotRead."""
    try:
        with open(path, "rb") as file:
            return parse(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return Contents()


def append(path: str, item: ItemSettings) -> None:
    """Add an item as the file's last row, with the header where there is none yet; on disk.

    Raises OSError, and NotRead where the file is not one of items, or has no column for a key of
    this item.
    """
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        data = file.read(MAX_BYTES + 1)
        parse(data)
        columns = _columns(data)
        cells = _cells(item)
        text = "" if columns else _line(COLUMNS)
        if data and not data.endswith(b"\n"):
            text = f"\n{text}"
        for key in cells.keys() - set(columns or COLUMNS):
            raise NotRead(f"it has no column {key}")
        row = text + _line([cells.get(name, "") for name in columns or COLUMNS])
        if len(data) + len(row.encode()) > MAX_BYTES:
            raise NotRead(f"it would have more than {MAX_BYTES} bytes")
        file.seek(0, os.SEEK_END)
        file.write(row.encode())
        file.flush()
        os.fsync(file.fileno())


def _columns(data: bytes) -> list[str]:
    """The names in the header, in order; none where there is no header yet."""
    header = next(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")), [])
    return [name.strip() for name in header]


def _cells(item: ItemSettings) -> dict[str, str]:
    values: dict[str, Any] = {name: getattr(item, name) for name in COLUMNS}
    values["usd"] = f"{item.usd:f}"
    return {name: value for name, value in values.items() if value}


def _line(cells: Sequence[str]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow(cells)
    return made.getvalue()
