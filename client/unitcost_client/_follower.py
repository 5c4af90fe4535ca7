"""What the adapters of all frameworks share: a run that follows a framework's own counts."""

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from unitcost_client._environment import Place, find_place
from unitcost_client._run import Run
from unitcost_client._start import start_at
from unitcost_client._values import amount, whole


def callback_class(*modules: str) -> Any:
    """The class `Callback` of the first of these modules that the job uses, or that is there.

    Raises ImportError where none is installed: the adapter is of no use there.
    """
    used = [name for name in modules if name in sys.modules]
    for name in used or modules[:-1]:
        try:
            return importlib.import_module(name).Callback
        except ImportError:
            continue
    return importlib.import_module(modules[-1]).Callback


class Follower:
    """Starts a run when training begins and counts what the framework says it has done.

    `run` is the run's name, or a run that the user has started: such a one is counted into, from
    wherever it stands, and never ended.
    """

    def __init__(
        self, job: str | None, run: Run | str | None, labels: Mapping[str, str] | None
    ) -> None:
        self.run: Run | None = None
        self._job, self._name, self._labels = job, run, labels
        self._step_offset = 0
        self._epoch_offset = 0.0
        self._since = (0, 0)

    def begin(
        self,
        step: object,
        epoch: object,
        total_steps: object = None,
        total_epochs: object = None,
        place: Place | None = None,
    ) -> None:
        """Training begins, or begins anew, where the framework says it stands."""
        at = (amount(epoch), whole(step))
        if isinstance(self._name, Run):
            self.run = self._name
        goal = (amount(total_epochs) or None, whole(total_steps) or None)
        again = self.run is not None and self.run is not self._name
        if self.run is None:
            place = place or find_place(os.environ)
            self.run = start_at(place, self._job, self._name, self._labels, at, goal)
        elif place is not None and place.rank is not None:
            self.run.set_place(
                place.rank, place.world_size, place.local_rank, place.local_world_size
            )
        steps, epochs = self.run.reached
        self._step_offset, self._epoch_offset = steps - at[1], epochs - at[0]
        if again:
            further = (self._epoch_offset, self._step_offset)
            self.run.aim(goal[0] and goal[0] + further[0], goal[1] and goal[1] + further[1])
        self.mark()

    def reach(self, step: object = 0, epoch: object = 0) -> None:
        """The framework has come so far."""
        if self.run is not None:
            self.run.reach(whole(step) + self._step_offset, amount(epoch) + self._epoch_offset)

    def mark(self) -> None:
        """What may be a wait begins now."""
        if self.run is not None:
            self._since = self.run.lap()

    def waited(self, kind: str) -> None:
        """It was a wait, since the last mark; what was declared meanwhile is counted already."""
        if self.run is None:
            return
        before, (now, declared) = self._since, self.run.lap()
        spent = now - before[0] - (declared - before[1])
        self.run.add_stall(kind, max(spent, 0) / 1e9)
        self.mark()

    def end(self, state: str = "ended") -> None:
        """Training is over; the next one begins another run."""
        if self.run is not None and not isinstance(self._name, Run):
            self.run.end(state)
            self.run = None


def read(what: str, value: Any) -> Any:
    """The attribute behind a dotted path, or None: versions of a framework differ."""
    try:
        for name in what.split("."):
            value = getattr(value, name)
    except Exception:  # noqa: BLE001 - properties of a framework raise what they like
        return None
    return value
