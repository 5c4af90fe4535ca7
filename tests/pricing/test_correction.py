"""Corrections: which prices reach back, which time they are for, and what moves where."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.pricing.test_charged_time import BOTH, CPU, charged, stretch
from unitcost.pricing.charge import AccrualKey
from unitcost.pricing.charged_time import Basis, ChargedTime, Layout, Stretch
from unitcost.pricing.correction import (
    corrections,
    corrects,
    forgotten,
    held_at,
    held_moves,
    hours,
    moves,
    restated,
    within,
)
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT, REST, Resource, SplitRule
from unitcost.pricing.sibling import Sibling
from unitcost.pricing.timeline import NS_PER_HOUR, Period

RENT, POWER = Component.RENT, Component.ELECTRICITY
H = NS_PER_HOUR
LISTED = Price(
    RENT,
    Decimal("98.32"),
    PriceModel.ON_DEMAND,
    "list",
    valid_from_ns=1,
    as_of_ns=5,
    sku="p5.48xlarge",
    region="us-east-1",
    precedence=1,
)
CHEAPER = replace(LISTED, usd_per_hour=Decimal("55.04"))
AGREED = replace(CHEAPER, list_usd_per_hour=LISTED.usd_per_hour, discount_from_ns=0)
FULL = replace(LISTED, list_usd_per_hour=LISTED.usd_per_hour)


def book(*prices: Price, components: tuple[Component, ...] = (RENT,)) -> PriceBook:
    """Prices of one host."""
    return PriceBook(components, prices)


def price(usd: str, start: int = 1, end: int | None = None, component: Component = RENT) -> Price:
    """A price that the user states."""
    return Price(component, Decimal(usd), PriceModel.OVERRIDE, "test", start, end)


@pytest.mark.parametrize(
    ("now", "was", "expected"),
    [
        (None, LISTED, False),
        (None, None, False),
        (LISTED, None, True),
        (LISTED, LISTED, False),
        (replace(LISTED, as_of_ns=9, known_at_ns=9), LISTED, False),
        (CHEAPER, LISTED, True),
        (replace(CHEAPER, valid_from_ns=0), LISTED, False),
        (replace(CHEAPER, valid_from_ns=0), None, False),
        # Of another host, or under other terms:
        (replace(CHEAPER, sku="p5.4xlarge"), LISTED, False),
        (replace(CHEAPER, region="us-east-2"), LISTED, False),
        (replace(CHEAPER, model=PriceModel.RESERVED), LISTED, False),
        # The user's own word:
        (price("1"), LISTED, True),
        # Of another source: a better one, a worse one, one of the same rank.
        (replace(CHEAPER, source="mine", precedence=0, as_of_ns=1), LISTED, True),
        (replace(CHEAPER, source="card", precedence=3, as_of_ns=9), LISTED, False),
        (replace(CHEAPER, source="other", as_of_ns=5), LISTED, True),
        (replace(CHEAPER, source="other", as_of_ns=4), LISTED, False),
        # What alone was agreed on the same list price must say since when; to end it says nothing.
        (AGREED, FULL, False),
        (replace(AGREED, discount_from_ns=3), FULL, True),
        (FULL, AGREED, False),
        (FULL, replace(AGREED, discount_from_ns=3), False),
        (AGREED, replace(AGREED, usd_per_hour=Decimal(60), list_usd_per_hour=Decimal(70)), True),
        (replace(AGREED, discount_from_ns=None), FULL, True),
        # The same source may take back what it said.
        (replace(CHEAPER, as_of_ns=1, precedence=2), LISTED, True),
    ],
)
def test_which_prices_reach_back(now: Price | None, was: Price | None, expected: bool) -> None:
    """Those that say when they began, of this host, by somebody no worse."""
    assert corrects(now, was) is expected


def test_time_is_cut_where_the_new_prices_begin_and_end() -> None:
    """And only what differs is told."""
    found = charged(stretch(0, 10), stretch(10, 30, "2"))
    new = book(price("2", 5, 15), price("3", 15, 20))
    told = list(corrections(found.stretches(), new))
    assert [(each.stretch.period, each.book.prices) for each in told] == [
        (Period(5, 10), (price("2", 5, 15),)),
        (Period(15, 20), (price("3", 15, 20),)),
    ]


def test_the_hours_that_are_touched() -> None:
    """An end that is a full hour touches no further one."""
    found = charged(stretch(0, 2 * H), stretch(3 * H, 4 * H + 1))
    assert hours(corrections(found.stretches(), book(price("2")))) == [0, 1, 3, 4]
    assert hours(()) == []


def test_what_lies_within_an_hour() -> None:
    """Cut to it."""
    found = charged(stretch(0, H + 5), stretch(H + 5, 2 * H, "2"), stretch(2 * H, 9 * H))
    assert within(found, 1) == [stretch(H, H + 5), stretch(H + 5, 2 * H, "2")]
    assert within(found, 10) == []


def test_after_a_correction_time_stands_at_the_right_price() -> None:
    """That hour's alone; contiguous time at the same prices is one span again."""
    new = book(price("2", H // 2))
    found = charged(stretch(0, 3 * H))
    for hour in (0, 1, 2):
        told = list(corrections(within(found, hour), new))
        found = restated(found, hour, told)
        assert not list(corrections(within(found, hour), new))
    assert [each.period for each in found.stretches()] == [Period(0, H // 2), Period(H // 2, 3 * H)]
    assert next(corrections(found.stretches(), new), None) is None


def test_what_cannot_be_corrected_is_forgotten() -> None:
    """So it is not tried again."""
    new = book(price("2", H + 5, H + 10))
    found = charged(stretch(0, 3 * H))
    told = list(corrections(within(found, 1), new))
    left = forgotten(found, 1, told)
    assert list(left.stretches()) == [stretch(0, H + 5), stretch(H + 10, 3 * H)]


def test_each_resource_s_time_moves_from_price_to_price() -> None:
    """Summed over the stretches of the hour, with the change that made it."""
    found = charged(stretch(0, 10, layout=BOTH), stretch(20, 30, layout=BOTH))
    new = price("2", 1)
    moved = moves(corrections(found.stretches(), book(new)))
    assert [(each.resource.id, each.elapsed_ns) for each in moved] == [("cpu", 19), ("memory", 19)]
    for each in moved:
        assert each.change.new == new
        assert each.period == Period(1, 30)
    assert sum((each.old and each.old.pico_per_unit) or 0 for each in moved) == 10**12
    assert sum((each.new and each.new.pico_per_unit) or 0 for each in moved) == 2 * 10**12


def test_a_component_that_was_not_charged_does_not_move() -> None:
    """As electricity of a host that slept; and what costs the same as before stays where it is."""
    both = (RENT, POWER)
    old = PriceBook(both, (price("1"), price("1", component=POWER)))
    slept = Stretch(Period(1, 9), CPU, Basis(old, (RENT,)))
    new = PriceBook(both, (price("1"), price("5", component=POWER)))
    assert moves(corrections([slept], new)) == []
    awake = replace(slept, basis=Basis(old, both))
    assert {each.change.component for each in moves(corrections([awake], new))} == {POWER}


def test_a_component_that_stays_unpriced_does_not_move() -> None:
    """No price is known of it before or after."""
    old = Stretch(Period(1, 9), CPU, Basis(PriceBook((RENT, POWER), (price("1"),)), (RENT, POWER)))
    new = PriceBook((RENT, POWER), (price("2"),))
    assert {each.change.component for each in moves(corrections([old], new))} == {RENT}


def test_a_component_that_the_host_had_not_is_not_charged_for_the_past() -> None:
    """Rented then, owned now."""
    owned = PriceBook((Component.AMORTISATION,), (price("3", component=Component.AMORTISATION),))
    assert list(corrections([stretch(1, 9)], owned)) == []


def test_a_part_of_the_price_that_only_one_of_the_two_has() -> None:
    """A fixed rest of nothing is nothing."""
    layout = Layout(CPU.resources, SplitRule("mine", Decimal(1), Decimal(1), Decimal(2)))
    unpriced = stretch(1, 9, None, layout)
    (cpu, rest) = moves(corrections([unpriced], book(price("8"))))
    assert (cpu.resource.id, rest.resource.id) == ("cpu", REST)
    assert rest.old is None
    assert rest.new is not None
    paid = Stretch(Period(1, 9), layout, Basis(book(price("8")), (RENT,)))
    (_, back) = moves(corrections([paid], book(price("0"))))
    assert back.new is None


def test_the_split_by_a_sibling_follows_what_is_known_now() -> None:
    """And stays as it was charged where nothing is."""
    gpu = Layout((*BOTH.resources, Resource("gpu:A", 10**6)), DEFAULT_SPLIT)
    sibling = Sibling("c5")
    half = replace(price("4"), valid_from_ns=0)
    old = PriceBook((RENT,), (price("10"),), sibling, (half,))
    time = Stretch(Period(1, 9), gpu, Basis(held_at(old, 1), (RENT,)))
    (kept,) = corrections([time], book(price("20")))
    assert kept.book.sibling_prices == (half,)
    other = replace(half, usd_per_hour=Decimal(5))
    (told,) = corrections([time], PriceBook((RENT,), (price("20"),), sibling, (other,)))
    assert told.book.sibling_prices == (other,)


def test_a_book_at_an_instant_has_what_holds_then() -> None:
    """And no more: it is kept for weeks."""
    full = PriceBook((RENT,), (price("1", 1, 5), price("2", 5)), Sibling("c5"), (price("1", 1, 5),))
    assert held_at(full, 4) == replace(full, prices=(price("1", 1, 5),))
    assert held_at(full, 5) == replace(full, prices=(price("2", 5),), sibling_prices=())


def test_nothing_charged_is_nothing_to_correct() -> None:
    """The first start of all."""
    assert list(corrections(ChargedTime().stretches(), book(price("1")))) == []


def test_of_a_pod_s_row_as_much_moves_as_of_all_time_at_its_price() -> None:
    """It held a quarter of ten nanoseconds at the old price: of the half that moves, a quarter."""
    found = charged(stretch(0, 4000), stretch(6000, 10_000))
    moved = moves(corrections(within(found, 0), book(price("2", 8000))))
    (move,) = moved
    assert (move.elapsed_ns, move.old is None) == (2000, False)
    assert move.old is not None
    row = AccrualKey("cpu", RENT, move.old.id, 0)
    (held,) = held_moves(moved, found.stretches(), {row: 2000})
    assert held == replace(move, elapsed_ns=500)


def test_what_a_pod_did_not_hold_does_not_move() -> None:
    """Neither what has no row, nor what had no part in the price: nobody knows how much it was."""
    found = charged(stretch(0, 4000))
    moved = moves(corrections(within(found, 0), book(price("2"))))
    assert moved
    assert held_moves(moved, found.stretches(), {}) == []
    new = [replace(each, old=None) for each in moved]
    assert held_moves(new, found.stretches(), {}) == []
