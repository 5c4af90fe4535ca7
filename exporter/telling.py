"""Has people told what is wrong, where that is configured; a defect of it harms nothing else."""

import logging
from typing import TYPE_CHECKING

from unitcost.exporter.config.load import Loaded
from unitcost.exporter.log import OncePer
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.settle import Settler

if TYPE_CHECKING:
    from unitcost.exporter.notify.notifier import Notifier

_log = logging.getLogger(__name__)


class Teller:
    """Begins to tell when there is a ledger to go on from. Its methods are for one thread."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._notifier: Notifier | None = None
        self._said = OncePer()

    def use(self, loaded: Loaded) -> None:
        """Take over a configuration; what waits to be told goes on waiting."""
        self.close()
        self._loaded = loaded

    def tick(self, settler: Settler | None, points: Points, now_ns: int) -> None:
        """Tell what is wrong by these points; what is to be remembered goes to the settler.

        Where ticks fail there is no settler, and that is told.
        """
        loaded = self._loaded
        notify = loaded.settings.notify if loaded is not None else None
        if loaded is None or notify is None:
            return
        try:
            if self._notifier is None and settler is not None:
                # Imported where it is used.
                from unitcost.exporter.notify.notifier import Notifier

                self._notifier = Notifier(loaded, notify, settler.notify)
            if self._notifier is not None:
                self._notifier.tick(points, now_ns)
                if settler is not None:
                    settler.notify = self._notifier.document
        except Exception as error:  # noqa: BLE001 - logged; costs and /metrics go on
            if self._said.first("notify", repr(error)):
                _log.exception("telling failed")

    def points(self) -> Points:
        """How telling is going."""
        return self._notifier.points() if self._notifier is not None else {}

    def close(self) -> None:
        """Tell no more."""
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None
