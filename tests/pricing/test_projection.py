"""What a run will have cost: exact for a steady run, honest about the spread of any other."""

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.projection import (
    FURTHEST,
    LEVEL,
    MAX_INTERVALS,
    MIN_INTERVALS,
    SMALLEST,
    Interval,
    Pace,
    Progress,
    Projection,
    advance,
    again,
    interrupt,
    priced,
    project,
    start,
)


def paced(costs: list[int], units: float = 1.0, pace: Pace | None = None) -> Pace:
    """A pace that advanced by so many units for each of these costs."""
    pace = pace or start(Pace(Progress.STEPS), 0.0, 0)
    for cost in costs:
        assert pace.last is not None
        assert pace.last_pico is not None
        pace = advance(pace, pace.last + units, pace.last_pico + cost)
    return pace


@given(st.integers(1, 10**13), st.integers(1, 50), st.integers(0, 10**15), st.integers(1, 100))
def test_a_steady_run_costs_what_is_projected_from_its_first_interval_on(
    rate: int, units: int, loading: int, ticks: int
) -> None:
    """Loading is in the total and not in the rate; at any time the three figures are the truth."""
    goal, pace = float(units * 500), start(Pace(Progress.STEPS), 0.0, loading)
    truth = loading + rate * 500 * units
    for tick in range(1, ticks + 1):
        total = loading + rate * units * tick
        pace = advance(pace, float(units * tick), total)
        found = project(pace, total, goal)
        assert found is not None
        assert found.expected == pytest.approx(truth, rel=1e-9)
        if tick >= MIN_INTERVALS:
            assert found.low == pytest.approx(truth, rel=1e-9)
            assert found.high == pytest.approx(truth, rel=1e-9)
        else:
            assert (found.low, found.high) == (None, None)


def test_between_two_advances_what_is_spent_pays_for_the_next_unit() -> None:
    """Slow steps: the projection neither climbs while one is under way nor falls when it ends."""
    pace = paced([100] * 5)
    for spent in (0, 50, 99, 100):
        assert project(pace, 500 + spent, 10.0) == Projection(1000, 1000, 1000)
    late = project(pace, 700, 10.0)
    assert late is not None
    assert late.expected == 700 + 4 * 100  # the sixth costs 200 at least; four more will follow


def _share_inside(draw: str, measured: int, future: int, seed: int) -> float:
    """In which part of simulated runs the final cost lies between the bounds."""
    source = random.Random(seed)
    draws = {
        "normal": lambda: source.gauss(1e6, 2e5),
        "uniform": lambda: source.uniform(5e5, 1.5e6),
        "gamma": lambda: source.gammavariate(4.0, 2.5e5),
        "checkpoints": lambda: 1e6 + (3e6 if source.random() < 0.1 else 0.0),
    }
    inside, runs = 0, 500
    for _ in range(runs):
        costs = [max(0, round(draws[draw]())) for _ in range(measured + future)]
        pace = paced(costs[:measured])
        total = sum(costs[:measured])
        found = project(pace, total, float(measured + future))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert total <= found.low <= found.expected <= found.high
        inside += found.low <= sum(costs) <= found.high
    return inside / runs


@pytest.mark.parametrize("draw", ["normal", "uniform", "gamma"])
@pytest.mark.parametrize(("measured", "future"), [(3, 50), (8, 8), (30, 300), (150, 20)])
def test_the_truth_lies_between_the_bounds_as_often_as_they_say(
    draw: str, measured: int, future: int
) -> None:
    """At least 9 of 10 runs, from the fewest intervals on, whatever the shape of the noise."""
    assert _share_inside(draw, measured, future, seed=7) >= LEVEL


def test_rare_dear_intervals_are_in_the_bounds_once_some_were_seen() -> None:
    """A checkpoint in every tenth interval: what was measured spans many of them."""
    assert _share_inside("checkpoints", 300, 300, seed=11) >= LEVEL


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 10**12)), max_size=300))
def test_intervals_lose_no_unit_and_no_dollar_and_stay_few(
    advances: list[tuple[int, int]],
) -> None:
    """However many are merged; only the open one is not among them."""
    pace = start(Pace(Progress.STEPS), 5.0, 17)
    at, total = 5.0, 17
    for units, cost in advances:
        at, total = at + units, total + cost
        pace = advance(pace, at, total)
        assert len(pace.intervals) < MAX_INTERVALS
        assert pace.since is not None
        assert sum(each.units for each in pace.intervals) == pace.since - 5.0
        assert sum(each.pico for each in pace.intervals) == pace.since_pico - 17
        assert (pace.last, pace.last_pico) == (at, total)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 10**12)), min_size=1, max_size=100),
    st.integers(0, 10**12),
    st.floats(0.5, 1e6),
)
def test_no_bound_is_below_what_it_has_cost(
    advances: list[tuple[int, int]], more: int, ahead: float
) -> None:
    """Whatever was measured, and however long the run has hung since; always in order."""
    pace, total = start(Pace(Progress.EPOCHS), 0.0, 0), 0
    for units, cost in advances:
        assert pace.last is not None
        total += cost
        pace = advance(pace, pace.last + units, total)
    assert pace.last is not None
    found = project(pace, total + more, pace.last + ahead)
    assert found is not None
    assert found.expected >= (total + more) * (1 - 1e-12)
    if found.low is not None and found.high is not None:
        assert total + more <= found.low <= found.high
        assert math.isfinite(found.high)


def test_nothing_is_projected_without_a_finished_interval() -> None:
    """Not from a place alone, and not from an interval that is open."""
    assert project(Pace(Progress.STEPS), 10, 5.0) is None
    pace = advance(Pace(Progress.STEPS), 3.0, 10)
    assert pace == Pace(Progress.STEPS, last=3.0)
    assert project(pace, 10, 5.0) is None
    pace = advance(pace, 4.0, 20)
    assert (pace.since, pace.since_pico, pace.intervals) == (4.0, 20, ())
    assert project(pace, 20, 5.0) is None
    assert advance(pace, 4.0, 99) is pace


def test_a_run_at_its_goal_costs_what_it_cost() -> None:
    """And beyond it, though no interval was ever measured."""
    assert project(Pace(Progress.EPOCHS, last=3.0), 42, 3.0) == Projection(42, 42, 42)
    assert project(paced([10] * 4), 45, 2.0) == Projection(45, 45, 45)


def test_an_interval_that_was_not_all_priced_is_dropped() -> None:
    """The next begins at the next advance; those before it stay."""
    pace = interrupt(paced([100] * 3))
    pace = advance(pace, 4.0, 999)
    assert [each.pico for each in pace.intervals] == [100, 100, 100]
    pace = advance(pace, 5.0, 1099)
    assert pace.intervals == (Interval(1.0, 100),) * 4
    assert interrupt(interrupt(pace)) == interrupt(pace)


def test_another_attempt_loads_before_it_goes_on() -> None:
    """Its loading and the steps on the way to its first advance are in no interval."""
    pace = again(paced([100] * 3), 1.0)
    found = project(pace, 300 + 70, 11.0)
    assert found is not None
    assert found.expected == 370 + 10 * 100
    pace = advance(pace, 2.0, 470)
    assert len(pace.intervals) == 3
    pace = advance(pace, 3.0, 570)
    assert pace.intervals == (Interval(1.0, 100),) * 4


def test_another_price_is_another_rate() -> None:
    """A hundredth more is not; a resource that joins is not."""
    pace = priced(paced([100] * 4), {"cpu": 1000, "memory": 50})
    assert priced(pace, {"cpu": 1010, "memory": 50}) is pace
    joined = priced(pace, {"gpu:1": 7})
    assert joined == replace(pace, prices={"cpu": 1000, "memory": 50, "gpu:1": 7})
    dearer = priced(pace, {"cpu": 1011, "memory": 50})
    assert dearer.intervals == ()
    assert (dearer.last, dearer.last_pico, dearer.since) == (4.0, 400, None)
    assert project(dearer, 400, 9.0) is None
    free = priced(Pace(Progress.STEPS), {"cpu": 0})
    assert priced(free, {"cpu": 0}) is free
    assert priced(free, {"cpu": 1}).prices == {"cpu": 1}


def test_the_bounds_widen_with_the_way_ahead() -> None:
    """The same spread, and ever more units to go."""
    pace = paced([90, 110, 95, 105])
    found = [project(pace, 400, 4.0 + ahead) for ahead in (1, 10, 100, 1000)]
    widths = [each.high - each.expected for each in found if each and each.high is not None]
    assert len(widths) == 4
    assert all(near < far for near, far in pairwise(widths))


@given(
    st.lists(st.tuples(st.floats(0, FURTHEST), st.integers(0, 2**63)), min_size=1, max_size=80),
    st.floats(0, FURTHEST, exclude_min=True),
)
def test_no_place_and_no_goal_is_too_odd(readings: list[tuple[float, int]], goal: float) -> None:
    """Leaps across all there is, and creeping by next to nothing: figures, or none."""
    pace, total = start(Pace(Progress.EPOCHS), 0.0, 0), 0
    for place, cost in readings:
        total += cost
        pace = advance(pace, place, total)
        pace = advance(pace, place * (1 + 1e-15), total)
        found = project(pace, total, goal)
        if found is not None:
            numbers = (found.expected, found.low, found.high)
            assert all(math.isfinite(each) for each in numbers if each is not None)
    steps = [each.units for each in pace.intervals]
    assert all(units >= SMALLEST for units in steps)


def test_the_bounds_are_a_student_t_prediction_interval() -> None:
    """Five steps of 8, 12, 10, 14 and 6: ten more cost 100, give or take 2.776 x √10 x √30."""
    pace = paced([8, 12, 10, 14, 6])
    found = project(pace, 50, 15.0)
    assert found is not None
    margin = 2.776 * math.sqrt(40 / 4) * math.sqrt(10 + 10**2 / 5)
    assert found.expected == pytest.approx(150)
    assert found.high == pytest.approx(150 + margin)
    assert found.low == pytest.approx(150 - margin)
    twice = replace(pace, intervals=tuple(Interval(2.0, 2 * i.pico) for i in pace.intervals))
    wide = project(twice, 50, 15.0)
    assert wide is not None
    assert wide.high == pytest.approx(150 + 2.776 * math.sqrt(4 * 40 / 4) * math.sqrt(5 + 5**2 / 5))


def test_as_many_intervals_as_are_too_many_become_half_of_twice_the_length() -> None:
    """The next one takes two advances, and so on."""
    pace = paced(list(range(1, MAX_INTERVALS + 1)))
    merged = tuple(Interval(2.0, 4 * n + 3) for n in range(MAX_INTERVALS // 2))
    assert (pace.intervals, pace.size, pace.count) == (merged, 2, 0)
    half = paced([5], pace=pace)
    assert (half.intervals, half.count, half.last) == (merged, 1, MAX_INTERVALS + 1.0)
    whole = paced([6], pace=half)
    assert (whole.intervals, whole.count) == ((*merged, Interval(2.0, 11)), 0)
    full = paced([1] * MAX_INTERVALS, pace=pace)
    assert (len(full.intervals), full.size, full.count) == (MAX_INTERVALS // 2, 4, 0)
    assert paced([1], pace=full).count == 1
    assert paced([1] * 3, pace=full).count == 3
    assert paced([1] * 4, pace=full).count == 0


def test_what_drops_an_interval_begins_its_advances_anew() -> None:
    """Half of one that takes two is gone."""
    half = paced([1] * (MAX_INTERVALS + 1))
    assert half.count == 1
    dropped = interrupt(half)
    assert (dropped.count, dropped.since, dropped.last) == (0, None, half.last)
    assert interrupt(dropped) is dropped
    resumed = again(half, 7.0)
    assert (resumed.count, resumed.since, resumed.last_pico, resumed.last) == (0, None, None, 7.0)
    assert start(half, 40.0, 9).count == 0
    assert priced(replace(half, prices={"cpu": 100}), {"cpu": 200}).unit is Progress.STEPS


def test_what_a_unit_takes_longer_than_usual_is_not_taken_back() -> None:
    """Twenty-five were spent on a unit that costs ten: nine more of ten follow, and none after."""
    pace = paced([10] * MAX_INTERVALS)
    assert (pace.size, pace.last_pico) == (2, 10 * MAX_INTERVALS)
    spent = 10 * MAX_INTERVALS + 25
    late = project(pace, spent, MAX_INTERVALS + 10.0)
    assert late is not None
    assert late.expected == pytest.approx(spent + 90)
    near = project(pace, spent, MAX_INTERVALS + 0.5)
    assert near is not None
    assert near.expected == pytest.approx(spent)


def test_the_smallest_advance_is_one() -> None:
    """A little less is none."""
    pace = start(Pace(Progress.STEPS), 0.0, 0)
    assert advance(pace, SMALLEST, 9).last == SMALLEST
    assert advance(pace, SMALLEST / 2, 9) is pace
