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
from unitcost_client._values import MAX_TEXT_BYTES, amount, short_labels, text, whole

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
    group = "" if run else text(scheduler_run(env), MAX_TEXT_BYTES - 12)  # a number may follow
    known = bool(run or group) or resumed or place.world_size > 1
    earlier = _statefile.read_all(folder, job) if known else []
    if not run and not group and resumed:
        run = _left_behind(earlier, place)
    if not run and not group and place.world_size > 1:
        group = launcher(itself=place.leads)
    if not run and group:
        run = _training_of(group, earlier, place, resumed, restart_count(env))
    if not run:
        return _fresh(), restart_count(env)
    return run, max(restart_count(env), _attempts(earlier, run, place))


def _training_of(
    group: str, earlier: list[Record], place: Place, resumed: bool, restarts: int
) -> str:
    """The run's name where a scheduler names its job, in which several trainings may follow.

    The first has the job's name, the others a number too. After one that ended, or beside one
    that goes on, another begins; one that failed, was killed or resumes is the same. A job that
    was started anew begins with its first. A rank without a file of its own joins the others.
    """
    ours = [record for record in earlier if _number(record, group)]
    latest = next((record for record in ours if _is_mine(record, place)), None)
    if latest is None:
        return text(ours[0].get("run")) if ours else group
    if not resumed and whole(latest.get("attempt")) < restarts:
        return group
    over = _is_over(latest, ours) and not resumed
    if over or _is_at_work(latest):
        return f"{group}#{_number(latest, group) + 1}"
    return text(latest.get("run"))


def _number(record: Record, group: str) -> int:
    """Which training of a scheduler's job it tells of, from 1 on; 0: of none."""
    run = text(record.get("run"))
    number = run.removeprefix(f"{group}#")
    return int(run == group) if number == run else whole(number.isdecimal() and int(number[:9]))


def _is_over(record: Record, others: list[Record]) -> bool:
    """Whether this attempt ended: a rank of it did so by itself, and none of them failed."""
    keys = ("run", "attempt")
    attempt = [each for each in others if all(each.get(key) == record.get(key) for key in keys)]
    states = {text(each.get("state")) for each in attempt}
    return "ended" in states and "failed" not in states


def _is_at_work(record: Record) -> bool:
    """Whether its training goes on."""
    pid, ticks = whole(record.get("pid")), whole(record.get("pid_started"))
    return record.get("state") == "running" and alive(pid, ticks)


def _is_mine(record: Record, place: Place) -> bool:
    """Whether it is of this rank; one that nobody knows has its place on this host."""
    if place.rank is None:
        return record.get("rank") is None and record.get("local_rank") == place.local_rank
    return record.get("rank") == place.rank


def _attempts(earlier: list[Record], run: str, place: Place) -> int:
    """The number of the next attempt, from the files of earlier ones."""
    attempts = {True: -1, False: 0}
    for record in earlier:
        if record.get("run") == run:
            mine = _is_mine(record, place)
            attempts[mine] = max(attempts[mine], whole(record.get("attempt")))
    # A rank without a file of its own joins the latest attempt of the others.
    return attempts[True] + 1 if attempts[True] >= 0 else attempts[False]


def _left_behind(earlier: list[Record], place: Place) -> str:
    """The run of this rank's last process, if that process is gone."""
    for record in earlier:
        if _is_mine(record, place):
            pid, ticks = whole(record.get("pid")), whole(record.get("pid_started"))
            return "" if alive(pid, ticks) else text(record.get("run"))
    return ""
