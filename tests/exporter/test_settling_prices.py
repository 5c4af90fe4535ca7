"""Settling prices: changes, prices that are not known, and hours that are whole."""

from decimal import Decimal

import pytest

from tests.sites import CHAT, HOUR, Site, hourly, near, owned, price_now, rented, rules
from tests.worlds import Host
from unitcost.pricing.price import PriceBook
from unitcost.pricing.resource import CPU, MEMORY, MICRO
from unitcost.pricing.sample import NS_PER_SECOND

REQUEST = "unitcost_request_cost_usd"


def test_a_price_change_inside_a_tick_charges_each_part_at_its_own_price() -> None:
    """Two seconds at one dollar an hour and three at ten."""
    host = Host()
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    site = Site(rules(rented((change, "10"), usd="1")), host)
    site.settle()
    last = site.tick()
    assert near(site.total(last), (Decimal(2) * 1 + Decimal(3) * 10) / 3600)
    assert len({key.price for key in last.posting.accruals}) == 4  # two resources, two prices


def test_a_price_that_ends_leaves_the_rest_of_the_tick_unpriced() -> None:
    """Time and use go on; the dollars are unknown, not zero."""
    host = Host()
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    site = Site(rules(rented((change, None), usd="1")), host)
    server = host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(3)
    last = site.tick()
    assert near(site.total(last), Decimal(2) / 3600)
    rows = {(row.elapsed_ns // NS_PER_SECOND, row.pico) for row in last.posting.accruals.values()}
    assert {elapsed for elapsed, pico in rows if pico is None} == {3}
    assert site.point(REQUEST, "chat", "m", "allocated") is None
    assert site.point("unitcost_unit_coverage_ratio", "chat") == 0


def test_a_gap_between_two_prices_is_unpriced_to_the_nanosecond() -> None:
    """One ends a second and a bit into a tick, the next begins two seconds later."""
    host = Host()
    ends = host.clock.wall_ns + 1_250_000_007
    begins = ends + 2 * NS_PER_SECOND
    site = Site(rules(rented((ends, None), (begins, "3"), usd="1")), host)
    site.settle()
    last = site.tick()
    spans = {(row.elapsed_ns, row.pico is None) for row in last.posting.accruals.values()}
    assert spans == {(1_250_000_007, False), (2_000_000_000, True), (1_749_999_993, False)}
    assert near(site.total(last), (Decimal("1.250000007") + 3 * Decimal("1.749999993")) / 3600)
    assert site.point("unitcost_resource_unpriced", CPU, "rent") == 0


def test_an_unpriced_host_counts_seconds_and_units_and_no_cost() -> None:
    """No cost series at all, of any kind."""
    site = Site(rules(PriceBook(rented().components), workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    for _ in range(3):
        server.work(5, seconds=1.0)
        job.steps += 2
        site.tick()
    job.end_epoch(site.host.clock.wall_ns)
    site.tick()
    points = site.points()
    costs = [name for name, found in points.items() if "_usd" in name and found]
    assert costs == []
    assert site.point("unitcost_resource_unpriced", CPU, "rent") == 1
    assert site.units("chat") == 15
    assert site.units("job", "unitcost_steps_total") == 6
    held = site.counter("unitcost_held_seconds_total") / MICRO
    assert held == pytest.approx((4 + 16) * 20.0)
    assert all(row.pico is None for row in site.ledger.posting.accruals.values())


def test_one_unpriced_component_leaves_no_unit_cost() -> None:
    """Amortisation is known, electricity is not: a request costs more than the one."""
    site = Site(rules(owned(electricity=None), workloads=(CHAT,), owned=True))
    server = site.host.serve("chat", 8000, cores=1.0)
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    server.work(5)
    job.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    last = site.tick()
    assert near(site.total(last), Decimal("0.20") * 5 / 3600)
    assert REQUEST not in site.points()
    assert "unitcost_run_cost_usd" not in site.points()
    assert "unitcost_price_usd_per_hour" not in site.points()
    assert site.points().get("unitcost_epoch_cost_usd", []) == []


def test_a_reload_prices_from_then_on() -> None:
    """What was charged stays as it was charged."""
    site = Site()
    site.settle()
    site.tick()
    price_now(site, "36")
    before = site.total()
    last = site.tick()
    assert near(site.total(last), Decimal("0.05"))
    assert site.total() == before + site.total(last)


def test_the_hour_is_charged_whole_however_often_it_is_interrupted() -> None:
    """Restarts, a failing collector, ticks of odd lengths: 38.72 cents."""
    site = Site(rules(workloads=(CHAT,)))
    site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    passed, odd = 0.0, (0.7, 5.0, 13.37, 61.1)
    number = 0
    while passed < HOUR:
        seconds = min(odd[number % 4], HOUR - passed)
        passed += seconds
        number += 1
        site.host.run(seconds)
        if number % 3 == 0:
            site.restart()
        site.settle(host=number % 5 != 0)
    assert abs(site.total() - hourly(site, HOUR)) <= Decimal("4e-12")


def test_a_scrape_says_what_each_resource_costs_now() -> None:
    """The parts sum to the host's price, before and after a change."""
    host = Host()
    change = host.clock.wall_ns + 7 * NS_PER_SECOND
    site = Site(rules(rented((change, "10"), usd="1")), host)
    site.settle()
    for expected in (1, 10):
        site.tick()
        prices = site.points()["unitcost_price_usd_per_hour"]
        assert sum(value for _, value in prices) == pytest.approx(expected)
        assert {labels[0] for labels, _ in prices} == {CPU, MEMORY}
