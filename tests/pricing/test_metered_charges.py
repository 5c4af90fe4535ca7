"""From an amount that was measured to charges: in stretches of one price, exact in each hour."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.pricing.test_metered import DEWA, KWH, NOON, amount, power
from unitcost.pricing.charge import AccrualKey, Posting, cost_of, post_amount, residual
from unitcost.pricing.currency import DOLLAR, Rate, day_ns
from unitcost.pricing.metered import EnergyOverhead, stretches
from unitcost.pricing.money import round_half_even
from unitcost.pricing.price import Component, PriceUnit, metered_price
from unitcost.pricing.tariff import Slab, Tariff, Window, flat
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of
from unitcost.pricing.use_price import UsePrice

D = Decimal
POWER, HOUR_UNIT = Component.ELECTRICITY, PriceUnit.KWH
AMOUNTS = st.lists(st.integers(0, 5000 * KWH), min_size=1, max_size=3)


def test_an_amount_within_a_slab_goes_at_one_price() -> None:
    """Exactly up to its end as well; a tariff without slabs has no end."""
    price = power(pue="1")
    for used, whole in ((0, 10_000 * KWH), (9_999 * KWH, KWH)):
        (only,) = stretches(price, NOON, used, [amount(whole)])
        assert (only.pico, only.amounts) == (price.pico(NOON, used), (amount(whole),))
    endless = power(Tariff(flat(D(1))), pue="1")
    assert len(list(stretches(endless, NOON, 0, [amount(10**9 * KWH)]))) == 1


def test_an_amount_over_the_end_of_a_slab_is_cut_there() -> None:
    """Each resource and each share has the same part of its own before it."""
    price = power(pue="1")
    used = [amount(300 * KWH, 100 * KWH), amount(100 * KWH, resource="cpu")]
    before, after = stretches(price, NOON, 9_750 * KWH, used)
    assert before.amounts == (amount(150 * KWH, 50 * KWH), amount(50 * KWH, resource="cpu"))
    assert after.amounts == before.amounts
    parts = [part for each in (*before.amounts, *after.amounts) for _, part in each.parts]
    assert {type(part) for part in parts} == {int}
    assert (before.pico, after.pico) == (price.pico(NOON, 0), price.pico(NOON, 10_000 * KWH))


@given(st.integers(0, 11_000 * KWH), AMOUNTS, AMOUNTS)
def test_stretches_sum_to_what_was_used(used: int, one: list[int], other: list[int]) -> None:
    """Of each share of each resource; a price without a slab after it has no end."""
    amounts = [amount(*one), amount(*other, resource="cpu")]
    found = list(stretches(power(DEWA), NOON, used, amounts))
    assert 1 <= len(found) <= 2
    for place, whole in enumerate(amounts):
        sums = [0] * len(whole.parts)
        for stretch in found:
            part = stretch.amounts[place]
            assert (part.resource, part.rule) == (whole.resource, whole.rule)
            for number, (share, micro) in enumerate(part.parts):
                assert share == whole.parts[number][0]
                assert isinstance(micro, int)
                assert micro >= 0
                sums[number] += micro
        assert sums == [micro for _, micro in whole.parts]


def test_the_hours_of_a_tariff_are_local() -> None:
    """Two in the night in Berlin is one in the night by UTC: cheap, and without a slab."""
    night = Window(frozenset(range(7)), 120, 180, flat(D("0.05")))
    price = power(Tariff((Slab(D("0.30"), D(100)), Slab(D(1))), (night,)), pue="1")
    for hour, usd, left in ((0, "0.30", 100 * KWH), (1, "0.05", None), (2, "0.30", 100 * KWH)):
        at = NOON - (12 - hour) * NS_PER_HOUR
        assert price.pico(at, 0) == int(D(usd) * 10**12)
        assert price.left(at, 0) == left


def test_prices_say_at_which_rate_they_are_dollars() -> None:
    """A tariff in dirhams by the peg; overheads and work are dollars already."""
    rate = power().rate(NOON)
    assert rate is not None
    assert (rate.currency, rate.units_per_usd) == ("AED", D("3.6725"))
    assert EnergyOverhead(D("0.02"), "test").rate(NOON) is DOLLAR
    assert UsePrice((), "test").rate(NOON) is DOLLAR
    assert UsePrice((), "test").pico(NOON, 0) is None


def test_a_metered_price_is_the_same_whenever_it_holds() -> None:
    """Its row is found again; another unit, rule, rate or amount is another."""
    found = metered_price("gpu:a", POWER, HOUR_UNIT, 7, "tariff", "measured")
    assert (found.pico_per_unit, found.unit, found.currency, found.rate) == (7, "kwh", "USD", "1")
    assert (found.model, found.source, found.rule) == ("owned", "tariff", "measured")
    assert (found.valid_from_ns, found.valid_to_ns, found.as_of_ns, found.known_at_ns) == (
        0,
        None,
        0,
        0,
    )
    assert (found.resource, found.component) == ("gpu:a", POWER)
    again = metered_price("gpu:a", POWER, HOUR_UNIT, 7, "tariff", "measured")
    assert again == found
    day = date(2026, 11, 20)
    euro = Rate("EUR", D(1), D("1.25"), day, day_ns(day), "ECB")
    others = [
        metered_price("gpu:b", POWER, HOUR_UNIT, 7, "tariff", "measured"),
        metered_price("gpu:a", Component.OVERHEAD, HOUR_UNIT, 7, "tariff", "measured"),
        metered_price("gpu:a", POWER, PriceUnit.ACTIVE_HOUR, 7, "tariff", "measured"),
        metered_price("gpu:a", POWER, HOUR_UNIT, 8, "tariff", "measured"),
        metered_price("gpu:a", POWER, HOUR_UNIT, None, "tariff", "measured"),
        metered_price("gpu:a", POWER, HOUR_UNIT, 7, "other", "measured"),
        metered_price("gpu:a", POWER, HOUR_UNIT, 7, "tariff", "stated"),
        metered_price("gpu:a", POWER, HOUR_UNIT, 7, "tariff", "measured", euro),
    ]
    assert len({found.id, *(each.id for each in others)}) == 9
    assert (others[-1].currency, others[-1].rate, others[-1].rate_source) == ("EUR", "0.8", "ECB")


@given(st.none() | st.integers(0, 10**13), st.lists(AMOUNTS, min_size=1, max_size=6), st.booleans())
def test_charges_of_an_hour_are_its_amount_at_its_price(
    pico: int | None, ticks: list[list[int]], late: bool
) -> None:
    """Rounded once, whatever the ticks were; the next hour is a row of its own."""
    price = metered_price("gpu:a", POWER, HOUR_UNIT, pico, "tariff", "measured")
    posting = Posting()

    def before(key: AccrualKey) -> int:
        row = posting.accruals.get(key)
        return row.elapsed_ns if row else 0

    for number, parts in enumerate(ticks):
        at = NOON + NS_PER_HOUR if late and number == len(ticks) - 1 else NOON
        post_amount(posting, at, price, amount(*parts).parts, before)
    assert residual(posting) == {}
    assert len(posting.accruals) == (2 if late and len(ticks) > 1 else 1)
    for key, row in posting.accruals.items():
        assert key.hour in (hour_of(NOON), hour_of(NOON) + 1)
        assert (key.resource, key.component, key.price) == ("gpu:a", POWER, price.id)
        assert row.pico == (None if pico is None else cost_of(pico, row.elapsed_ns))
        assert row.quantity == round_half_even(row.elapsed_ns, 1000)
    assert sum(row.elapsed_ns for row in posting.accruals.values()) == sum(map(sum, ticks))
