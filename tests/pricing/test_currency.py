"""Currencies: exact at the rate of the day, and nothing without one."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unitcost.pricing.currency import (
    DOLLAR,
    MAX_HELD,
    NS_PER_DAY,
    PEGS,
    STALE_AFTER_NS,
    Converted,
    Rate,
    Rates,
    convert,
    day_ns,
    from_usd,
    is_code,
)
from unitcost.pricing.money import to_pico, to_usd
from unitcost.pricing.timeline import Period

D = Decimal
FRIDAY = date(2026, 11, 20)
START = day_ns(FRIDAY)
PICO = D(1).scaleb(-12)
FIGURES = st.decimals("0.0001", 100_000, places=4)


def euro(usd: str = "1.0705", on: date = FRIDAY, start: int = START) -> Rate:
    """One euro in dollars."""
    return Rate("EUR", D(1), D(usd), on, start, "ECB")


def test_an_amount_is_kept_as_it_was_billed() -> None:
    """With its currency, the rate, and the rate's date."""
    found = Rates((euro(),)).to_usd(D("120.50"), "EUR", START)
    assert found == Converted(D("128.99525"), D("120.50"), "EUR", euro())
    assert found is not None
    assert found.rate.on == FRIDAY


def test_a_currency_crosses_by_way_of_the_euro_without_a_rounded_rate() -> None:
    """171.94 yen and 1.0705 dollars are a euro: 1719.4 yen are 10.705 dollars, not about that."""
    yen = Rate("JPY", D("171.94"), D("1.0705"), FRIDAY, START, "ECB")
    assert convert(D("1719.4"), yen).usd == D("10.705")
    assert yen.units_per_usd == D("160.6165343297524521251751518")


def test_without_a_rate_there_are_no_dollars() -> None:
    """Of no currency, of one that has none, and before the first of one that has."""
    rates = Rates((euro(),))
    assert rates.to_usd(D(1), "XYZ", START) is None
    assert rates.to_usd(D(1), "EUR", START - 1) is None
    assert rates.to_usd(D(1), "EUR", START) is not None
    assert rates.currencies(START - 1) == {"AED", "SAR"}
    assert rates.currencies(START) == {"AED", "SAR", "EUR"}


def test_a_dollar_is_a_dollar() -> None:
    """At any time, and nothing else can be said of it."""
    found = Rates().to_usd(D("1.5"), "USD", -5)
    assert found == Converted(D("1.5"), D("1.5"), "USD", DOLLAR)
    assert not DOLLAR.is_stale(10**30)
    with pytest.raises(ValueError, match=r"^a US dollar is a US dollar$"):
        Rate("USD", D(1), D("1.1"), FRIDAY, START, "x")


def test_the_dirham_and_the_riyal_are_pegged() -> None:
    """3.6725 and 3.75 for a dollar; with a date, and never stale."""
    assert {peg.currency: peg.units_per_usd for peg in PEGS} == {
        "AED": D("3.6725"),
        "SAR": D("3.75"),
    }
    dirham = Rates().to_usd(D("3672.5"), "AED", START)
    riyal = Rates().to_usd(D("0.18"), "SAR", START)
    assert dirham is not None
    assert riyal is not None
    assert (dirham.usd, riyal.usd) == (D(1000), D("0.048"))
    assert all(peg.on == date(2026, 11, 22) and peg.source for peg in PEGS)
    assert not any(peg.is_stale(START + 1000 * NS_PER_DAY) for peg in PEGS)
    assert Rates().at("AED", day_ns(date(1997, 1, 1))) is None
    assert Rates().at("SAR", day_ns(date(1997, 1, 1))) == PEGS[1]


def test_a_rate_that_a_source_gives_comes_before_a_peg() -> None:
    """A peg may break; until the source has one, the peg holds."""
    broken = Rate("AED", D(4), D(1), FRIDAY, START, "configuration")
    rates = Rates((broken,))
    assert rates.at("AED", START) == broken
    assert rates.at("AED", START - 1) == PEGS[0]
    assert rates.changes("AED", Period(START - 1, START + 1)) == (START,)


def test_on_a_weekend_the_last_rate_holds_and_says_its_date() -> None:
    """Friday's until Monday's; and it is not stale."""
    monday = euro("1.08", date(2026, 11, 23), START + 3 * NS_PER_DAY)
    rates = Rates((monday, euro()))
    sunday = START + 2 * NS_PER_DAY
    found = rates.to_usd(D(1), "EUR", sunday)
    assert found is not None
    assert (found.usd, found.rate.on, found.is_stale(sunday)) == (D("1.0705"), FRIDAY, False)
    assert rates.at("EUR", monday.from_ns) == monday
    assert rates.at("EUR", monday.from_ns - 1) == euro()


def test_an_old_rate_is_used_and_told() -> None:
    """After six days one is missing, whatever the holidays."""
    old = START + STALE_AFTER_NS
    rate = Rates((euro(),)).at("EUR", old + 1)
    assert rate is not None
    assert (rate.is_stale(old), rate.is_stale(old + 1)) == (False, True)
    assert rate.is_stale(START + 2, after_ns=1)
    assert STALE_AFTER_NS == 6 * 24 * 3600 * 10**9
    assert convert(D(1), rate).is_stale(old + 1)
    assert not convert(D(1), rate).is_stale(old)


def test_a_period_is_cut_where_another_rate_comes_into_use() -> None:
    """Also where its figure stays: its date does not. Not at the ends of the period."""
    later = euro("1.08", start=START + 10)
    again = euro("1.08", start=START + 20)
    pound = Rate("GBP", D(1), D("1.3"), FRIDAY, START + 15, "ECB")
    rates = Rates((euro(), later, again, pound))
    assert rates.changes("EUR", Period(START - 1, START + 99)) == (START, START + 10, START + 20)
    assert rates.changes("EUR", Period(START, START + 10)) == ()
    assert rates.changes("USD", Period(START, START + 99)) == ()
    peg_again = Rate("AED", D(3), D(1), FRIDAY, START - 5, "configuration")
    behind = Rates((peg_again,), pegs=(euro(start=START), PEGS[0]))
    assert behind.changes("AED", Period(START - 9, START)) == (START - 5,)
    hidden = Rates((euro(start=START),), pegs=(euro("2", start=START + 5),))
    assert hidden.changes("EUR", Period(START, START + 9)) == ()


@example(D("999995010.015880"), D("0.0161"), D("100000"))
@given(st.decimals(-(10**9), 10**9, places=6), FIGURES, FIGURES)
def test_there_and_back_is_the_same_to_a_rounding(
    amount: Decimal, units: Decimal, usd: Decimal
) -> None:
    """Half a pico-dollar, in units of the currency."""
    rate = Rate("EUR", units, usd, FRIDAY, START, "test")
    found = convert(amount, rate)
    assert found.usd == to_usd(to_pico(found.usd))
    assert abs(from_usd(found.usd, rate) - amount) <= PICO / 2 * units / usd * D("1.000001")
    assert found.billed == amount


@given(st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=20), FIGURES, FIGURES)
def test_a_sum_converts_as_its_parts(amounts: list[Decimal], units: Decimal, usd: Decimal) -> None:
    """To half a pico-dollar for each."""
    rate = Rate("EUR", units, usd, FRIDAY, START, "test")
    parts = sum((convert(amount, rate).usd for amount in amounts), D(0))
    whole = convert(sum(amounts, D(0)), rate).usd
    assert abs(parts - whole) <= PICO / 2 * (len(amounts) + 1)


def test_new_rates_join_the_old_ones() -> None:
    """One said anew for the same instant replaces what it was; the latest are kept."""
    changed = euro("1.09")
    assert Rates((euro(),)).with_more((changed,)).at("EUR", START) == changed
    days = [euro("1.1", start=START + day) for day in range(MAX_HELD + 5)]
    pound = Rate("GBP", D(1), D("1.3"), FRIDAY, START, "ECB")
    many = Rates((pound,), ()).with_more(days)
    assert many.at("EUR", START + 4) is None
    assert many.at("EUR", START + 5) == days[5]
    assert many.at("EUR", 2 * START) == days[-1]
    assert many.at("GBP", START) == pound
    assert len(many.rates) == MAX_HELD + 1
    assert many.pegs == ()


def test_what_is_fixed_comes_before_what_a_source_gives() -> None:
    """A contract's rate, from its day on."""
    fixed = Rate("EUR", D(1), D("1.2"), FRIDAY, START + 10, "configuration", pegged=True)
    rates = Rates((euro(), euro("1.09", start=START + 20)), fixed=(fixed,))
    assert rates.at("EUR", START + 9) == euro()
    assert rates.at("EUR", START + 10) == rates.at("EUR", START + 99) == fixed
    assert rates.timeline("EUR") == ((START, euro()), (START + 10, fixed))
    assert rates.currencies(START + 10) == {"AED", "SAR", "EUR"}
    assert rates.with_more((euro("1.3", start=START + 30),)).fixed == (fixed,)
    with pytest.raises(ValueError, match="two rates of EUR"):
        Rates((), (), (fixed, replace(fixed, usd=D("1.3"))))


def test_a_rate_that_is_said_again_was_learnt_when_it_was_first_said() -> None:
    """Else its price would be another one after each look; a corrected one is new."""
    first = replace(euro(), known_at_ns=5)
    same = replace(euro(), units=D(2), usd=D("2.141"), known_at_ns=9)
    corrected = replace(euro("1.08"), known_at_ns=9)
    other_day = replace(euro(on=date(2026, 11, 19)), known_at_ns=9)
    assert Rates((first,)).with_more((same,)).rates == (first,)
    assert Rates((first,)).with_more((corrected,)).rates == (corrected,)
    assert Rates((first,)).with_more((other_day,)).rates == (other_day,)
    assert not first.agrees(replace(first, currency="GBP"))


def test_what_is_to_be_remembered_of_rates() -> None:
    """The one in use at an instant and all later ones, of some currencies."""
    days = [euro("1.1", start=START + day) for day in (30, 10, 20)]
    pound = Rate("GBP", D(1), D("1.3"), FRIDAY, START, "ECB")
    rates = Rates((*days, pound))
    kept = rates.since(["EUR", "EUR", "AED"], START + 25)
    assert [each.from_ns - START for each in kept] == [20, 30]
    assert [each.from_ns - START for each in rates.since(["EUR"], START)] == [10, 20, 30]
    assert rates.since(["GBP"], 10 * START) == (pound,)
    assert rates.since([], START) == ()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=12, unique=True),
    st.integers(-1, 10),
)
def test_at_each_instant_the_best_kind_s_latest_rate_holds(
    held: list[tuple[int, int]], instant: int
) -> None:
    """Fixed before read before pegged."""
    groups: list[tuple[Rate, ...]] = [
        tuple(euro(f"1.{kind}{at}", start=at) for which, at in held if which == kind)
        for kind in range(3)
    ]
    rates = Rates(groups[1], groups[2], groups[0])
    begun = [[each for each in group if each.from_ns <= instant] for group in groups]
    expected = [max(group, key=lambda each: each.from_ns) for group in begun if group]
    assert rates.at("EUR", instant) == (expected[0] if expected else None)


def test_two_rates_from_the_same_instant_must_agree() -> None:
    """The same said twice is no contradiction, whatever its numbers."""
    double = Rate("EUR", D(2), D("2.141"), FRIDAY, START, "again")
    assert Rates((euro(), double)).at("EUR", START) is not None
    pound = Rate("GBP", D(1), D("1.3"), FRIDAY, START, "ECB")
    assert Rates((euro(), pound)).at("GBP", START) == pound
    for wrong in ((euro(), euro("1.08")), (euro("1.08"), pound, euro())):
        with pytest.raises(ValueError, match="two rates of EUR"):
            Rates(wrong)
        with pytest.raises(ValueError, match="two rates of EUR"):
            Rates((), wrong)


@pytest.mark.parametrize("currency", ["", "EU", "eur", "EURO", "E1R", "EUR\n", "ÄÖÜ"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    """Three capital letters."""
    assert not is_code(currency)
    with pytest.raises(ValueError, match=r"^a currency is three capital letters$"):
        Rate(currency, D(1), D(1), FRIDAY, START, "x")


@pytest.mark.parametrize(
    "figure", ["0", "-1", "NaN", "Infinity", "1E-10", "1000000001", "1E-99999"]
)
def test_what_is_no_rate_is_refused(figure: str) -> None:
    """On either side."""
    for units, usd in ((D(figure), D(1)), (D(1), D(figure))):
        with pytest.raises(ValueError, match="a rate is from"):
            Rate("EUR", units, usd, FRIDAY, START, "x")


def test_the_ends_of_rates_are_rates() -> None:
    """From a millionth of a thousandth to a thousand millions."""
    for figure in (D("1E-9"), D(10**9)):
        assert Rate("EUR", figure, figure, FRIDAY, START, "x").units_per_usd == 1


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1E+19", "-1E+19", "1E-999999"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    """A number that would take for ever, too."""
    with pytest.raises(ValueError, match=r"^an amount of money"):
        convert(D(amount), euro())


def test_a_day_begins_at_midnight_utc() -> None:
    """In nanoseconds since 1970."""
    assert day_ns(date(1970, 1, 2)) == NS_PER_DAY == 86_400 * 10**9
    assert day_ns(date(2026, 11, 20)) == 1_795_132_800 * 10**9


def test_a_day_begins_at_a_whole_number_of_nanoseconds() -> None:
    """Not at a float, which has none left for them."""
    found = day_ns(FRIDAY)
    assert isinstance(found, int)
    assert found == 1_795_132_800 * 10**9
