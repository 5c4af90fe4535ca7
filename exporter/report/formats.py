"""A report for machines: CSV and JSON, with exact decimals and never a float."""

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from typing import Any

from unitcost.exporter.report.build import UNPRICED, Report, Row
from unitcost.exporter.report.question import Dimension, time_text
from unitcost.exporter.report.units import COLUMNS, UNIT_COSTS
from unitcost.pricing.money import to_usd

COST = "cost_usd"


def plain(number: Decimal) -> str:
    """All digits, no exponent, no zeros at the end."""
    return f"{number.normalize() + 0:f}"


def columns(report: Report) -> tuple[str, ...]:
    """The names of all columns, always the same for the same ``--by``."""
    return (
        *report.question.by,
        "held_by",
        "charge_class",
        COST,
        *(f"unpriced_{name}" for name in UNPRICED),
        *COLUMNS,
        *UNIT_COSTS,
    )


def cells(row: Row) -> Iterator[str | Decimal | None]:
    """One row, as `columns` says; None: not known, or there is no such thing."""
    yield from (value or None for value in row.key.values)
    yield row.key.held_by
    yield row.key.charge_class or None
    yield row.usd
    lacking = row.unpriced_amounts()
    yield from (lacking.get(name) for name in UNPRICED)
    yield from (row.units.column(name) if row.units else None for name in COLUMNS)
    yield from (row.unit_usd.get(name) for name in UNIT_COSTS)


def _text(cell: str | Decimal | None) -> str | None:
    return plain(cell) if isinstance(cell, Decimal) else cell


def csv_text(report: Report) -> str:
    """Comma-separated values (RFC 4180); an empty field is unknown, or there is no such thing."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns(report))
    for row in report.rows:
        writer.writerow([_defused(_text(cell)) for cell in cells(row)])
    return out.getvalue()


def _defused(text: str | None) -> str | None:
    """Names come from outside: no spreadsheet takes one for a formula. Numbers stay as they are."""
    if text and text[0] in "=+-@\t\r" and not text.lstrip("-").replace(".", "", 1).isdigit():
        return f"'{text}"
    return text


def json_text(report: Report) -> str:
    """One object; numbers are text, so that no reader makes them floats."""
    names = columns(report)
    document: dict[str, Any] = {
        "currency": "USD",
        "basis": report.question.basis,
        "timezone": str(report.question.zone),
        "from": _hour(report, 0),
        "to": _hour(report, 1),
        "hosts": report.hosts,
        "rows": [
            {name: _text(cell) for name, cell in zip(names, cells(row), strict=True)}
            for row in report.rows
        ],
        "conservation": {
            "rows_usd": plain(to_usd(report.total)),
            "left_out_usd": plain(to_usd(report.left_out)),
            "accrued_usd": plain(to_usd(report.accrued)),
            "missing_usd": plain(to_usd(report.missing)),
        },
        "notes": list(report.notes),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _hour(report: Report, end: int) -> str | None:
    """The first clock hour in the report, or the end of the last."""
    if report.hours is None:
        return None
    return time_text(Dimension.HOUR, report.hours[end] + end, report.question.zone)
