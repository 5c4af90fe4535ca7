"""What collectors say: samples, the subjects they are about, and the processes behind them.

All instants are integers: nanoseconds since the Unix epoch (``wall``) or nanoseconds of the
monotonic clock (``mono``). The field's name says which.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from unitcost.pricing.workload import WorkloadKind

NS_PER_SECOND = 1_000_000_000


class Kind(StrEnum):
    """How a sample's value behaves over time."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Source(StrEnum):
    """How a value was obtained; exported wherever it could be mistaken for a better one."""

    COUNTER = "counter"
    SENSOR = "sensor"
    DERIVED = "derived"
    MODELLED = "modelled"


class Quantity(StrEnum):
    """What is measured. The unit is in the comment and never varies."""

    REQUESTS = "requests"  # requests finished; label: an Outcome
    TOKENS = "tokens"  # tokens; label: a TokenType; the types are disjoint
    PHASE_SECONDS = "phase_seconds"  # seconds of request time; label: a Phase
    REQUEST_SECONDS = "request_seconds"  # Σ over finished requests of their time in the server
    REQUESTS_TIMED = "requests_timed"  # how many requests REQUEST_SECONDS sums over
    OUTCOME_SECONDS = "outcome_seconds"  # part of REQUEST_SECONDS; label: an Outcome
    OUTCOME_TOKENS = "outcome_tokens"  # part of TOKENS (input and output); label: an Outcome
    REQUESTS_RUNNING = "requests_running"  # gauge: requests being worked on
    REQUESTS_WAITING = "requests_waiting"  # gauge: requests queued
    EPOCHS = "epochs"  # passes over the data; may be fractional
    STEPS = "steps"  # optimiser updates
    SAMPLES = "samples"  # training examples
    STALL_SECONDS = "stall_seconds"  # seconds a training process waited; label: a Stall
    CPU_CAPACITY = "cpu_capacity"  # gauge: logical CPUs
    CPU_SECONDS = "cpu_seconds"  # seconds of CPU that were busy, all CPUs
    MEMORY_CAPACITY = "memory_capacity"  # gauge: bytes
    MEMORY_USED = "memory_used"  # gauge: bytes
    DEVICES_PRESENT = "devices_present"  # gauge: accelerators on the bus, seen by a driver or not
    DEVICE_UTILIZATION = "device_utilization"  # gauge: part of the time a kernel ran, 0 to 1
    DEVICE_MEMORY_USED = "device_memory_used"  # gauge: bytes
    DEVICE_MEMORY_CAPACITY = "device_memory_capacity"  # gauge: bytes
    DEVICE_POWER_LIMIT = "device_power_limit"  # gauge: watts, as enforced
    DEVICE_THROTTLED = "device_throttled"  # seconds; label: why
    DEVICE_THROTTLING = "device_throttling"  # gauge: 1 while it is, else 0; label: why
    DEVICE_METRIC = "device_metric"  # gauge: ratio, 0 to 1; label: which performance metric


class Outcome(StrEnum):
    """How a request ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"


class TokenType(StrEnum):
    """Disjoint: `INPUT` is what was computed, `CACHED_INPUT` what came from the prefix cache."""

    INPUT = "input"
    CACHED_INPUT = "cached_input"
    OUTPUT = "output"


class Layer(StrEnum):
    """Where on a request's way it is counted: by the engine, its own front, or a gateway."""

    ENGINE = "engine"
    FRONTEND = "frontend"
    GATEWAY = "gateway"


class Stall(StrEnum):
    """What a training process waited for."""

    DATA_LOADING = "data_loading"
    CHECKPOINT = "checkpoint"
    STRAGGLER = "straggler"


class Phase(StrEnum):
    """Which part of the work request seconds were spent in."""

    PREFILL = "prefill"
    DECODE = "decode"
    COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one thing at one instant.

    `subject` says whose it is (`Subject.id`, or ``host``). `label` splits the quantity (outcome,
    token type, phase). `part` is the replica or engine it was read from: differences are taken
    for each part, then summed, so a part that comes or goes moves nothing else. `tenant` says on
    whose behalf; such a sample is a part of one without, and never adds to it.
    """

    subject: str
    quantity: Quantity
    value: float
    mono_ns: int
    kind: Kind = Kind.COUNTER
    label: str = ""
    model: str = ""
    part: str = ""
    tenant: str = ""
    source: Source = Source.COUNTER
    wraps_at: float | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What samples are about: one server or one training process, and whose it is.

    `pid`/`started` or `port` tie it to the process that does the work, where that is known.
    `started` is the process's start in clock ticks since boot (field 22 of /proc/<pid>/stat).
    `ready` and `running` are None where they cannot be seen. `born_wall_ns` is when its counters
    stood at zero, if the source proves it; `generation` changes whenever they start anew.
    `failed`: its process ended without success.

    `layer` and `claims` say where its requests are counted, and which quantities it counts. With
    an empty `workload` it is whosever the process on its `port` or its `pod` (``namespace/name``)
    is, and `fallback` where that is nobody's. `reading` and `tenancy` change whenever its page, or
    its tenants, are read otherwise: then its counters are others, whatever they are called.
    `resumed_*`: where this attempt at a run resumed; `goal_*`: where the run will end, None where
    nobody said.
    """

    id: str
    workload: str
    kind: WorkloadKind
    model: str = ""
    run: str = ""
    attempt: int = 0
    pid: int | None = None
    started: int | None = None
    port: int | None = None
    up: bool = True
    ready: bool | None = None
    running: bool | None = None
    born_wall_ns: int | None = None
    generation: str = ""
    hosts: int = 1
    resumed_epoch: float = 0.0
    resumed_step: int = 0
    goal_epochs: float | None = None
    goal_steps: int | None = None
    failed: bool = False
    layer: Layer = Layer.ENGINE
    claims: frozenset[Quantity] = frozenset()
    pod: str = ""
    fallback: str = ""
    reading: str = ""
    tenancy: str = ""


@dataclass(frozen=True, slots=True)
class EpochMark:
    """A training run finished its `epoch`-th pass at `wall_ns`; `subject` as in `Subject.id`."""

    subject: str
    epoch: float
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the host: a bundle of samples that are read in one go.

    `cpu_ns` is its own CPU time, `reaped_cpu_ns` that of children it has waited for; both are
    counters. `memory_bytes` is resident minus shared. `visible_devices` is CUDA_VISIBLE_DEVICES of
    the environment it was started with; empty where it has none or was not asked for it.
    """

    pid: int
    started: int
    parent: int
    cpu_ns: int
    reaped_cpu_ns: int
    memory_bytes: int
    command: str = ""
    user: str = ""
    cgroup: str = ""
    visible_devices: str = ""

    identity: str = field(init=False, compare=False)
    """Survives a reused pid: the pid and when it started."""

    def __post_init__(self) -> None:
        """Name it once: every step of a tick looks it up."""
        object.__setattr__(self, "identity", f"{self.pid}@{self.started}")


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a TCP port of this host."""

    port: int
    pid: int
    started: int
