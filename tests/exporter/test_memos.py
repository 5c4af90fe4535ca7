"""What memos keep over a window."""

from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.settling.memos import Comparison
from unitcost.pricing.sample import Layer, Quantity

KEYS = [("chat", Quantity.REQUESTS, layer) for layer in Layer]
COUNTS = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9), max_size=3)


@given(st.lists(st.tuples(st.integers(1, 3), COUNTS), max_size=30), st.integers(1, 9))
def test_a_comparison_is_the_sum_of_its_window(
    ticks: list[tuple[int, dict[tuple[str, Quantity, Layer], int]]], length: int
) -> None:
    """A layer that counted nothing in it is there at 0, one that was not there is not."""
    comparison = Comparison(length)
    at, every = 0, []
    for passed, counts in ticks:
        at += passed
        every.append((at, counts))
        comparison.add(at, counts)
        recent = [each for end, each in every if end > at - length]
        assert comparison.sums == {
            key: sum(each.get(key, 0) for each in recent)
            for key in KEYS
            if any(key in each for each in recent)
        }


def test_a_tick_costs_the_same_however_long_the_window_is() -> None:
    """A week of ticks is looked through by none of them."""

    class Watched(dict[tuple[str, Quantity, Layer], int]):
        looks = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            Watched.looks += 1
            return super().__iter__()

    comparison = Comparison(1000)
    for at in range(100):
        comparison.add(at, Watched({KEYS[0]: 1}))
    assert Watched.looks == 0
    assert comparison.sums == {KEYS[0]: 100}
