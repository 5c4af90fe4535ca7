"""PyTorch Lightning: ``Trainer(callbacks=[UnitcostCallback("mnist")])``, on every rank."""

import os
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

from unitcost_client._environment import Place, find_place, given_place
from unitcost_client._follower import Follower, callback_class, read
from unitcost_client._quiet import harmless
from unitcost_client._run import Run
from unitcost_client._stalls import CHECKPOINT, DATA_LOADING

_Callback: Any = callback_class("lightning.pytorch", "pytorch_lightning")


class UnitcostCallback(_Callback):  # type: ignore[misc]  # Lightning is not there for mypy
    """Counts optimiser updates (`trainer.global_step`) and whole epochs of a `trainer.fit`.

    Measured as stalls: the time to the next batch on its device, and `trainer.save_checkpoint`.
    The sanity check before training and validation are neither.
    """

    def __init__(
        self,
        job: str | None = None,
        *,
        run: Run | str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._follower = Follower(job, run, labels)
        self._restore: Callable[[], None] | None = None

    @property
    def run(self) -> Run | None:
        """The run of the training going on, if any: for stalls that only its user knows."""
        return self._follower.run

    @harmless
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """A checkpoint is loaded by now, and the ranks are known."""
        self._follower.begin(
            trainer.global_step,
            _epochs(trainer),
            *_goal(trainer),
            place=_place(trainer),
        )
        self._time_checkpoints(trainer)

    @harmless
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """The loader starts."""
        self._follower.mark()

    @harmless
    def on_train_batch_start(self, trainer: Any, pl_module: Any, *batch: Any) -> None:
        """The batch is there."""
        self._follower.waited(DATA_LOADING)

    @harmless
    def on_train_batch_end(self, trainer: Any, pl_module: Any, *output: Any) -> None:
        """A micro-batch is worked on; whether that was an update, the trainer knows."""
        self._follower.reach(trainer.global_step)
        self._follower.mark()

    @harmless
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Validation is no wait."""
        self._follower.mark()

    @harmless
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """An epoch has ended; one cut off by `max_steps` is none."""
        if _is_whole(trainer):
            self._follower.reach(trainer.global_step, _epochs(trainer))

    @harmless
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Training has failed."""
        self._end("failed")

    @harmless
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Training is over, its last checkpoint saved."""
        if stage == "fit":
            self._end("ended")

    def _end(self, state: str) -> None:
        self._follower.end(state)
        if self._restore is not None:
            self._restore()
            self._restore = None

    def _time_checkpoints(self, trainer: Any) -> None:
        """Time `trainer.save_checkpoint`: of its hooks, one comes before it and none after it."""
        if self._restore is not None:
            return
        save = trainer.save_checkpoint
        follower = self._follower

        @wraps(save)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if follower.run is None:
                return save(*args, **kwargs)
            with follower.run.stalled(CHECKPOINT):
                saved = save(*args, **kwargs)
            follower.mark()
            return saved

        trainer.save_checkpoint = timed
        self._restore = partial(_unwrap, trainer, timed)


def _unwrap(trainer: Any, timed: object) -> None:
    """Give the trainer its own method back, unless somebody has wrapped ours."""
    if vars(trainer).get("save_checkpoint") is timed:
        del trainer.save_checkpoint


def _epochs(trainer: Any) -> Any:
    """Epochs done; `current_epoch` is one behind while the hooks at an epoch's end are called."""
    return read("fit_loop.epoch_progress.current.processed", trainer)


def _goal(trainer: Any) -> tuple[Any, Any]:
    """Updates and epochs at which it will end; None for one that another end may come before.

    A module that steps its optimizers by hand makes as many updates a batch as it likes, and the
    trainer's estimate knows nothing of that.
    """
    steps, epochs = read("max_steps", trainer), read("max_epochs", trainer)
    by_steps = steps is not None and steps >= 0
    if read("lightning_module.automatic_optimization", trainer) is not False:
        estimate = read("estimated_stepping_batches", trainer)
    else:
        estimate = steps if by_steps and epochs == -1 else None
    return estimate, None if by_steps else epochs


def _is_whole(trainer: Any) -> bool:
    """Whether the epoch that ends went through all its batches."""
    progress = read("fit_loop.epoch_loop.batch_progress", trainer)
    if read("is_last_batch", progress) is not False:
        return True
    seen, batches = read("current.ready", progress), read("num_training_batches", trainer)
    return seen is None or batches is None or bool(seen >= batches)


def _place(trainer: Any) -> Place:
    """The trainer's own ranks; its launcher may leave no trace in the environment."""
    size, near = trainer.world_size, read("num_devices", trainer)
    leads = find_place(os.environ).leads
    near = near if size > 1 else None
    return given_place(trainer.global_rank, trainer.local_rank, size, near, leads)
