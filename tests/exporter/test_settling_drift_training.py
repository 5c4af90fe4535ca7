"""Drift of training through the settling: of steps, told by its factor; else of tokens."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from tests.sites import Site, price_now, rented, rules
from unitcost.dashboards.settings import Settings
from unitcost.exporter.notify.alerts import Alert
from unitcost.exporter.notify.watch import Watch
from unitcost.pricing.drift_watch import DAY_SLOTS, SLOTS_PER_HOUR
from unitcost.pricing.sample import NS_PER_SECOND

SLOT_SECONDS = 10
RATIO = "unitcost_drift_ratio"
FACTOR = "unitcost_drift_factor_ratio"
SINCE = "unitcost_drift_since_timestamp_seconds"


@pytest.fixture
def site() -> Site:
    """A dear host with one training, on a scale of time on which a day is 48 minutes."""
    its = rules(rented(usd="96"))
    site = Site(replace(its, slot_ns=SLOT_SECONDS * NS_PER_SECOND, window_ns=NS_PER_SECOND))
    site.host.train("tuner", "r1", cores=1.0, gibs=2.0)
    site.settle()
    return site


def slots(site: Site, count: int, steps: int = 16, tokens: int = 16000) -> None:
    """So many slots, the same in each tick."""
    (job,) = site.host.jobs
    for _ in range(count):
        job.steps += steps
        job.tokens += tokens
        site.tick(seconds=SLOT_SECONDS)


def until(site: Site, *labels: str, limit: int, **each: int) -> int:
    """How many slots it takes until a drift is there."""
    for count in range(1, limit + 1):
        slots(site, 1, **each)
        if site.point(SINCE, *labels) is not None:
            return count
    raise AssertionError(f"{labels} after {limit} slots: {site.points().get(FACTOR)}")


LEARNT = DAY_SLOTS + DAY_SLOTS // 2 + SLOTS_PER_HOUR


def test_a_step_that_costs_more_is_told_by_what_did_it(site: Site) -> None:
    """Half as many steps of twice the tokens; then a dearer price, then slower ones."""
    slots(site, LEARNT)
    assert site.point(RATIO, "tuner", "", "step") == pytest.approx(1.0, abs=1e-6)
    assert site.points().get(SINCE, []) == []
    labels = ("tuner", "", "step", "mix")
    assert until(site, *labels, limit=6, steps=8) <= 6
    slots(site, SLOTS_PER_HOUR, steps=8)
    assert site.point(RATIO, "tuner", "", "step") == pytest.approx(2.0, rel=1e-3)
    assert site.point(FACTOR, *labels) == pytest.approx(2.0, rel=1e-3)
    factors = {each[3] for each, _ in site.points()[FACTOR] if each[0] == "tuner"}
    assert factors == {"price", "mix", "loading", "idle", "speed"}
    assert {each[2] for each, _ in site.points()[FACTOR]} == {"step"}
    since = site.point(SINCE, *labels)
    site.restart()
    slots(site, 2, steps=8)
    assert site.point(SINCE, *labels) == since
    price_now(site, "120")
    assert until(site, "tuner", "", "step", "price", limit=6, steps=8) <= 6
    assert until(site, "tuner", "", "step", "speed", limit=8, steps=6, tokens=12000) <= 8


def test_it_is_told_with_what_happened_then(site: Site) -> None:
    """A price that rose, at its time: an alert that says why."""
    watch = Watch(ZoneInfo("UTC"), Settings(time_scale=300 / SLOT_SECONDS))
    slots(site, LEARNT)
    watch.alerts(site.points(), site.host.clock.wall_ns)
    price_now(site, "120")
    found: list[Alert] = []
    for _ in range(SLOTS_PER_HOUR):
        slots(site, 1)
        found = watch.alerts(site.points(), site.host.clock.wall_ns)
    (alert,) = [each for each in found if each.kind == "drift"]
    assert alert.name == "UnitcostDriftFast"
    assert alert.headline.startswith("tuner: a step costs 25 % more since ")
    assert "because the price of what it holds rose (price ×1.25)" in alert.headline
    assert alert.detail.startswith("then: price raised from $96.00 to $120 an hour at ")
    assert alert.detail.endswith("; unchanged: mix, loading, idle, speed")


def test_a_training_that_counts_no_steps_is_told_of_by_its_tokens(site: Site) -> None:
    """Its unit says so."""
    slots(site, LEARNT, steps=0)
    assert site.point(RATIO, "tuner", "", "token") == pytest.approx(1.0, abs=1e-6)
    assert until(site, "tuner", "", "token", "speed", limit=6, steps=0, tokens=8000) <= 6


def test_what_a_slot_holds_of_training(site: Site) -> None:
    """Steps as requests, tokens as input."""
    slots(site, 6)
    rows = [each.sums for each in site.ledger.slots if each.workload == "tuner"]
    assert {(each.succeeded, each.attempted, each.input, each.output) for each in rows[1:]} == {
        (16 * 10**6, 16 * 10**6, 16000 * 10**6, 0)
    }
