"""Ray Train: `start` and `report` for the training function that each worker runs."""

import importlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

from unitcost_client._environment import Place, find_place, given_place
from unitcost_client._quiet import complain
from unitcost_client._run import Run
from unitcost_client._stalls import CHECKPOINT
from unitcost_client._start import start_at
from unitcost_client._values import amount, text, whole


def start(
    job: str,
    *,
    run: str | None = None,
    labels: Mapping[str, str] | None = None,
    epoch: float = 0,
    step: int = 0,
    total_epochs: float | None = None,
    total_steps: int | None = None,
) -> Run:
    """As `unitcost_client.start`, with the rank and the run's name that Ray Train knows.

    Call it in the training function, after the checkpoint is loaded.
    """
    context = _context()
    return start_at(
        _place(context),
        job,
        run or _experiment(context),
        labels,
        (amount(epoch), whole(step)),
        (amount(total_epochs) or None, whole(total_steps) or None),
    )


def report(run: Run, metrics: Mapping[str, Any], checkpoint: Any = None, **others: Any) -> None:
    """``ray.train.report``, timed: raises what that raises.

    It holds all workers until each has called it. With a checkpoint the time counts as
    `checkpoint`, without one as `straggler`.
    """
    with run.stalled(CHECKPOINT if checkpoint is not None else "straggler"):
        importlib.import_module("ray.train").report(metrics, checkpoint=checkpoint, **others)


def _context() -> Any:
    """Ray Train's word about this worker, or None outside of one."""
    try:
        return importlib.import_module("ray.train").get_context()
    except Exception as error:  # noqa: BLE001 - a job must start whatever its surroundings are
        complain(f"Ray Train says nothing about this worker: {error}")
        return None


def _experiment(context: Any) -> Any:
    """The experiment's name, where this version of Ray Train says it.

    The trials of Ray Tune have it in common (up to version 1 of Ray Train); the further ones get
    their number too, or what a search calls them.
    """
    try:
        name = context.get_experiment_name()
    except Exception:  # noqa: BLE001 - as above
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # version 1 warns that version 2 has no trials
            trial = text(context.get_trial_id())
    except Exception:  # noqa: BLE001 - as above
        trial = ""
    number = trial.rpartition("_")[2]
    if number.isdecimal() and "_" in trial:
        trial = str(int(number[:9]) + 1) if int(number) else ""
    return f"{name}#{trial}" if name and trial else name


def _place(context: Any) -> Place:
    """The ranks of this worker."""
    try:
        return given_place(
            context.get_world_rank(),
            context.get_local_rank(),
            context.get_world_size(),
            context.get_local_world_size(),
        )
    except Exception:  # noqa: BLE001 - as above
        return find_place(os.environ)
