"""Items: due by the statement alone, whole at the end, and booked so that nothing falls."""

import itertools
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.items import Booked, Item, ItemKey, ItemType, ItemUnit
from unitcost.pricing.layers import Counted
from unitcost.pricing.money import to_pico
from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.workload import Account

SECOND = 10**9
# Whole pico-dollars: decimals of so many places may come out above their own maximum.
AMOUNTS = st.integers(0, 10**21).map(lambda pico: Decimal(pico).scaleb(-12))
TO_A_MILLION = st.integers(0, 10**18).map(lambda pico: Decimal(pico).scaleb(-12))
INSTANTS = st.integers(0, 10**19)


def key(per: str = "", model: str = "", run: str = "") -> ItemKey:
    """An item of the workload chat."""
    return ItemKey("item-1", "chat", model, run, ItemType.LABELLING, per)


@given(AMOUNTS, INSTANTS, INSTANTS)
def test_an_item_at_an_instant_is_due_at_once(usd: Decimal, start: int, now: int) -> None:
    """All of it, from that instant on."""
    item = Item(key(), usd, start)
    assert item.due_pico(now) == (to_pico(usd) if now >= start else 0)
    assert item.due_pico(start) == to_pico(usd)
    assert item.due_pico(start - 1) == 0


@given(AMOUNTS, INSTANTS, st.integers(1, 10**18), st.lists(INSTANTS, max_size=8))
def test_an_item_over_a_period_sums_to_its_amount(
    usd: Decimal, start: int, length: int, looks: list[int]
) -> None:
    """Whenever one looks: what is added between two looks is never negative, and sums exactly."""
    item = Item(key(), usd, start, start + length)
    dues = [item.due_pico(now) for now in (0, *sorted(looks), start + length)]
    steps = [after - before for before, after in itertools.pairwise(dues)]
    assert dues[0] == 0
    if all(now <= start + length for now in looks):
        assert min(steps) >= 0
    assert sum(steps) == to_pico(usd)
    assert item.due_pico(start) == 0
    assert item.due_pico(2**70) == to_pico(usd)


def test_half_of_the_period_is_half_of_the_amount() -> None:
    """Straight line."""
    item = Item(key(), Decimal("42000"), 100 * SECOND, 300 * SECOND)
    assert item.due_pico(200 * SECOND) == to_pico(Decimal(21000))


@given(TO_A_MILLION, st.lists(st.integers(0, 10**12), max_size=10))
def test_an_item_for_each_unit_is_rounded_once(usd: Decimal, counts: list[int]) -> None:
    """However many ticks the units came in."""
    item = Item(key("request"), usd)
    dues = [item.due_pico(0, sum(counts[:index])) for index in range(len(counts) + 1)]
    assert all(after >= before for before, after in itertools.pairwise(dues))
    assert abs(dues[-1] - Fraction(usd) * 10**6 * sum(counts)) <= Fraction(1, 2)


UNITS: Counted = {
    (Account("chat", "big"), Quantity.REQUESTS, Outcome.SUCCEEDED): 1,
    (Account("chat", "big"), Quantity.REQUESTS, Outcome.FAILED): 10,
    (Account("chat", "small"), Quantity.REQUESTS, Outcome.SUCCEEDED): 100,
    (Account("chat", "big"), Quantity.TOKENS, TokenType.INPUT): 1000,
    (Account("chat", "big"), Quantity.TOKENS, TokenType.CACHED_INPUT): 10**4,
    (Account("chat", "big"), Quantity.TOKENS, TokenType.OUTPUT): 10**5,
    (Account("chat", "", "run-1"), Quantity.STEPS, ""): 10**6,
    (Account("chat", "", "run-2"), Quantity.STEPS, ""): 10**7,
    (Account("chat", "", "run-1"), Quantity.SAMPLES, ""): 10**8,
    (Account("chat", "", "run-1", 3), Quantity.EPOCHS, ""): 10**9,
    (Account("other", "big"), Quantity.REQUESTS, Outcome.SUCCEEDED): 10**10,
}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (key("request"), 101),
        (key("request", model="big"), 1),
        (key("request", model="none"), 0),
        (key("token"), 101000),
        (key("step"), 11 * 10**6),
        (key("step", run="run-2"), 10**7),
        (key("sample"), 10**8),
        (key("epoch", run="run-1"), 10**9),
        (key(), 0),
    ],
)
def test_units_are_those_of_what_the_item_is_attached_to(item: ItemKey, expected: int) -> None:
    """Succeeded requests; tokens that were computed; of the workload, the model, the run."""
    assert Item(item, Decimal(1), 0 if not item.per else None).units_micro(UNITS, 5) == expected


def test_units_count_from_tick_to_tick() -> None:
    """A tick that ends after the start counts, one that ends after the end does not."""
    item = Item(key("request"), Decimal(1), 10, 20)
    assert [item.units_micro(UNITS, until) for until in (9, 10, 11, 20, 21)] == [0, 0, 101, 101, 0]
    assert [replace(item, end_ns=None).units_micro(UNITS, until) for until in (10, 99)] == [0, 101]
    assert [replace(item, start_ns=None).units_micro(UNITS, until) for until in (1, 99)] == [101, 0]


@pytest.mark.parametrize(
    ("usd", "start", "end", "per"),
    [
        ("-1", 0, None, ""),
        ("NaN", 0, None, ""),
        ("Infinity", 0, None, ""),
        ("1000000001", 0, None, ""),
        ("1000001", None, None, "request"),
        ("0.0000000000001", 0, None, ""),
        ("1", None, None, ""),
        ("1", None, 5, ""),
        ("1", 5, 5, ""),
        ("1", 6, 5, "request"),
    ],
)
def test_what_makes_no_sense_is_no_item(
    usd: str, start: int | None, end: int | None, per: str
) -> None:
    """It cannot even be made."""
    with pytest.raises(ValueError, match="item"):
        Item(key(per), Decimal(usd), start, end)


def test_every_unit_can_be_counted() -> None:
    """None was forgotten."""
    for unit in ItemUnit:
        assert Item(key(unit), Decimal(1)).units_micro(UNITS, 0) > 0


@given(st.lists(st.tuples(st.integers(0, 10**21), st.integers(0, 10**12)), max_size=20))
def test_what_is_booked_never_falls_and_the_correction_makes_it_right(
    dues: list[tuple[int, int]],
) -> None:
    """Whatever is due from one look to the next."""
    booked = Booked()
    for due, units in dues:
        after = booked.to(due, units)
        assert after.pico >= booked.pico
        assert after.pico + after.correction_pico == due
        assert after.correction_pico <= 0
        assert after.to(due, units) == after
        booked = after
    assert booked.pico == max((due for due, _ in dues), default=0)
