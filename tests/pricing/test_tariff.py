"""Tariffs: the price at every instant, over clocks that are set, and what a month makes of it."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.currency import PEGS, Rates
from unitcost.pricing.tariff import (
    Slab,
    Tariff,
    Vat,
    Window,
    flat,
    month_hours,
    month_start_ns,
    usd_per_kwh,
)
from unitcost.pricing.timeline import Period

D = Decimal
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EVERY_DAY = frozenset(range(7))
WORKDAYS = frozenset(range(5))
BERLIN, DUBAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Dubai")


def ns(text: str) -> int:
    """ISO 8601 as Unix nanoseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


# Zones and days on which their clocks are set: by an hour, by half an hour, at midnight, or not.
PLACES = (
    (BERLIN, "2026-03-29T00:00Z"),
    (BERLIN, "2026-10-25T00:00Z"),
    (ZoneInfo("America/New_York"), "2026-03-08T06:00Z"),
    (ZoneInfo("America/New_York"), "2026-11-01T06:00Z"),
    (ZoneInfo("Australia/Lord_Howe"), "2026-04-04T15:00Z"),
    (ZoneInfo("Australia/Lord_Howe"), "2026-10-03T15:00Z"),
    (ZoneInfo("America/Sao_Paulo"), "2018-11-04T03:00Z"),
    (ZoneInfo("America/Sao_Paulo"), "2018-02-18T02:00Z"),
    (ZoneInfo("Pacific/Apia"), "2011-12-30T10:00Z"),
    (DUBAI, "2026-06-30T20:00Z"),
    (timezone(timedelta(hours=5, minutes=45)), "2026-12-31T18:00Z"),
)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ...]:
    """Windows that do not overlap: stretches of the day, each on weekdays of its own."""
    edges = sorted(draw(st.sets(st.integers(0, 1439), min_size=2, max_size=6)))
    found = []
    for index, (start, end) in enumerate(itertools.pairwise(edges)):
        days = draw(st.frozensets(st.integers(0, 6), min_size=1))
        if draw(st.booleans()):
            found.append(Window(days, start, end, flat(D(index + 2))))
    if draw(st.booleans()):
        days = draw(st.frozensets(st.integers(0, 6), min_size=1))
        found.append(Window(days, edges[-1], edges[0] or 1440, flat(D(50))))
    return tuple(found)


def by_hand(tariff: Tariff, moment: datetime) -> Decimal:
    """The price of a local time, looked up as a person would."""
    minute, today = moment.hour * 60 + moment.minute, moment.weekday()
    for window in tariff.windows:
        price = window.slabs[0].per_kwh
        if window.start_minute < window.end_minute:
            if today in window.weekdays and window.start_minute <= minute < window.end_minute:
                return price
        elif (today in window.weekdays and minute >= window.start_minute) or (
            (today - 1) % 7 in window.weekdays and minute < window.end_minute
        ):
            return price
    return tariff.slabs[0].per_kwh


def pieces(tariff: Tariff, period: Period, zone: tzinfo) -> list[Period]:
    """The period, cut at the tariff's changes."""
    edges = [period.start_ns, *tariff.changes(period, zone), period.end_ns]
    return [Period(a, b) for a, b in itertools.pairwise(edges)]


@given(windows(), st.sampled_from(PLACES), st.integers(-1300, 60), st.integers(1, 1800))
def test_cut_at_its_changes_a_tariff_integrates_as_minute_by_minute(
    found: tuple[Window, ...], place: tuple[tzinfo, str], start: int, length: int
) -> None:
    """A kilowatt all the time, over days of 23, 24 and 25 hours, and one that never was."""
    zone, day = place
    tariff = Tariff(flat(D(1)), found)
    begin = ns(day) + start * MINUTE
    period = Period(begin, begin + length * MINUTE)
    cost = sum(
        (
            tariff.per_kwh(part.start_ns, zone) * part.duration_ns
            for part in pieces(tariff, period, zone)
        ),
        D(0),
    )
    moments = (
        datetime.fromtimestamp((begin + index * MINUTE) // 10**9, UTC) for index in range(length)
    )
    brute = sum((by_hand(tariff, moment.astimezone(zone)) for moment in moments), D(0))
    assert cost == brute * MINUTE


@given(windows(), st.sampled_from(PLACES), st.integers(-2 * DAY, 2 * DAY), st.data())
def test_between_its_changes_the_price_stays_the_same(
    found: tuple[Window, ...], place: tuple[tzinfo, str], start: int, data: st.DataObject
) -> None:
    """And at each of them it is another: none is made up, none is missing. They are in order."""
    zone, day = place
    tariff = Tariff((Slab(D(1), D(10)), Slab(D(2))), found)
    period = Period(ns(day) + start, ns(day) + start + data.draw(st.integers(0, 3 * DAY)))
    parts = pieces(tariff, period, zone)
    for part in parts:
        inside = part.start_ns + data.draw(st.integers(0, max(0, part.duration_ns - 1)))
        assert tariff.per_kwh(inside, zone) == tariff.per_kwh(part.start_ns, zone)
        assert month_start_ns(inside, zone) == month_start_ns(part.start_ns, zone)
    for one, other in itertools.pairwise(parts):
        before, after = one.start_ns, other.start_ns
        same_price = tariff.per_kwh(before, zone) == tariff.per_kwh(after, zone)
        assert not same_price or month_start_ns(before, zone) != month_start_ns(after, zone)


NIGHT = Window(EVERY_DAY, 22 * 60, 6 * 60, flat(D("0.10")))
SMALL_HOURS = Window(EVERY_DAY, 2 * 60, 3 * 60, flat(D("0.05")))


def test_an_hour_that_is_skipped_is_in_no_window() -> None:
    """In Berlin on 29 March 2026 the clock goes from 2 to 3."""
    tariff = Tariff(flat(D("0.30")), (SMALL_HOURS,))
    day = Period(ns("2026-03-29T00:00+01:00"), ns("2026-03-30T00:00+02:00"))
    assert day.duration_ns == 23 * HOUR
    assert tariff.changes(day, BERLIN) == ()


def test_an_hour_that_happens_twice_is_twice_in_its_window() -> None:
    """In Berlin on 25 October 2026 the clock goes from 3 back to 2: two cheap hours, joined up."""
    tariff = Tariff(flat(D("0.30")), (SMALL_HOURS,))
    day = Period(ns("2026-10-25T00:00+02:00"), ns("2026-10-26T00:00+01:00"))
    assert day.duration_ns == 25 * HOUR
    changes = (ns("2026-10-25T02:00+02:00"), ns("2026-10-25T03:00+01:00"))
    assert tariff.changes(day, BERLIN) == changes
    assert changes[1] - changes[0] == 2 * HOUR
    prices = [tariff.per_kwh(at, BERLIN) for at in (changes[0] - 1, changes[0], changes[1])]
    assert prices == [D("0.30"), D("0.05"), D("0.30")]


def test_a_window_that_ends_where_the_clock_is_set_back_opens_again() -> None:
    """From 1:30 to 2:30: once before the clock is set, and half an hour of it once more."""
    tariff = Tariff(flat(D(1)), (Window(EVERY_DAY, 90, 150, flat(D(2))),))
    day = Period(ns("2026-10-25T00:00+02:00"), ns("2026-10-26T00:00+01:00"))
    assert tariff.changes(day, BERLIN) == (
        ns("2026-10-25T01:30+02:00"),
        ns("2026-10-25T02:30+02:00"),
        ns("2026-10-25T02:00+01:00"),
        ns("2026-10-25T02:30+01:00"),
    )


def test_a_night_belongs_to_the_day_on_which_it_starts() -> None:
    """Friday's ends on Saturday at 6; Sunday's, were it one, on Monday, in the next week."""
    tariff = Tariff(flat(D(3)), (Window(frozenset({4, 6}), 22 * 60, 6 * 60, flat(D(1))),))
    told = {
        "2026-11-20T21:59": 3,  # a Friday
        "2026-11-20T22:00": 1,
        "2026-11-21T05:59": 1,
        "2026-11-21T06:00": 3,
        "2026-11-21T23:00": 3,
        "2026-11-22T05:00": 3,
        "2026-11-22T22:00": 1,
        "2026-11-23T05:59": 1,
        "2026-11-23T06:00": 3,
    }
    for text, price in told.items():
        assert tariff.per_kwh(ns(f"{text}+04:00"), DUBAI) == price


def test_a_window_may_be_a_whole_day() -> None:
    """Weekends from midnight to midnight."""
    weekend = Window(frozenset({5, 6}), 0, 1440, flat(D(1)))
    week = Period(ns("2026-11-16T00:00+04:00"), ns("2026-11-23T00:00+04:00"))
    tariff = Tariff(flat(D(2)), (weekend,))
    assert tariff.changes(week, DUBAI) == (ns("2026-11-21T00:00+04:00"),)
    longer = Period(week.start_ns, week.end_ns + 1)
    assert tariff.changes(longer, DUBAI)[1:] == (ns("2026-11-23T00:00+04:00"),)


def test_changes_lie_inside_of_the_period() -> None:
    """A tick that starts or ends at one is not cut there; an empty one has none."""
    tariff = Tariff(flat(D(1)), (NIGHT,))
    at = ns("2026-11-20T22:00+04:00")
    assert tariff.changes(Period(at - 5, at), DUBAI) == ()
    assert tariff.changes(Period(at, at + 5), DUBAI) == ()
    assert tariff.changes(Period(at - 1, at + 1), DUBAI) == (at,)
    assert tariff.changes(Period(at, at), DUBAI) == ()


DEWA = Tariff(
    (Slab(D("0.23"), D(10_000)), Slab(D("0.38"))),
    surcharge_per_kwh=D("0.05"),
    vat=Vat(D("0.05")),
    currency="AED",
)
NOON = ns("2026-11-20T12:00+04:00")


def test_slabs_count_the_month_s_kilowatt_hours() -> None:
    """An industrial tariff of Dubai: (23 + 5) fils to 10 MWh, (38 + 5) above, 5 % VAT on all."""
    for month_kwh, price in ((0, "0.294"), (9999, "0.294"), (10_000, "0.4515"), (90_000, "0.4515")):
        assert DEWA.per_kwh(NOON, DUBAI, D(month_kwh)) == D(price)


def test_dollars_carry_what_was_billed() -> None:
    """0.294 AED at the peg; without a rate there is no price."""
    found = usd_per_kwh(DEWA, Rates(), NOON, DUBAI)
    assert found is not None
    assert (found.billed, found.currency, found.rate) == (D("0.294"), "AED", PEGS[0])
    assert found.usd == round(D("0.294") / D("3.6725"), 12)
    dearer = usd_per_kwh(DEWA, Rates(), NOON, DUBAI, D(10_000))
    assert dearer is not None
    assert dearer.billed == D("0.4515")
    assert usd_per_kwh(DEWA, Rates(pegs=()), NOON, DUBAI) is None


@given(
    st.decimals(0, 40_000, places=3), st.decimals(0, 40_000, places=3), st.decimals(0, 9, places=3)
)
def test_consumption_over_a_slab_s_end_is_paid_in_both(
    before: Decimal, kwh: Decimal, part: Decimal
) -> None:
    """However it comes in: in one go or in two."""
    first = kwh * part / 9
    whole = DEWA.cost(kwh, NOON, DUBAI, before)
    parts = DEWA.cost(first, NOON, DUBAI, before) + DEWA.cost(
        kwh - first, NOON, DUBAI, before + first
    )
    assert abs(whole - parts) < D("1e-18")
    cheap = min(kwh, max(D(0), 10_000 - before))
    assert abs(whole - (cheap * D("0.294") + (kwh - cheap) * D("0.4515"))) < D("1e-18")


def test_windows_have_slabs_of_their_own() -> None:
    """All of them count the month's whole consumption."""
    peak = Window(WORKDAYS, 12 * 60, 18 * 60, (Slab(D(2), D(100)), Slab(D(5))))
    tariff = Tariff((Slab(D(1), D(50)), Slab(D(3))), (peak,))
    noon, evening = NOON, NOON + 7 * HOUR
    prices = [
        tariff.per_kwh(at, DUBAI, D(kwh)) for at in (noon, evening) for kwh in (49, 50, 99, 100)
    ]
    assert prices == [2, 2, 2, 5, 1, 3, 3, 3]
    assert tariff.cost(D(20), noon, DUBAI, D(90)) == 10 * 2 + 10 * 5
    assert tariff.cost(D(20), evening, DUBAI, D(40)) == 10 * 1 + 10 * 3


def test_a_month_counts_where_its_consumption_or_its_peak_does() -> None:
    """There the period is cut at local midnight; a flat price goes on."""
    first = ns("2026-12-01T00:00+04:00")
    around = Period(first - HOUR, first + HOUR)
    assert DEWA.changes(around, DUBAI) == (first,)
    assert Tariff(flat(D(1))).changes(around, DUBAI) == ()
    assert Tariff(flat(D(1)), demand_per_kw_month=D(1)).changes(around, DUBAI) == (first,)
    window = Window(WORKDAYS, 720, 780, DEWA.slabs)
    assert Tariff(flat(D(1)), (window,)).changes(around, DUBAI) == (first,)


@pytest.mark.parametrize(
    ("vat", "price"),
    [
        (Vat(), "0.24"),
        (Vat(D("0.20")), "0.288"),
        (Vat(D("0.20"), included=True), "0.24"),
        (Vat(D("0.20"), is_cost=False), "0.24"),
        (Vat(D("0.20"), included=True, is_cost=False), "0.2"),
    ],
)
def test_vat_is_a_cost_to_whoever_does_not_get_it_back(vat: Vat, price: str) -> None:
    """Stated with it or without it."""
    tariff = Tariff(flat(D("0.20")), surcharge_per_kwh=D("0.04"), vat=vat)
    assert tariff.per_kwh(NOON, DUBAI) == D(price)
    assert tariff.cost(D(10), NOON, DUBAI) == 10 * D(price)


def test_a_demand_charge_is_spread_over_the_hours_of_its_month() -> None:
    """One of 743 hours costs more an hour than one of 745, and both cost the same a month."""
    tariff = Tariff(flat(D(1)), demand_per_kw_month=D(10), vat=Vat(D("0.19")))
    for text, hours in (("2026-03-10T00:00Z", 743), ("2026-10-10T00:00Z", 745)):
        hourly = tariff.demand_per_hour(D(8), ns(text), BERLIN)
        assert hourly is not None
        assert abs(hourly * hours - D("95.2")) < D("1e-40")
    assert Tariff(flat(D(1))).demand_per_hour(D(8), NOON, DUBAI) is None


@pytest.mark.parametrize(
    ("text", "zone", "hours", "start"),
    [
        ("2026-03-31T21:59Z", BERLIN, 743, "2026-03-01T00:00+01:00"),
        ("2026-03-31T22:00Z", BERLIN, 720, "2026-04-01T00:00+02:00"),
        ("2026-10-25T01:30Z", BERLIN, 745, "2026-10-01T00:00+02:00"),
        ("2028-02-10T00:00Z", DUBAI, 696, "2028-02-01T00:00+04:00"),
        ("2026-12-31T19:59Z", DUBAI, 744, "2026-12-01T00:00+04:00"),
        ("2026-12-31T20:00Z", DUBAI, 744, "2027-01-01T00:00+04:00"),
        ("1969-12-31T12:00Z", UTC, 744, "1969-12-01T00:00Z"),
    ],
)
def test_months_are_local_ones(text: str, zone: tzinfo, hours: int, start: str) -> None:
    """As long as the zone's clocks make them."""
    assert month_hours(ns(text), zone) == hours
    assert month_start_ns(ns(text), zone) == ns(start)


ONE = flat(D(1))
DEMAND = Tariff(ONE, demand_per_kw_month=D(1))


def minute_windows(count: int) -> list[Window]:
    """So many windows of a minute each."""
    return [Window(EVERY_DAY, minute, minute + 1, ONE) for minute in range(count)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Slab(D(-1)), "a price for a kWh"),
        (lambda: Slab(D("NaN")), "a price for a kWh"),
        (lambda: Slab(D(10**6 + 1)), "a price for a kWh"),
        (lambda: Slab(D(1), D(-1)), "the end of a slab"),
        (lambda: Tariff(()), "the last slab, and no other"),
        (lambda: Tariff((Slab(D(1), D(5)),)), "the last slab, and no other"),
        (lambda: Tariff((Slab(D(1)), Slab(D(1)))), "the last slab, and no other"),
        (lambda: Tariff((*(Slab(D(1), D(n)) for n in range(1, 33)), Slab(D(1)))), "the last slab"),
        (lambda: Tariff((Slab(D(1), D(0)), Slab(D(1)))), "ends above"),
        (lambda: Tariff((Slab(D(1), D(5)), Slab(D(1), D(5)), Slab(D(1)))), "ends above"),
        (lambda: Tariff(ONE, surcharge_per_kwh=D(-1)), "a surcharge"),
        (lambda: Tariff(ONE, demand_per_kw_month=D(-1)), "a demand charge"),
        (lambda: Tariff(ONE, currency="usd"), "three capital letters"),
        (lambda: Vat(D("1.01")), "a VAT rate"),
        (lambda: Window(frozenset(), 0, 60, ONE), "weekdays"),
        (lambda: Window(frozenset({7}), 0, 60, ONE), "weekdays"),
        (lambda: Window(EVERY_DAY, 60, 60, ONE), "a window is from"),
        (lambda: Window(EVERY_DAY, -1, 60, ONE), "a window is from"),
        (lambda: Window(EVERY_DAY, 1440, 60, ONE), "a window is from"),
        (lambda: Window(EVERY_DAY, 60, 0, ONE), "a window is from"),
        (lambda: Window(EVERY_DAY, 60, 1441, ONE), "a window is from"),
        (lambda: Window(EVERY_DAY, 0, 60, ()), "the last slab"),
        (lambda: Tariff(ONE, (NIGHT, SMALL_HOURS)), "at the same time"),
        (lambda: Tariff(ONE, (NIGHT, NIGHT)), "at the same time"),
        (lambda: Tariff(ONE, tuple(minute_windows(65))), "more than 64 windows"),
        (lambda: DEWA.per_kwh(NOON, DUBAI, D(-1)), "a month's kWh"),
        (lambda: DEWA.per_kwh(NOON, DUBAI, D(10**12 + 1)), "a month's kWh"),
        (lambda: DEWA.cost(D(-1), NOON, DUBAI), "energy in kWh"),
        (lambda: DEWA.cost(D(1), NOON, DUBAI, D(-1)), "a month's kWh"),
        (lambda: DEMAND.demand_per_hour(D(-1), NOON, DUBAI), "a peak in kW"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    """Each with a word on what is wrong."""
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_what_can_be_are_accepted() -> None:
    """Most windows, most slabs, the last minute of a day, a price of nothing."""
    slabs = (*(Slab(D(0), D(n)) for n in range(1, 32)), Slab(D(10**6), None))
    tariff = Tariff(slabs, tuple(minute_windows(64)), vat=Vat(D(1)), demand_per_kw_month=D(0))
    assert tariff.per_kwh(NOON, DUBAI, D(10**12)) == 2 * 10**6
    last = Window(EVERY_DAY, 1439, 1440, flat(D(7)))
    assert Tariff(ONE, (last,)).per_kwh(NOON + 12 * HOUR - 1, DUBAI) == 7
    assert Tariff(ONE, (last,)).per_kwh(NOON + 12 * HOUR, DUBAI) == 1
    touching = Window(EVERY_DAY, 6 * 60, 22 * 60, ONE)
    assert Tariff(ONE, (NIGHT, touching)).windows[1] == touching


def test_the_price_in_dollars_is_that_of_the_local_hour() -> None:
    """Half past ten at night in Dubai is half past seven in Berlin."""
    cheap = Tariff(flat(D("0.30")), (NIGHT,))
    at = ns("2026-11-20T22:30+04:00")
    there, here = (usd_per_kwh(cheap, Rates(), at, zone) for zone in (DUBAI, BERLIN))
    assert there is not None
    assert here is not None
    assert (there.usd, here.usd) == (D("0.10"), D("0.30"))


def test_a_small_peak_has_its_part_of_the_demand_charge() -> None:
    """A quarter of a kilowatt is a peak, and so is none."""
    whole = DEMAND.demand_per_hour(D(1), NOON, DUBAI)
    assert whole is not None
    quarter = DEMAND.demand_per_hour(D("0.25"), NOON, DUBAI)
    assert quarter is not None
    assert abs(quarter * 4 - whole) <= D("4e-12")
    assert DEMAND.demand_per_hour(D(0), NOON, DUBAI) == 0


def test_a_slab_ends_where_the_local_hour_s_slabs_say() -> None:
    """In the night of Dubai there is no end to them, while it is evening in Berlin."""
    slabs = (Slab(D(2), D(100)), Slab(D(5)))
    cheap = Tariff(slabs, (NIGHT,))
    at = ns("2026-11-20T22:30+04:00")
    assert cheap.slab_end(at, DUBAI, D(0)) is None
    assert cheap.slab_end(at, BERLIN, D(0)) == 100


def test_a_month_begins_at_a_whole_number_of_nanoseconds() -> None:
    """A float has none left for them."""
    found = month_start_ns(NOON, DUBAI)
    assert isinstance(found, int)
    assert found == ns("2026-11-01T00:00+04:00")


def test_a_window_past_the_end_of_the_week_holds_on_monday_from_midnight_on() -> None:
    """To the first minute: nothing else may hold then, and just after it something may."""
    sunday_night = Window(frozenset({6}), 23 * 60, 1, flat(D(1)))
    first_minute = Window(frozenset({0}), 0, 1, flat(D(2)))
    with pytest.raises(ValueError, match="two windows hold at the same time"):
        Tariff(ONE, (sunday_night, first_minute))
    after = Window(frozenset({0}), 1, 2, flat(D(2)))
    assert len(Tariff(ONE, (sunday_night, after)).windows) == 2
