"""Items that a file states: watched while the configuration names one, and how that is going."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.settle import Settler

if TYPE_CHECKING:
    from unitcost.exporter.items.watch import ItemsFile, Watched

_log = logging.getLogger(__name__)


class StatedItems:
    """Follows the items file. Its methods are for one thread."""

    def __init__(self) -> None:
        self._file: ItemsFile | None = None
        self._watched: Watched | None = None
        self._said = OncePer()

    def use(self, path: str) -> None:
        """Have the file at `path` read, none if it is empty; one that is read already goes on."""
        if self._file is None or self._file.path != path:
            self.close()
            self._file = _watched(path) if path else None
        self._watched = None

    def taken(self, planning: Planning) -> Planning | None:
        """The planning with what the file says by now; None if that is nothing new."""
        if self._file is None or self._file.current() is self._watched:
            return None
        self._watched = self._file.current()
        return replace(planning, file_items=self._watched.items)

    def points(self, planning: Planning, settler: Settler | None) -> Points:
        """How the stating of items is doing; nothing where none are."""
        if self._file is None and not planning.items:
            return {}
        points: Points = {}
        rejected = self._left_out(settler)
        if self._file is not None:
            watched = self._file.current()
            points["unitcost_items_file_up"] = [((), float(watched.up))]
            rejected += watched.rejected
        points["unitcost_items_rejected"] = [((), float(rejected))]
        return points

    def _left_out(self, settler: Settler | None) -> int:
        left_out = settler.plans.items.left_out if settler is not None else 0
        if left_out and self._said.first("items", str(left_out)):
            _log.warning(
                "items are left out: their id is taken, or they are too many",
                extra=fields(items=left_out),
            )
        return left_out

    def close(self) -> None:
        """Watch no file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _watched(path: str) -> "ItemsFile":
    """The items file, looked at from now on."""
    from unitcost.exporter.items.watch import ItemsFile  # most hosts have none

    file = ItemsFile(path)
    file.start()
    return file
