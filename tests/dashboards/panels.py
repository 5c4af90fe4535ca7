"""The dashboards as they are built, and every query of theirs, as the tests look at them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from unitcost.dashboards.boards.all_boards import all_boards

Json = dict[str, Any]

BOARDS: dict[str, Json] = {board["uid"]: board for board in all_boards()}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: of which dashboard and panel, and whether it is of one instant."""

    board: str
    panel: str
    ref: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"


def panels(board: Json) -> list[Json]:
    """The panels that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[Asked]:
    """Every query of every panel."""
    return [
        Asked(uid, panel["title"], target["refId"], target["expr"], target["instant"])
        for uid, board in BOARDS.items()
        for panel in panels(board)
        for target in panel["targets"]
    ]


def events() -> list[Asked]:
    """Every query of the marks over time."""
    return [
        Asked(uid, "annotations", each["name"], each["expr"], False)
        for uid, board in BOARDS.items()
        for each in board["annotations"]["list"]
    ]


def variables(board: Json) -> dict[str, Json]:
    """Its variables by name."""
    return {each["name"]: each for each in board["templating"]["list"]}


def used_variables(text: str) -> set[str]:
    """Variables in a text. Grafana's own begin with underscores, parts of a match are digits."""
    found = re.findall(r"\$(?:\{(\w+)(?::\w+)?(?:\.\w+)*\}|(\w+))", text)
    given = {one or other for one, other in found}
    return {name for name in given if not name.startswith("__") and not name.isdigit()}


def filled(expr: str, values: dict[str, str]) -> str:
    """An expression with its variables replaced, as Grafana does it before it asks.

    `values` has ``name:format`` where a format of a variable has a value of its own.
    """

    def one(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(3)
        shown = f"{name}:{found.group(2)}"
        return values.get(shown, values.get(name, found.group()))

    return re.sub(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))", one, expr)


def texts(data: Any) -> Iterable[str]:
    """Every text in some JSON."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)
