"""Settling units: first sight, birth, restarts, models, and the windows they are priced in."""

import pytest

from tests.sites import CHAT, HOUR, MINUTE, Site, rules
from tests.worlds import Host
from unitcost.pricing.sample import NS_PER_SECOND, Quantity

REQUEST = "unitcost_request_cost_usd"


def test_first_sight_of_a_server_with_a_history_bills_nothing() -> None:
    """Neither then nor later; what it does from now on counts."""
    host = Host()
    server = host.serve("chat", 8000, cores=1.0)
    server.work(1_000_000)
    host.run(MINUTE)
    site = Site(host=host)
    site.settle()
    site.tick(3)
    assert site.units("chat") == 0
    assert site.point(REQUEST, "chat", "m", "allocated") is None
    server.work(4)
    site.tick()
    assert site.units("chat") == 4


def test_a_server_born_in_metered_time_counts_from_zero() -> None:
    """Its first requests were answered before it was first read."""
    site = Site()
    site.settle()
    site.tick()
    site.host.run(2.0)
    site.host.serve("chat", 8000, cores=1.0).work(9)
    site.tick(seconds=3.0)
    assert site.units("chat") == 9


def test_a_server_born_while_the_exporter_was_away_does_not() -> None:
    """That time was not metered."""
    site = Site()
    site.settle()
    site.host.run(MINUTE)
    site.host.serve("chat", 8000, cores=1.0).work(9)
    site.away(MINUTE)
    site.settle()
    assert site.units("chat") == 0


@pytest.mark.parametrize("says_birth", [True, False])
def test_a_counter_reset_makes_no_spike(says_birth: bool) -> None:
    """The server was restarted between two ticks: what it shows since is what is new."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    server.says_birth = says_birth
    site.settle()
    server.work(5000)
    site.tick()
    site.host.run(2.0)
    site.host.restart_server(8000)
    site.host.servers[8000].work(3)
    site.tick(seconds=3.0)
    assert site.units("chat") == 5003


def test_a_server_restarted_just_before_the_host_slept_is_a_new_one() -> None:
    """It was born after the last reading, though that was longer ago than the clock has ticked."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(5)
    site.tick()
    site.host.run(2.0)
    site.host.restart_server(8000)
    site.host.clock.suspend(MINUTE)
    site.host.servers[8000].work(7)
    site.tick(seconds=1.0)
    assert site.units("chat") == 12


def test_a_server_of_a_restarted_exporter_is_not_counted_again() -> None:
    """Though its start is worked out a little differently this time."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(5000)
    site.tick()
    server.born_wall_ns += NS_PER_SECOND
    server.work(7)
    site.away(3.0)
    site.settle()
    assert site.units("chat") == 5007


def test_a_server_that_was_forgotten_is_not_billed_its_history_again() -> None:
    """It answers again after three days; it was born in metered time, and was counted then."""
    site = Site()
    site.settle()
    site.host.run(1.0)
    server = site.host.serve("chat", 8000, cores=1.0)
    server.work(100)
    site.tick()
    assert site.units("chat") == 100
    kept = site.host.servers.pop(8000)
    site.tick(75, seconds=HOUR)
    site.host.servers[8000] = kept
    server.work(3)
    site.tick()
    assert site.units("chat") == 100
    server.work(4)
    site.tick()
    assert site.units("chat") == 104


def test_a_window_without_units_has_no_coverage() -> None:
    """It would be 0 of 0."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(3)
    site.tick()
    assert site.point("unitcost_unit_coverage_ratio", "chat") == 1
    site.tick(70)
    assert site.point("unitcost_unit_coverage_ratio", "chat") is None


def test_an_idle_server_s_cost_is_its_model_s() -> None:
    """Before its first request, while it is idle, and after: never on no model."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=0.5, gibs=2.0)
    server.work(0)
    site.settle()
    for work in (0, 0, 5, *[0] * 70, 5):
        server.work(work)
        last = site.tick()
        assert site.usd("chat", last) == site.usd("chat", last, model="m")


def test_two_models_share_what_their_server_holds() -> None:
    """Each has a cost per request, and together they cost what the server does."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    ticks = []
    for _ in range(10):
        server.work(1, "big", seconds=3.0)
        server.work(3, "small", seconds=1.0)
        ticks.append(site.tick())
    costs = {m: site.point(REQUEST, "chat", m, "allocated") for m in ("big", "small")}
    requests = {"big": 10, "small": 30}
    total = sum((costs[m] or 0) * n for m, n in requests.items())
    assert total == pytest.approx(float(site.usd("chat")))
    assert site.usd("chat", ticks[-1], model="") == 0


def test_a_window_is_as_long_after_the_clock_was_set_back() -> None:
    """It follows the time that passed, not the wall clock."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    for step in (0, -3600, 3600, 0):
        site.host.clock.set_wall(site.host.clock.wall_ns + step * NS_PER_SECOND)
        for _ in range(70):
            server.work(1)
            site.tick()
        window = site.settler.tally.windows["chat", "m"]
        assert len(window.slices) == 60


def test_windows_of_workloads_that_are_gone_are_dropped() -> None:
    """Else every job that ever ran would be kept and moved on at each tick."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    job.steps = 5
    site.tick()
    assert site.settler.tally.windows
    site.host.kill(job.proc)
    site.host.jobs.clear()
    site.tick(70)
    assert site.settler.tally.windows == {}


def test_a_broken_server_s_figures_do_not_break_the_ledger() -> None:
    """Its totals stay within what 64 bits hold, and everybody else is settled as ever."""
    site = Site()
    broken, chat = site.host.serve("broken", 1), site.host.serve("chat", 2, cores=1.0)
    broken.says_birth = False
    site.settle()
    for _ in range(20):
        broken.counters.clear()
        site.tick()
        broken.work(9 * 10**11)
        chat.work(1)
        site.tick()
    assert site.units("chat") == 20
    assert 0 < site.counter("unitcost_requests_total", "broken") < 2**63
    assert all(0 <= value < 2**63 for value in site.ledger.counters.values())


def test_a_tick_without_a_busy_signal_leaves_no_used_basis_while_it_is_in_the_window() -> None:
    """For once the server's page had nothing that tells busy from idle."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    found = []
    for number in range(64):
        server.work(3)
        whole = server.counters
        server.counters = {} if number == 2 else whole
        site.tick()
        server.counters = whole
        found.append(site.point(REQUEST, "chat", "m", "used") is not None)
        assert site.point(REQUEST, "chat", "m", "allocated") is not None
    assert found == [True] * 2 + [False] * 60 + [True] * 2


def test_a_scrape_says_how_long_requests_took() -> None:
    """Seconds of the requests timed over how many those were, in the window."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    for _ in range(3):
        server.work(4, seconds=6.0)
        server.add(Quantity.REQUESTS_TIMED, 4)
        site.tick()
    assert site.point("unitcost_request_latency_seconds", "chat", "m") == 1.5
