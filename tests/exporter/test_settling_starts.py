"""Starts and holders of workloads: what restarts and scales, and what was only found late."""

import pytest

from tests.sites import CHAT, MINUTE, Site, rented, rules

STARTS, HOLDERS = "unitcost_workload_starts_total", "unitcost_workload_holders"


@pytest.fixture
def site() -> Site:
    """A host with one server that was there before us."""
    site = Site(rules(rented(), workloads=(CHAT,)))
    site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.host.run(MINUTE)
    site.settle()
    site.tick(2)
    return site


def test_who_was_there_before_us_has_not_started(site: Site) -> None:
    """A restart has: one start, as many holders as before."""
    assert (site.point(STARTS, "chat"), site.point(HOLDERS, "chat")) == (0, 1)
    site.host.restart_server(8000)
    site.tick(2)
    assert (site.point(STARTS, "chat"), site.point(HOLDERS, "chat")) == (1, 1)
    site.tick(5)
    assert site.point(STARTS, "chat") == 1


def test_a_replica_more_and_one_less(site: Site) -> None:
    """Both are seen in the number of holders; only the first is a start."""
    second = site.host.serve("chat", 8001, cores=1.0, gibs=2.0)
    site.tick(2)
    assert (site.point(STARTS, "chat"), site.point(HOLDERS, "chat")) == (1, 2)
    site.host.kill(second.proc)
    site.tick(2)
    assert (site.point(STARTS, "chat"), site.point(HOLDERS, "chat")) == (1, 1)


def test_what_is_only_found_late_has_not_started(site: Site) -> None:
    """As after our restart, when servers must be found again."""
    server = site.host.servers.pop(8000)
    site.restart()
    site.tick(3)
    assert site.point(HOLDERS, "chat") is None
    site.host.servers[8000] = server
    site.tick(2)
    assert (site.point(STARTS, "chat"), site.point(HOLDERS, "chat")) == (0, 1)


def test_a_restart_while_we_were_away_is_counted(site: Site) -> None:
    """When we are back."""
    site.away(MINUTE)
    site.host.restart_server(8000)
    site.away(MINUTE)
    site.restart()
    site.settle()
    site.tick(3)
    assert site.point(STARTS, "chat") == 1


def test_an_attempt_at_a_run_is_a_start_of_its_workload(site: Site) -> None:
    """The first one is none: then the workload is first seen."""
    first = site.host.train("tuner", "r1", cores=1.0)
    site.tick(2)
    assert (site.point(STARTS, "tuner"), site.point(HOLDERS, "tuner")) == (0, 1)
    site.host.kill(first.proc)
    site.host.train("tuner", "r1", attempt=1, cores=1.0)
    site.tick(2)
    assert (site.point(STARTS, "tuner"), site.point(HOLDERS, "tuner")) == (1, 1)


def test_a_host_that_cannot_be_read_starts_nothing(site: Site) -> None:
    """Holders stay as they were."""
    site.tick(3, host=False)
    site.tick(3)
    assert (site.point(STARTS, "chat"), site.point(HOLDERS, "chat")) == (0, 1)
