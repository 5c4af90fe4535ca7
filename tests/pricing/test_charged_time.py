"""Charged time: spans that join, end, and are forgotten."""

from dataclasses import replace
from decimal import Decimal

from unitcost.pricing.charged_time import (
    HORIZON_NS,
    MAX_SPANS,
    Basis,
    ChargedTime,
    Layout,
    Stretch,
)
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT, Resource
from unitcost.pricing.timeline import Period

RENT = Component.RENT
CPU = Layout((Resource("cpu", 4 * 10**6),), DEFAULT_SPLIT)
BOTH = Layout((*CPU.resources, Resource("memory", 16 * 10**6)), DEFAULT_SPLIT)


def basis(usd: str | None) -> Basis:
    """One price, or none."""
    price = Price(RENT, Decimal(usd or 0), PriceModel.OVERRIDE, "test")
    return Basis(PriceBook((RENT,), (price,) if usd else ()), (RENT,))


def stretch(start: int, end: int, usd: str | None = "1", layout: Layout = CPU) -> Stretch:
    """Charged time."""
    return Stretch(Period(start, end), layout, basis(usd))


def charged(*stretches: Stretch) -> ChargedTime:
    """One after another."""
    found = ChargedTime()
    for each in stretches:
        found = found.charged(each)
    return found


def test_time_at_the_same_prices_is_one_span() -> None:
    """However many ticks it was charged in."""
    found = charged(*(stretch(at, at + 5) for at in range(0, 100, 5)))
    assert list(found.stretches()) == [stretch(0, 100)]
    assert (len(found.layouts), len(found.bases)) == (1, 1)


def test_another_price_other_resources_or_a_gap_begin_another() -> None:
    """What was there before is not kept twice."""
    pieces = [
        stretch(0, 5),
        stretch(5, 10, "2"),
        stretch(10, 15, None),
        stretch(15, 20),
        stretch(20, 25, layout=BOTH),
        stretch(30, 35, layout=BOTH),
    ]
    found = charged(*pieces)
    assert list(found.stretches()) == pieces
    assert (len(found.layouts), len(found.bases)) == (2, 3)


def test_a_clock_that_was_set_back_ends_it_there() -> None:
    """What lies after that instant is cut off or gone."""
    found = charged(stretch(0, 10), stretch(10, 20, "2"), stretch(20, 30, "3"))
    assert found.until(30) is found
    cut = found.until(15)
    assert list(cut.stretches()) == [stretch(0, 10), stretch(10, 15, "2")]
    assert len(cut.bases) == 2


def test_what_is_too_long_ago_is_forgotten_and_that_is_known() -> None:
    """Of what is left nothing is changed."""
    assert ChargedTime().kept(10**18) == ChargedTime()
    found = charged(stretch(0, 10), stretch(10, 20, "2"), stretch(30, 40, "3"))
    assert found.kept(HORIZON_NS + 9) is found
    kept = found.kept(HORIZON_NS + 20)
    assert list(kept.stretches()) == [stretch(30, 40, "3")]
    assert kept.since_ns == 20
    assert len(kept.bases) == 1
    assert kept.kept(HORIZON_NS + 41) == ChargedTime(since_ns=40)


def test_of_too_many_spans_the_oldest_quarter_goes() -> None:
    """Prices that change by the minute."""
    pieces = [stretch(at, at + 1, str(1 + at % 7)) for at in range(MAX_SPANS + 1)]
    found = charged(*pieces[:-1])
    assert found.kept(1000) is found
    kept = found.charged(pieces[-1]).kept(1000)
    assert list(kept.stretches()) == pieces[MAX_SPANS // 4 :]
    assert kept.since_ns == MAX_SPANS // 4
    assert replace(kept, since_ns=0) == charged(*pieces[MAX_SPANS // 4 :])
