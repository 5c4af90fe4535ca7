"""A dashboard out of rows of panels: where each lies, its id, the variables, the links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from unitcost.dashboards.boards.library import Board, Panel, Variable, grafana
from unitcost.dashboards.names import Uid

WIDTH = 24
NARROW = 6
"""In so narrow a panel the legend has room for one number."""
TAG = "unitcost"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading, side by side in lines of the same height."""

    title: str
    lines: tuple[tuple[int, tuple[Panel, ...]], ...]
    """For each line its height and its panels, which share the width."""


def dashboard(
    uid: Uid,
    title: str,
    description: str,
    variables: Sequence[Variable],
    rows: Sequence[Row],
    since: str = "now-24h",
    annotations: Sequence[dict[str, Any]] = (),
) -> Board:
    """The whole dashboard. Panels get their ids in order: 1 is the first."""
    return grafana.Dashboard(
        uid=str(uid),
        title=f"unitcost / {title}",
        description=description,
        tags=[TAG],
        editable=False,
        refresh="1m",
        graphTooltip=1,
        timezone="browser",
        time=grafana.Time(since, "now"),
        templating=grafana.Templating(list(variables)),
        annotations=grafana.Annotations(list(annotations)),
        links=[_links()],
        panels=list(_placed(rows)),
    )


def _links() -> Panel:
    """To all other dashboards of ours, with what is chosen here."""
    return grafana.DashboardLink(
        title="unitcost", tags=[TAG], includeVars=True, keepTime=True, asDropdown=True
    )


def _placed(rows: Sequence[Row]) -> Iterable[Panel]:
    """Every panel with its place and id; rows themselves have ids after all panels."""
    top, next_id, row_id = 0, 1, 1000
    for row in rows:
        yield grafana.RowPanel(
            title=row.title, id=row_id, gridPos=grafana.GridPos(1, WIDTH, 0, top)
        )
        top, row_id = top + 1, row_id + 1
        for height, panels in row.lines:
            edges = [WIDTH * number // len(panels) for number in range(len(panels) + 1)]
            for panel, (left, right) in zip(panels, pairwise(edges), strict=True):
                panel.gridPos = grafana.GridPos(height, right - left, left, top)
                panel.id = next_id
                if right - left <= NARROW and isinstance(panel, grafana.TimeSeries):
                    panel.legendCalcs = panel.legendCalcs[-1:]
                yield panel
                next_id += 1
            top += height
