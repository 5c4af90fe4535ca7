"""Histories of a host and its exporter, told step by step, each tick audited (`tests/audit.py`)."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from tests import audit
from tests.audit import CORRECTION, DAY_NS, Oracle, Passed
from tests.sites import Site, learn, price_now, rented
from tests.worlds import Job
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.settle import JUST_BORN_NS
from unitcost.pricing.resource import GIB, MICRO, REST, Resource
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, TokenType

Step = tuple[str, int, float]
"""What happens, a number that says which or how much, and seconds."""
PORTS = (8001, 8002)
MODELS = ("big", "small")


@dataclass
class Stuck:
    """What was settled and not committed yet; `before`: what was known at the last commit.

    `ran_ns`, `slept`: what had passed already when it was last settled.
    """

    allowed: set[str] = field(default_factory=set)
    measured: bool = False
    stepped: int = 0
    ticks: int = 0
    ran_ns: int = 0
    slept: bool = False
    before: tuple[Oracle, dict[str, set[str]], int] = (Oracle(), {}, 0)


class Story:
    """Tells one history and has each tick audited; `do_...` are the steps there can be."""

    def __init__(self, site: Site, *, births: bool = True) -> None:
        self.site, self.host = site, site.host
        self.births = births
        self.oracle = Oracle()
        self.passed = Passed(present=False)
        self.since_ns = 0
        self.stepped = 0
        self.stuck = Stuck()
        self.alive: dict[str, set[str]] = {}
        self.points: Points = {}
        self.actions: dict[str, Callable[[int, float], None]] = {
            name.removeprefix("do_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }

    def tell(self, history: list[Step]) -> None:
        """All of it, and the books at the end."""
        self.settle()
        for number in (1, 4):
            self.do_serve(number, 0.0)
        self.do_train(2, 0.0)
        for name, number, seconds in history:
            self.actions[name](number, seconds)
        self.do_tick(0, 1.0)
        audit.check_totals(self.site)
        capacities = {each.id: each.capacity_micro for each in self.capacities()}
        audit.check_held(self.site, capacities)
        audit.check_runs(self.site)

    def capacities(self) -> tuple[Resource, ...]:
        """The resources that the exporter must know of, if it can read the host now."""
        return (
            Resource("cpu", self.host.cores * MICRO),
            Resource("memory", self.host.memory * MICRO // GIB),
        )

    def capacities_unread(self, before: tuple[Resource, ...]) -> tuple[Resource, ...]:
        """Those it must know of where it cannot read the host."""
        return before

    # --- What happens to the exporter and to time ---

    def settle(self, read: bool = True, commit: bool = True) -> None:
        """One tick now, audited."""
        before = self.site.settler.state
        position = before.position
        clock = self.host.clock.read()
        resources = tuple(each.resource for each in before.shares if each.resource.id != REST)
        known = resources
        if self.site.settler.present:
            known = self.capacities() if read else self.capacities_unread(resources)
        batch = self.site.settle(read, commit=commit)
        if self.passed.rebooted_ns is not None and position is not None:
            self.passed.rebooted_ns = max(0, clock.wall_ns - position.at_ns)
        if position is None:
            self.passed = Passed(present=False)
        self._note_since(position is None)
        self._read_units()
        self.stuck.allowed |= self._allowed(read)
        self.stuck.measured |= read and self.passed.present
        if commit:
            self._audit(batch, known if self.passed.rebooted_ns is None else resources)
            self.passed, self.stuck = Passed(), Stuck()
        else:
            self.stuck.ticks += 1
            self.stuck.ran_ns, self.stuck.slept = self.passed.ran_ns, bool(self.passed.slept_ns)
        self.stuck.stepped += self.stepped
        self.stepped = 0
        self.alive = self._identities() if read else self.alive_unread()
        if commit:
            self.stuck.before = copy.deepcopy((self.oracle, self.alive, self.since_ns))

    def _note_since(self, first: bool) -> None:
        """Since when there is no break in the metering."""
        position = self.site.settler.state.position
        now = position.at_ns if position else 0
        broken = first or not self.passed.present or self.passed.rebooted_ns is not None
        if broken or self.stepped:
            self.since_ns = max(self.since_ns, now)
        elif self.passed.slept_ns and not self.stuck.slept:
            self.since_ns = max(self.since_ns, now - (self.passed.ran_ns - self.stuck.ran_ns))

    def _audit(self, batch: Batch, resources: tuple[Resource, ...]) -> None:
        site = self.site
        audit.check_rows(batch.posting, site)
        audit.check_time(batch, site, self.passed, resources)
        audit.check_split(batch, site)
        assert all(value >= 0 or name == CORRECTION for (name, _), value in batch.counters.items())
        audit.check_units(site, self.oracle)
        self.check_who(batch)
        points = site.points()
        audit.check_scrape(points, self.points)
        self.points = points
        audit.check_state(site)

    def alive_unread(self) -> dict[str, set[str]]:
        """Whose holders are known where the host cannot be read: those of before."""
        return self.alive

    def check_who(self, batch: Batch) -> None:
        """Only those are charged who may be."""
        audit.check_who(batch, self.stuck.allowed, self.stuck.measured)

    def _read_units(self) -> None:
        since = max(self.since_ns, self.host.clock.wall_ns - DAY_NS)
        for server in self.host.servers.values():
            if server.up:
                self.oracle.read_server(server, since)
        for job in self.host.jobs:
            if job.id not in self.host.silent:
                self.oracle.read_job(job.id, job.workload, job.steps, job.born_wall_ns, since)

    def _allowed(self, read: bool) -> set[str]:
        """Workloads that may be charged: those there now; after a gap, those there all along."""
        now = self._identities() if read else self.alive
        if self.passed.rebooted_ns is not None:
            return set()
        if self.passed.present:
            return set(now)
        if not read:
            return set()
        return {name for name, found in now.items() if found & self.alive.get(name, set())}

    def _identities(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for server in self.host.servers.values():
            if server.proc is not None and server.proc.pid in self.host.procs:
                found.setdefault(server.workload, set()).add(f"{server.life}")
        for job in self.host.jobs:
            if job.running:
                found.setdefault(job.workload, set()).add(job.id)
        return found

    def run(self, seconds: float) -> None:
        """Time passes."""
        before = self.host.clock.mono_ns
        self.host.run(seconds)
        self.passed.ran_ns += self.host.clock.mono_ns - before

    def do_tick(self, number: int, seconds: float) -> None:
        """The exporter ticks as it should."""
        self.run(seconds)
        self.settle()

    def do_unread(self, number: int, seconds: float) -> None:
        """The host cannot be read at this tick."""
        self.run(seconds)
        self.settle(read=False)

    def do_away(self, number: int, seconds: float) -> None:
        """The exporter is stopped for a while."""
        self.run(seconds)
        self._restart()
        self.settle(read=number > 0)

    def do_crash(self, number: int, seconds: float) -> None:
        """It is killed before it could commit, and starts again."""
        self.do_stuck(number, seconds)
        self.run(seconds)
        self._restart()

    def do_stuck(self, number: int, seconds: float) -> None:
        """A tick that the ledger does not take: it is in the next one's batch."""
        if self.passed.present and self.site.settler.state.shares:
            self.run(seconds)
            self.settle(read=number > 0, commit=False)

    def _restart(self) -> None:
        """What was not committed never happened."""
        self.site.restart()
        self.passed.present = False
        self.oracle, self.alive, self.since_ns = copy.deepcopy(self.stuck.before)
        self.stepped += self.stuck.stepped
        self.stuck = Stuck(before=self.stuck.before)

    def do_suspend(self, number: int, seconds: float) -> None:
        """The host sleeps."""
        if seconds < 1 or self.passed.slept_ns:
            return
        self.host.clock.suspend(seconds)
        self.passed.slept_ns = round(seconds * 1e9)

    def do_reboot(self, number: int, seconds: float) -> None:
        """The host goes down, and the exporter with it."""
        self.host.reboot(seconds)
        self.run(seconds)
        self._restart()
        self.passed.rebooted_ns = 0
        self.settle(read=number > 0)

    def do_step(self, number: int, seconds: float) -> None:
        """Somebody sets the clock."""
        by = (3600, -3600, 37, -37, 86_400, -86_400)[number]
        self.host.clock.set_wall(self.host.clock.wall_ns + by * NS_PER_SECOND)
        self.stepped += by

    def do_price(self, number: int, seconds: float) -> None:
        """The configuration is reloaded; the price changes then, soon, or ends."""
        if not self.site.rules.owned and not self.stuck.ticks:
            price_now(self.site, (None, "0", "1", "0.01", "33.3", "1000")[number], seconds)
            position = self.site.settler.state.position
            if position is not None:  # births of before prove nothing any more
                self.since_ns = max(self.since_ns, position.at_ns - JUST_BORN_NS)

    def do_late(self, number: int, seconds: float) -> None:
        """A price is learnt that holds since a while ago."""
        if not self.site.rules.owned:
            since = self.host.clock.wall_ns - round(seconds * NS_PER_SECOND)
            learn(self.site, rented((since, (None, "0", "1", "0.01", "33.3", "1000")[number])))

    # --- What happens on the host ---

    def do_serve(self, number: int, seconds: float) -> None:
        """A server starts, or another takes its place."""
        port = PORTS[number % 2]
        if port in self.host.servers:
            self.host.kill(self.host.servers[port].proc)
        server = self.host.serve(f"chat-{port % 10}", port, number / 2, number)
        server.says_birth = self.births
        server.ready = (None, True, False)[number % 3]
        server.running = (None, True, False)[number // 2]

    def do_kill(self, number: int, seconds: float) -> None:
        """A server or a job ends."""
        if number < 4 and PORTS[number % 2] in self.host.servers:
            self.host.kill(self.host.servers[PORTS[number % 2]].proc)
        elif self.host.jobs:
            self.host.kill(self.host.jobs[-1].proc)

    def do_mute(self, number: int, seconds: float) -> None:
        """A server does not answer, or answers again."""
        server = self.host.servers.get(PORTS[number % 2])
        if server is not None and server.proc is not None and server.proc.pid in self.host.procs:
            server.up = not server.up

    def do_hush(self, number: int, seconds: float) -> None:
        """The collector of training runs fails, or works again."""
        self.host.silent = set() if self.host.silent else {job.id for job in self.host.jobs}

    def do_work(self, number: int, seconds: float) -> None:
        """A server works."""
        server = self.host.servers.get(PORTS[number % 2])
        if server is not None and server.proc is not None and server.proc.pid in self.host.procs:
            model = MODELS[number % 3 == 0]
            server.work(number, model, seconds)
            server.add(Quantity.TOKENS, 10 * number, TokenType.OUTPUT, model)

    def do_train(self, number: int, seconds: float) -> None:
        """A run starts, or is resumed."""
        run = f"run-{number % 2}"
        earlier = [job for job in self.host.jobs if job.run == run]
        for job in earlier:
            self.host.kill(job.proc)
        resumed = max((job.epochs for job in earlier), default=0.0)
        self.host.train("job-1", run, len(earlier), number / 2, number, resumed)

    def do_advance(self, number: int, seconds: float) -> None:
        """A run takes steps."""
        for job in self._running():
            job.steps += number

    def do_epoch(self, number: int, seconds: float) -> None:
        """A run ends an epoch; its state file says when."""
        for job in self._running():
            job.end_epoch(self.host.clock.wall_ns)

    def _running(self) -> list[Job]:
        return [job for job in self.host.jobs if job.running]

    def do_load(self, number: int, seconds: float) -> None:
        """Something else uses the CPU."""
        self.host.other_ns = number * NS_PER_SECOND
