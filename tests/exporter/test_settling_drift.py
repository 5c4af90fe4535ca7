"""Drift through the settling: slots into the ledger, judged against yesterday's, told, and over."""

from dataclasses import fields, replace

import pytest

from tests.sites import CHAT, Site, price_now, rented, rules
from unitcost.pricing.allocate import State
from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import DAY_SLOTS, SLOTS_PER_HOUR
from unitcost.pricing.sample import NS_PER_SECOND, Outcome, Quantity, TokenType

SLOT_SECONDS = 10
TICKS = 2
"""In a slot."""
RATIO = "unitcost_drift_ratio"
FACTOR = "unitcost_drift_factor_ratio"
SINCE = "unitcost_drift_since_timestamp_seconds"


@pytest.fixture
def site() -> Site:
    """A dear host with one server, on a scale of time on which a day is 48 minutes."""
    its = rules(rented(usd="96"), workloads=(CHAT,))
    site = Site(replace(its, slot_ns=SLOT_SECONDS * NS_PER_SECOND, window_ns=NS_PER_SECOND))
    site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    return site


def slots(site: Site, count: int, requests: int = 40, tokens: int = 100, failed: int = 0) -> None:
    """So many slots, the same in each tick."""
    for _ in range(count * TICKS):
        server = site.host.servers[8000]
        server.work(requests)
        server.add(Quantity.REQUESTS, failed, Outcome.FAILED)
        server.add(Quantity.TOKENS, requests * tokens, TokenType.OUTPUT)
        server.add(Quantity.TOKENS, requests * 10, TokenType.INPUT)
        site.tick()


def until(site: Site, metric: str, *labels: str, present: bool, limit: int, **each: int) -> int:
    """How many slots it takes until there is such a point, or none."""
    for count in range(1, limit + 1):
        slots(site, 1, **each)
        if (site.point(metric, *labels) is not None) is present:
            return count
    raise AssertionError(f"{metric}{labels} after {limit} slots: {site.points().get(metric)}")


def test_states_and_sums_have_the_same_names() -> None:
    """Time in a state is added to the sum of that name."""
    assert {str(state) for state in State} <= {each.name for each in fields(Sums)}


def test_a_dearer_price_is_found_named_and_over(site: Site) -> None:
    """Nothing is said for a day, for want of a baseline; then the present is as yesterday."""
    slots(site, DAY_SLOTS)
    assert site.point(RATIO, "chat") is None
    slots(site, DAY_SLOTS // 2 + SLOTS_PER_HOUR)
    assert site.point(RATIO, "chat") == pytest.approx(1.0, abs=1e-6)
    assert site.points().get(SINCE, []) == []
    began = site.host.clock.wall_ns / NS_PER_SECOND
    price_now(site, "120")
    assert until(site, SINCE, "chat", "m", "request", "price", present=True, limit=6) <= 6
    since = site.point(SINCE, "chat", "m", "request", "price")
    assert since == pytest.approx(began, abs=6 * SLOT_SECONDS)
    assert len(site.points()[SINCE]) == 1
    slots(site, SLOTS_PER_HOUR)
    assert site.point(RATIO, "chat") == pytest.approx(1.25, rel=1e-3)
    assert site.point(FACTOR, "chat", "m", "request", "price") == pytest.approx(1.25, rel=1e-3)
    half = 24 / 2 * DAY_SLOTS * SLOT_SECONDS / 3600
    assert site.point("unitcost_drift_usd_per_day", "chat") == pytest.approx(half, rel=0.35)
    site.restart()
    slots(site, 2)
    assert site.point(SINCE, "chat", "m", "request", "price") == since
    price_now(site, "96")
    until(site, SINCE, "chat", present=False, limit=12)


@pytest.mark.parametrize(
    ("factor", "now"),
    [(Factor.MIX, {"tokens": 160}), (Factor.FAILURES, {"failed": 16})],
)
def test_longer_prompts_and_failures_are_named(
    site: Site, factor: Factor, now: dict[str, int]
) -> None:
    """Not the price, which is as ever."""
    slots(site, DAY_SLOTS + DAY_SLOTS // 2 + SLOTS_PER_HOUR)
    until(site, SINCE, "chat", "m", "request", str(factor), present=True, limit=6, **now)
    slots(site, SLOTS_PER_HOUR, **now)
    assert site.point(FACTOR, "chat", "m", "request", "price") == pytest.approx(1.0, abs=1e-6)
    ratios = [ratio for labels, ratio in site.points()[FACTOR] if labels[0] == "chat"]
    product = 1.0
    for ratio in ratios:
        product *= ratio
    assert product == pytest.approx(site.point(RATIO, "chat"), rel=1e-6)


def test_slots_add_up_to_what_was_charged_and_counted(site: Site) -> None:
    """Over a restart in the midst of a slot, too: only what was not yet put away is missing."""
    slots(site, 10)
    site.tick()
    site.restart()
    slots(site, 10)
    rows = [each.sums for each in site.ledger.slots if each.workload == "chat"]
    cost, requests = sum(each.cost for each in rows), sum(each.succeeded for each in rows)
    assert 0.9 * 20 * TICKS * 40 <= requests / 10**6 <= 20 * TICKS * 40
    charged = sum(pico for (name, _), pico in site.charged().items() if name == "chat")
    assert 0.85 * charged < cost <= charged
    assert all(each.held > 0 for each in rows)


def test_unpriced_time_is_in_no_slot(site: Site) -> None:
    """Neither its units nor its seconds."""
    slots(site, 3)
    price_now(site, None)
    slots(site, 5)
    before = len([each for each in site.ledger.slots if each.sums.cost])
    assert 2 <= before <= 4
    assert sum(each.sums.succeeded for each in site.ledger.slots) <= 4 * TICKS * 40 * 10**6
    price_now(site, "96")
    slots(site, 5)
    assert len([each for each in site.ledger.slots if each.sums.cost]) > before


def test_a_clock_that_is_set_leaves_no_nonsense(site: Site) -> None:
    """Back by an hour, and on by a day."""
    slots(site, 5)
    clock = site.host.clock
    for hours in (-1, 24):
        clock.set_wall(clock.wall_ns + hours * 3600 * NS_PER_SECOND)
        slots(site, 5)
    assert all(each.sums.cost >= 0 for each in site.ledger.slots)
    assert site.point(RATIO, "chat") is None


def test_whoever_was_away_longest_makes_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models come and go for years; those that are here now are watched."""
    monkeypatch.setattr("unitcost.exporter.settling.drift_book.MAX_WATCHED", 3)
    for number in range(6):
        for _ in range(2 * TICKS):
            site.host.servers[8000].work(40, model=f"m{number}")
            site.tick()
    watched = site.settler.drift.watched
    assert len(watched) <= 3
    assert ("chat", "m5") in watched
    assert ("chat", "m0") not in watched
