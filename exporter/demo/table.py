"""The demo's screen: one reading as text, redrawn on a terminal and printed now and then else."""

import sys
import time
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from unitcost.exporter.demo.config import SERVER, TRAINER
from unitcost.exporter.demo.load import Truth
from unitcost.exporter.demo.reading import Reading, Row

STATES = ("active", "idle", "loading")
PRINT_EVERY = 5.0
"""Seconds between two tables where the output is no terminal."""
UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class View:
    """Everything the screen shows at one moment. `seconds`: since the demo started.

    `url`: of /metrics.
    """

    usd_per_hour: Decimal
    url: str
    seconds: float
    reading: Reading | None = None
    truth: Truth = field(default_factory=Truth)

    @property
    def page(self) -> str:
        """The address of the live page."""
        return self.url.removesuffix("metrics")


def money(value: float | None) -> str:
    """Write dollars with three significant digits and no exponent; unknown is a dash."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    exponent = int(f"{value:e}".partition("e")[2])
    return f"{value:.{max(2, min(12, 2 - exponent))}f}"


def count(value: float | None) -> str:
    """Write a number of things; unknown is a dash."""
    return UNKNOWN if value is None else f"{value:,.10g}"


def short(value: float | None) -> str:
    """Write a large number of things in a few characters: 12.3k, 4.56M; unknown is a dash."""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value is not None and value >= size:
            return f"{value / size:.3g}{letter}"
    return count(value)


def render(view: View) -> RenderableType:
    """Return the whole screen for `view`."""
    head = Text.assemble(
        ("unitcost demo", "bold"), f"   {view.seconds:,.0f} s   ", (view.page, "cyan"),
        " (/metrics for Prometheus)\n",
        ("assumed price: ", "yellow"), (f"${view.usd_per_hour} an hour", "bold yellow"),
        (" for this whole host (--usd-per-hour changes it)", "yellow"),
    )  # fmt: skip
    parts: list[RenderableType] = [head]
    if view.reading is not None:
        parts += [_units(view.reading), "", _hours(view.reading), _sums(view.reading)]
        parts.append(_counts(view))
    if waits := waiting_for(view.reading):
        parts.append(Text(f"waiting for {waits}", "dim"))
    if view.truth.last_text:
        parts.append(_one_line(f"last answer: {view.truth.last_text}"))
    return Group(*parts)


def waiting_for(reading: Reading | None) -> str:
    """Say what is still missing until everything has a price; empty once nothing is."""
    if reading is None:
        return "the exporter's first reading"
    waits = []
    if reading.row(SERVER).usd_per_request is None:
        waits.append("the first priced request")
    if reading.row(TRAINER).usd_per_epoch is None:
        waits.append("the end of the first epoch")
    return " and ".join(waits)


def _one_line(text: str) -> Text:
    """Return `text` on one line, cut off at the edge; what is no plain character becomes a dot."""
    plain = "".join(ch if ch.isascii() and ch.isprintable() else "." for ch in text)
    return Text(plain, "dim", no_wrap=True, overflow="ellipsis")


def _grid(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _units(reading: Reading) -> RenderableType:
    table = _grid(
        "\nworkload", "$ per\nrequest", "$/1k tok\ninput", "$/1k tok\noutput", "$ per\nepoch",
        "\ndone", "\ntokens",
    )  # fmt: skip
    for row in (reading.row(SERVER), reading.row(TRAINER)):
        table.add_row(
            row.workload,
            money(row.usd_per_request),
            money(row.usd_per_1k_input_tokens),
            money(row.usd_per_1k_output_tokens),
            money(row.usd_per_epoch),
            _done(row),
            short(sum(row.tokens.values()) if row.tokens else None),
        )
    return table


def _done(row: Row) -> str:
    if row.epochs is not None:
        return f"{count(row.epochs)} epoch{'' if row.epochs == 1 else 's'}"
    answered = row.requests.get("succeeded")
    return (
        UNKNOWN if answered is None else f"{count(answered)} request{'' if answered == 1 else 's'}"
    )


def _hours(reading: Reading) -> RenderableType:
    table = _grid("$ an hour", *STATES, "together", "$ so far")
    for row in reading.rows:
        table.add_row(
            row.workload,
            *(money(row.usd_per_hour.get(state)) for state in STATES),
            money(_together(row)),
            f"{sum(row.usd.values()):.6f}",
        )
    table.add_section()
    rates = [_together(row) for row in reading.rows]
    known = [rate for rate in rates if rate is not None]
    table.add_row(
        "sum", *("" for _ in STATES), money(sum(known) if known else None),
        _six(reading.workloads_usd), style="bold",
    )  # fmt: skip
    table.add_row(
        "this host", *("" for _ in STATES), money(reading.price_usd_per_hour),
        _six(reading.resources_usd), style="bold",
    )  # fmt: skip
    return table


def _together(row: Row) -> float | None:
    return sum(row.usd_per_hour.values()) if row.usd_per_hour else None


def _six(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.6f}"


def _sums(reading: Reading) -> RenderableType:
    if reading.workloads_usd is None or reading.resources_usd is None:
        return Text("nothing is priced yet", "dim")
    if reading.sums_equal:
        return Text("= every dollar once: the sum is what the host cost", "green")
    difference = reading.workloads_usd - reading.resources_usd
    return Text(f"NOT EQUAL: the sum differs by ${difference:.12f}", "bold red")


def _counts(view: View) -> RenderableType:
    row = view.reading.row(SERVER) if view.reading else Row(SERVER)
    truth = view.truth
    return Text(
        f"counted by the clients {truth.succeeded:,} answered, {truth.failed:,} refused, "
        f"{truth.prompt_tokens:,} + {truth.output_tokens:,} tokens\n"
        f"       by the exporter {count(row.requests.get('succeeded'))} answered, "
        f"{count(row.requests.get('failed'))} refused, "
        f"{count(row.tokens.get('input'))} + {count(row.tokens.get('output'))} tokens"
    )


class Screen:
    """Shows views: redraws in place on a terminal; else prints one every few seconds.

    With `quiet` it shows nothing at all.
    """

    def __init__(self, quiet: bool = False) -> None:
        """Write to standard output."""
        wide = None if sys.stdout.isatty() else 100
        self._console = Console(quiet=quiet, width=wide, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._printed = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._live.stop()

    def show(self, view: View) -> None:
        """Show `view` now, or leave it out where the last one was printed a moment ago."""
        if self._console.is_terminal:
            self._live.update(render(view), refresh=True)
        elif time.monotonic() - self._printed >= PRINT_EVERY:
            self._printed = time.monotonic()
            self._console.print(render(view), "")

    def finish(self, view: View) -> None:
        """Print the last view so that it stays on the screen."""
        self._live.stop()
        self._console.print(render(view))
