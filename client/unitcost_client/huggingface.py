"""Hugging Face Trainer: ``Trainer(..., callbacks=[UnitcostCallback("bert")])``, on every rank."""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from unitcost_client._environment import Place, find_place, given_place
from unitcost_client._follower import Follower, read
from unitcost_client._quiet import harmless
from unitcost_client._run import Run
from unitcost_client._stalls import CHECKPOINT, DATA_LOADING
from unitcost_client._values import whole

_Callback: Any = importlib.import_module("transformers.trainer_callback").TrainerCallback


class UnitcostCallback(_Callback):  # type: ignore[misc]  # transformers are not there for mypy
    """Counts what the trainer's state says: updates, epochs with their fractions, tokens.

    Tokens only where ``include_num_input_tokens_seen`` has them counted. Measured as stalls: the
    time to the next batches, and a checkpoint together with what comes right before it.
    """

    def __init__(
        self,
        job: str | None = None,
        *,
        run: Run | str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._follower = Follower(job, run, labels)
        self._tokens = 0

    @property
    def run(self) -> Run | None:
        """The run of the training going on, if any: for stalls that only its user knows."""
        return self._follower.run

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint is loaded by now."""
        by_epochs = (read("max_steps", args) or 0) <= 0
        self._tokens = whole(read("num_input_tokens_seen", state))
        self._follower.begin(
            state.global_step,
            state.epoch,
            total_steps=state.max_steps,
            total_epochs=read("num_train_epochs", args) if by_epochs else None,
            place=_place(args),
        )

    @harmless
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The loader starts."""
        self._follower.mark()

    @harmless
    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The batches of the next update are there."""
        self._follower.waited(DATA_LOADING)

    @harmless
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """An optimiser update was made."""
        self._follower.reach(state.global_step, state.epoch)
        self._count_tokens(state)
        self._follower.mark()

    @harmless
    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Logging is no wait."""
        self._follower.mark()

    @harmless
    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluation is no wait."""
        self._follower.mark()

    @harmless
    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint was saved, and nothing else was done since the last hook."""
        self._follower.waited(CHECKPOINT)

    @harmless
    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The loader has no more batches."""
        self._follower.reach(state.global_step, state.epoch)
        self._follower.mark()

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Training is over, its last checkpoint saved."""
        self._follower.end()

    def _count_tokens(self, state: Any) -> None:
        """The trainer adds up the tokens of all ranks, so rank 0 alone reports them."""
        seen = whole(read("num_input_tokens_seen", state))
        if self.run is not None and state.is_world_process_zero and seen > self._tokens:
            self.run.step(0, tokens=seen - self._tokens)
            self._tokens = seen


def _place(args: Any) -> Place:
    """What the launcher said, or what the trainer has worked out."""
    place = find_place(os.environ)
    if place.found:
        return place
    return given_place(args.process_index, args.local_process_index, args.world_size, None)
