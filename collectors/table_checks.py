"""What the type of a server's table cannot say about it: pure checks, whoever wrote the table.

Tables come from the configuration, from plugins and from this package; all have the same rules.
"""

import re
from collections.abc import Iterator

from unitcost.collectors.page.recognise import AUTO
from unitcost.collectors.tables import Series, ServerTable, Term

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_SHOWN = 60

Place = tuple[str | int, ...]
"""Where in a table: the field, the number of the series in it, its key."""


def table_faults(name: str, table: ServerTable) -> Iterator[tuple[Place, str]]:
    """Each mistake in a table that goes by `name`: where, and in words."""
    if name == AUTO:
        yield (), "auto means: recognise the server; choose another name"
    if table.name not in ("", name):
        yield ("name",), f"must be {_quoted(name)}, the key it stands under, or absent"
    named = list(named_series(table))
    for field, index, series in named:
        yield from _series_faults(series, (field, index))
    if named and table.advice:
        yield ("advice",), "is for a server without a metrics page, and this one names series"
    if not named and not table.advice:
        yield (), "names no series, expected at least one such as requests_succeeded"


def named_series(table: ServerTable) -> Iterator[tuple[str, int, Series]]:
    """Each series that a table names, with its field and its place among the alternatives."""
    for field in ServerTable.__struct_fields__:
        value = getattr(table, field)
        if isinstance(value, tuple):
            for index, series in enumerate(value):
                if isinstance(series, Series):
                    yield field, index, series


def _series_faults(series: Series, place: Place) -> Iterator[tuple[Place, str]]:
    yield from _term_faults(series, place)
    if series.minus and not _METRIC.fullmatch(series.minus):
        yield (*place, "minus"), f"expected a sample name, got {_quoted(series.minus)}"
    if series.minus and (series.plus or series.less):
        yield (*place, "minus"), "cannot stand with plus or less: say it by less"
    for key, terms in (("plus", series.plus), ("less", series.less)):
        for index, term in enumerate(terms):
            yield from _term_faults(term, (*place, key, index))


def _term_faults(term: Term, place: Place) -> Iterator[tuple[Place, str]]:
    if not _METRIC.fullmatch(term.metric):
        yield (*place, "metric"), f"expected a sample name, got {_quoted(term.metric)}"
    if not 0 < term.scale < 1e18:
        yield (*place, "scale"), "must be above 0 and below 1e18"


def _quoted(text: str) -> str:
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return repr(cut) if cut.isprintable() else ascii(cut)
