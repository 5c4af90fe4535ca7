"""Rebooking: rows of further revisions; for each price all of them sum to price x time."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import Method, Share, State
from unitcost.pricing.charge import (
    AccrualKey,
    Accrued,
    Amount,
    Charge,
    Posting,
    cost_of,
    merge,
    post,
    quantity_of,
    residual,
)
from unitcost.pricing.correction import Change, Move
from unitcost.pricing.price import Component, Price, PriceModel, UnitPrice, unit_price
from unitcost.pricing.rebooking import elapsed_at, rebook
from unitcost.pricing.resource import Resource
from unitcost.pricing.timeline import Period
from unitcost.pricing.workload import UNALLOCATED, Account

RENT = Component.RENT
CPU = Resource("cpu", 4 * 10**6)
PICOS = st.sampled_from([None, 0, 1, 7, 10**12, 98_320_000_000_007])
NANOSECONDS = st.integers(0, 10**10)
WEIGHTS = st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any)


def at(pico: int | None) -> UnitPrice:
    """What the CPUs cost an hour."""
    stated = Price(RENT, Decimal(pico or 0), PriceModel.OVERRIDE, f"says {pico}")
    return unit_price(CPU, RENT, pico, stated if pico is not None else None, "rule")


def move(old: int | None, new: int | None, ns: int) -> Move:
    """Time that moves from one price to another."""
    return Move(CPU, at(old), at(new), ns, Period(0, 10), Change(RENT, None, None))


def charged(rows: Posting, pico: int | None, ns: int, weights: list[int]) -> None:
    """Charge time to accounts, as a tick does, on top of all there is."""
    shares = [
        Share(Account(f"w{n}"), State.ACTIVE, Method.EXCLUSIVE, weight)
        for n, weight in enumerate(weights)
    ]
    posting = Posting()
    start = 0
    post(posting, Period(start, start + ns), CPU, at(pico), shares, lambda key: elapsed(rows, key))
    merge(rows, posting)


def elapsed(rows: Posting, wanted: AccrualKey) -> int:
    """Nanoseconds of a row, all revisions."""
    return sum(
        r.elapsed_ns for key, r in rows.accruals.items() if replace(key, revision=0) == wanted
    )


def standing(rows: Posting, pico: int | None) -> tuple[int, int, int]:
    """Nanoseconds, quantity and pico-dollars at a price, all revisions."""
    own = [row for key, row in rows.accruals.items() if key.price == at(pico).id]
    money = sum(row.pico or 0 for row in own)
    return sum(row.elapsed_ns for row in own), sum(row.quantity for row in own), money


def holders(rows: Posting) -> dict[tuple[str, str], tuple[int, int]]:
    """What stands on whom at which price."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for key, amount in rows.charges.items():
        name = (key.account.workload, key.price)
        quantity, pico = found.get(name, (0, 0))
        found[name] = (quantity + amount.quantity, pico + (amount.pico or 0))
    return found


def booked(rows: Posting, moved: list[Move]) -> Posting:
    """The rows after it."""
    made = rebook(rows, moved, 0)
    assert made is not None
    assert not residual(made.posting)
    merge(rows, made.posting)
    return rows


@given(
    st.lists(st.tuples(PICOS, NANOSECONDS, WEIGHTS), min_size=1, max_size=5),
    st.lists(st.tuples(PICOS, PICOS, st.integers(0, 100)), max_size=6),
)
def test_at_each_price_an_hour_costs_price_times_time(
    ticks: list[tuple[int | None, int, list[int]]],
    moved: list[tuple[int | None, int | None, int]],
) -> None:
    """After each revision; nobody stands below nothing; all that is charged is what accrued."""
    rows = Posting()
    for pico, ns, weights in ticks:
        charged(rows, pico, ns, weights)
    whole = sum(row.elapsed_ns for row in rows.accruals.values())
    for old, new, percent in moved:
        ns = standing(rows, old)[0] * percent // 100
        if old != new and standing(rows, old)[0]:
            booked(rows, [move(old, new, ns)])
    for pico in {each for tick in ticks for each in tick[:1]} | {new for _, new, _ in moved}:
        ns, quantity, money = standing(rows, pico)
        assert money == (0 if pico is None else cost_of(pico, ns))
        assert quantity == quantity_of(CPU, ns)
    assert sum(row.elapsed_ns for row in rows.accruals.values()) == whole
    assert not residual(rows)
    assert all(quantity >= 0 and pico >= 0 for quantity, pico in holders(rows).values())


def test_by_hand() -> None:
    """An hour of four cores at 98.32, three quarters one's; half an hour was 55.04."""
    rows = Posting()
    old, new = 98_320_000_000_000, 55_040_000_000_000
    charged(rows, old, 3_600 * 10**9, [3, 1])
    booked(rows, [move(old, new, 1_800 * 10**9)])
    assert standing(rows, old) == (1_800 * 10**9, 2 * 3_600 * 10**6, old // 2)
    assert standing(rows, new) == (1_800 * 10**9, 2 * 3_600 * 10**6, new // 2)
    on_whom = holders(rows)
    assert on_whom["w0", at(old).id] == (5_400 * 10**6, old // 2 * 3 // 4)
    assert on_whom["w1", at(new).id] == (1_800 * 10**6, new // 2 // 4)
    assert {key.revision for key in rows.charges} == {0, 1}


def test_two_prices_may_swap_their_time() -> None:
    """Each was charged where the other held; who pays is who held it then."""
    rows = Posting()
    charged(rows, 1000, 3_600 * 10**9, [1, 0])
    charged(rows, 3000, 3_600 * 10**9, [0, 1])
    booked(rows, [move(1000, 3000, 3_600 * 10**9), move(3000, 1000, 3_600 * 10**9)])
    on_whom = holders(rows)
    assert on_whom["w0", at(3000).id][1] == 3000
    assert on_whom["w1", at(1000).id][1] == 1000
    assert on_whom["w0", at(1000).id] == on_whom["w1", at(3000).id] == (0, 0)


def test_what_had_no_part_in_the_price_was_held_by_nobody() -> None:
    """It arrives from nowhere, and can leave again for nowhere."""
    rows = booked(Posting(), [replace(move(None, 3600, 10**9), old=None)])
    assert holders(rows) == {(UNALLOCATED, at(3600).id): (4 * 10**6, 1)}
    booked(rows, [replace(move(3600, None, 10**9), new=None)])
    assert holders(rows) == {(UNALLOCATED, at(3600).id): (0, 0)}


def test_time_too_short_for_a_quantity_is_shared_alike() -> None:
    """Nobody is known to have held more of it."""
    rows = Posting()
    charged(rows, None, 10, [3, 1])
    booked(rows, [move(None, 10**15, 10)])
    on_whom = holders(rows)
    assert [on_whom[name, at(10**15).id][1] for name in ("w0", "w1")] == [1389, 1389]


def test_rows_that_do_not_hold_what_is_to_move_are_left() -> None:
    """They were purged, or lost with a file."""
    whole = 3_600 * 10**9
    wanted = [move(3600, 1800, whole)]
    rows = Posting()
    assert rebook(rows, wanted, 0) is None
    charged(rows, 3600, whole - 1, [1])
    assert rebook(rows, wanted, 0) is None
    charged(rows, 3600, 1, [1])
    assert rebook(rows, wanted, 0) is not None
    twice = [move(3600, 1800, whole // 2 + 1), move(3600, 7, whole // 2)]
    assert rebook(rows, twice, 0) is None


@pytest.mark.parametrize("damage", ["none", "few", "poor", "negative"])
def test_rows_that_do_not_add_up_are_left(damage: str) -> None:
    """A ledger that somebody edited must not stop the metering."""
    rows = Posting()
    charged(rows, 3600, 3_600 * 10**9, [1, 1])
    first = next(iter(rows.charges))
    if damage == "none":
        rows.charges.clear()
    else:
        changed = {"few": Amount(0, 1800), "poor": Amount(7_200 * 10**6, 0)}
        rows.charges[first] = changed.get(damage, Amount(-1, 9_999))
    assert rebook(rows, [move(3600, 1800, 3_600 * 10**9)], 0) is None


def test_how_much_time_stands_at_each_price() -> None:
    """After all revisions: what has moved away stands there no more."""
    rows = Posting()
    charged(rows, 7, 100, [1, 2])
    (key,) = elapsed_at(rows)
    assert elapsed_at(rows) == {key: 100}
    booked(rows, [move(7, 9, 40)])
    assert sorted(elapsed_at(rows).values()) == [40, 60]


def test_a_correction_says_that_it_is_one() -> None:
    """In FOCUS's words."""
    rows = Posting()
    charged(rows, 3600, 3_600 * 10**9, [1])
    booked(rows, [move(3600, 1800, 3_600 * 10**9)])
    classes = {
        (key.revision, key.price): Charge.of("h", "host", key, amount, 0).charge_class
        for key, amount in rows.charges.items()
    }
    assert classes == {
        (0, at(3600).id): None,
        (1, at(3600).id): "Correction",
        (1, at(1800).id): "Correction",
    }


def test_the_amounts_are_told_for_each_move() -> None:
    """So that an event can say what a change of price made."""
    rows = Posting()
    charged(rows, 3600, 3_600 * 10**9, [1])
    moved = [move(3600, 1800, 1_800 * 10**9), move(3600, 7200, 1_800 * 10**9)]
    made = rebook(rows, moved, 0)
    assert made is not None
    assert [pico for _, pico in made.amounts] == [-900, 1800]
    assert made.posting.accruals[AccrualKey("cpu", RENT, at(3600).id, 0, 1)] == Accrued(
        -3_600 * 10**9, -4 * 3_600 * 10**6, -3600
    )
