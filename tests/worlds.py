"""A host in memory, with an exporter that settles its ticks: for tests of everything in between.

`Host` is what there is: clocks, processes, model servers, training jobs. `Site` has a host, a
`Settler` and a ledger in memory, and lets time pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.fakes import FakeClock
from unitcost.exporter.batch import Batch, CounterKey, EpochRow, EventRow, WorkloadRow
from unitcost.exporter.books import Books, open_books
from unitcost.exporter.holding import HostMeter, Observed
from unitcost.exporter.ledger_rows import Opening
from unitcost.exporter.publish import Points, ledger_points
from unitcost.exporter.rules import Reservation, Rules, WorkloadRule
from unitcost.exporter.settle import Settler
from unitcost.exporter.state import decode
from unitcost.pricing.allocate import State
from unitcost.pricing.attribute import Rule, RuleMatcher
from unitcost.pricing.charge import AccrualKey, Accrued, Amount, ChargeKey, Posting
from unitcost.pricing.money import PICO, to_usd
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel, UnitPrice
from unitcost.pricing.resource import CPU, DEFAULT_SPLIT, GIB, MEMORY, MICRO
from unitcost.pricing.runs import Run
from unitcost.pricing.sample import (
    NS_PER_SECOND,
    EpochMark,
    Kind,
    Listener,
    Outcome,
    Process,
    Quantity,
    Sample,
    Subject,
)
from unitcost.pricing.timeline import hour_of
from unitcost.pricing.workload import Account, WorkloadKind

TICK = 5.0
MINUTE = 60.0
HOUR = 3600.0
CORES, GIBS = 4, 16

SeriesKey = tuple[Quantity, str, str]
"""Quantity, label and model."""


def rented(*changes: tuple[int, str | None], usd: str | None = "0.3872") -> PriceBook:
    """A rented host's price, and what it changes to at which instants; None is unpriced."""
    steps = [(0, usd), *changes]
    ends: list[int | None] = [start for start, _ in steps[1:]]
    prices = tuple(
        Price(Component.RENT, Decimal(amount), PriceModel.OVERRIDE, "test", start, end)
        for (start, amount), end in zip(steps, [*ends, None], strict=True)
        if amount is not None
    )
    return PriceBook((Component.RENT,), prices)


def owned(amortisation: str = "0.20", electricity: str | None = "0.06") -> PriceBook:
    """An owned host's prices; without `electricity` it is unpriced."""
    amounts = {Component.AMORTISATION: amortisation, Component.ELECTRICITY: electricity}
    prices = tuple(
        Price(component, Decimal(usd), PriceModel.OWNED, "test")
        for component, usd in amounts.items()
        if usd is not None
    )
    return PriceBook(tuple(amounts), prices)


def workload_rule(
    name: str,
    cores: str = "0",
    gibs: int = 0,
    kind: WorkloadKind = WorkloadKind.INFERENCE,
    endpoint: bool = False,
    owner: str = "",
) -> WorkloadRule:
    """A workload of the configuration."""
    reservation = Reservation(int(Decimal(cores) * 1000), gibs * GIB)
    return WorkloadRule(name, kind, owner, reservation, endpoint)


def rules(
    book: PriceBook | None = None, workloads: tuple[WorkloadRule, ...] = (), owned: bool = False
) -> Rules:
    """Settling rules: a rented host unless told otherwise."""
    return Rules(
        book=book or rented(),
        split=DEFAULT_SPLIT,
        owned=owned,
        scope="host",
        workloads={each.name: each for each in workloads},
        window_ns=300 * NS_PER_SECOND,
        minimum_micro=MICRO,
    )


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


@dataclass
class Server:
    """A model server on a port; its counters live and die with its process.

    `says_birth`: whether its process start can be seen. `ready` and `running` as in `Subject`.
    """

    workload: str
    port: int
    proc: Proc | None
    born_wall_ns: int
    born_boot: str
    says_birth: bool = True
    up: bool = True
    ready: bool | None = True
    running: bool | None = None
    counters: dict[SeriesKey, int] = field(default_factory=dict)
    gauges: dict[SeriesKey, int] = field(default_factory=dict)

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
        )


@dataclass
class Job:
    """One process of a training run, and its state file, which outlives it."""

    workload: str
    run: str
    attempt: int
    proc: Proc
    born_wall_ns: int
    resumed: float = 0.0
    hosts: int = 1
    steps: int = 0
    epochs: float = 0.0
    running: bool = True
    marks: list[tuple[float, int]] = field(default_factory=list)

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
        )

    def end_epoch(self, wall_ns: int) -> None:
        """Mark the end of an epoch."""
        self.epochs = self.epochs + 1
        self.marks.append((self.epochs, wall_ns))


class Host:
    """Everything a host has that the exporter could see."""

    def __init__(self, cores: int = CORES, gibs: int = GIBS) -> None:
        self.clock = FakeClock()
        self.clock.advance(1000.0)
        self.cores, self.memory = cores, gibs * GIB
        self.procs: dict[int, Proc] = {}
        self.servers: dict[int, Server] = {}
        self.jobs: list[Job] = []
        self.other_ns = 0
        self.busy_ns = 0
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
        server = Server(workload, port, proc, self.clock.wall_ns, self.clock.boot_id)
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
        for job in self.jobs:
            samples += _job_samples(job, now)
        subjects = [server.subject() for server in self.servers.values()]
        subjects += [job.subject() for job in self.jobs]
        observed = Observed(
            tuple(samples),
            tuple(subjects),
            tuple(_process(proc) for proc in self.procs.values()) if host else (),
            tuple(self._listeners()) if host else (),
        )
        marks = (EpochMark(job.id, epoch, at) for job in self.jobs for epoch, at in job.marks)
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
    return Process(proc.pid, proc.started, proc.parent, proc.cpu_ns, 0, proc.memory, proc.command)


def _server_samples(server: Server, now: int) -> list[Sample]:
    name = f"server:{server.port}"
    if not server.up:
        return []
    counters = [
        Sample(name, quantity, float(value), now, label=label, model=model)
        for (quantity, label, model), value in server.counters.items()
    ]
    return counters + [
        Sample(name, quantity, float(value), now, Kind.GAUGE, label, model)
        for (quantity, label, model), value in server.gauges.items()
    ]


def _job_samples(job: Job, now: int) -> list[Sample]:
    return [
        Sample(job.id, Quantity.STEPS, float(job.steps), now, part="0"),
        Sample(job.id, Quantity.EPOCHS, float(job.epochs - job.resumed), now, part="0"),
    ]


@dataclass
class MemoryLedger:
    """What a ledger does, without a file: adds up, replaces, and gives it all back at a start."""

    posting: Posting = field(default_factory=Posting)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    prices: dict[str, UnitPrice] = field(default_factory=dict)
    workloads: dict[str, WorkloadRow] = field(default_factory=dict)
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    epochs: list[EpochRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    state: str = ""

    def commit(self, batch: Batch) -> None:
        """Take in a batch."""
        for key, accrued in batch.posting.accruals.items():
            row = self.posting.accruals.setdefault(key, Accrued())
            row.elapsed_ns += accrued.elapsed_ns
            row.quantity += accrued.quantity
            if accrued.pico is not None:
                row.pico = (row.pico or 0) + accrued.pico
        for charge, amount in batch.posting.charges.items():
            total = self.posting.charges.setdefault(charge, Amount())
            total.quantity += amount.quantity
            if amount.pico is not None:
                total.pico = (total.pico or 0) + amount.pico
        for counter, value in batch.counters.items():
            self.counters[counter] = self.counters.get(counter, 0) + value
        self.prices |= batch.prices
        self.workloads |= batch.workloads
        self.runs |= batch.runs
        self.epochs += batch.epochs
        self.events += batch.events
        self.state = batch.state

    def open(self, now_ns: int) -> Books:
        """Books as an exporter that starts finds them."""
        recent = hour_of(now_ns) - 48
        elapsed = {
            key: row.elapsed_ns for key, row in self.posting.accruals.items() if key.hour >= recent
        }
        opening = Opening(
            0,
            self.state,
            dict(self.counters),
            dict(self.workloads),
            dict(self.runs),
            elapsed,
            dict(self.prices),
            Posting(),
        )
        return open_books(opening, self._elapsed, recent)

    def _elapsed(self, key: AccrualKey) -> int:
        row = self.posting.accruals.get(key)
        return row.elapsed_ns if row else 0


class Site:
    """A host with an exporter on it."""

    def __init__(
        self,
        its_rules: Rules | None = None,
        host: Host | None = None,
        match: Mapping[str, str] = {},
    ) -> None:
        self.host = host or Host()
        self.rules = its_rules or rules()
        self.matcher = RuleMatcher([Rule(Account(name), text) for name, text in match.items()])
        self.ledger = MemoryLedger()
        self.settler = self._settler()
        self.observed = Observed()

    def _settler(self) -> Settler:
        books = self.ledger.open(self.host.clock.wall_ns)
        return Settler(self.rules, books, decode(self.ledger.state), HostMeter(self.matcher))

    def restart(self) -> None:
        """The exporter starts anew from what it had committed."""
        self.settler = self._settler()

    def settle(self, host: bool = True, commit: bool = True) -> Batch:
        """One tick now; returns what it adds to the ledger."""
        self.observed, marks = self.host.observe(host)
        clock = self.host.clock.read()
        self.settler.tick(self.observed, marks, clock)
        batch = self.settler.books.pending
        if commit:
            self.ledger.commit(batch)
            self.settler.books.committed_now(hour_of(clock.wall_ns))
        return batch

    def tick(self, count: int = 1, seconds: float = TICK, host: bool = True) -> Batch:
        """So many ticks, each after so many seconds; returns the last one's batch."""
        batch = Batch()
        for _ in range(count):
            self.host.run(seconds)
            batch = self.settle(host)
        return batch

    def away(self, seconds: float) -> None:
        """The exporter is stopped for so long while the host runs, and starts again."""
        self.host.run(seconds)
        self.restart()

    def charged(self, batch: Batch | None = None, **where: object) -> dict[tuple[str, str], int]:
        """Pico-dollars by workload and method; `where`: attributes that a charge's key must have.

        Of one batch, else of everything in the ledger.
        """
        found: dict[tuple[str, str], int] = {}
        posting = batch.posting if batch else self.ledger.posting
        for key, amount in posting.charges.items():
            if _has(key, where):
                name = (key.account.workload, str(key.method))
                found[name] = found.get(name, 0) + (amount.pico or 0)
        return found

    def usd(self, workload: str, batch: Batch | None = None, **where: object) -> Decimal:
        """Dollars charged to a workload."""
        found = self.charged(batch, **where)
        return to_usd(sum(pico for (name, _), pico in found.items() if name == workload))

    def total(self, batch: Batch | None = None) -> Decimal:
        """Dollars charged to all."""
        return to_usd(sum(self.charged(batch).values()))

    def counter(self, metric: str, *labels: str) -> int:
        """A counter's committed total over all series whose first labels these are, as stored."""
        return sum(
            value
            for (name, own), value in self.ledger.counters.items()
            if name == metric and own[: len(labels)] == labels
        )

    def units(self, workload: str, metric: str = "unitcost_requests_total") -> float:
        """Units counted so far."""
        return self.counter(metric, workload) / MICRO

    def points(self) -> Points:
        """What a scrape would see."""
        return ledger_points(self.settler, self.observed)

    def point(self, metric: str, *labels: str) -> float | None:
        """One point of it, by its first labels; None if there is none."""
        found = [v for own, v in self.points().get(metric, []) if own[: len(labels)] == labels]
        assert len(found) <= 1, f"{metric}{labels} is ambiguous"
        return found[0] if found else None


def _has(key: ChargeKey, where: Mapping[str, object]) -> bool:
    for name, value in where.items():
        holder = key.account if name in ("model", "run", "attempt") else key
        if getattr(holder, name) != value:
            return False
    return True


def hourly(site: Site, seconds: float) -> Decimal:
    """What the host costs in so many seconds, at its price now, unrounded."""
    now = site.host.clock.wall_ns
    prices = (site.rules.book.at(each, now) for each in site.rules.book.components)
    usd = sum((price.usd_per_hour for price in prices if price), Decimal(0))
    return usd * Decimal(str(seconds)) / 3600


def price_now(site: Site, usd: str | None, after_seconds: float = 0.0) -> None:
    """The configuration is reloaded: from then on another price, or none, holds."""
    at = site.host.clock.wall_ns + round(after_seconds * NS_PER_SECOND)
    site.rules = replace(site.rules, book=rented((at, usd)))
    site.settler.follow(site.rules, site.matcher)


RESOURCES = (CPU, MEMORY)
STATES = tuple(State)
PICO_USD = PICO
