"""What a model cost to train, its share of a request, and what idle time would have cost."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.items import ItemKey, ItemType
from unitcost.pricing.opportunity import forgone_pico
from unitcost.pricing.trained import COMPUTE, RunOf, TrainedModel, share_usd, training_cost

FINAL, SWEEP = RunOf("tuner", "final"), RunOf("sweep")
COSTS: dict[RunOf, int | None] = {FINAL: 7 * 10**12, SWEEP: 2 * 10**12, RunOf("gone", "x"): None}


def item(workload: str, run: str, type_: ItemType) -> ItemKey:
    """An item attached to a run, or to a workload."""
    return ItemKey(f"{workload}-{run}-{type_}", workload, "", run, type_)


ITEMS = [
    (item("tuner", "final", ItemType.LABELLING), 10**12),
    (item("tuner", "final", ItemType.STORAGE), 3 * 10**12),
    (item("tuner", "other", ItemType.LABELLING), 100 * 10**12),
    (item("tuner", "", ItemType.PERSONNEL), 100 * 10**12),
    (item("sweep", "a", ItemType.STORAGE), 5 * 10**12),
    (item("sweep", "", ItemType.LABELLING), 11 * 10**12),
    (item("chat", "", ItemType.OTHER), 100 * 10**12),
]


def test_a_model_costs_its_runs_and_what_is_attached_to_them() -> None:
    """An item of another run, or of all of a workload of which one run is named, is not its."""
    found = training_cost(TrainedModel("m", (FINAL, SWEEP)), COSTS.__getitem__, ITEMS)
    assert found.parts == {
        COMPUTE: 9 * 10**12,
        "labelling": 12 * 10**12,
        "storage": 8 * 10**12,
    }
    assert found.total_pico == 29 * 10**12


def test_without_its_compute_there_is_no_total() -> None:
    """Items alone are known; what a run that is not known here cost is not zero."""
    for runs in ((FINAL, RunOf("gone", "x")), ()):
        found = training_cost(TrainedModel("m", runs), COSTS.__getitem__, ITEMS)
        assert found.total_pico is None
        assert COMPUTE not in found.parts
    assert training_cost(TrainedModel("m", (FINAL,)), {FINAL: 0}.__getitem__, ()).total_pico == 0


def test_compute_that_was_paid_for_elsewhere_is_stated() -> None:
    """It is added to what was measured here; runs that are not known here are in it."""
    runs = (FINAL, RunOf("gone", "x"))
    found = training_cost(TrainedModel("m", runs, Decimal(5)), COSTS.__getitem__, ())
    assert found.total_pico == 12 * 10**12
    assert training_cost(TrainedModel("m", (), Decimal(0)), COSTS.__getitem__, ()).total_pico == 0


@pytest.mark.parametrize(("pico", "requests", "usd"), [(29 * 10**12, 10**7, "0.0000029")])
def test_the_share_of_a_request_is_the_cost_over_the_requests(
    pico: int, requests: int, usd: str
) -> None:
    """A straight line over units."""
    assert share_usd(pico, requests) == Decimal(usd)


@given(st.integers(0, 10**18), st.lists(st.integers(0, 10**12), max_size=12))
def test_what_was_forgone_is_rounded_once(rate: int, parts: list[int]) -> None:
    """However many ticks it came in."""
    sums = [sum(parts[:index]) for index in range(len(parts) + 1)]
    found = [forgone_pico(rate, a, b) for a, b in itertools.pairwise(sums)]
    assert all(each >= 0 for each in found)
    assert sum(found) == forgone_pico(rate, 0, sum(parts))
    assert forgone_pico(rate, 0, 3600 * 10**6) == rate
