"""Budgets: periods of local calendars that tile all time, and what is spent in each."""

import itertools
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.budget import (
    MAX_PERIODS,
    Budget,
    BudgetPeriod,
    Past,
    Spending,
    Sum,
    Tracker,
    period_at,
)
from unitcost.pricing.local_time import day_start_ns, local_date
from unitcost.pricing.timeline import Period

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NAMES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",  # +05:30
    "Asia/Kathmandu",  # +05:45
    "Australia/Lord_Howe",  # clocks are set by half an hour
    "America/St_Johns",  # -03:30; until 2011 set at one minute past midnight
    "America/Havana",  # midnight comes twice in autumn
    "America/Sao_Paulo",  # until 2019 set forward from midnight to one
    "Africa/Cairo",
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kiritimati",
)
ZONES = st.sampled_from([ZoneInfo(name) for name in NAMES])
KINDS = st.sampled_from(list(BudgetPeriod))
INSTANTS = st.integers(0, 2**62 // 2)


def ns(text: str) -> int:
    """ISO 8601 as Unix nanoseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def local(instant_ns: int, zone: tzinfo) -> datetime:
    """What local clocks show."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant_ns // SECOND)).astimezone(
        zone
    )


@given(KINDS, INSTANTS, ZONES)
def test_periods_tile_all_time(kind: BudgetPeriod, at: int, zone: tzinfo) -> None:
    """Each instant lies in one; where it ends the next begins."""
    period = period_at(kind, at, zone)
    assert period.start_ns <= at < period.end_ns
    assert period_at(kind, period.start_ns, zone) == period
    assert period_at(kind, period.end_ns - 1, zone) == period
    following = period_at(kind, period.end_ns, zone)
    assert following.start_ns == period.end_ns
    assert period_at(kind, period.start_ns - 1, zone).end_ns == period.start_ns


@given(st.dates(date(1975, 1, 1), date(2100, 1, 1)), ZONES)
def test_a_day_begins_when_local_clocks_first_show_it(day: date, zone: tzinfo) -> None:
    """Whatever they do around midnight: a second earlier they show an earlier day."""
    start = day_start_ns(day, zone)
    assert local_date(start, zone) >= day
    assert local_date(start - SECOND, zone) < day


def test_a_day_may_begin_half_an_hour_late() -> None:
    """In 1919 Toronto's clocks went from half past eleven to half past midnight."""
    start = day_start_ns(date(1919, 3, 31), ZoneInfo("America/Toronto"))
    assert start == ns("1919-03-30T23:30-05:00")


BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


CALENDAR = """
day     Europe/Berlin      2026-03-29T12:00+02:00  2026-03-29T00:00+01:00  2026-03-30T00:00+02:00
day     Europe/Berlin      2026-10-25T12:00+01:00  2026-10-25T00:00+02:00  2026-10-26T00:00+01:00
month   Asia/Kolkata       2026-03-31T18:29:59Z    2026-03-01T00:00+05:30  2026-04-01T00:00+05:30
month   Asia/Kolkata       2026-03-31T18:30:00Z    2026-04-01T00:00+05:30  2026-05-01T00:00+05:30
month   UTC                2024-02-29T23:59:59Z    2024-02-01T00:00Z       2024-03-01T00:00Z
week    UTC                2027-01-01T12:00Z       2026-12-28T00:00Z       2027-01-04T00:00Z
quarter UTC                2026-12-31T23:59:59Z    2026-10-01T00:00Z       2027-01-01T00:00Z
quarter UTC                2026-02-15T00:00Z       2026-01-01T00:00Z       2026-04-01T00:00Z
year    UTC                2024-12-31T12:00Z       2024-01-01T00:00Z       2025-01-01T00:00Z
day     America/Sao_Paulo  2018-11-04T05:00Z       2018-11-04T01:00-02:00  2018-11-05T00:00-02:00
day     Pacific/Apia       2011-12-30T12:00Z       2011-12-31T00:00+14:00  2012-01-01T00:00+14:00
day     America/St_Johns   2010-11-06T23:30-03:30  2010-11-07T00:00-02:30  2010-11-08T00:00-03:30
day     Pacific/Honolulu   1970-01-01T00:00Z       1969-12-31T00:00-10:00  1970-01-01T00:00-10:00
"""


@pytest.mark.parametrize("line", CALENDAR.strip().splitlines())
def test_periods_are_those_of_the_calendar(line: str) -> None:
    """A day has 23 or 25 hours where the clocks are set; weeks begin on Monday."""
    kind, zone, at, start, end = line.split()
    found = period_at(BudgetPeriod(kind), ns(at), ZoneInfo(zone))
    assert found == Period(ns(start), ns(end))


def test_a_month_in_kolkata_begins_at_half_past_an_hour() -> None:
    """Which no clock hour does."""
    start = period_at(BudgetPeriod.MONTH, ns("2026-04-10T00:00Z"), KOLKATA).start_ns
    assert local(start, KOLKATA).isoformat() == "2026-04-01T00:00:00+05:30"
    assert start % HOUR == HOUR // 2


def budget(kind: BudgetPeriod = BudgetPeriod.DAY, owner: str = "", workload: str = "") -> Budget:
    """A budget of ten dollars."""
    return Budget("b", Decimal(10), kind, UTC, owner, workload)


def nobody(workload: str) -> str:
    """No workload has an owner."""
    return ""


def tracker(at: int = 0, of: Budget | None = None) -> Tracker:
    """One that began at an instant."""
    made = Tracker(of or budget())
    made.begin(at, None, nobody)
    return made


@given(INSTANTS, KINDS, ZONES, st.integers(1, 400 * DAY))
def test_cuts_are_where_periods_begin(
    start: int, kind: BudgetPeriod, zone: tzinfo, length: int
) -> None:
    """Between two of them lies one period."""
    of = Budget("b", Decimal(1), kind, zone)
    made = tracker(start, of)
    cuts = list(made.cuts(Period(start, start + length)))
    edges = [start, *cuts, start + length]
    for a, b in itertools.pairwise(edges):
        assert a < b
        assert period_at(kind, a, zone) == period_at(kind, b - 1, zone)
    for at in cuts:
        assert period_at(kind, at, zone).start_ns == at


@given(
    st.sampled_from([ZoneInfo(name) for name in NAMES]),
    st.lists(st.tuples(st.integers(1, 3 * DAY), st.integers(0, 10**13)), min_size=1, max_size=30),
)
def test_what_is_spent_in_a_period_is_what_was_charged_in_it(
    zone: tzinfo, ticks: list[tuple[int, int]]
) -> None:
    """Cut at its ends, and exactly; a tracker that is resumed at every tick finds the same."""
    of = Budget("b", Decimal(1), BudgetPeriod.DAY, zone)
    at = ns("2026-03-28T12:00Z")
    made = tracker(at, of)
    spent: dict[Period, int] = {}
    for length, pico in ticks:
        edges = [at, *made.cuts(Period(at, at + length)), at + length]
        for a, b in itertools.pairwise(edges):
            made.charge(a, Sum(pico, priced=True))
            period = period_at(BudgetPeriod.DAY, a, zone)
            spent[period] = spent.get(period, 0) + pico
            assert b <= period.end_ns
        at += length
        resumed = Tracker.resumed(of, made.remembered())
        assert resumed is not None
        made = resumed
    now = made.at(at - 1)
    assert now.sum.pico == spent[period_at(BudgetPeriod.DAY, at - 1, zone)]
    assert now.whole == (now.start_ns > ns("2026-03-28T12:00Z"))


def test_a_period_is_whole_if_it_was_followed_from_its_start() -> None:
    """The first one is followed since the budget was there."""
    made = tracker(DAY + 5)
    assert made.at(DAY + 5) == Spending(DAY, 2 * DAY, since_ns=DAY + 5)
    assert not made.at(DAY + 5).whole
    made.charge(2 * DAY, Sum(7, priced=True))
    assert made.at(2 * DAY + 9).whole
    assert tracker(DAY).at(DAY).whole


def test_a_clock_that_is_set_back_finds_what_was_spent() -> None:
    """Of the last few periods; of an older one it is only known what is spent from then on."""
    made = tracker(DAY)
    for day in range(1, MAX_PERIODS + 2):
        made.charge(day * DAY, Sum(day, priced=True))
    made.charge(3 * DAY + 1, Sum(100, priced=True))
    assert made.at(3 * DAY + 5).sum.pico == 103
    assert made.at(3 * DAY + 5).whole
    forgotten = made.at(DAY + 5)
    assert (forgotten.sum.pico, forgotten.since_ns, forgotten.whole) == (0, DAY + 5, False)
    assert made.at(3 * DAY + 5).sum.pico == 103
    assert len(made.spendings) == MAX_PERIODS


def test_what_has_no_price_makes_the_sum_a_lower_bound() -> None:
    """And where nothing has one there is no sum at all; nothing charged is zero."""
    made = tracker()
    assert made.at(0).spent_pico == 0
    assert made.at(0).whole
    made.charge(0, Sum(unpriced=3))
    assert made.at(0).spent_pico is None
    assert not made.at(0).whole
    made.charge(1, Sum(5, priced=True))
    assert made.at(0).spent_pico == 5
    assert not made.at(0).whole
    made.charge(DAY, Sum(0, priced=True))
    assert made.at(DAY).spent_pico == 0
    assert made.at(DAY).whole
    made.charge(2 * DAY, Sum(), unknown=True)
    assert made.at(2 * DAY).spent_pico is None
    assert not made.at(2 * DAY).whole


def hour(start_ns: int) -> Period:
    """An hour from an instant on."""
    return Period(start_ns, start_ns + HOUR)


def test_a_correction_is_spent_in_the_period_of_its_hour() -> None:
    """Once all that had no price has one, the sum is whole; older periods are corrected, too."""
    made = tracker(DAY)
    made.charge(DAY, Sum(5, priced=True, unpriced=3))
    made.charge(2 * DAY, Sum(9, priced=True))
    made.correct(hour(DAY + 3 * HOUR), Sum(4, priced=True, unpriced=-2))
    made.correct(hour(2 * DAY), Sum(-9, priced=True))
    made.correct(hour(7 * DAY), Sum(100, priced=True))
    assert made.at(2 * DAY).sum.pico == 0
    assert (made.at(DAY).sum, made.at(DAY).whole) == (Sum(9, True, 1), False)
    made.correct(hour(DAY), Sum(1, priced=True, unpriced=-1))
    assert (made.at(DAY).sum, made.at(DAY).whole) == (Sum(10, True, 0), True)


@pytest.mark.parametrize(("pico", "spent"), [(4, 5), (-4, 1)])
def test_a_correction_of_half_an_hour_leaves_the_least_it_can_be(pico: int, spent: int) -> None:
    """Half past an hour a month begins: which half is corrected nobody knows."""
    of = Budget("b", Decimal(10), BudgetPeriod.DAY, KOLKATA)
    start = period_at(BudgetPeriod.DAY, 10 * DAY, KOLKATA).start_ns
    made = tracker(start, of)
    made.charge(start, Sum(5, priced=True))
    made.correct(hour(start - HOUR // 2), Sum(pico, priced=True))
    assert made.at(start).spent_pico == spent
    assert not made.at(start).whole


def test_a_correction_of_what_was_not_seen_is_none_here() -> None:
    """It is of time before the budget was there."""
    made = tracker(DAY + 5 * HOUR)
    made.correct(hour(DAY + 4 * HOUR), Sum(4, priced=True))
    assert made.at(DAY + 5 * HOUR).sum == Sum()


def test_a_budget_covers_a_workload_an_owner_or_the_host() -> None:
    """Nobody's workloads are no owner's."""
    assert budget().of_host
    assert budget().covers("chat", "")
    assert budget(workload="chat").covers("chat", "search")
    assert not budget(workload="chat").covers("chat-2", "search")
    assert budget(owner="search").covers("chat", "search")
    assert not budget(owner="search").covers("chat", "")


def test_another_definition_begins_anew_and_another_amount_does_not() -> None:
    """What was spent of another thing says nothing."""
    made = tracker(DAY)
    made.charge(DAY, Sum(5, priced=True))
    kept = made.remembered()
    richer = Budget("b", Decimal(99), BudgetPeriod.DAY, UTC)
    assert Tracker.resumed(richer, kept) == Tracker(richer, made.spendings)
    others = (
        budget(BudgetPeriod.WEEK),
        budget(owner="search"),
        budget(workload="chat"),
        Budget("b", Decimal(10), BudgetPeriod.DAY, BERLIN),
        Budget("b", Decimal(10), BudgetPeriod.DAY, UTC, items=True),
    )
    for other in others:
        assert Tracker.resumed(other, kept) is None
    assert Tracker.resumed(budget(), None) is None


FIVE = {"chat": Sum(5, priced=True)}


def test_a_budget_that_is_new_begins_with_what_is_known_of_the_past() -> None:
    """Of its period, of what it covers."""
    past = Past(DAY, {**FIVE, "job": Sum(7, True), "new": Sum(unpriced=2)})
    made = Tracker(budget())
    made.begin(DAY + 9, past, nobody)
    assert made.at(DAY + 9) == Spending(DAY, 2 * DAY, DAY, Sum(12, True, 2))
    made = Tracker(budget(owner="search"))
    made.begin(DAY + 9, past, {"chat": "search"}.get)  # type: ignore[arg-type]  # None owns nothing
    assert made.at(DAY + 9) == Spending(DAY, 2 * DAY, DAY, Sum(5, True))


@pytest.mark.parametrize(("items", "spent"), [(False, 5), (True, 8)])
def test_items_of_the_past_count_where_items_do(items: bool, spent: int) -> None:
    """Those of the workloads that it covers."""
    past = Past(DAY, FIVE, items={"chat": 3, "job": 100})
    made = Tracker(Budget("b", Decimal(1), BudgetPeriod.DAY, UTC, workload="chat", items=items))
    made.begin(DAY + 9, past, nobody)
    assert made.at(DAY + 9).sum.pico == spent


@pytest.mark.parametrize(
    ("known_since", "since"), [(0, DAY), (DAY, DAY), (DAY + 3, DAY + 3), (3 * DAY, DAY + 9)]
)
def test_it_says_since_when_it_knows(known_since: int, since: int) -> None:
    """A ledger that began within the period knows no more than that."""
    made = Tracker(budget())
    made.begin(DAY + 9, Past(known_since, FIVE), nobody)
    assert made.at(DAY + 9).since_ns == since
    assert made.at(DAY + 9).whole == (since == DAY)


def test_time_of_which_nobody_knows_whose_it_was_is_told() -> None:
    """As what has no price."""
    made = Tracker(budget(workload="chat"))
    made.begin(DAY + 9, Past(0, FIVE, unknown=True), nobody)
    assert (made.at(DAY + 9).spent_pico, made.at(DAY + 9).whole) == (5, False)
