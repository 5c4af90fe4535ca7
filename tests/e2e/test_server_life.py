"""Servers come, go and start anew under the running exporter: no jump, no loss, exact counts.

One exporter reads one server of each family, or two replicas of each, over real HTTP.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.scripted import PAGES, SAYS_START, Scripted
from tests.harness import Exporter, exporter, wait_for
from unitcost.exporter.ledger.tools import check

PERIOD = 0.2
DAY = 86_400.0
Servers = dict[str, tuple[Scripted, ...]]


def settings_for(servers: Servers) -> dict[str, object]:
    """An exporter with one workload for each family."""
    return {
        "price": {"usd_per_hour": 3.6},
        "period": PERIOD,
        "gather_deadline": 0.18,
        "workloads": [
            {"name": family, "endpoints": [{"url": each.url} for each in replicas]}
            for family, replicas in servers.items()
        ],
    }


@contextlib.contextmanager
def world(folder: Path, replicas: int, *, history: int = 0) -> Iterator[tuple[Exporter, Servers]]:
    """An exporter that has read the first replica of each family, which is a day old, twice."""
    servers = {name: tuple(Scripted(name) for _ in range(replicas)) for name in PAGES}
    try:
        for first, *_ in servers.values():
            first.start(history, born=time.time() - DAY)
        with exporter(folder, **settings_for(servers)) as running:
            for first, *_ in servers.values():
                wait_read(first)
            running.wait_tick(2)
            yield running, servers
            assert running.stop() == 0
            assert check(running.ledger) == []
    finally:
        for each in servers.values():
            for server in each:
                server.stop()


def wait_read(server: Scripted, times: int = 2) -> None:
    """Wait until the exporter has read it so many times more."""
    before = server.reads
    wait_for(lambda: server.reads >= before + times, f"{server.family} to be read")


def totals(running: Exporter) -> dict[str, float]:
    """What each workload did so far, in what its family counts."""
    scrape = running.scrape()
    return {
        family: scrape.total(
            "unitcost_tokens_total" if family == "llamacpp" else "unitcost_requests_total",
            workload=family,
        )
        for family in PAGES
    }


def settles_at(running: Exporter, expected: Mapping[str, int]) -> None:
    """The exporter comes to these counts and stays there."""
    wait_for(lambda: totals(running) == expected, f"{expected}, not {totals(running)}")
    running.wait_tick(2)
    assert totals(running) == expected


def alike(count: int) -> dict[str, int]:
    """The same count for all families."""
    return dict.fromkeys(PAGES, count)


def told_apart(with_start: int, without: int) -> dict[str, int]:
    """One count for families that say when they started, another for the others."""
    return {name: with_start if name in SAYS_START else without for name in PAGES}


def test_what_was_served_before_the_first_sight_is_nobodys(tmp_path: Path) -> None:
    """A million of it; and what comes afterwards is counted to the unit, across our own restart."""
    with world(tmp_path, 1, history=1_000_000) as (running, servers):
        settles_at(running, alike(0))
        for (server,) in servers.values():
            server.serve(7)
        settles_at(running, alike(7))
        assert running.stop() == 0
        for (server,) in servers.values():
            server.serve(5)
        running.start()
        settles_at(running, alike(12))


@pytest.mark.parametrize("served", [5, 900])
def test_a_server_that_starts_anew_mid_run_loses_and_gains_nothing(
    served: int, tmp_path: Path
) -> None:
    """It has `served` some again by the time it is seen: fewer than before, or more.

    Where there were more, and the server does not say when it started, only what is beyond its
    old count can be known to be new.
    """
    with world(tmp_path, 1, history=100) as (running, servers):
        for (server,) in servers.values():
            server.serve(20)
        settles_at(running, alike(20))
        for (server,) in servers.values():
            server.stop()
        running.wait_tick(2)
        settles_at(running, alike(20))
        time.sleep(0.1)
        for (server,) in servers.values():
            server.start(served)
        unproven = served if served < 120 else served - 120
        settles_at(running, told_apart(20 + served, 20 + unproven))
        for (server,) in servers.values():
            server.serve(3)
        settles_at(running, told_apart(23 + served, 23 + unproven))


def test_a_replica_that_joins_and_leaves_moves_only_its_own_part(tmp_path: Path) -> None:
    """The other one's count goes on as if it had been alone; so it does when the first leaves."""
    with world(tmp_path, 2, history=100) as (running, servers):
        for first, _ in servers.values():
            first.serve(10)
        settles_at(running, alike(10))
        for _, second in servers.values():
            second.start(3)
        # A server's first sight is its birth only where that can be known.
        settles_at(running, told_apart(13, 10))
        for first, second in servers.values():
            first.serve(1)
            second.serve(40)
        settles_at(running, told_apart(54, 51))
        for _, second in servers.values():
            second.stop()
        for first, _ in servers.values():
            first.serve(2)
        settles_at(running, told_apart(56, 53))
        for first, second in servers.values():
            second.start()
            first.stop()
        for _, second in servers.values():
            wait_read(second)
            second.serve(6)
        settles_at(running, told_apart(62, 59))


def test_series_that_are_born_late_count_from_their_birth(tmp_path: Path) -> None:
    """The first request ever, and then a model that was not there before: each counted once."""
    with world(tmp_path, 1) as (running, servers):
        settles_at(running, alike(0))
        for (server,) in servers.values():
            server.serve(1)
        settles_at(running, alike(1))
        for (server,) in servers.values():
            server.serve(4, model="late")
        settles_at(running, alike(5))
        for (server,) in servers.values():
            server.serve(2)
            server.serve(2, model="late")
        settles_at(running, alike(9))
        scrape = running.scrape()
        for family in ("vllm", "mlserver", "triton"):
            late = scrape.total("unitcost_requests_total", workload=family, model="late")
            assert late == 6
