"""Settling runs under random histories: what was lost is a part of what was charged, once."""

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_settle import BOOKS, LENGTHS, NUMBERS, Prices, rules_of
from tests.sites import Site
from tests.story import Step, Story
from tests.worlds import Job
from unitcost.exporter.settling.batch import Batch
from unitcost.pricing.resource import MICRO, Resource
from unitcost.pricing.sample import Stall

PROJECTED = "unitcost_run_projected_cost_usd"
RUN_COST = "unitcost_run_cost_usd"


class RunStory(Story):
    """Histories with jobs that wait, repeat, have goals and go on elsewhere."""

    def do_wait(self, number: int, seconds: float) -> None:
        """A rank tells how long it waited; it may be more than there was time."""
        for job in super()._running():
            reason = list(Stall)[number % 3]
            job.waited[reason] = job.waited.get(reason, 0.0) + seconds

    def do_goal(self, number: int, seconds: float) -> None:
        """Somebody says where the run will end, or takes it back."""
        for job in self._running():
            job.goal_steps = (None, 5, 10, 40, 100, None)[number]
            job.goal_epochs = (None, None, 2.5, 4.0, None, 10.0)[number]

    def do_resume(self, number: int, seconds: float) -> None:
        """The last job fails, and goes on from some steps before."""
        for old in self._running()[-1:]:
            old.failed = number % 2 == 0
            self.host.kill(old.proc)
            epochs = float(int(old.epochs)) if number < 4 else 0.0
            job = self.host.train("job-1", old.run, old.attempt + 1, 1.0, 1.0, epochs)
            job.resumed_step = max(0, old.resumed_step + old.steps - number)
            job.goal_steps, job.goal_epochs = old.goal_steps, old.goal_epochs

    def do_join(self, number: int, seconds: float) -> None:
        """Another rank of the last job."""
        for first in self._running()[-1:]:
            rank = self.host.train("job-1", first.run, first.attempt, 0.5, 1.0, first.resumed)
            rank.rank, rank.resumed_step = 1, first.resumed_step

    def _running(self) -> list[Job]:
        """Those that count steps and epochs for all."""
        return [job for job in super()._running() if job.rank == 0]

    def _audit(self, batch: Batch, resources: tuple[Resource, ...]) -> None:
        super()._audit(batch, resources)
        cost = dict(self.points.get(RUN_COST, ()))
        projected = dict(self.points.get(PROJECTED, ()))
        for (workload, name, bound), usd in projected.items():
            assert usd >= cost[workload, name] * (1 - 1e-12)
            low, high = (projected.get((workload, name, end)) for end in ("low", "high"))
            assert (low is None) == (high is None)
            if bound == "expected" and low is not None and high is not None:
                assert low <= usd <= high
        for run in self.site.ledger.runs.values():
            total, lost = run.total.pico or 0, run.lost
            assert 0 <= lost.repeated <= total
            assert sum(lost.stalled.values()) + lost.free_pico == total
            assert all(pico >= 0 for pico in (*lost.stalled.values(), lost.free_pico))


NAMES = ("tick", "tick", "advance", "advance", "epoch", "wait", "goal", "resume", "join", "train")
TROUBLES = (
    "late",
    "away",
    "crash",
    "stuck",
    "unread",
    "hush",
    "price",
    "reboot",
    "suspend",
    "step",
    "kill",
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from([*NAMES, *NAMES, *TROUBLES]), NUMBERS, LENGTHS), max_size=40
)


@given(HISTORIES, BOOKS)
def test_what_is_lost_is_a_part_of_what_a_run_cost(history: list[Step], book: Prices) -> None:
    """And no projection is below it, whatever happens."""
    RunStory(Site(rules_of(book)), births=False).tell(history)


@dataclass
class Repetition:
    """Works out on its own what a job's repeated steps cost, from the rows of each tick."""

    site: Site
    job: Job
    peak: int = 0
    last: int = 0
    moved: bool = False
    pico: int = 0

    def tick(self, seconds: float, *, away: bool = False) -> None:
        """Time passes; what the present attempt was charged is for its steps since."""
        if away:
            self.site.away(seconds)
            batch = self.site.settle()
        else:
            batch = self.site.tick(seconds=seconds)
        charged = self.site.charged(batch, run="r1", attempt=self.job.attempt)
        now = self.job.resumed_step + self.job.steps
        self.moved |= now > self.last
        if self.moved:
            self.pico += int(sum(charged.values()) * self._part(now))
        self.last = now

    def _part(self, now: int) -> Fraction:
        if now == self.last:
            return Fraction(self.last < self.peak)
        again = sum(1 for step in range(self.last + 1, now + 1) if step <= self.peak)
        return Fraction(again, now - self.last)

    def resume(self, back: int) -> None:
        """It is killed and goes on from a checkpoint."""
        self.site.host.kill(self.job.proc)
        self.peak = max(self.peak, self.last)
        self.last, self.moved = max(1, self.last - back), False
        self.job = self.site.host.train("job", "r1", self.job.attempt + 1, cores=1.0)
        self.job.resumed_step = self.last


DOINGS = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "step", "resume", "away", "restart"]),
        st.integers(0, 30),
        st.sampled_from([1.0, 5.0, 5.0, 37.5]),
    ),
    min_size=1,
    max_size=25,
)


@given(DOINGS)
def test_repeated_steps_cost_what_they_were_charged(doings: list[tuple[str, int, float]]) -> None:
    """To the last pico-dollar, over crashes of the job and restarts of the exporter."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    site.tick()
    told = Repetition(site, job)
    for name, number, seconds in doings:
        if name == "resume" and told.last > 1:
            told.resume(number)
        elif name == "restart":
            site.restart()
        told.job.steps += number if name in ("step", "away") else 0
        told.tick(seconds, away=name == "away")
        assert site.ledger.runs["job", "r1"].lost.repeated == told.pico
    assert site.counter("unitcost_steps_total", "job") <= MICRO * 30 * len(doings)


@given(st.integers(1, 20), st.integers(1, 15), st.sampled_from([0.5, 5.0, 7.25]), st.integers(0, 5))
def test_a_steady_run_costs_what_is_projected(
    pace: int, ticks: int, seconds: float, loading: int
) -> None:
    """However long it loads, how long a tick is and how many steps are in one."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.goal_steps = pace * (ticks + 5)
    site.settle()
    site.tick(loading, seconds=seconds)
    projected = []
    for _ in range(ticks + 5):
        job.steps += pace
        site.tick(seconds=seconds)
        projected.append(site.point(PROJECTED, "job", "r1", "expected"))
    cost = site.point(RUN_COST, "job", "r1")
    assert cost is not None
    assert projected[0] is None
    for each in projected[1:]:
        assert each is not None
        assert abs(each - cost) <= 1e-6 * cost
