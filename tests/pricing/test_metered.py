"""Prices of what is measured: every joule goes at the price of its instant and slab, once."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import Method, Share, State
from unitcost.pricing.currency import DOLLAR, PEGS, Rate, Rates, day_ns
from unitcost.pricing.metered import (
    MICROJOULES_PER_KWH,
    NOT_METERED,
    Amount,
    Electricity,
    EnergyOverhead,
    Metered,
    stretches,
)
from unitcost.pricing.money import PICO
from unitcost.pricing.overhead import Pue
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.tariff import Slab, Tariff, Vat, Window, flat
from unitcost.pricing.timeline import Period
from unitcost.pricing.use_price import Phase, UsePrice
from unitcost.pricing.workload import Account

D = Decimal
KWH = MICROJOULES_PER_KWH
HOUR = 3600 * 10**9
BERLIN = ZoneInfo("Europe/Berlin")
NOON = int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()) * 10**9
DEWA = Tariff(
    (Slab(D("0.23"), D(10_000)), Slab(D("0.38"))),
    surcharge_per_kwh=D("0.05"),
    vat=Vat(D("0.05")),
    currency="AED",
)


def power(tariff: Tariff = DEWA, pue: str = "1.3", elsewhere: str = "0") -> Electricity:
    """What a kWh of a host costs."""
    return Electricity(tariff, BERLIN, Pue(D(pue), "test"), "test", Rates(), D(elsewhere))


def amount(*parts: int, resource: str = "gpu:a") -> Amount:
    """What a resource used: each part by a share of its own."""
    shares = (Share(Account(f"w{n}"), State.ACTIVE, Method.EXCLUSIVE, 1) for n in range(len(parts)))
    return Amount(resource, tuple(zip(shares, parts, strict=True)), "measured")


def test_a_kwh_costs_the_tariff_times_pue_once() -> None:
    """Surcharge and VAT are in it; AED become dollars by the peg; in whole pico-dollars."""
    price = power()
    at_meter = price.at_meter(NOON, 0)
    assert at_meter is not None
    assert (at_meter.billed, at_meter.currency) == (D("0.294"), "AED")
    assert at_meter.rate == price.rate(NOON)
    assert at_meter.usd == round(D("0.294") / D("3.6725"), 12)
    assert price.pico(NOON, 0) == round(at_meter.usd * D("1.3") * PICO)
    assert power(pue="1").pico(NOON, 0) == round(at_meter.usd * PICO)
    assert price.pico(NOON, 10_000 * KWH) == round(
        round(D("0.4515") / D("3.6725"), 12) * D("1.3") * PICO
    )


def test_the_month_is_the_meter_s_and_the_slab_ends_there() -> None:
    """PUE brings it earlier; what others use of the month brings it earlier still."""
    assert (
        power().counting_since(NOON) == int(datetime(2026, 3, 1, tzinfo=BERLIN).timestamp()) * 10**9
    )
    for elsewhere in ("0", "4000", "9999.999"):
        price = power(elsewhere=elsewhere)
        left = price.left(NOON, 0)
        assert left is not None
        exact = (D(10_000) - D(elsewhere)) / D("1.3") * KWH
        assert 0 <= left - exact < 1
        assert price.pico(NOON, left - 1) == price.pico(NOON, 0)
        assert price.pico(NOON, left) != price.pico(NOON, 0)
        assert price.left(NOON, left) is None
        assert price.left(NOON, left - 7) == 7
        assert price.month(left).kwh >= 10_000
    beyond = power(elsewhere="10000")
    assert beyond.left(NOON, 0) is None
    assert beyond.pico(NOON, 0) == power().pico(NOON, 10_000 * KWH)


def test_one_price_for_all_counts_nothing() -> None:
    """Neither months nor how much there was."""
    price = power(Tariff(flat(D("0.3"))))
    assert price.counting_since(NOON) is None
    assert price.left(NOON, 0) is None
    assert price.pico(NOON, 0) == 390 * 10**9


def test_windows_may_have_slabs_where_the_rest_has_none() -> None:
    """Then the month counts at all times."""
    night = Window(frozenset(range(7)), 0, 360, (Slab(D("0.1"), D(5)), Slab(D("0.2"))))
    price = power(Tariff(flat(D("0.3")), (night,)), pue="1")
    assert price.counting_since(NOON) is not None
    assert price.left(NOON, 0) is None
    assert price.left(NOON - 9 * HOUR, 2 * KWH) == 3 * KWH
    assert price.pico(NOON - 9 * HOUR, 5 * KWH) == 2 * 10**11


def test_without_a_rate_there_is_no_price() -> None:
    """Nor a guess."""
    price = replace(power(), rates=Rates(pegs=()))
    assert price.at_meter(NOON, 0) is None
    assert price.rate(NOON) is None
    assert price.pico(NOON, 0) is None
    assert price.left(NOON, 0) is not None


def test_it_changes_with_the_tariff_and_with_the_rate() -> None:
    """In local time, over a clock that is set; dollars have no rate that could change."""
    windows = (Window(frozenset(range(7)), 120, 180, flat(D("0.05"))),)
    euro = [
        Rate(
            "EUR", D(1), D(usd), date(2026, 3, 28), day_ns(date(2026, 3, 28)) + hour * HOUR, "test"
        )
        for usd, hour in (("1.1", 0), ("1.2", 15))
    ]
    weekend = Period(day_ns(date(2026, 3, 28)), day_ns(date(2026, 3, 30)))
    tariff = Tariff(flat(D("0.3")), windows, currency="EUR")
    price = replace(power(tariff), rates=Rates(tuple(euro), PEGS))
    start = weekend.start_ns
    assert price.changes(weekend) == (start + HOUR, start + 2 * HOUR, start + 15 * HOUR)
    dollars = replace(price, tariff=replace(tariff, currency="USD"))
    assert dollars.changes(weekend) == (start + HOUR, start + 2 * HOUR)


def test_an_overhead_by_energy_is_at_the_server() -> None:
    """No PUE in it, no slabs, no clock."""
    price = EnergyOverhead(D("0.015"), "test")
    assert (price.component, price.unit) == (Component.OVERHEAD, PriceUnit.KWH)
    assert price.pico(NOON, 5) == 15 * 10**9
    assert price.left(NOON, 5) is None
    assert price.counting_since(NOON) is None
    assert price.rate(NOON) == DOLLAR
    assert price.changes(Period(0, NOON)) == ()


def test_all_prices_by_energy_change_together() -> None:
    """Those of work as well; a rented host has none of them."""
    assert NOT_METERED.by_energy == ()
    assert NOT_METERED.changes(Period(0, NOON)) == ()
    windows = (Window(frozenset(range(7)), 720, 780, flat(D("0.05"))),)
    price = power(Tariff(flat(D("0.3")), windows))
    day = Period(NOON - 2 * HOUR, NOON + 2 * HOUR)
    use = UsePrice((Phase(NOON + 5, None, ()),), "test")
    overhead = EnergyOverhead(D(1), "test")
    both = Metered(price, overhead, use)
    assert both.by_energy == (price, overhead)
    assert sorted(both.changes(day)) == [NOON - HOUR, NOON, NOON + 5]
    assert replace(both, use=None, electricity=None).changes(day) == ()


MICRO = st.integers(0, 3 * KWH)


@given(
    st.lists(st.lists(MICRO, min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(1, 4), min_size=0, max_size=4, unique=True).map(sorted),
    MICRO,
    st.decimals(1, 2, places=2),
)
def test_an_amount_over_the_ends_of_slabs_costs_what_the_tariff_says(
    parts: list[list[int]], ends: list[int], used: int, pue: Decimal
) -> None:
    """All of it, in order, each slab to its end; every resource has the same part in each."""
    slabs = (*(Slab(D(n), D(n)) for n in ends), Slab(D(9)))
    price = power(Tariff(slabs), str(pue))
    amounts = [amount(*each, resource=f"gpu:{n}") for n, each in enumerate(parts)]
    whole = sum(each.whole for each in amounts)
    found = list(stretches(price, NOON, used, amounts))
    usd = Fraction(0)
    for stretch in found:
        assert stretch.pico is not None
        usd += Fraction(stretch.pico * sum(each.whole for each in stretch.amounts), KWH * PICO)
    kwh = Fraction(whole, KWH) * Fraction(pue)
    month = D(used) / KWH * pue
    exact = price.tariff.cost(D(kwh.numerator) / D(kwh.denominator), NOON, BERLIN, month)
    # A microjoule a share may go at the next slab's price.
    assert abs(usd - Fraction(exact)) <= Fraction(17 * len(found) * 9 * 2, KWH)
    for index, each in enumerate(amounts):
        own = [stretch.amounts[index] for stretch in found]
        assert {part.resource for part in own} == {each.resource}
        for number, (share, micro) in enumerate(each.parts):
            assert sum(part.parts[number][1] for part in own) == micro
            assert {part.parts[number][0] for part in own} == {share}
            assert min(part.parts[number][1] for part in own) >= 0


def test_nothing_used_is_one_stretch_of_nothing() -> None:
    """Its price is known all the same."""
    (only,) = stretches(power(), NOON, 0, [amount(0, 0)])
    assert (only.pico, only.amounts[0].whole) == (power().pico(NOON, 0), 0)


@pytest.mark.parametrize("elsewhere", ["-1", "1e13", "NaN"])
def test_what_cannot_be_is_refused(elsewhere: str) -> None:
    """Negative, endless, not a number."""
    with pytest.raises(ValueError, match="elsewhere"):
        power(elsewhere=elsewhere)
    with pytest.raises(ValueError, match="overhead"):
        EnergyOverhead(D(-1), "test")
