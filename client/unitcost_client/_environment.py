"""What launchers and schedulers say through the environment: rank, run, restart count."""

from collections.abc import Mapping

from unitcost_client._values import text

Environment = Mapping[str, str]

MOST = 10**9
"""No job has so many processes."""


class Place:
    """Which of how many processes this is. `rank` is None where only others can know it.

    `found`: a launcher said so; without one this is the only process. `leads`: it started the
    other ranks of this host itself. Never changed once made.
    """

    __slots__ = ("found", "leads", "local_rank", "local_world_size", "rank", "world_size")

    def __init__(
        self,
        rank: int | None = 0,
        local_rank: int | None = 0,
        world_size: int = 1,
        local_world_size: int | None = None,
        found: bool = False,
        leads: bool = False,
    ) -> None:
        self.rank = rank
        self.local_rank = local_rank
        self.world_size = world_size
        self.local_world_size = local_world_size
        self.found = found
        self.leads = leads


_Names = tuple[str, ...]
_Launcher = tuple[str, _Names, _Names, _Names, _Names]
"""The variables in which a launcher tells each process its place: rank, rank on this host, number
of processes, number of them on this host, and number of hosts where it does not say that. Of
several names the first one set counts."""

_LAUNCHERS: tuple[_Launcher, ...] = (
    ("RANK", ("LOCAL_RANK",), ("WORLD_SIZE",), ("LOCAL_WORLD_SIZE",), ()),  # torchrun
    (  # Open MPI
        "OMPI_COMM_WORLD_RANK",
        ("OMPI_COMM_WORLD_LOCAL_RANK",),
        ("OMPI_COMM_WORLD_SIZE",),
        ("OMPI_COMM_WORLD_LOCAL_SIZE",),
        (),
    ),
    (  # MVAPICH2
        "MV2_COMM_WORLD_RANK",
        ("MV2_COMM_WORLD_LOCAL_RANK",),
        ("MV2_COMM_WORLD_SIZE",),
        ("MV2_COMM_WORLD_LOCAL_SIZE",),
        (),
    ),
    (  # HPE Cray PALS
        "PALS_RANKID",
        ("PALS_LOCAL_RANKID",),
        ("PMI_SIZE",),
        ("PALS_LOCAL_SIZE", "PMI_LOCAL_SIZE"),
        (),
    ),
    (  # Flux
        "FLUX_TASK_RANK",
        ("FLUX_TASK_LOCAL_ID",),
        ("FLUX_JOB_SIZE",),
        (),
        ("FLUX_JOB_NNODES",),
    ),
    (  # Intel MPI, MPICH, and srun --mpi=pmi2
        "PMI_RANK",
        ("MPI_LOCALRANKID", "PMI_LOCAL_RANK", "SLURM_LOCALID"),
        ("PMI_SIZE",),
        ("MPI_LOCALNRANKS", "PMI_LOCAL_SIZE"),
        ("SLURM_STEP_NUM_NODES",),
    ),
)
"""In this order: an mpirun inside a job of a scheduler inherits the place of its own daemon."""
_SRUN: _Launcher = (
    "SLURM_PROCID",
    ("SLURM_LOCALID",),
    ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
    (),
    ("SLURM_STEP_NUM_NODES",),
)
_NODE_RANKS = ("NODE_RANK", "GROUP_RANK", "PET_NODE_RANK", "JOB_COMPLETION_INDEX")


def _number(env: Environment, *names: str) -> int | None:
    """The first of the variables that holds a whole number from 0 on."""
    for name in names:
        value = env.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
    return None


def given_place(
    rank: int | None,
    local: int | None,
    world: int | None,
    near: int | None,
    leads: bool = False,
) -> Place:
    """Made consistent: there are at least as many processes as the rank implies."""
    if max(rank or 0, local or 0, world or 0, near or 0) >= MOST:
        return Place()
    least = 1 if rank is None else rank + 1
    return Place(rank, local, max(world or 1, least), near or None, True, leads)


def _told(env: Environment, launcher: _Launcher) -> Place | None:
    """The place that this launcher tells, if it was there."""
    rank_name, locals_, sizes, nears, hosts = launcher
    rank = _number(env, rank_name)
    if rank is None:
        return None
    size, nodes, near = _number(env, *sizes), _number(env, *hosts), _number(env, *nears)
    if near is None and size and nodes:
        near = -(-size // nodes)
    return given_place(rank, _number(env, *locals_), size, near)


def find_place(env: Environment) -> Place:
    """Rank and world size as the launcher says, or Lightning's own way of starting ranks."""
    # A batch script of Slurm has a task number too, but no step.
    step = "SLURM_STEP_NUM_TASKS" in env or "SLURM_STEP_ID" in env
    for launcher in (*_LAUNCHERS, *((_SRUN,) if step else ())):
        place = _told(env, launcher)
        if place is not None:
            return place
    local = _number(env, "LOCAL_RANK")
    if local is None:
        return _pod(env)
    # Lightning starts its processes without RANK; those of the first host are the first ranks.
    first = not _number(env, *_NODE_RANKS)
    size = _number(env, "WORLD_SIZE")
    return given_place(local if first else None, local, size, None, leads=local == 0)


def _pod(env: Environment) -> Place:
    """One process for each pod of a Kubeflow training job, or the only process there is."""
    rank, nodes = _number(env, "PET_NODE_RANK"), _number(env, "PET_NNODES")
    if rank is None or nodes is None or _number(env, "PET_NPROC_PER_NODE") != 1:
        return Place()
    return given_place(rank, 0, nodes, 1)


def scheduler_run(env: Environment) -> str:
    """The name the scheduler has for this run, or an empty text."""
    elastic = text(env.get("TORCHELASTIC_RUN_ID"))
    if elastic and elastic != "none":  # torchrun's word for "not given"
        return elastic
    array, task = text(env.get("SLURM_ARRAY_JOB_ID")), text(env.get("SLURM_ARRAY_TASK_ID"))
    if array and task:
        return f"{array}_{task}"  # as squeue writes it
    for name in ("SLURM_JOB_ID", "FLUX_JOB_ID", "JOBSET_NAME"):
        if given := text(env.get(name)):
            return given
    return ""


def restart_count(env: Environment) -> int:
    """How often the scheduler says it has restarted this run; 0 where it says nothing."""
    return _number(env, "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT") or 0
