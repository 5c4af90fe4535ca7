"""What launchers and schedulers say through the environment: rank, run, restart count."""

from collections.abc import Mapping
from dataclasses import dataclass

from unitcost_client._values import text

Environment = Mapping[str, str]

MOST = 10**9
"""No job has so many processes."""


@dataclass(frozen=True)
class Place:
    """Which of how many processes this is. `rank` is None where only others can know it.

    `found`: a launcher said so; without one this is the only process.
    """

    rank: int | None = 0
    local_rank: int | None = 0
    world_size: int = 1
    local_world_size: int | None = None
    found: bool = False


def _number(env: Environment, *names: str) -> int | None:
    """The first of the variables that holds a whole number from 0 on."""
    for name in names:
        value = env.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
    return None


def given_place(rank: int | None, local: int | None, world: int | None, near: int | None) -> Place:
    """Made consistent: there are at least as many processes as the rank implies."""
    if max(rank or 0, local or 0, world or 0, near or 0) >= MOST:
        return Place()
    least = 1 if rank is None else rank + 1
    return Place(rank, local, max(world or 1, least), near or None, found=True)


def find_place(env: Environment) -> Place:
    """Rank and world size from torchrun, Slurm's srun, Open MPI or Lightning's own launcher."""
    rank = _number(env, "RANK")
    if rank is not None:
        near = _number(env, "LOCAL_WORLD_SIZE")
        return given_place(rank, _number(env, "LOCAL_RANK"), _number(env, "WORLD_SIZE"), near)
    tasks = _number(env, "SLURM_STEP_NUM_TASKS")  # srun's; a batch script alone has no step
    rank = _number(env, "SLURM_PROCID")
    if rank is not None and (tasks is not None or "SLURM_STEP_ID" in env):
        tasks, nodes = tasks or _number(env, "SLURM_NTASKS"), _number(env, "SLURM_STEP_NUM_NODES")
        near = -(-tasks // nodes) if tasks and nodes else None
        return given_place(rank, _number(env, "SLURM_LOCALID"), tasks, near)
    rank = _number(env, "OMPI_COMM_WORLD_RANK")
    if rank is not None:
        local = _number(env, "OMPI_COMM_WORLD_LOCAL_RANK")
        near = _number(env, "OMPI_COMM_WORLD_LOCAL_SIZE")
        return given_place(rank, local, _number(env, "OMPI_COMM_WORLD_SIZE"), near)
    local = _number(env, "LOCAL_RANK")
    if local is not None:  # Lightning starts its processes without RANK
        first = not _number(env, "NODE_RANK", "GROUP_RANK")
        return given_place(local if first else None, local, _number(env, "WORLD_SIZE"), None)
    return Place()


def scheduler_run(env: Environment) -> str:
    """The name the scheduler has for this run, or an empty text."""
    elastic = text(env.get("TORCHELASTIC_RUN_ID"))
    if elastic and elastic != "none":  # torchrun's word for "not given"
        return elastic
    return text(env.get("SLURM_JOB_ID")) or text(env.get("JOBSET_NAME"))


def restart_count(env: Environment) -> int:
    """How often the scheduler says it has restarted this run; 0 where it says nothing."""
    return _number(env, "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT") or 0
