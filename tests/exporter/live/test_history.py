"""The last hour that the live page shows: bounded, exact, and honest about what it has not seen."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.serving.live.history import (
    COST,
    GROUPS,
    MAX_MOMENTS,
    UNPRICED,
    History,
)
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.batch import CounterKey, Moment
from unitcost.pricing.sample import NS_PER_SECOND

START = 1_767_225_600 * NS_PER_SECOND
HOUR = 3600 * NS_PER_SECOND
PRICED: Points = {UNPRICED: [(("cpu", "rent"), 0.0)]}
REQUEST = "unitcost_request_cost_usd"


def counters(**pico: int) -> dict[CounterKey, int]:
    """Cost so far of a workload by state, and of the reserved ones by their name."""
    return {
        (COST, (f"__{name}__", "other", "", "cpu", "idle"))
        if name not in ("active", "idle", "loading")
        else (COST, ("chat", "inference", "m", "cpu", name)): value
        for name, value in pico.items()
    }


def noted(history: History, seconds: Iterable[float], pico_per_second: int = 1000) -> list[int]:
    """Ticks at these seconds; what had been charged at each."""
    charged = []
    for second in seconds:
        at = round(second * NS_PER_SECOND)
        pico = at * pico_per_second // NS_PER_SECOND
        history.note(START + at, counters(active=pico), PRICED)
        charged.append(pico)
    return charged


def test_before_the_second_tick_there_is_nothing_to_compare_with() -> None:
    """The first only says where to start from."""
    history = History()
    assert history.past().at_ns == 0
    noted(history, [0])
    assert (len(history.past().moments), history.past().bases) == (1, ())
    noted(history, [5])
    (base,) = history.past().bases
    assert base.at_ns == START


@given(
    period=st.floats(0.2, 300), ticks=st.integers(2, 1000), scale=st.sampled_from([1.0, 10.0, 60.0])
)
def test_it_is_bounded_and_loses_no_money(period: float, ticks: int, scale: float) -> None:
    """Whatever the period: few moments, in order, as far back as an hour, none of it skipped."""
    history = History(scale)
    charged = noted(history, (number * period for number in range(ticks)))
    moments, past = history.past().moments, history.past()
    assert 2 <= len(moments) <= MAX_MOMENTS
    assert all(one.at_ns < other.at_ns for one, other in itertools.pairwise(moments))
    step = max(period, 30 / scale) * 2.5 * NS_PER_SECOND
    assert past.at_ns - moments[-1].at_ns <= step
    reach = min((ticks - 1) * period, 3600 / scale) * NS_PER_SECOND
    assert past.at_ns - moments[0].at_ns >= reach - step
    assert past.at_ns - moments[1].at_ns <= HOUR / scale + step
    assert charged[-1] - sum(moments[-1].pico) <= 1000 * step / NS_PER_SECOND
    first, *others = past.bases
    assert len(others) <= 6
    assert 0 < past.at_ns - first.at_ns <= (period + 75 / scale) * NS_PER_SECOND


def test_each_dollar_is_in_its_group_those_of_retired_workloads_too() -> None:
    """The states of workloads, and what is nobody's."""
    history = History()
    gone = {(COST, ("retired", "other", "", "gpu:1", "active")): 50}
    everything = counters(
        active=1, idle=2, loading=3, unallocated=4, system=5, unmetered=6, other=7
    )
    history.note(START, everything | gone, PRICED)
    (moment,) = history.past().moments
    assert dict(zip(GROUPS, moment.pico, strict=True)) == {
        "active": 51,
        "idle": 2 + 7,
        "loading": 3,
        "unallocated": 4,
        "system": 5,
        "unmetered": 6,
    }


@pytest.mark.parametrize("unpriced", [{}, {UNPRICED: [(("cpu", "rent"), 1.0)]}])
def test_time_without_a_price_is_marked(unpriced: Points) -> None:
    """None known, or none at all."""
    history = History()
    history.note(START, {}, unpriced)
    history.note(START + 5 * NS_PER_SECOND, {}, PRICED)
    history.note(START + 10 * NS_PER_SECOND, {}, unpriced)
    assert [each.priced for each in history.past().moments] == [False, True, False]
    assert not history.past().priced


def test_a_clock_that_was_set_back_begins_it_anew() -> None:
    """What lies in the future by then is forgotten."""
    history = History()
    noted(history, range(0, 600, 5))
    noted(history, [10, 15])
    assert [each.at_ns - START for each in history.past().moments] == [
        10 * NS_PER_SECOND,
        15 * NS_PER_SECOND,
    ]


def test_totals_that_fell_begin_it_anew() -> None:
    """Another ledger has taken the old one's place."""
    history = History()
    noted(history, range(0, 600, 5))
    history.note(START + 605 * NS_PER_SECOND, counters(active=1), PRICED)
    (moment,) = history.past().moments
    assert sum(moment.pico) == 1


def test_a_long_gap_is_one_interval_and_old_marks_are_no_hour_ago() -> None:
    """The host slept for three hours: what was charged then is a mean over that time."""
    history = History()
    noted(history, range(0, 1200, 5))
    noted(history, [12_000])
    past = history.past()
    assert past.hour_ago is None
    before, after = past.moments
    assert START + 1180 * NS_PER_SECOND <= before.at_ns < START + 1200 * NS_PER_SECOND
    assert after.at_ns == START + 12_000 * NS_PER_SECOND


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_an_hour_ago_is_an_hour_ago(scale: float) -> None:
    """Within five minutes of it; not known before an hour has passed."""
    history = History(scale)
    for second in range(0, 9000, 5):
        at = START + round(second / scale * NS_PER_SECOND)
        points = PRICED | {REQUEST: [(("chat", "m", "allocated"), float(second))]}
        history.note(at, counters(active=second), points)
        then = history.past().hour_ago
        if second < 3300:
            assert then is None
            continue
        assert then is not None
        (((_, value),)) = then.points[REQUEST]
        assert abs(second - 3600 - value) <= 300


def test_it_goes_on_from_what_was_remembered() -> None:
    """As coarse as an hour is kept; ticks after it join in, and no money is lost on the way."""
    before, after = History(), History()
    kept = []
    for second in range(0, 3600, 5):
        moment = before.note(START + second * NS_PER_SECOND, counters(active=second), PRICED)
        kept += [moment] if moment else []
    after.resume(kept)
    noted(after, [3700], pico_per_second=1)
    found = after.past().moments
    assert (found[0].at_ns, found[-1].at_ns) == (START + 90 * NS_PER_SECOND, after.past().at_ns)
    assert [sum(each.pico) for each in found] == [
        (each.at_ns - START) // NS_PER_SECOND for each in found
    ]
    gaps = [b.at_ns - a.at_ns for a, b in itertools.pairwise(found)]
    assert min(gaps) >= 25 * NS_PER_SECOND
    assert len(found) <= MAX_MOMENTS


def test_what_another_version_remembered_is_left_out() -> None:
    """A state more or less: the figures would be those of others."""
    history = History()
    history.resume([Moment(START, (1, 2), True)])
    noted(history, [5])
    assert [each.at_ns for each in history.past().moments] == [START + 5 * NS_PER_SECOND]


def test_what_is_known_is_not_replaced() -> None:
    """A ledger that is opened again in the same process knows less."""
    history = History()
    noted(history, [100])
    history.resume([Moment(START, (0,) * len(GROUPS), True)])
    assert [each.at_ns for each in history.past().moments] == [START + 100 * NS_PER_SECOND]
