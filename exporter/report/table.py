"""A report for a person: a table, the exact sum beneath it, and whether anything is missing."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from unitcost.exporter.report.build import NOT_USED, WORKLOADS, Report, Row
from unitcost.exporter.report.epochs import OUTSIDE
from unitcost.exporter.report.formats import plain
from unitcost.exporter.report.question import WHOSE, Dimension, time_text
from unitcost.exporter.report.units import COLUMNS, UNIT_COSTS
from unitcost.pricing.money import PICO, round_half_even, to_usd

HEADS = {
    "requests_not_succeeded": "failed",
    "tokens_input": "tokens in",
    "tokens_cached_input": "cached in",
    "tokens_output": "tokens out",
    "usd_per_request": "$/request",
    "usd_per_million_tokens": "$/1M tokens",
    "usd_per_epoch": "$/epoch",
}
MEASURES = {
    "gpu_hours": "GPU-h",
    "core_hours": "core-h",
    "gib_hours": "GiB-h",
    "host_hours": "host-h",
    "kwh": "kWh",
}
LINES = {WORKLOADS: "workloads", NOT_USED: "not used"}
FIGURES = 4
"""Significant digits of what a unit cost; of all money there are as many as were asked for."""


def table_text(report: Report, digits: int) -> str:
    """The table. Money has so many digits after the point, and sums as it is printed."""
    lines = [_title(report), ""]
    if report.rows:
        lines += _aligned(_columns(report, digits))
    else:
        lines.append("nothing was charged")
    return "\n".join([*lines, "", *proof(report), *report.notes, ""])


def proof(report: Report) -> list[str]:
    """What the rows sum to, exactly, and what the hosts accrued; the last line is the verdict."""
    figures = [("sum of all rows", report.total)]
    if report.left_out or _filtered(report):
        figures.append(("left out by the filters", report.left_out))
    figures.append(("accrued by the hosts", report.accrued))
    texts = [f"{to_usd(pico):,.12f}" for _, pico in figures]
    width = max(map(len, texts))
    lines = [
        f"{name:<24} {text:>{width}} USD" for (name, _), text in zip(figures, texts, strict=True)
    ]
    if report.missing:
        gap = plain(to_usd(report.missing))
        return [*lines, f"NOT CONSERVED: {gap} USD of the accruals are in no row"]
    return [*lines, "every dollar once: the rows are what the hosts accrued, exactly"]


def rounded(amounts: Sequence[int | None], digits: int) -> list[int | None]:
    """Pico-dollars in units of the last digit, so that they sum to the rounded sum of all.

    By largest remainder: what is left goes to whom rounding down took most from.
    """
    unit = PICO // 10**digits
    parts = [None if pico is None else divmod(pico, unit) for pico in amounts]
    known = [(part[1], at) for at, part in enumerate(parts) if part is not None]
    whole = round_half_even(sum(pico for pico in amounts if pico is not None), unit)
    left = whole - sum(part[0] for part in parts if part is not None)
    raised = {at for _, at in sorted(known, key=lambda each: (-each[0], each[1]))[:left]}
    return [None if part is None else part[0] + (at in raised) for at, part in enumerate(parts)]


def _title(report: Report) -> str:
    basis = f"basis {report.question.basis}"
    if report.hours is None:
        return f"cost in USD, {basis}"
    zone = report.question.zone
    first, end = (
        time_text(Dimension.HOUR, report.hours[at] + at, zone)[:16].replace("T", " ")
        for at in (0, 1)
    )
    many = f"{report.hosts} host" + ("s" if report.hosts != 1 else "")
    return f"cost in USD, {first} to {end} ({zone}), {many}, {basis}"


def _filtered(report: Report) -> bool:
    return bool(report.question.workloads or report.question.owners)


def _columns(report: Report, digits: int) -> Iterator[tuple[str, bool, list[str]]]:
    """Head, whether it is of numbers, and a cell for each row and the last line, the sum."""
    rows = report.rows
    for at, dimension in enumerate(report.question.by):
        last = "" if at else "sum"
        yield dimension.value, False, [*(_name(row, dimension, at) for row in rows), last]
    if Dimension.WORKLOAD not in report.question.by:
        yield "held by", False, [LINES.get(row.key.held_by, row.key.held_by) for row in rows] + [""]
    if any(row.key.charge_class for row in rows):
        yield "class", False, [*(row.key.charge_class for row in rows), ""]
    yield "USD", True, _money(report, digits)
    if any(row.unpriced_amounts() for row in rows):
        yield "unpriced", False, [*map(_unpriced, rows), ""]
    for name in COLUMNS:
        counts = [row.units.column(name) if row.units else None for row in rows]
        if any(counts):
            yield HEADS.get(name, name), True, [*(_count(each) for each in counts), ""]
    for name in UNIT_COSTS:
        costs = [row.unit_usd.get(name) for row in rows]
        if any(each is not None for each in costs):
            yield HEADS[name], True, [*(_figure(each) for each in costs), ""]
    if any(row.note for row in rows):
        yield "epoch is", False, [*(row.note for row in rows), ""]


def _name(row: Row, dimension: Dimension, at: int) -> str:
    value = row.key.values[at]
    if value:
        return LINES.get(value, _printable(value)) if dimension in WHOSE else _printable(value)
    if dimension is Dimension.OWNER and row.key.held_by == WORKLOADS:
        return "owner unknown"
    if dimension is Dimension.EPOCH and any(row.key.values):
        return OUTSIDE
    return "-"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


def _money(report: Report, digits: int) -> list[str]:
    exact = [row.pico for row in report.rows]
    cells = [_amount(*each, digits) for each in zip(exact, rounded(exact, digits), strict=True)]
    total = round_half_even(report.total, PICO // 10**digits)
    return [*cells, f"{Decimal(total).scaleb(-digits):,.{digits}f}"]


def _amount(pico: int | None, units: int | None, digits: int) -> str:
    if pico is None or units is None:
        return "-"
    if pico and not units:
        least = f"{Decimal(1).scaleb(-digits):f}"
        return f"<{least}" if pico > 0 else f">-{least}"
    return f"{Decimal(units).scaleb(-digits):,.{digits}f}"


def _unpriced(row: Row) -> str:
    return ", ".join(
        f"{amount:,.2f} {MEASURES[name]}" for name, amount in row.unpriced_amounts().items()
    )


def _count(number: Decimal | None) -> str:
    return "-" if number is None else f"{number.normalize() + 0:,f}"


def _figure(usd: Decimal | None) -> str:
    """So many significant digits, and never an exponent."""
    if usd is None:
        return "-"
    digits = 0 if not usd else max(0, FIGURES - 1 - usd.adjusted())
    return f"{usd:.{min(digits, 12)}f}"


def _aligned(columns: Iterator[tuple[str, bool, list[str]]]) -> list[str]:
    padded = []
    for head, number, cells in columns:
        width = max(map(len, (head, *cells)))
        fit = str.rjust if number else str.ljust
        padded.append([fit(cell, width) for cell in (head, *cells)])
    lines = ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
    rule = "─" * max(map(len, lines))
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]
