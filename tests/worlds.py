"""A host in memory: clocks, processes, model servers and training jobs that do what they are told.

`tests/sites.py` puts an exporter on it.
"""

from dataclasses import dataclass, field

from tests.fakes import FakeClock
from unitcost.exporter.observe import kept_silent
from unitcost.exporter.settling.holding import Observed
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import (
    NS_PER_SECOND,
    EpochMark,
    Kind,
    Layer,
    Listener,
    Outcome,
    Process,
    Quantity,
    Sample,
    Subject,
    TokenType,
)
from unitcost.pricing.workload import WorkloadKind

CORES, GIBS = 4, 16

SeriesKey = tuple[Quantity, str, str]
"""Quantity, label and model."""


@dataclass
class Proc:
    """A process that uses so many cores and bytes."""

    pid: int
    started: int
    cores: float = 0.0
    memory: int = 0
    parent: int = 1
    command: str = ""
    cpu_ns: int = 0
    cgroup: str = ""


@dataclass
class Server:
    """A model server on a port; its counters live and die with its process.

    `life` tells servers apart that follow one another. `says_birth`: whether its process start can
    be seen. `ready` and `running` as in `Subject`. `layer`: where it counts; it claims what it has
    counters of. `tenants`: counters told apart by tenant, each a part of one in `counters`.
    """

    workload: str
    port: int
    proc: Proc | None
    born_wall_ns: int
    life: int
    says_birth: bool = True
    up: bool = True
    ready: bool | None = True
    running: bool | None = None
    counters: dict[SeriesKey, int] = field(default_factory=dict)
    gauges: dict[SeriesKey, int] = field(default_factory=dict)
    layer: Layer = Layer.ENGINE
    tenants: dict[tuple[str, SeriesKey], int] = field(default_factory=dict)

    def work_for(self, tenant: str, amount: int, model: str = "m", tokens: int = 0) -> None:
        """Answer requests on somebody's behalf."""
        self.work(amount, model)
        if tokens:
            self.add(Quantity.TOKENS, tokens, TokenType.OUTPUT, model)
        keys = [(Quantity.REQUESTS, Outcome.SUCCEEDED.value, model)] * amount
        keys += [(Quantity.TOKENS, TokenType.OUTPUT.value, model)] * tokens
        for key in keys:
            self.tenants[tenant, key] = self.tenants.get((tenant, key), 0) + 1

    def work(self, amount: int, model: str = "m", seconds: float = 0.0) -> None:
        """Answer so many requests, in so many seconds all together."""
        self.add(Quantity.REQUESTS, amount, Outcome.SUCCEEDED, model)
        if seconds:
            self.add(Quantity.REQUEST_SECONDS, round(seconds), "", model)

    def add(self, quantity: Quantity, amount: int, label: str = "", model: str = "m") -> None:
        """Count up."""
        key = (quantity, str(label), model)
        self.counters[key] = self.counters.get(key, 0) + amount

    def subject(self) -> Subject:
        """What the collector says of it."""
        return Subject(
            f"server:{self.port}",
            self.workload,
            WorkloadKind.INFERENCE,
            port=self.port,
            up=self.up,
            ready=self.ready and self.up if self.ready is not None else None,
            running=self.running if self.up else None,
            born_wall_ns=self.born_wall_ns if self.says_birth else None,
            generation=f"start:{self.born_wall_ns}" if self.says_birth else "",
            layer=self.layer,
            claims=frozenset(quantity for quantity, _, _ in (*self.counters, *self.gauges)),
        )


@dataclass
class Job:
    """One process of a training run, and its state file, which outlives it.

    `steps` are those since it resumed at `resumed_step`; `waited`: seconds by reason.
    """

    workload: str
    run: str
    attempt: int
    proc: Proc
    born_wall_ns: int
    resumed: float = 0.0
    hosts: int = 1
    steps: int = 0
    tokens: int = 0
    epochs: float = 0.0
    running: bool = True
    marks: list[tuple[float, int]] = field(default_factory=list)
    resumed_step: int = 0
    goal_epochs: float | None = None
    goal_steps: int | None = None
    failed: bool = False
    rank: int = 0
    waited: dict[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The subject's id."""
        return f"run:{self.proc.pid}-{self.proc.started}-{self.born_wall_ns}"

    def subject(self) -> Subject:
        """What its state file says."""
        return Subject(
            self.id,
            self.workload,
            WorkloadKind.TRAINING,
            run=self.run,
            attempt=self.attempt,
            pid=self.proc.pid,
            started=self.proc.started,
            ready=self.steps > 0 or self.epochs > self.resumed,
            running=self.running,
            born_wall_ns=self.born_wall_ns,
            generation=str(self.born_wall_ns),
            hosts=self.hosts,
            resumed_epoch=self.resumed,
            resumed_step=self.resumed_step,
            goal_epochs=self.goal_epochs,
            goal_steps=self.goal_steps,
            failed=self.failed,
        )

    def end_epoch(self, wall_ns: int) -> None:
        """Mark the end of an epoch."""
        self.epochs = self.epochs + 1
        self.marks.append((self.epochs, wall_ns))


class Host:
    """Everything that the exporter could see of a host; collectors of `silent` subjects fail."""

    def __init__(self, cores: int = CORES, gibs: int = GIBS) -> None:
        self.clock = FakeClock()
        self.clock.advance(1000.0)
        self.cores, self.memory = cores, gibs * GIB
        self.procs: dict[int, Proc] = {}
        self.servers: dict[int, Server] = {}
        self.jobs: list[Job] = []
        self.silent: set[str] = set()
        self.other_ns = 0
        self.busy_ns = 0
        self.lives = 0
        self.next_pid = 0
        self.spawn(command="init")
        self.next_pid = 100

    def spawn(
        self, cores: float = 0.0, gibs: float = 0.0, command: str = "", parent: int = 1
    ) -> Proc:
        """Start a process."""
        self.next_pid += 1
        started = self.clock.boot_ns * 100 // NS_PER_SECOND
        proc = Proc(self.next_pid, started, cores, int(gibs * GIB), parent, command)
        self.procs[proc.pid] = proc
        return proc

    def serve(
        self, workload: str, port: int, cores: float = 0.0, gibs: float = 0.0, command: str = ""
    ) -> Server:
        """Start a model server."""
        proc = self.spawn(cores, gibs, command)
        self.lives += 1
        server = Server(workload, port, proc, self.clock.wall_ns, self.lives)
        self.servers[port] = server
        return server

    def gateway(self, workload: str, port: int, layer: Layer = Layer.GATEWAY) -> Server:
        """A gateway on another host, which counts what it passes on."""
        self.lives += 1
        server = Server(workload, port, None, self.clock.wall_ns, self.lives, layer=layer)
        server.ready = None
        self.servers[port] = server
        return server

    def train(
        self,
        workload: str,
        run: str,
        attempt: int = 0,
        cores: float = 0.0,
        gibs: float = 0.0,
        resumed: float = 0.0,
    ) -> Job:
        """Start a training process."""
        proc = self.spawn(cores, gibs, f"python {workload}.py")
        job = Job(workload, run, attempt, proc, self.clock.wall_ns, resumed, epochs=resumed)
        self.jobs.append(job)
        return job

    def kill(self, proc: Proc | None) -> None:
        """End a process; a server's endpoint is gone with it, a job's state file is not."""
        if proc is None:
            return
        self.procs.pop(proc.pid, None)
        for server in self.servers.values():
            server.up = server.up and server.proc is not proc
        for job in self.jobs:
            job.running = job.running and job.proc is not proc

    def restart_server(self, port: int) -> None:
        """A server dies and another takes its place: its counters start anew."""
        old = self.servers[port]
        self.kill(old.proc)
        cores, memory = (old.proc.cores, old.proc.memory) if old.proc else (0.0, 0)
        new = self.serve(old.workload, port, cores, memory / GIB)
        new.says_birth, new.ready, new.running = old.says_birth, old.ready, None

    def run(self, seconds: float) -> None:
        """Time passes while processes use CPU time."""
        elapsed = round(seconds * NS_PER_SECOND)
        for proc in self.procs.values():
            used = int(proc.cores * elapsed)
            proc.cpu_ns += used
            self.busy_ns += used
        self.busy_ns += self.other_ns * elapsed // NS_PER_SECOND
        self.clock.advance(seconds)

    def reboot(self, down_seconds: float) -> None:
        """All processes end, the clocks start anew."""
        for proc in list(self.procs.values()):
            self.kill(proc)
        self.busy_ns = 0
        self.clock.reboot(down_seconds)
        self.procs[1] = Proc(1, 0, parent=0, command="init")

    def observe(self, host: bool = True) -> tuple[Observed, tuple[EpochMark, ...]]:
        """What all collectors say together; `host`: whether /proc could be read."""
        now = self.clock.mono_ns
        samples = [*self._host_samples(now)] if host else []
        for server in self.servers.values():
            samples += _server_samples(server, now)
        heard = [job for job in self.jobs if job.id not in self.silent]
        for job in heard:
            samples += _job_samples(job, now)
        subjects = [server.subject() for server in self.servers.values()]
        subjects += [
            job.subject() if job in heard else kept_silent(job.subject()) for job in self.jobs
        ]
        observed = Observed(
            tuple(samples),
            tuple(subjects),
            tuple(_process(proc) for proc in self.procs.values()) if host else (),
            tuple(self._listeners()) if host else (),
        )
        marks = (EpochMark(job.id, epoch, at) for job in heard for epoch, at in job.marks)
        return observed, tuple(marks)

    def _host_samples(self, now: int) -> tuple[Sample, ...]:
        busy = self.busy_ns / NS_PER_SECOND
        return (
            Sample("host", Quantity.CPU_CAPACITY, float(self.cores), now, Kind.GAUGE),
            Sample("host", Quantity.CPU_SECONDS, busy, now),
            Sample("host", Quantity.MEMORY_CAPACITY, float(self.memory), now, Kind.GAUGE),
        )

    def _listeners(self) -> list[Listener]:
        return [
            Listener(server.port, server.proc.pid, server.proc.started)
            for server in self.servers.values()
            if server.proc is not None and server.proc.pid in self.procs
        ]


def _process(proc: Proc) -> Process:
    return Process(
        proc.pid,
        proc.started,
        proc.parent,
        proc.cpu_ns,
        0,
        proc.memory,
        proc.command,
        cgroup=proc.cgroup,
    )


def _server_samples(server: Server, now: int) -> list[Sample]:
    name = f"server:{server.port}"
    if not server.up:
        return []
    counters = [
        Sample(name, quantity, float(value), now, label=label, model=model)
        for (quantity, label, model), value in server.counters.items()
    ]
    counters += [
        Sample(name, quantity, float(value), now, label=label, model=model, tenant=tenant)
        for (tenant, (quantity, label, model)), value in server.tenants.items()
    ]
    return counters + [
        Sample(name, quantity, float(value), now, Kind.GAUGE, label, model)
        for (quantity, label, model), value in server.gauges.items()
    ]


def _job_samples(job: Job, now: int) -> list[Sample]:
    """Rank 0 counts steps and epochs for all; each rank counts its own waiting."""
    part = str(job.rank)
    samples = [
        Sample(job.id, Quantity.STALL_SECONDS, seconds, now, label=reason, part=part)
        for reason, seconds in job.waited.items()
    ]
    if job.rank == 0:
        epochs = float(job.epochs - job.resumed)
        samples.append(Sample(job.id, Quantity.STEPS, float(job.steps), now, part=part))
        samples.append(Sample(job.id, Quantity.EPOCHS, epochs, now, part=part))
        if job.tokens:
            tokens, label = float(job.tokens), str(TokenType.INPUT)
            samples.append(Sample(job.id, Quantity.TOKENS, tokens, now, label=label, part=part))
    return samples
