"""Prices learnt late: what they change is in the ledger to the last 1e-12 dollar, and once.

The prices are those that really changed: p5.48xlarge on 1 June 2025, MI300X in Azure's UAE.
"""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.lately import (
    AWS_NEW,
    AWS_OLD,
    AZURE_NEW,
    AZURE_OLD,
    MINUTES,
    TOTAL,
    by_amount,
    check,
    corrected,
    first_charged,
    late,
    ledger_usd,
    now,
    site_at,
)
from tests.sites import HOUR, MINUTE, learn, rented
from unitcost.exporter.settling.corrections import METRIC
from unitcost.pricing.money import PICO
from unitcost.pricing.resource import CPU, MEMORY
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import NS_PER_HOUR
from unitcost.pricing.workload import UNALLOCATED

CHANGES = [(AWS_OLD, AWS_NEW), (AZURE_OLD, AZURE_NEW), (AWS_NEW, AWS_OLD)]


@pytest.mark.parametrize(("old", "new"), CHANGES)
@pytest.mark.parametrize("minutes", [0.0, 17.0, 60.0, 61.55])
def test_a_price_learnt_late_costs_what_one_known_in_time_costs(
    old: str, new: str, minutes: float
) -> None:
    """At an hour's boundary, in its middle, in the middle of a tick: two hours, all by hand."""
    late = site_at(old)
    change = now(late) + round(minutes * 60) * NS_PER_SECOND
    book = rented((change, new), usd=old)
    known = site_at(old, book=book)
    late.tick(180, seconds=40.0)
    learn(late, book)
    late.tick(seconds=40.0)
    known.tick(181, seconds=40.0)
    hours = Decimal(181 * 40) / 3600
    until = Decimal(round(minutes * 60)) / 3600
    exact = Decimal(old) * until + Decimal(new) * (hours - until)
    for site in (late, known):
        check(site)
        # The parts of a price are whole pico-dollars an hour: each row is rounded once.
        assert abs(ledger_usd(site) - exact) <= Decimal("4e-12")
    assert ledger_usd(late) == ledger_usd(known)
    assert by_amount(late) == by_amount(known)
    assert corrected(known) == 0
    assert corrected(late) == ledger_usd(late) - first_charged(late)


def test_whole_hours_by_hand() -> None:
    """98.32 for an hour, 55.04 for two, learnt after them."""
    site = site_at(AWS_OLD)
    change = now(site) + NS_PER_HOUR
    site.tick(180, seconds=MINUTE)
    assert ledger_usd(site) == 3 * Decimal(AWS_OLD)
    learn(site, rented((change, AWS_NEW), usd=AWS_OLD))
    last = site.settle()
    assert ledger_usd(site) == Decimal("98.32") + 2 * Decimal("55.04")
    assert corrected(site) == 2 * (Decimal("55.04") - Decimal("98.32"))
    assert first_charged(site) == 3 * Decimal("98.32")
    (event,) = [each for each in last.events if each.kind == "price_correction"]
    assert event.detail == {
        "component": "rent",
        "from_ns": change,
        "to_ns": change + 2 * NS_PER_HOUR,
        "old_usd_per_hour": "98.32",
        "new_usd_per_hour": "55.04",
        "source": "test",
        "usd": "-86.560000000000",
    }
    check(site)


def test_counters_never_fall_and_the_gauge_says_what_to_add() -> None:
    """By workload and resource; a fall in price is negative."""
    site = site_at(AWS_OLD)
    change = now(site)
    site.tick(60, seconds=MINUTE)
    before = {place: value for place, value in site.ledger.counters.items() if place[0] == TOTAL}
    learn(site, rented((change, AWS_NEW), usd=AWS_OLD))
    site.tick()
    assert all(site.ledger.counters[place] >= value for place, value in before.items())
    for resource in (CPU, MEMORY):
        gauge = site.point(METRIC, "chat", resource)
        assert gauge is not None
        rows = [
            amount.pico or 0
            for key, amount in site.ledger.posting.charges.items()
            if (key.account.workload, key.resource) == ("chat", resource) and key.revision
        ]
        assert gauge == pytest.approx(sum(rows) / PICO)
        assert gauge < 0
    assert site.point(METRIC, UNALLOCATED, CPU) is not None
    check(site)


def test_the_gauge_is_absent_where_nothing_was_corrected_and_survives_a_restart() -> None:
    """And goes with its workload when that retires."""
    site = site_at(AWS_OLD)
    change = now(site)
    site.tick(10, seconds=MINUTE)
    assert METRIC not in site.points()
    learn(site, rented((change, AWS_NEW), usd=AWS_OLD))
    site.tick()
    was = site.points()[METRIC]
    site.restart()
    site.settle()
    assert site.points()[METRIC] == was
    site.host.kill(site.host.servers[8000].proc)
    site.tick(20, seconds=MINUTE)
    assert site.point(METRIC, "chat", CPU) is None
    check(site)


def test_days_late() -> None:
    """Three days at the old price, half an hour ticks; the month's price list comes on Thursday."""
    site = site_at(AZURE_OLD)
    start = now(site)
    site.tick(3 * 48, seconds=HOUR / 2)
    learn(site, rented((start + 36 * NS_PER_HOUR, AZURE_NEW), usd=AZURE_OLD))
    site.tick(4, seconds=1.0)
    exact = 36 * Decimal(AZURE_OLD) + 36 * Decimal(AZURE_NEW) + Decimal(AZURE_NEW) * 4 / 3600
    assert abs(ledger_usd(site) - exact) <= Decimal("2e-12")
    check(site)


def test_a_rise_and_a_fall_learnt_at_once() -> None:
    """Several prices in one hour, learnt after it."""
    site = site_at("10")
    start = now(site)
    site.tick(60, seconds=MINUTE)
    changes = [
        (start + 15 * MINUTES, "20"),
        (start + 30 * MINUTES, "4"),
        (start + 45 * MINUTES, "8"),
    ]
    last = late(site, rented(*changes, usd="10"))
    assert ledger_usd(site) == (Decimal(10) + 20 + 4 + 8) / 4
    assert len([event for event in last if event.kind == "price_correction"]) == 3
    check(site)


def test_what_was_unpriced_is_priced_from_the_past() -> None:
    """There was no price at all; the time and who held what were kept."""
    site = site_at(None)
    change = now(site) + 30 * MINUTES
    site.tick(60, seconds=MINUTE)
    assert ledger_usd(site) == 0
    late(site, rented((change, AWS_NEW), usd=None))
    assert ledger_usd(site) == Decimal(AWS_NEW) / 2
    assert first_charged(site) == 0
    assert corrected(site, "chat") > 0
    check(site)


def test_a_free_price_is_a_price() -> None:
    """What was charged was too much by all of it; and the other way round."""
    site = site_at("6")
    start = now(site)
    site.tick(60, seconds=MINUTE)
    late(site, rented((start, "0"), usd="6"))
    assert ledger_usd(site) == 0
    assert corrected(site) == -6
    late(site, rented((start + 30 * MINUTES, "6"), (start + 45 * MINUTES, "0"), usd="0"))
    assert ledger_usd(site) == Decimal("1.5")
    check(site)


def test_learnt_twice_and_once_more() -> None:
    """Each time from the rows as they stand; the same book again changes nothing."""
    site = site_at("10")
    start = now(site)
    site.tick(120, seconds=MINUTE)
    for usd in ("20", "5", "7"):
        late(site, rented((start + 30 * MINUTES, usd), usd="10"))
        assert ledger_usd(site) == 5 + Decimal(usd) * 3 / 2
        check(site)
    rows = len(site.ledger.posting.charges)
    late(site, rented((start + 30 * MINUTES, "7"), usd="10"))
    site.restart()
    site.settle()
    assert len(site.ledger.posting.charges) == rows
    assert {key.revision for key in site.ledger.posting.charges} == {0, 1, 2, 3}


def test_learnt_while_the_exporter_was_down() -> None:
    """What was charged before it stopped, and what it was away for: both at the right price."""
    site = site_at(AWS_OLD)
    change = now(site) + 30 * MINUTES
    site.tick(60, seconds=MINUTE)
    site.rules = replace(site.rules, book=rented((change, AWS_NEW), usd=AWS_OLD))
    site.away(HOUR)
    site.settle()
    assert ledger_usd(site) == Decimal(AWS_OLD) / 2 + Decimal(AWS_NEW) * 3 / 2
    check(site)


def test_killed_before_it_was_committed_it_is_done_again_and_once() -> None:
    """Rows and what is known of the time are one transaction."""
    site = site_at(AWS_OLD)
    change = now(site)
    site.tick(60, seconds=MINUTE)
    learn(site, rented((change, AWS_NEW), usd=AWS_OLD))
    site.settle(commit=False)
    site.restart()
    assert ledger_usd(site) == Decimal(AWS_OLD)
    site.settle()
    assert ledger_usd(site) == Decimal(AWS_NEW)
    site.restart()
    site.settle()
    assert ledger_usd(site) == Decimal(AWS_NEW)
    check(site)


def test_it_waits_while_the_ledger_cannot_be_read() -> None:
    """An hour without a ledger: what is pending is corrected with the rest, when it is back."""
    site = site_at(AWS_OLD)
    change = now(site)
    site.tick(60, seconds=MINUTE)
    site.ledger.readable = False
    for minute in range(60):
        site.host.run(MINUTE)
        if minute == 20:
            learn(site, rented((change, AWS_NEW), usd=AWS_OLD))
        site.settle(commit=False)
    assert METRIC not in site.points()
    site.ledger.readable = True
    site.tick(seconds=MINUTE)
    assert abs(ledger_usd(site) - Decimal(AWS_NEW) * 121 / 60) <= Decimal("2e-12")
    check(site)


def test_what_is_pending_is_corrected_too() -> None:
    """The ledger can be read and not be written: a full disk. Learnt twice meanwhile."""
    site = site_at(AWS_OLD)
    change = now(site)
    site.tick(30, seconds=MINUTE)
    for usd in ("50", AWS_NEW):
        site.host.run(15 * MINUTE)
        site.settle(commit=False)
        learn(site, rented((change, usd), usd=AWS_OLD))
        site.settle(commit=False)
    site.settle()
    assert ledger_usd(site) == Decimal(AWS_NEW)
    check(site)
