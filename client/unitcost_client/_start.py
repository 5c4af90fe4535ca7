"""Starting a run: what it is called, which attempt it is, and where its file goes."""

import os
import sys
from collections.abc import Mapping

from unitcost_client import _statefile
from unitcost_client._environment import (
    Environment,
    Place,
    find_place,
    restart_count,
    scheduler_run,
)
from unitcost_client._folder import Folder, choose_folder, own_folder
from unitcost_client._process import alive, launcher
from unitcost_client._quiet import complain
from unitcost_client._record import Start
from unitcost_client._run import Run
from unitcost_client._values import amount, short_labels, text, whole

Record = dict[str, object]


def start(
    job: str | None = None,
    *,
    run: str | None = None,
    labels: Mapping[str, str] | None = None,
    epoch: float = 0,
    step: int = 0,
    total_epochs: float | None = None,
    total_steps: int | None = None,
) -> Run:
    """Begin to count a training process; ends by itself when the process does.

    `job` is the workload's name in the costs (default: ``UNITCOST_JOB``, else the script's name).
    `run` names the run over restarts (default: the scheduler's name for it, else a new one).
    `epoch`, `step`: where a resumed job resumes. `total_epochs`, `total_steps`: where it will end,
    if known. Never raises: a bad value is left out.
    """
    resumed = (amount(epoch), whole(step))
    goal = (amount(total_epochs) or None, whole(total_steps) or None)
    return start_at(find_place(os.environ), job, run, labels, resumed, goal)


def start_at(
    place: Place,
    job: object,
    run: object,
    labels: object,
    resumed: tuple[float, int],
    goal: tuple[float | None, int | None],
) -> Run:
    """As `start`, for one who knows which rank this is; `resumed` and `goal`: epochs, steps."""
    name = text(job) or text(os.environ.get("UNITCOST_JOB")) or _script()
    try:
        folder = choose_folder(os.environ)
        identity, attempt = _identify(name, text(run), any(resumed), folder, place)
    except Exception as error:  # noqa: BLE001 - a job must start whatever its surroundings are
        complain(f"{type(error).__name__} while looking for the state folder: {error}")
        folder, identity, attempt = own_folder(), text(run) or _fresh(), 0
    said = Start(
        job=name,
        run=identity,
        attempt=attempt,
        resumed=resumed,
        goal=goal,
        labels=_labels(labels),
        place=place,
    )
    return Run(said, folder)


def _labels(given: object) -> dict[str, str]:
    """Labels that fit into a record; none where the mapping itself is broken."""
    try:
        return short_labels(given)
    except Exception:  # noqa: BLE001 - a mapping of the user's raises what it likes
        return {}


def _script() -> str:
    """The script's name without folder and suffix."""
    path = str(sys.argv[0]) if getattr(sys, "argv", None) else ""
    script = os.path.basename(path.removesuffix("/__main__.py"))
    return text(script.removesuffix(".py")) or "train"


def _fresh() -> str:
    """A name that no other run has."""
    return os.urandom(8).hex()


def _identify(job: str, run: str, resumed: bool, folder: Folder, place: Place) -> tuple[str, int]:
    """The run's name and which attempt at it this is.

    A resumed process that nobody named goes on with the run that its predecessor left. The
    attempt is the scheduler's count of restarts, or one more than the last attempt of this rank
    that left a file, whichever is more: each start of one run is an attempt of its own.
    """
    env: Environment = os.environ
    run = run or scheduler_run(env)
    known = bool(run) or resumed or place.world_size > 1
    earlier = _statefile.read_all(folder, job) if known else []
    if not run and resumed:
        run = _left_behind(earlier, place)
    if not run and place.world_size > 1:
        run = launcher(itself=place.leads)
    if not run:
        return _fresh(), restart_count(env)
    return run, max(restart_count(env), _attempts(earlier, run, place))


def _attempts(earlier: list[Record], run: str, place: Place) -> int:
    """The number of the next attempt, from the files of earlier ones."""
    attempts = {True: -1, False: 0}
    for record in earlier:
        if record.get("run") == run:
            mine = record.get("rank") == place.rank
            attempts[mine] = max(attempts[mine], whole(record.get("attempt")))
    # A rank without a file of its own joins the latest attempt of the others.
    return attempts[True] + 1 if attempts[True] >= 0 else attempts[False]


def _left_behind(earlier: list[Record], place: Place) -> str:
    """The run of this rank's last process, if that process is gone."""
    for record in earlier:
        if record.get("rank") == place.rank:
            pid, ticks = whole(record.get("pid")), whole(record.get("pid_started"))
            return "" if alive(pid, ticks) else text(record.get("run"))
    return ""
