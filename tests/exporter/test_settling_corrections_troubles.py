"""Corrections through whatever happens: long times, lost rows, runs, gaps, clocks, new files."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests import audit
from tests.lately import (
    AWS_NEW,
    AWS_OLD,
    MINUTES,
    by_amount,
    check,
    corrected,
    first_charged,
    late,
    ledger_usd,
    now,
    site_at,
)
from tests.sites import HOUR, MINUTE, MemoryLedger, Site, elapsed_by_row, learn, rented
from unitcost.exporter.settling import corrections
from unitcost.exporter.settling.state import decode, encode
from unitcost.pricing.charge import cost_of
from unitcost.pricing.resource import REST, SplitRule
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of
from unitcost.pricing.workload import UNALLOCATED, UNMETERED


def test_a_long_time_is_corrected_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many rows at a tick, the oldest first; killed in between it goes on."""
    monkeypatch.setattr(corrections, "ROWS_A_TICK", 1)
    site = site_at(AWS_OLD)
    change = now(site) + 30 * MINUTES
    site.tick(5, seconds=HOUR)
    learn(site, rented((change, AWS_NEW), usd=AWS_OLD))
    found = []
    for _ in range(7):
        site.settle()
        found.append(corrected(site))
        site.restart()
    step = Decimal(AWS_NEW) - Decimal(AWS_OLD)
    hours = ("0.5", "1.5", "2.5", "3.5", "4.5", "4.5", "4.5")
    assert found == [step * Decimal(each) for each in hours]
    check(site)


def purge(site: Site, before_hour: int) -> None:
    """Rows of hours before are deleted."""
    rows = site.ledger.posting
    rows.charges = {key: row for key, row in rows.charges.items() if key.hour >= before_hour}
    rows.accruals = {key: row for key, row in rows.accruals.items() if key.hour >= before_hour}


def test_hours_that_were_purged_are_told_once_and_left(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can be charged for what is not in the ledger; the others are corrected."""
    site = site_at(AWS_OLD)
    start = now(site)
    site.tick(8, seconds=HOUR / 2)
    purge(site, hour_of(start) + 2)
    events = late(site, rented((start, AWS_NEW), usd=AWS_OLD))
    assert [event.kind for event in events] == ["price_correction", "price_uncorrected"]
    assert (events[1].detail["from_ns"], events[1].detail["hours"]) == (start, 2)
    assert caplog.text.count("hours that cannot be corrected") == 1
    assert ledger_usd(site) == 2 * Decimal(AWS_NEW)
    events = late(site, rented((start, "1"), usd=AWS_OLD))
    assert [event.kind for event in events] == ["price_correction"]
    assert ledger_usd(site) == 2


def test_so_many_hours_at_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are gone count too: looking for their rows takes time."""
    monkeypatch.setattr(corrections, "HOURS_A_TICK", 3)
    site = site_at(AWS_OLD)
    start = now(site)
    site.tick(8, seconds=HOUR)
    purge(site, hour_of(start) + 4)
    learn(site, rented((start, AWS_NEW), usd=AWS_OLD))
    left = []
    for _ in range(3):
        site.settle()
        left.append(len(site.settler.corrections.due))
    assert left == [5, 2, 0]
    assert ledger_usd(site) == 4 * Decimal(AWS_NEW)


def test_a_defect_in_a_correction_does_not_stop_the_metering(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with where it is, and the hour is left as it was."""

    def broken(*_: object) -> None:
        raise ValueError("a defect")

    site = site_at(AWS_OLD)
    start = now(site)
    site.tick(2, seconds=HOUR)
    monkeypatch.setattr(corrections, "rebook", broken)
    late(site, rented((start, AWS_NEW), usd=AWS_OLD))
    assert caplog.text.count("ValueError: a defect") == 2
    monkeypatch.undo()
    site.tick(seconds=HOUR)
    assert ledger_usd(site) == 2 * Decimal(AWS_OLD) + Decimal(AWS_NEW)
    check(site)


def test_a_clock_that_goes_back_to_a_corrected_hour_goes_on_exactly() -> None:
    """The hour is in memory no more; what was moved is not committed yet."""
    site = site_at(AWS_OLD)
    past = now(site)
    book = rented((past, AWS_NEW), usd=AWS_OLD)
    site.tick(10, seconds=MINUTE)
    site.host.clock.set_wall(past + 4 * 24 * NS_PER_HOUR)
    site.tick(2, seconds=31.7)
    learn(site, book)
    site.settle(commit=False)
    site.host.clock.set_wall(past)
    site.host.run(31.7)
    site.settle(commit=False)
    elapsed = site.settler.books.elapsed
    assert {ns for key, ns in elapsed.items() if key.hour == hour_of(past)} == {631_700_000_000}
    site.tick(seconds=31.7)
    check(site)
    site.restart()
    site.tick(seconds=31.7)
    check(site)


def test_a_plain_price_holds_from_the_reload_on() -> None:
    """It says of no time when it began; nor does one that is withdrawn give money back."""
    site = site_at(AWS_OLD)
    site.tick(60, seconds=MINUTE)
    late(site, rented(usd="1"))
    late(site, rented(usd=None))
    assert ledger_usd(site) == Decimal(AWS_OLD)
    assert corrected(site) == 0


def test_a_reload_with_other_prices_corrects_what_the_new_file_says_of_the_past() -> None:
    """`price.changes` with an instant that is over."""
    site = site_at(AWS_OLD)
    change = now(site)
    site.tick(60, seconds=MINUTE)
    site.rules = replace(site.rules, book=rented((change, AWS_NEW), usd=AWS_OLD))
    site.settler.follow(site.rules, site.matcher)
    site.settle()
    assert ledger_usd(site) == Decimal(AWS_NEW)


def test_the_present_hour_goes_on_exactly() -> None:
    """Learnt in the middle of an hour; the rest of it is charged on top of what was moved."""
    site, known = site_at(AWS_OLD), site_at(AWS_OLD)
    change = now(site) + 7 * MINUTES
    book = rented((change, "0.0000000123"), usd=AWS_OLD)
    learn(known, book)
    for number in range(70):
        if number in (20, 21):
            learn(site, book)
        site.tick(seconds=31.7)
        known.tick(seconds=31.7)
    assert by_amount(site) == by_amount(known)
    assert ledger_usd(site) == ledger_usd(known)
    check(site)


def test_a_run_s_cost_includes_what_was_corrected() -> None:
    """Its epochs stay as they were charged."""
    site = site_at("8")
    start = now(site)
    job = site.host.train("tuner", "r1", cores=2.0)
    site.tick(30, seconds=MINUTE)
    job.end_epoch(site.host.clock.wall_ns)
    site.tick(30, seconds=MINUTE)
    epoch = site.point("unitcost_epoch_cost_usd", "tuner", "", "allocated")
    cost = site.point("unitcost_run_cost_usd", "tuner", "r1")
    late(site, rented((start, "4"), usd="8"))
    assert cost is not None
    assert site.point("unitcost_run_cost_usd", "tuner", "r1") == pytest.approx(cost / 2)
    assert site.point("unitcost_epoch_cost_usd", "tuner", "", "allocated") == epoch
    audit.check_runs(site)
    check(site)


def test_a_run_that_was_unpriced_has_a_cost_once_it_is_priced() -> None:
    """It is what is known of it."""
    site = site_at(None)
    start = now(site)
    site.host.train("tuner", "r1", cores=2.0)
    site.tick(30, seconds=MINUTE)
    assert site.point("unitcost_run_cost_usd", "tuner", "r1") is None
    late(site, rented((start, "8"), usd=None))
    cost = site.point("unitcost_run_cost_usd", "tuner", "r1")
    assert cost == pytest.approx(float(site.usd("tuner")))
    assert site.usd("tuner") > 0


def test_what_was_carried_or_unmetered_is_corrected_and_what_was_not_charged_is_not() -> None:
    """A reboot of half an hour is unknown: it costs nothing at any price."""
    site = site_at("6")
    start = now(site)
    site.tick(30, seconds=MINUTE)
    site.host.kill(site.host.servers[8000].proc)
    site.away(30 * MINUTE)
    site.settle()
    assert corrected(site) == 0
    site.host.reboot(30 * MINUTE)
    site.restart()
    site.tick(seconds=30 * MINUTE)
    was = first_charged(site)
    late(site, rented((start, "12"), usd="6"))
    assert ledger_usd(site) == 2 * was
    assert corrected(site, UNMETERED) > 0
    check(site)


def test_a_clock_that_was_set_back_leaves_what_nobody_can_place() -> None:
    """What was charged while it was a day ahead is not there where it was put."""
    site = site_at("6")
    true = now(site)
    site.host.clock.set_wall(true + 24 * NS_PER_HOUR)
    site.tick(60, seconds=MINUTE)
    site.host.clock.set_wall(true)
    site.tick(60, seconds=MINUTE)
    change = now(site) - 30 * MINUTES
    late(site, rented((change, "12"), usd="6"))
    assert ledger_usd(site) == 6 + 6 + 3
    check(site)


def test_a_state_without_charged_time_is_corrected_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An upgrade in the middle of an hour; that it goes no further back is said."""
    site = site_at("6")
    start = now(site)
    site.tick(30, seconds=MINUTE)
    state = replace(decode(site.ledger.state), charged=None)
    site.ledger.state = encode(state)
    site.restart()
    site.tick(30, seconds=MINUTE)
    late(site, rented((start, "12"), usd="6"))
    assert ledger_usd(site) == 3 + 6
    assert "not corrected further back" in caplog.text
    check(site)


def test_a_part_that_only_one_of_the_prices_has_is_nobody_s() -> None:
    """A fixed amount for the rest of the host: of nothing there is no part."""
    split = SplitRule("configured_weights", Decimal(1), Decimal(1), Decimal(2))
    site = site_at(None)
    site.rules = replace(site.rules, split=split)
    site.settler.follow(site.rules, site.matcher)
    start = now(site)
    site.tick(60, seconds=MINUTE)
    late(site, rented((start, "8"), usd=None))
    assert site.usd(UNALLOCATED, resource=REST) == 2
    assert ledger_usd(site) == 8
    check(site)
    late(site, rented((start, "0"), usd=None))
    assert ledger_usd(site) == 0
    assert site.usd(UNALLOCATED, resource=REST) == 0
    check(site)


def test_a_new_file_has_what_was_corrected_of_its_hours() -> None:
    """The old one was lost while corrections were pending."""
    site = site_at(AWS_OLD)
    start = now(site)
    site.tick(8, seconds=HOUR)
    learn(site, rented((start, AWS_NEW), usd=AWS_OLD))
    site.settle(commit=False)
    books, site.ledger = site.settler.books, MemoryLedger()
    site.ledger.commit(books.whole())
    books.committed_now(hour_of(now(site)))
    standing = elapsed_by_row(site.ledger.posting)
    assert {key.hour for key in standing} >= {hour_of(now(site)) - 1}
    for key, ns in standing.items():
        price = site.ledger.prices[key.price].pico_per_unit
        rows = [
            r.pico for k, r in site.ledger.posting.accruals.items() if replace(k, revision=0) == key
        ]
        assert price is not None
        assert sum(pico or 0 for pico in rows) == cost_of(price, ns)
