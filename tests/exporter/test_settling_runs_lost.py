"""Settling runs: what waiting and repeated steps cost, as parts of what was charged."""

from decimal import Decimal

import pytest

from tests.sites import MINUTE, Site, price_now, rented, rules
from tests.worlds import Job

STALLED = "unitcost_run_stall_cost_usd_total"
REPEATED = "unitcost_run_repeated_cost_usd_total"


def stalled(site: Site, reason: str) -> float | None:
    """Dollars lost by waiting for it."""
    return site.point(STALLED, "job", "r1", reason)


def usd(amount: Decimal) -> object:
    """Dollars as a scrape shows them, to a few pico-dollars."""
    return pytest.approx(float(amount), rel=1e-9, abs=1e-9)


def crashed_at(site: Site, steps: int, ticks: int = 4) -> Job:
    """A run whose first attempt got so far, one equal part in each tick, and was killed."""
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    for _ in range(ticks):
        job.steps += steps // ticks
        site.tick()
    job.failed = True
    site.host.kill(job.proc)
    return job


def resumed_at(site: Site, step: int, attempt: int = 1) -> Job:
    """The run goes on from a checkpoint."""
    job = site.host.train("job", "r1", attempt, cores=1.0)
    job.resumed_step = step
    return job


def test_a_tick_of_which_a_part_was_waited_is_lost_by_that_part() -> None:
    """Data for two of five seconds, a checkpoint for one: both are in the run's cost."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.waited = {"data_loading": 0.0, "checkpoint": 0.0}
    site.settle()
    site.tick()
    assert stalled(site, "data_loading") == 0.0
    assert stalled(site, "straggler") is None
    job.waited = {"data_loading": 2.0, "checkpoint": 1.0}
    lost = site.usd("job", site.tick()) / 5
    assert stalled(site, "data_loading") == usd(lost * 2)
    assert stalled(site, "checkpoint") == usd(lost)
    assert site.point("unitcost_run_cost_usd", "job", "r1") == usd(site.usd("job"))


def test_ranks_wait_on_average() -> None:
    """One of two waits for the other all the time: half of the run's cost is lost."""
    site = Site()
    ranks = [site.host.train("job", "r1", cores=1.0) for _ in range(2)]
    ranks[1].rank = 1
    for job in ranks:
        job.waited = {"straggler": 0.0}
    site.settle()
    site.tick()
    ranks[1].waited["straggler"] += 5.0
    lost = site.usd("job", site.tick()) / 2
    assert stalled(site, "straggler") == usd(lost)


def test_ranks_that_ended_are_still_what_the_last_waits_are_averaged_over() -> None:
    """All wait for the last checkpoint, and only then leave: it is lost once, not twice."""
    site = Site()
    ranks = [site.host.train("job", "r1", cores=1.0) for _ in range(2)]
    ranks[1].rank = 1
    site.settle()
    site.tick()
    before = site.usd("job")
    for job in ranks:
        job.waited = {"checkpoint": 5.0}
        site.host.kill(job.proc)
    site.tick()
    assert stalled(site, "checkpoint") == usd(before)


def test_a_wait_told_late_is_lost_at_what_the_time_before_it_cost() -> None:
    """A checkpoint of twelve seconds, reported when it was over."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    site.tick(4)
    job.waited = {"checkpoint": 12.0}
    site.tick()
    assert stalled(site, "checkpoint") == usd(site.usd("job") / 25 * 12)
    job.waited = {"checkpoint": 1e6}
    site.tick()
    assert stalled(site, "checkpoint") == usd(site.usd("job"))


def test_waiting_costs_what_the_time_costs() -> None:
    """The price doubles; a second of waiting is twice as dear. Without one it costs nothing."""
    site = Site(rules(rented(usd="0.36")))
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    found = []
    for price in ("0.36", "0.72", None, "0.36"):
        price_now(site, price)
        job.waited = {"data_loading": job.waited.get("data_loading", 0.0) + 2.5}
        before = stalled(site, "data_loading") or 0.0
        site.tick()
        found.append((stalled(site, "data_loading") or 0.0) - before)
    assert found[1] == pytest.approx(2 * found[0], rel=1e-6)
    assert found[2] == 0
    assert found[3] == pytest.approx(found[0], rel=1e-6)


def test_a_reason_nobody_knows_is_no_series() -> None:
    """Reasons are three; a collector of a third party may say anything."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.waited = {"coffee": 0.0, "checkpoint": 0.0}
    site.settle()
    job.waited = {"coffee": 4.0, "checkpoint": 1.0}
    site.tick()
    assert [labels for labels, _ in site.points()[STALLED]] == [("job", "r1", "checkpoint")]


def test_steps_done_again_cost_what_was_charged_meanwhile() -> None:
    """40 steps, resumed at 20: loading is not lost, the 20 until 40 are, what follows is new."""
    site = Site()
    crashed_at(site, 40)
    assert site.point(REPEATED, "job", "r1") == 0
    job = resumed_at(site, 20)
    site.tick(2)
    assert site.point(REPEATED, "job", "r1") == 0
    lost = Decimal(0)
    for steps, part in ((5, 1), (0, 1), (10, 1), (20, Decimal("0.25")), (10, 0)):
        job.steps += steps
        lost += site.usd("job", site.tick()) * part
        assert site.point(REPEATED, "job", "r1") == usd(lost)
    assert site.point("unitcost_run_attempts", "job", "r1") == 2
    assert site.point("unitcost_run_cost_usd", "job", "r1") == usd(site.usd("job"))


def test_a_crash_while_the_exporter_was_away_is_told_by_the_file_that_was_left() -> None:
    """The first attempt got to 60 and not to 40, as was last seen."""
    site = Site()
    first = site.host.train("job", "r1", cores=1.0)
    site.settle()
    first.steps = 40
    site.tick()
    first.steps = 60
    site.host.kill(first.proc)
    second = resumed_at(site, 20)
    site.away(MINUTE)
    site.settle()
    second.steps = 10
    lost = site.usd("job", site.tick())
    second.steps = 50
    lost += site.usd("job", site.tick()) * 30 / 40
    assert site.point(REPEATED, "job", "r1") == usd(lost)


def test_an_attempt_that_resumes_at_its_last_step_repeats_nothing() -> None:
    """A measured zero."""
    site = Site()
    crashed_at(site, 40)
    job = resumed_at(site, 40)
    for _ in range(3):
        job.steps += 5
        site.tick()
    assert site.point(REPEATED, "job", "r1") == 0


def test_epochs_tell_where_a_job_resumes_by_epochs() -> None:
    """It gives no step: it counts them from there on. Three epochs, resumed after the first."""
    site = Site()
    first = site.host.train("job", "r1", cores=1.0)
    site.settle()
    for _ in range(3):
        first.steps += 100
        first.end_epoch(site.host.clock.wall_ns + 10**9)
        site.tick()
    site.host.kill(first.proc)
    second = site.host.train("job", "r1", 1, cores=1.0, resumed=1.0)
    site.tick()
    lost = Decimal(0)
    for _ in range(2):
        second.steps += 100
        lost += site.usd("job", site.tick())
        second.end_epoch(site.host.clock.wall_ns)
    second.steps += 100
    site.tick(2)
    assert site.point(REPEATED, "job", "r1") == usd(lost)


def test_a_run_is_charged_as_repeating_up_to_the_instant_of_the_mark() -> None:
    """On a host without rank 0 only the marks tell; the epoch ended within a tick."""
    site = Site()
    first = site.host.train("job", "r1", cores=1.0)
    first.rank = 1
    site.settle()
    for _ in range(2):
        first.end_epoch(site.host.clock.wall_ns + 10**9)
        site.tick()
    site.host.kill(first.proc)
    second = site.host.train("job", "r1", 1, cores=1.0, resumed=1.0)
    second.rank = 1
    second.steps = 1
    lost = site.usd("job", site.tick())
    second.end_epoch(site.host.clock.wall_ns + 2 * 10**9)
    lost += site.usd("job", site.tick()) * 2 / 5
    site.tick(2)
    assert site.point(REPEATED, "job", "r1") == usd(lost)


def test_who_leaves_out_what_is_done_again_is_asked_no_more() -> None:
    """Zero would be a guess: the sink of a callback knows only how far the run has got."""
    site = Site()
    crashed_at(site, 40)
    held = site.host.train("job", "r1", 1, cores=1.0)
    held.steps = 40
    site.tick(3)
    assert site.points().get(REPEATED, []) == []
    held.steps = 50
    site.tick()
    assert site.points().get(REPEATED, []) == []


def test_a_step_costs_what_it_costs_across_restarts() -> None:
    """Steps done before the attempt are no steps of it; those done again cost again."""
    site = Site()
    crashed_at(site, 400)
    job = resumed_at(site, 200)
    site.tick(2)
    for _ in range(4):
        job.steps += 100
        site.tick()
    assert site.units("job", "unitcost_steps_total") == 800
    cost = site.point("unitcost_step_cost_usd", "job", "", "allocated")
    assert cost == usd(site.usd("job") / 800)
    site.away(5.0)
    site.tick()
    assert site.units("job", "unitcost_steps_total") == 800
