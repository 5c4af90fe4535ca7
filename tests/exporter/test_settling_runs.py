"""Settling runs: epochs between their marks, attempts, several hosts."""

import pytest

from tests.sites import CHAT, HOUR, MINUTE, Site, rules
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, TokenType


def test_an_epoch_costs_what_was_charged_between_its_marks() -> None:
    """The marks lie inside of ticks; the tick is cut there."""
    site = Site()
    job = site.host.train("job", "r1", cores=2.0)
    site.settle()
    start = site.host.clock.wall_ns
    for seconds in (12, 31):
        job.end_epoch(start + seconds * NS_PER_SECOND)
        job.steps += 1
    site.tick(8)
    cost = site.point("unitcost_epoch_cost_usd", "job", "", "allocated")
    assert cost == pytest.approx(float(site.usd("job")) / 40 * 19, rel=1e-6)
    first, second = site.ledger.epochs
    assert (first.total.pico or 0) / 12 == pytest.approx((second.total.pico or 0) / 31)


def test_epochs_that_end_together_share_their_cost_equally() -> None:
    """The client was silent for one of them."""
    site = Site()
    job = site.host.train("job", "r1", cores=2.0)
    site.settle()
    job.epochs += 1
    job.end_epoch(site.host.clock.wall_ns + 5 * NS_PER_SECOND)
    site.tick()
    half = pytest.approx(float(site.usd("job")) / 2, rel=1e-9)
    assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") == half
    assert site.point("unitcost_epoch_cost_part_usd", "job", "r1") == half
    assert site.point("unitcost_epoch_last", "job", "r1") == 2


def test_the_first_epoch_of_a_run_with_a_history_has_no_cost() -> None:
    """Part of it was before our time; the second one is whole."""
    site = Site()
    job = site.host.train("job", "r1", cores=2.0)
    site.host.run(HOUR)
    site.settle()
    for known in (False, True):
        site.tick(3)
        job.end_epoch(site.host.clock.wall_ns)
        site.tick()
        found = site.point("unitcost_epoch_cost_usd", "job", "", "allocated")
        assert (found is not None) == known


def test_marks_of_an_attempt_that_is_over_are_not_those_of_the_next() -> None:
    """It had got to epoch 2 and was resumed at 1: its file is still there."""
    site = Site()
    first = site.host.train("job", "r1", 0, cores=1.0)
    site.settle()
    for _ in range(2):
        site.tick()
        first.end_epoch(site.host.clock.wall_ns)
    site.host.kill(first.proc)
    second = site.host.train("job", "r1", 1, cores=1.0, resumed=1.0)
    site.tick(3)
    assert site.point("unitcost_epoch_last", "job", "r1") == 1
    second.end_epoch(site.host.clock.wall_ns)
    site.tick()
    assert site.point("unitcost_epoch_last", "job", "r1") == 2
    run = site.ledger.runs["job", "r1"]
    assert run.epoch_cost is not None
    assert 0 < (run.epoch_cost.pico or 0) < (run.total.pico or 0)


def test_an_epoch_with_a_silent_tick_has_no_used_cost() -> None:
    """The exporter was restarted and could not read the state file at first."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.steps = 1
    site.settle()
    site.tick(2)
    site.away(1.0)
    site.host.silent.add(job.id)
    site.settle()
    site.host.silent.clear()
    job.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    site.tick()
    assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is not None
    assert site.point("unitcost_epoch_cost_usd", "job", "", "used") is None


def test_two_runs_of_a_workload_are_one_series_of_hosts() -> None:
    """The last run was on two hosts, this one is on one: its epochs have a cost here."""
    site = Site()
    first = site.host.train("job", "r1", cores=1.0)
    first.hosts = 2
    site.settle()
    first.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    first.steps = 5
    site.tick(2)
    assert site.point("unitcost_workload_hosts", "job") == 2
    assert site.point("unitcost_step_cost_usd", "job", "", "allocated") is None
    assert site.points().get("unitcost_epoch_cost_usd", []) == []
    site.host.kill(first.proc)
    second = site.host.train("job", "r2", cores=1.0)
    site.tick(12, seconds=2 * MINUTE)
    second.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    second.steps = 5
    site.tick()
    assert site.point("unitcost_workload_hosts", "job") == 1
    assert site.point("unitcost_step_cost_usd", "job", "", "allocated") is not None
    assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is not None


def test_no_two_points_of_a_scrape_are_the_same_series() -> None:
    """Prometheus would refuse the whole of it."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0)
    for number in range(3):
        site.host.train("job", f"r{number}", number, cores=0.1, resumed=float(number))
        site.host.train("job", "r0", number, cores=0.1)
    site.settle()
    for model in ("a", "b"):
        server.work(3, model, seconds=2)
        server.add(Quantity.TOKENS, 7, TokenType.OUTPUT, model)
        server.gauges[Quantity.REQUESTS_RUNNING, "", model] = 1
    site.tick(3)
    for metric, found in site.points().items():
        labels = [own for own, _ in found]
        assert len(set(labels)) == len(labels), metric
