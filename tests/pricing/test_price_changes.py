"""What changed between what was believed and what is said now."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.price import PriceModel
from unitcost.pricing.price_changes import PriceChange, price_changes
from unitcost.pricing.quote import PriceKey, Quote

KEY = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND)
OTHER = replace(KEY, model=PriceModel.SPOT, zone="us-east-1a")
SINCE = 10


def quote(usd: str, start: int = 0, end: int | None = None, key: PriceKey = KEY) -> Quote:
    """A quote."""
    return Quote(key, Decimal(usd), "test", start, end)


def spans(found: tuple[PriceChange, ...]) -> list[tuple[str, int, int | None]]:
    """What, from when until when."""
    return [(each.kind, each.from_ns, each.to_ns) for each in found]


def test_the_same_is_no_change_whoever_says_it() -> None:
    """Nor when they say it, or how the time is cut."""
    again = [
        replace(quote("5.0", 0, 20), source="another", as_of_ns=3, known_at_ns=4),
        quote("5", 20),
    ]
    assert price_changes([quote("5")], again, SINCE) == ()


def test_a_price_is_new_gone_or_changed() -> None:
    """By key; with the percentage where there is something to compare with."""
    dearer, gone, new = (
        price_changes([quote("4")], [quote("5")], SINCE),
        price_changes([quote("4", key=OTHER)], [], SINCE),
        price_changes([], [quote("5", 12)], SINCE),
    )
    (change,) = dearer
    assert (change.before, change.after, change.percent) == (Decimal(4), Decimal(5), Decimal(25))
    assert spans(dearer) == [("changed", SINCE, None)]
    assert spans(gone) == [("gone", SINCE, None)]
    assert (gone[0].key, gone[0].percent) == (OTHER, None)
    assert spans(new) == [("new", 12, None)]
    assert new[0].percent is None
    (free,) = price_changes([quote("0")], [quote("5")], SINCE)
    assert (free.kind, free.percent) == ("changed", None)
    (cut,) = price_changes([quote("8")], [quote("6")], SINCE)
    assert cut.percent == Decimal(-25)


def test_only_the_time_that_differs_is_told() -> None:
    """A price cut of tomorrow does not change today, nor is told what ended long ago."""
    before = [quote("9", 0, 5), quote("5", 5)]
    after = [quote("8", 0, 5), quote("5", 5, 30), quote("4", 30)]
    assert spans(price_changes(before, after, SINCE)) == [("changed", 30, None)]
    until = price_changes([quote("5")], [quote("5", 0, 20), quote("4", 20, 25), quote("5", 25)], 0)
    assert spans(until) == [("changed", 20, 25)]
    parts = price_changes([quote("5", 0, 20)], [quote("4", 0, 15), quote("4", 15, 20)], 0)
    assert spans(parts) == [("changed", 0, 20)]


def test_keys_are_in_order() -> None:
    """Of two keys each has its own changes."""
    found = price_changes([quote("1", key=OTHER)], [quote("1")], SINCE)
    assert [(each.key, each.kind) for each in found] == [(KEY, "new"), (OTHER, "gone")]


quotes = st.lists(
    st.builds(
        lambda usd, start, length: quote(
            str(usd), start, None if length is None else start + length
        ),
        st.integers(0, 3),
        st.integers(0, 20),
        st.none() | st.integers(1, 10),
    ),
    max_size=4,
)


@given(quotes, quotes, st.integers(0, 20))
def test_each_instant_is_in_a_change_if_it_differs(
    before: list[Quote], after: list[Quote], since: int
) -> None:
    """And in none if it does not; changes do not overlap."""

    def price(side: list[Quote], at: int) -> Decimal | None:
        found = [each.per_hour for each in side if each.covers(at)]
        return found[-1] if found else None

    changes = price_changes(before, after, since)
    for at in range(40):
        here = [
            each
            for each in changes
            if each.from_ns <= at and (each.to_ns is None or at < each.to_ns)
        ]
        old, new = price(before, at), price(after, at)
        differs = old != new and at >= since
        assert [(each.before, each.after) for each in here] == ([(old, new)] if differs else [])
