"""The kinds of panels, with what all of a kind share. Grids and ids are set in `layout.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unitcost.dashboards.boards.library import Panel, grafana
from unitcost.dashboards.boards.query import Query

RED, AMBER, GREEN, BLUE = "red", "orange", "green", "blue"


def _targets(queries: Sequence[Query], table: bool = False) -> list[Any]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        grafana.Target(
            expr=query.expr,
            legendFormat=query.legend or "__auto",
            refId=letter,
            instant=query.instant or table,
            format="table" if table else "time_series",
        )
        for query, letter in zip(queries, letters, strict=False)
    ]


def _steps(limits: Sequence[tuple[float | None, str]]) -> list[dict[str, Any]]:
    return [{"color": color, "value": value} for value, color in limits]


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    stacked: bool = False,
    bars: bool = False,
    **more: Any,
) -> Panel:
    """Values over time: lines, or areas or bars that are stacked."""
    options: dict[str, Any] = {"fillOpacity": 20 if stacked else 5, "lineWidth": 1}
    if stacked:
        options["stacking"] = {"mode": "normal", "group": "A"}
        # An area that does not begin at zero lies about its size.
        options["axisSoftMin"] = 0
    if bars:
        options |= {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0}
    return grafana.TimeSeries(
        title=title,
        description=description,
        targets=_targets(queries),
        unit=unit,
        legendDisplayMode="table",
        legendCalcs=["mean", "lastNotNull"],
        showPoints="never",
        tooltipMode="multi",
        tooltipSort="desc",
        **(options | more),
    )


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    limits: Sequence[tuple[float | None, str]] = ((None, BLUE),),
    **more: Any,
) -> Panel:
    """One number, and how it came to be."""
    return grafana.Stat(
        title=title,
        description=description,
        targets=_targets([query]),
        format=unit,
        reduceCalc="lastNotNull",
        thresholds=_steps(limits),
        noValue="unknown",
        graphMode="area",
        **more,
    )


def timeline(
    title: str, description: str, query: Query, states: Mapping[str, tuple[str, str]]
) -> Panel:
    """States over time; `states` are texts and colours by value."""
    mappings = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(states.items())
    }
    return grafana.StateTimeline(
        title=title,
        description=description,
        targets=_targets([query]),
        mappings=[{"type": "value", "options": mappings}],
        showValue="never",
    )


@dataclass(frozen=True, slots=True)
class Column:
    """How a column of a table is shown; `link` is where a click on it leads."""

    title: str
    unit: str = "string"
    link: str = ""
    decimals: int | None = None

    def properties(self) -> list[dict[str, Any]]:
        """As Grafana writes them in an override."""
        found: list[dict[str, Any]] = [{"id": "displayName", "value": self.title}]
        if self.unit != "string":
            found.append({"id": "unit", "value": self.unit})
        if self.decimals is not None:
            found.append({"id": "decimals", "value": self.decimals})
        if self.link:
            found.append({"id": "links", "value": [{"title": "Open", "url": self.link}]})
        return found


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns: labels, then one number for each query, in this order."""

    labels: Mapping[str, Column]
    values: Sequence[Column] = field(default_factory=tuple)


def table(
    title: str,
    description: str,
    columns: Columns,
    *queries: Query,
    unit: str = "short",
    empty: str = "",
) -> Panel:
    """One row for each set of labels, one column for each query; the first number sorts.

    `empty`: what no rows mean.
    """
    fields = ["Value"] if len(queries) == 1 else [f"Value #{letter}" for letter in "ABCDEFGH"]
    names = dict(zip(fields, columns.values, strict=False))
    shown = {**columns.labels, **names}
    order = {name: index for index, name in enumerate(shown)}
    keep = {"include": {"names": list(shown)}}
    says = {"fieldConfig": {"defaults": {"noValue": empty}}} if empty else {}
    sort = [{"displayName": columns.values[0].title, "desc": True}] if columns.values else []
    return grafana.Table(
        title=title,
        description=description,
        targets=_targets(queries, table=True),
        unit=unit,
        overrides=[
            {"matcher": {"id": "byName", "options": name}, "properties": column.properties()}
            for name, column in shown.items()
        ],
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "filterFieldsByName", "options": keep},
            {
                "id": "organize",
                "options": {"excludeByName": {}, "indexByName": order, "renameByName": {}},
            },
        ],
        extraJson={"options": {"sortBy": sort}} | says,
    )
