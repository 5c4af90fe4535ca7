"""Keras 3: ``model.fit(..., callbacks=[UnitcostCallback("mnist")])``."""

from collections.abc import Mapping
from typing import Any

from unitcost_client._follower import Follower, callback_class, read
from unitcost_client._quiet import harmless
from unitcost_client._run import Run
from unitcost_client._values import whole

_Callback: Any = callback_class("keras.callbacks")


class UnitcostCallback(_Callback):  # type: ignore[misc]  # Keras is not there for mypy
    """Counts optimiser updates (`optimizer.iterations`) and epochs of a `model.fit`.

    Nothing is measured as a stall: Keras fetches batches inside its compiled step, or calls its
    callbacks out of step with it. `run` is there for what the user knows.
    """

    async_safe = True
    """Without this Keras waits for the device after each batch, to have the loss for its hooks."""

    def __init__(
        self,
        job: str | None = None,
        *,
        run: Run | str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._follower = Follower(job, run, labels)
        self._begun = False
        self._steps_before = 0
        self._batches_each = 1

    @property
    def run(self) -> Run | None:
        """The run of the training going on, if any: for stalls that only its user knows."""
        return self._follower.run

    @harmless
    def on_train_begin(self, logs: Any = None) -> None:
        """Where it resumes is not known yet: another callback may load a checkpoint here."""
        self._begun = False

    @harmless
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Epochs are counted from 0, so the first one says how many there were before."""
        self._steps_before = _updates(self.model)
        self._batches_each = _accumulated(self.model)
        if self._begun:
            return
        self._begun = True
        epochs, batches = self.params.get("epochs"), self.params.get("steps")
        updates = None
        if epochs and batches:
            left = (epochs - epoch) * batches // self._batches_each
            updates = self._steps_before + left
        self._follower.begin(self._steps_before, epoch, updates, epochs)

    @harmless
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Batches are counted from 0 in each epoch; several may be run as one.

        The model must not be asked for here: on JAX that makes Keras hand its state over in the
        midst of an epoch, on another thread than the one that trains with it.
        """
        seen = min(batch + 1, self.params.get("steps") or batch + 1)
        self._follower.reach(self._steps_before + seen // self._batches_each)

    @harmless
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """By now the optimizer's own count can be read without holding anything up."""
        self._follower.reach(_updates(self.model), epoch + 1)

    @harmless
    def on_train_end(self, logs: Any = None) -> None:
        """Training is over."""
        self._follower.end()


def _updates(model: Any) -> int:
    """How many updates the optimizer has made, those of a checkpoint included."""
    try:
        return int(model.optimizer.iterations)
    except Exception:  # noqa: BLE001 - no optimizer, or one without a count
        return 0


def _accumulated(model: Any) -> int:
    """Over how many batches the optimizer accumulates gradients for one update."""
    inner = read("optimizer.inner_optimizer", model)  # with mixed precision there are two
    own = read("gradient_accumulation_steps", inner or read("optimizer", model))
    return whole(own) or 1
