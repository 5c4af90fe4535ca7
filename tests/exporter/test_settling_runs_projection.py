"""Settling runs: how far they are, and what they will have cost at their goal."""

import random
from collections.abc import Callable

import pytest

from tests.sites import HOUR, MINUTE, Site, price_now, rented, rules
from tests.worlds import Job
from unitcost.pricing.sample import NS_PER_SECOND

PROJECTED = "unitcost_run_projected_cost_usd"
PROGRESS = "unitcost_run_progress_ratio"
COST = "unitcost_run_cost_usd"
Bounds = tuple[float | None, float | None, float | None]


def bounds(site: Site) -> Bounds:
    """Expected, low and high."""
    low, high = (site.point(PROJECTED, "job", "r1", each) for each in ("low", "high"))
    return site.point(PROJECTED, "job", "r1", "expected"), low, high


def training(site: Site, goal: int | None = 100) -> Job:
    """A run of so many steps, which loads for a minute."""
    job = site.host.train("job", "r1", cores=1.0)
    job.goal_steps = goal
    site.settle()
    site.tick(12)
    return job


def go(site: Site, job: Job, steps: int, ticks: int = 1) -> None:
    """So many steps in each of so many ticks."""
    for _ in range(ticks):
        job.steps += steps
        site.tick()


def test_a_steady_run_ends_at_what_was_projected() -> None:
    """A minute of loading is in the cost and not in the rate."""
    site = Site()
    job = training(site)
    assert site.point(PROGRESS, "job", "r1") == 0
    assert bounds(site) == (None, None, None)
    go(site, job, 5)
    assert bounds(site) == (None, None, None)
    go(site, job, 5)
    expected, *ends = bounds(site)
    assert expected is not None
    assert ends == [None, None]
    go(site, job, 5, ticks=2)
    found = bounds(site)
    assert site.point(PROGRESS, "job", "r1") == 0.2
    go(site, job, 5, ticks=16)
    cost = site.point(COST, "job", "r1")
    assert (site.point(PROGRESS, "job", "r1"), cost) == (1.0, float(site.usd("job")))
    assert (expected, *found) == pytest.approx((cost,) * 4, rel=1e-7)
    assert bounds(site) == (cost,) * 3
    site.tick()
    cost = site.point(COST, "job", "r1")
    assert bounds(site) == (cost,) * 3


def test_a_run_whose_steps_take_longer_than_a_tick_ends_at_what_was_projected() -> None:
    """The projection neither climbs while a step goes on nor falls when it ends."""
    site = Site()
    job = training(site, goal=20)
    found = []
    for tick in range(100):
        job.steps = (tick + 1) // 5
        site.tick()
        found.append(bounds(site))
    cost = site.point(COST, "job", "r1")
    job.steps = 20
    assert cost is not None
    assert all(each == (None,) * 3 for each in found[:9])
    for expected, *_ in found[9:]:
        assert expected == pytest.approx(cost, rel=1e-7)


def test_an_uneven_run_ends_within_its_bounds() -> None:
    """They narrow as it goes on, and are never below what was spent."""
    site = Site()
    job = training(site, goal=400)
    paces, found = random.Random(3), []
    while job.steps < 400:
        go(site, job, paces.choice((0, 1, 3, 5, 6, 9)))
        expected, low, high = bounds(site)
        if expected is not None and low is not None and high is not None:
            assert (site.point(COST, "job", "r1") or 0) <= low <= expected <= high
            found.append((low, high))
    cost = site.point(COST, "job", "r1") or 0
    assert all(low <= cost <= high for low, high in found)
    first, midway, last = (found[at][1] - found[at][0] for at in (0, len(found) // 2, -1))
    assert first > midway > last == 0


def test_without_a_goal_nothing_is_projected() -> None:
    """It may be known later, and may change: the rate is what it was."""
    site = Site()
    job = training(site, goal=None)
    go(site, job, 5, ticks=6)
    assert site.point(PROGRESS, "job", "r1") is None
    assert bounds(site) == (None, None, None)
    job.goal_steps = 100
    go(site, job, 5, ticks=6)
    assert site.point(PROGRESS, "job", "r1") == 0.6
    first = bounds(site)[0]
    job.goal_steps = 200
    go(site, job, 5)
    second, cost = bounds(site)[0], float(site.usd("job"))
    assert first is not None
    assert second is not None
    assert second - cost == pytest.approx((first - cost) * (200 - 65) / (100 - 65), rel=1e-6)
    job.goal_steps = None
    site.tick()
    assert bounds(site) == (None, None, None)


def test_without_a_price_nothing_is_projected() -> None:
    """Progress is, which costs nothing."""
    site = Site(rules(rented(usd=None)))
    job = training(site)
    go(site, job, 5, ticks=6)
    assert site.point(PROGRESS, "job", "r1") == 0.3
    assert bounds(site) == (None, None, None)


def test_a_price_that_changes_is_the_price_of_what_remains() -> None:
    """From the second step at it on; what was spent before stays what it was."""
    site = Site()
    job = training(site)
    go(site, job, 5, ticks=6)
    price_now(site, "3.872")
    go(site, job, 5)
    assert bounds(site) == (None, None, None)
    go(site, job, 5, ticks=3)
    found = bounds(site)
    go(site, job, 5, ticks=10)
    assert found == pytest.approx((site.point(COST, "job", "r1"),) * 3, rel=1e-7)


def test_time_without_a_price_is_in_no_interval() -> None:
    """Two steps of which a part of the cost is not known: they say nothing of the others."""
    site = Site()
    job = training(site)
    go(site, job, 5, ticks=6)
    price_now(site, None)
    go(site, job, 5, ticks=2)
    price_now(site, "0.3872")
    go(site, job, 5, ticks=4)
    found = bounds(site)
    go(site, job, 5, ticks=8)
    assert found == pytest.approx((site.point(COST, "job", "r1"),) * 3, rel=1e-7)


def test_the_pace_goes_on_over_a_restart_of_the_exporter() -> None:
    """And over its absence, if the run worked on."""
    site = Site()
    job = training(site, goal=1000)
    go(site, job, 5, ticks=6)
    before = bounds(site)
    site.restart()
    go(site, job, 5)
    assert bounds(site) == pytest.approx(before, rel=1e-7)
    job.steps += 60
    site.away(MINUTE)
    site.settle()
    assert bounds(site) == pytest.approx(before, rel=1e-7)


@pytest.mark.parametrize("failed", [True, False])
def test_a_run_that_stopped_short_of_its_goal(failed: bool) -> None:
    """Killed, it is expected to be resumed; ended by itself, it will not get there."""
    site = Site()
    job = training(site)
    go(site, job, 5, ticks=6)
    job.failed = failed
    before = bounds(site)[0]
    site.host.kill(job.proc)
    site.tick(3)
    assert (bounds(site)[0] is not None) == failed
    assert site.point(PROGRESS, "job", "r1") == 0.3
    if failed:
        assert bounds(site)[0] == pytest.approx(before, rel=0.05)


def test_a_resumed_run_pays_again_for_what_it_does_again() -> None:
    """30 steps done, resumed at 10; loading again is paid and is not part of the rate."""
    site = Site()
    job = training(site)
    go(site, job, 5, ticks=6)
    before = bounds(site)[0]
    job.failed = True
    site.host.kill(job.proc)
    second = site.host.train("job", "r1", 1, cores=1.0)
    second.resumed_step, second.goal_steps = 10, 100
    site.tick(12)
    assert site.point(PROGRESS, "job", "r1") == 0.1
    found = [bounds(site)[0]]
    go(site, second, 5, ticks=4)
    found.append(bounds(site)[0])
    go(site, second, 5, ticks=14)
    cost = site.point(COST, "job", "r1")
    assert cost is not None
    assert before is not None
    assert found == pytest.approx([cost] * 2, rel=1e-7)
    assert cost > before


def _by_marks(site: Site, job: Job, at: float) -> None:
    job.end_epoch(site.host.clock.wall_ns + round(at * NS_PER_SECOND))
    site.tick()


def _by_fractions(site: Site, job: Job, at: float) -> None:
    job.epochs += 1
    site.tick()


@pytest.mark.parametrize("end_epoch", [_by_marks, _by_fractions])
def test_a_goal_in_epochs(end_epoch: Callable[[Site, Job, float], None]) -> None:
    """Six epochs of a minute, whose ends are told by marks or only by their number."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.goal_epochs = 6.0
    site.settle()
    site.tick(6)
    found: list[Bounds] = []
    for _ in range(6):
        for _ in range(11):
            job.steps += 1
            site.tick()
        job.steps += 1
        end_epoch(site, job, 5.0)
        found.append(bounds(site))
    cost = site.point(COST, "job", "r1")
    assert cost is not None
    assert found[0][0] == pytest.approx(cost, rel=0.1)  # its first step began within a tick
    assert found[0][1:] == found[1][1:] == (None, None)
    for expected, low, high in found[2:]:
        assert low is not None
        assert high is not None
        assert expected is not None
        assert low <= expected <= high
        assert expected == pytest.approx(cost, rel=0.03)
    assert found[-1] == (cost,) * 3


def test_a_host_without_rank_0_projects_its_part_by_marks() -> None:
    """It is told no steps: a goal in steps says nothing there, one in epochs does."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.rank, job.hosts, job.goal_epochs, job.goal_steps = 1, 2, 8.0, 800
    site.settle()
    for number in range(5):
        job.steps += 1
        site.tick(11)
        _by_marks(site, job, 5.0)
        assert site.point(PROGRESS, "job", "r1") == (number + 1) / 8
    found = bounds(site)
    site.tick(36)
    assert found == pytest.approx((site.point(COST, "job", "r1"),) * 3, rel=1e-6)


def test_a_run_first_seen_in_its_midst_has_a_rate_of_what_was_seen() -> None:
    """Its past is not in the total; what is seen goes on."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.goal_steps, job.steps = 1000, 700
    site.host.run(HOUR)
    site.settle()
    site.tick()
    assert site.point(PROGRESS, "job", "r1") == 0.7
    go(site, job, 5, ticks=5)
    found = bounds(site)
    go(site, job, 5, ticks=55)
    assert found == pytest.approx((site.point(COST, "job", "r1"),) * 3, rel=1e-6)
