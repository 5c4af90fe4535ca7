"""Amortisation: what is spread sums to cost less residual value, whatever is estimated when."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.amortisation import (
    NS_PER_YEAR,
    DecliningBalance,
    Estimate,
    Schedule,
    StraightLine,
    UnitsOfProduction,
)
from unitcost.pricing.charge import cost_of
from unitcost.pricing.money import to_pico, to_usd
from unitcost.pricing.price import Component, PriceBook, PriceModel, straight_line
from unitcost.pricing.timeline import NS_PER_HOUR, Period, cut

D = Decimal
BOUGHT = 1_700_000_000 * 10**9
LINE = Estimate(BOUGHT, StraightLine(D(1)))
LIFE = Schedule(D(1), (LINE,))
FAR = BOUGHT + 500 * NS_PER_YEAR
PICO = D(1).scaleb(-12)

USD = st.decimals(0, 10_000_000, places=12)
LIVES = st.decimals("0.01", 12, places=3)
Method = StraightLine | DecliningBalance | UnitsOfProduction
LINES = st.builds(StraightLine, LIVES)
BALANCES = st.builds(DecliningBalance, LIVES, st.decimals("0.1", 5, places=2))
TIMED: st.SearchStrategy[Method] = st.one_of(LINES, BALANCES)
UNITS = st.builds(UnitsOfProduction, st.decimals(1, 10**6, places=3))
METHODS: st.SearchStrategy[Method] = st.one_of(LINES, BALANCES, UNITS)


@st.composite
def schedules(draw: st.DrawFn, methods: st.SearchStrategy[Method] = METHODS) -> Schedule:
    """Any life: one estimate or several, of any method, at any instant."""
    cost = draw(USD)
    count = draw(st.integers(1, 4))
    gaps = draw(st.lists(st.integers(1, 6 * NS_PER_YEAR), min_size=count, max_size=count))
    starts = itertools.accumulate(gaps, initial=BOUGHT)
    estimates = []
    for index, start in zip(range(count), starts, strict=False):
        residual = draw(USD) if index else draw(st.decimals(0, cost, places=12))
        method = draw(methods)
        units = draw(st.decimals(0, 2 * 10**6, places=2)) if index else D(0)
        estimates.append(Estimate(start, method, residual, units))
    return Schedule(cost, tuple(estimates))


def whole(schedule: Schedule) -> list[tuple[Period, tuple[Decimal, Decimal]]]:
    """Each estimate's time, and the units produced in it; the last goes on till all is spread."""
    estimates = schedule.estimates
    ends = [*(each.from_ns for each in estimates[1:]), FAR]
    units = [*(each.units_before for each in estimates[1:]), D(10**9)]
    return [
        (Period(each.from_ns, end), (D(0), produced))
        for each, end, produced in zip(estimates, ends, units, strict=True)
    ]


@given(schedules())
def test_what_is_amortised_and_what_is_left_is_the_purchase_price(schedule: Schedule) -> None:
    """Whatever is estimated when, by time or by units: to the last pico-dollar."""
    total = sum((schedule.amortised(*each) for each in whole(schedule)), D(0))
    left = schedule.book_value(FAR, D(10**9))
    assert total + left == schedule.cost_usd
    last = schedule.segments()[-1]
    assert left == min(last.estimate.residual_usd, to_usd(last.opening_pico))


@given(schedules(), st.lists(st.integers(BOUGHT - 10**9, BOUGHT + 9 * NS_PER_YEAR), max_size=8))
def test_parts_of_a_time_sum_to_the_whole(schedule: Schedule, cuts: list[int]) -> None:
    """However it is cut: no part is negative, and no remainder is lost between them."""
    for period, _ in whole(schedule):
        inner = sorted(at for at in set(cuts) if period.start_ns < at < period.end_ns)
        edges = [period.start_ns, *inner, period.end_ns]
        parts = [schedule.amortised(Period(a, b)) for a, b in itertools.pairwise(edges)]
        assert not any(part < 0 for part in parts)
        assert sum(parts, D(0)) == schedule.amortised(period)


@given(schedules(TIMED), st.integers(0, 12 * NS_PER_YEAR))
def test_the_prices_tile_the_life_and_sum_to_the_book_value_s_fall(
    schedule: Schedule, age: int
) -> None:
    """No gap, no overlap, from the first day on for ever; rate times time is what was spread."""
    prices = schedule.prices("test")
    assert prices[0].valid_from_ns == schedule.estimates[0].from_ns
    assert prices[-1].valid_to_ns is None
    assert prices[-1].usd_per_hour == 0
    for one, other in itertools.pairwise(prices):
        assert one.valid_to_ns == other.valid_from_ns
    book = PriceBook((Component.AMORTISATION,), prices)
    at = schedule.estimates[0].from_ns + age
    period = Period(schedule.estimates[0].from_ns, at)
    assert book.changes(period) == schedule.changes(period)
    pico = Fraction(0)
    for price in prices:
        end = at if price.valid_to_ns is None else min(at, price.valid_to_ns)
        pico += Fraction(price.pico_per_hour * max(0, end - price.valid_from_ns), NS_PER_HOUR)
    gone = to_pico(schedule.cost_usd) - to_pico(schedule.book_value(at))
    assert abs(pico - gone) <= len(schedule.estimates)


@given(USD, st.data(), st.one_of(LINES, BALANCES))
def test_rate_times_time_is_what_is_spread_without_a_remainder(
    cost: Decimal, data: st.DataObject, method: StraightLine | DecliningBalance
) -> None:
    """As fractions, not only rounded: the rates are whole pico-dollars, and yet nothing is lost."""
    residual = data.draw(st.decimals(0, cost, places=12))
    schedule = Schedule(cost, (Estimate(BOUGHT, method, residual),))
    *spans, after = schedule.segments()[0].spans
    assert (after.pico_per_hour, after.end_ns) == (0, None)
    pico = sum((span.pico_until(FAR) for span in spans), Fraction(0))
    assert pico == to_pico(cost - residual)
    life = Fraction(method.life_years) * NS_PER_YEAR
    assert abs(after.start_ns - BOUGHT - life) <= Fraction(1, 2)


@given(st.integers(0, 30), st.decimals(0, 1000, places=12), st.integers(0, NS_PER_HOUR))
def test_charged_hour_by_hour_a_life_costs_what_was_paid(
    hours: int, cost: Decimal, offset: int
) -> None:
    """As the ledger charges: each clock hour rounded once. At most a pico-dollar a piece is off."""
    life = D("0.004")  # 35.04 hours
    start = BOUGHT // NS_PER_HOUR * NS_PER_HOUR + offset
    first = Estimate(start, StraightLine(life))
    later = Estimate(start + (hours + 1) * NS_PER_HOUR + 7, DecliningBalance(life), cost / 10)
    for estimates in ((first,), (first, later)):
        schedule = Schedule(cost, estimates)
        book = PriceBook((Component.AMORTISATION,), schedule.prices("test"))
        period = Period(start, start + 100 * NS_PER_HOUR)
        parts = cut(period, schedule.changes(period))
        charged = 0
        for part in parts:
            price = book.at(Component.AMORTISATION, part.start_ns)
            assert price is not None
            charged += cost_of(price.pico_per_hour, part.duration_ns)
        left = to_pico(schedule.book_value(period.end_ns))
        odd = sum(part.duration_ns != NS_PER_HOUR for part in parts)
        assert abs(charged + left - to_pico(cost)) <= odd


@given(schedules(), st.integers(1, 3 * NS_PER_YEAR), METHODS, USD)
def test_a_change_of_estimate_changes_nothing_before_it(
    schedule: Schedule, later: int, method: Method, residual: Decimal
) -> None:
    """What was charged stays charged."""
    at = schedule.estimates[-1].from_ns + later
    changed = Schedule(
        schedule.cost_usd, (*schedule.estimates, Estimate(at, method, residual, D(5)))
    )
    for back in (1, max(1, later // 2), later):
        assert changed.book_value(at - back, D(5)) == schedule.book_value(at - back, D(5))
    assert changed.book_value(at) == schedule.book_value(at, D(5))
    assert changed.segments()[-1].spread_pico >= 0
    period = Period(BOUGHT, at)
    assert changed.changes(period) == schedule.changes(period)


def years(*numbers: int) -> list[int]:
    """Instants so many years after the purchase."""
    return [BOUGHT + number * NS_PER_YEAR for number in numbers]


def test_straight_line_takes_the_same_each_year() -> None:
    """The same figure as the plain formula; worth its residual at the end, and for ever after."""
    schedule = Schedule(D(100_000), (Estimate(BOUGHT, StraightLine(D(4)), D(20_000)),))
    values = [schedule.book_value(at) for at in years(-1, 0, 1, 2, 3, 4, 9)]
    exact = [100_000, 100_000, 80_000, 60_000, 40_000, 20_000, 20_000]
    assert [round(value, 6) for value in values] == exact
    assert [values[index] for index in (0, 1, 5, 6)] == [100_000, 100_000, 20_000, 20_000]
    hourly = schedule.prices("test")[0].usd_per_hour
    assert abs(hourly - straight_line(D(100_000), D(20_000), D(4))) <= PICO
    half = Period(BOUGHT, BOUGHT + NS_PER_HOUR // 2)
    assert abs(schedule.usd_per_hour(half) - hourly) <= 2 * PICO


def test_rates_of_a_stretch_are_a_pico_dollar_apart() -> None:
    """A dollar over 35.04 hours: the higher rate is there for just as long as it takes."""
    method = StraightLine(D("0.004"))
    first, second, _ = Schedule(D(1), (Estimate(BOUGHT, method),)).segments()[0].spans
    assert first.pico_per_hour == second.pico_per_hour + 1
    assert (first.usd_per_hour - second.usd_per_hour) == PICO


def test_a_stretch_that_needs_one_rate_has_one() -> None:
    """8760 dollars over a year are a dollar an hour."""
    spans = Schedule(D(8760), (Estimate(BOUGHT, StraightLine(D(1))),)).segments()[0].spans
    (end,) = years(1)
    found = [(span.start_ns, span.end_ns, span.usd_per_hour) for span in spans]
    assert found == [(BOUGHT, end, D(1)), (end, None, D(0))]


def test_double_declining_goes_over_to_a_straight_line() -> None:
    """The textbook's table: 40 % of what is left, until the straight line takes more."""
    schedule = Schedule(D(100_000), (Estimate(BOUGHT, DecliningBalance(D(5)), D(0)),))
    values = [schedule.book_value(at) for at in years(0, 1, 2, 3, 4, 5, 6)]
    assert values == [100_000, 60_000, 36_000, 21_600, pytest.approx(D(10_800)), 0, 0]
    assert abs(values[4] - 10_800) < D("0.001")


def test_a_declining_balance_stops_at_the_residual() -> None:
    """100, 60, and then 40, where it would have gone on to 36."""
    schedule = Schedule(D(100), (Estimate(BOUGHT, DecliningBalance(D(5)), D(40)),))
    assert [schedule.book_value(at) for at in years(1, 2, 3, 5, 7)] == [60, 40, 40, 40, 40]


def test_a_life_of_one_year_or_less_is_all_straight_line() -> None:
    """There is no second year to charge less in."""
    for life in (D(1), D("0.5")):
        one = Schedule(D(100), (Estimate(BOUGHT, DecliningBalance(life), D(10)),))
        other = Schedule(D(100), (Estimate(BOUGHT, StraightLine(life), D(10)),))
        assert one.segments()[0].spans == other.segments()[0].spans


def test_the_declining_rate_is_of_the_life_not_of_what_remains() -> None:
    """150 % over four years: 37.5 % of each year's opening value; then a line over two years."""
    schedule = Schedule(D(64), (Estimate(BOUGHT, DecliningBalance(D(4), D("1.5"))),))
    values = [round(schedule.book_value(at), 6) for at in years(1, 2, 3, 4)]
    assert values == [40, 25, D("12.5"), 0]


def test_units_of_production_cost_the_same_each() -> None:
    """A GPU good for 1000 hours of work: what is not worked is not charged."""
    schedule = Schedule(D(5000), (Estimate(BOUGHT, UnitsOfProduction(D(1000)), D(1000)),))
    day = Period(BOUGHT, BOUGHT + 24 * NS_PER_HOUR)
    assert schedule.amortised(day, (D(0), D(12))) == 48
    assert schedule.usd_per_hour(day, (D(0), D(12))) == 2
    assert schedule.amortised(day) == 0
    assert schedule.amortised(day, (D(990), D(1010))) == 40
    assert schedule.book_value(BOUGHT, D(1010)) == 1000
    assert schedule.prices("test") == ()
    assert schedule.changes(Period(0, FAR)) == (BOUGHT,)


def test_a_shorter_life_spreads_what_is_left() -> None:
    """Six years become five after the second: 4/6 of it over three years."""
    (then,) = years(2)
    estimates = (Estimate(BOUGHT, StraightLine(D(6))), Estimate(then, StraightLine(D(3))))
    schedule = Schedule(D(60_000), estimates)
    assert [round(schedule.book_value(at), 6) for at in years(1, 2, 3, 4, 5, 6)] == [
        *(50_000, 40_000, pytest.approx(D("26666.666667"), abs=D("0.000001"))),
        *(pytest.approx(D("13333.333333"), abs=D("0.000001")), 0, 0),
    ]
    assert schedule.book_value(years(5)[0]) == 0


def test_units_become_a_straight_line() -> None:
    """400 of 1000 units are done: the rest goes over two years, whatever is produced."""
    (then,) = years(1)
    counted = Estimate(BOUGHT, UnitsOfProduction(D(1000)))
    timed = Estimate(then, StraightLine(D(2)), D(0), units_before=D(400))
    schedule = Schedule(D(17_520 + 11_680), (counted, timed))
    assert schedule.amortised(Period(BOUGHT, then), (D(0), D(400))) == 11_680
    assert [price.usd_per_hour for price in schedule.prices("test")] == [1, 0]
    assert schedule.book_value(years(2)[0]) == 8760


def test_a_residual_above_the_book_value_stops_the_amortisation() -> None:
    """It is worth more than thought: nothing is charged any more, and nothing is paid back."""
    (then,) = years(2)
    estimates = (
        Estimate(BOUGHT, StraightLine(D(4))),
        Estimate(then, StraightLine(D(2)), D(20_000)),
    )
    schedule = Schedule(D(4 * 8760), estimates)
    assert [schedule.book_value(at) for at in years(2, 3, 5)] == [17_520, 17_520, 17_520]
    assert schedule.segments()[1].spread_pico == 0


def test_prices_say_where_they_are_from() -> None:
    """Source, terms, and when the estimate is of and was learnt."""
    schedule = Schedule(D(8760), (Estimate(BOUGHT, StraightLine(D(1))),))
    price = schedule.prices("configuration", known_at_ns=7)[0]
    assert (price.component, price.model) == (Component.AMORTISATION, PriceModel.OWNED)
    assert (price.source, price.as_of_ns, price.known_at_ns) == ("configuration", BOUGHT, 7)


def test_before_it_is_in_service_hardware_costs_nothing_and_has_no_price() -> None:
    """The life begins with the first estimate."""
    schedule = Schedule(D(100), (Estimate(BOUGHT, StraightLine(D(1))),))
    before = Period(BOUGHT - NS_PER_HOUR, BOUGHT)
    assert schedule.amortised(before) == 0
    assert schedule.book_value(BOUGHT - 1) == 100
    assert (
        PriceBook((Component.AMORTISATION,), schedule.prices("x")).at(
            Component.AMORTISATION, BOUGHT - 1
        )
        is None
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StraightLine(D(0)), "a life in years"),
        (lambda: StraightLine(D("0.0009")), "a life in years"),
        (lambda: StraightLine(D("100.1")), "a life in years"),
        (lambda: StraightLine(D("NaN")), "a life in years"),
        (lambda: DecliningBalance(D(0)), "a life in years"),
        (lambda: DecliningBalance(D(1), D(0)), "a factor is above 0"),
        (lambda: DecliningBalance(D(1), D("10.1")), "a factor"),
        (lambda: UnitsOfProduction(D(0)), "expected units is above 0"),
        (lambda: UnitsOfProduction(D("Infinity")), "expected units"),
        (lambda: Estimate(0, StraightLine(D(1)), D(-1)), "a residual value"),
        (lambda: Estimate(0, StraightLine(D(1)), units_before=D(-1)), "units"),
        (lambda: UnitsOfProduction(D(10**15 + 1)), "expected units"),
        (lambda: Estimate(0, StraightLine(D(1)), D(10**12 + 1)), "a residual value"),
        (lambda: Schedule(D(10**12 + 1), (LINE,)), "a purchase price"),
        (lambda: Schedule(D(1), ()), "needs an estimate"),
        (lambda: Schedule(D(-1), (LINE,)), "a purchase price"),
        (lambda: Schedule(D(1), (LINE, LINE)), "follow each other"),
        (lambda: Schedule(D(1), (Estimate(0, StraightLine(D(1)), D(2)),)), "above the purchase"),
        (lambda: LIFE.usd_per_hour(Period(5, 5)), "no length"),
        (lambda: LIFE.amortised(Period(BOUGHT - 1, BOUGHT + 1)), "cut it there"),
        (lambda: LIFE.amortised(Period(BOUGHT, FAR), (D(2), D(1))), "never fall"),
        (lambda: LIFE.amortised(Period(BOUGHT, FAR), (D(-1), D(1))), "units"),
        (lambda: LIFE.book_value(BOUGHT, D(-1)), "units"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    """Each with a word on what is wrong."""
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_what_can_be_are_accepted() -> None:
    """The shortest and the longest life, a purchase for nothing, a residual of all of it."""
    for life in (D("0.001"), D(100)):
        schedule = Schedule(D(7), (Estimate(BOUGHT, StraightLine(life), D(7)),))
        assert schedule.book_value(FAR) == 7
    assert Schedule(D(0), (LINE,)).book_value(FAR) == 0
    assert DecliningBalance(D(1), D(10)).factor == 10
    most = Schedule(D(10**12), (Estimate(BOUGHT, UnitsOfProduction(D(10**15)), D(10**12)),))
    assert most.book_value(FAR, D(10**15)) == 10**12


def test_prices_are_learnt_when_somebody_says_so() -> None:
    """Else they were known all along."""
    plain, told = LIFE.prices("x"), LIFE.prices("x", 7)
    assert {each.known_at_ns for each in plain} == {0}
    assert {each.known_at_ns for each in told} == {7}


def test_an_estimate_ends_where_the_next_begins() -> None:
    """The last one has no end."""
    then = Estimate(BOUGHT + NS_PER_YEAR, StraightLine(D(1)))
    first, last = Schedule(D(1), (Estimate(BOUGHT, StraightLine(D(2))), then)).segments()
    assert (first.end_ns, last.end_ns) == (then.from_ns, None)
    assert (first.estimate.from_ns, last.estimate) == (BOUGHT, then)
