"""What counters gained over a window: few samples, any window, over restarts and clock steps."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.dashboards.settings import Settings
from unitcost.exporter.notify.alerts import Points
from unitcost.exporter.notify.past import MAX_REMEMBERED, Past, Remembered

START = 1_767_225_600.0
LIMITS = Settings()
IDLE, RUN = ("idle", "chat"), ("run", "tuner", "r1")
WINDOWS = (600.0, 3600.0, 21_600.0)


def points(idle: float, run: float = 0.0) -> Points:
    """A counter that is looked at over hours, and one over minutes."""
    return {
        "unitcost_cost_usd_total": [(("chat", "inference", "m", "cpu", "idle"), idle)],
        "unitcost_run_cost_usd": [(RUN[1:], run)],
    }


def after(minutes: int, per_minute: float = 1.0, past: Past | None = None) -> Past:
    """So long after the start, or what `past` has seen."""
    found = past or Past(LIMITS)
    for minute in range(minutes):
        at = START + 60 * minute
        found.look(points(5 + per_minute * minute, 7 + 2 * per_minute * minute), at)
    return found


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("minutes", [500, 507, 523])
def test_a_window_begins_at_most_a_tenth_too_early(window: float, minutes: int) -> None:
    """And what was gained since is exact."""
    past = after(minutes)
    found = past.gained(IDLE, window)
    assert found is not None
    gained, span = found
    assert window <= span <= window * 1.1 + 60
    assert gained == pytest.approx(span / 60)
    assert past.per_day(IDLE, window) == pytest.approx(1440)
    assert past.covers(IDLE, window)


def test_samples_are_few_however_long_it_runs() -> None:
    """Forty in all; none is older than it may be."""
    past = after(3000)
    assert len(past.times) <= 40
    assert past.times[0] >= START + 60 * 2999 - 1.2 * 21_600
    assert all(len(row) == len(past.times) for row in past.rows.values())


def test_less_than_a_window_counts_the_rest_as_nothing() -> None:
    """As a rate of Prometheus does."""
    past = after(31)
    assert past.per_day(IDLE, 3600) == pytest.approx(720)
    assert not past.covers(IDLE, 3600)
    assert past.gained(("idle", "nobody"), 3600) is None
    assert past.per_day(("idle", "nobody"), 3600) is None


def test_a_counter_that_fell_says_nothing_until_it_is_seen_anew() -> None:
    """Never less than nothing."""
    past = after(60)
    past.look(points(1.0), START + 3600)
    assert past.gained(IDLE, 3600) is None
    assert not past.covers(IDLE, 3600)


def test_a_clock_that_is_set_back_forgets_what_lies_ahead() -> None:
    """And goes on."""
    past = after(60)
    past.look(points(66.0), START + 1800)
    assert past.times[-1] == START + 1800
    assert past.gained(IDLE, 600) == (66.0 - 25.0, 600.0)
    past.look(points(70.0), START - 3600)
    assert past.times == [START - 3600]


def test_who_is_gone_for_long_is_forgotten() -> None:
    """A row without any value."""
    past = after(10)
    for minute in range(10, 600):
        past.look({}, START + 60 * minute)
    assert past.rows == {}


def test_another_process_knows_the_hours_but_not_the_minutes() -> None:
    """As JSON; a counter does not seem to have fallen for being rounded."""
    past = after(500)
    text = msgspec.json.encode(past.remembered())
    again = Past(LIMITS)
    again.resume(msgspec.json.decode(text, type=Remembered))
    again.look(points(505.0, 1007.0), START + 60 * 500)
    assert again.per_day(IDLE, 21_600) == pytest.approx(1440, rel=1e-6)
    assert again.covers(IDLE, 21_600)
    assert not again.covers(RUN, 600)
    assert len(again.times) <= 16
    steady = Past(LIMITS)
    steady.resume(after(500, per_minute=0.0).remembered())
    steady.look(points(5.0), START + 60 * 500)
    found = steady.gained(IDLE, 3600)
    assert found is not None
    assert 0 <= found[0] < 1e-6


def test_what_does_not_fit_is_left_out() -> None:
    """A row of another length."""
    past = Past(LIMITS)
    past.resume(Remembered((1.0, 2.0), ((IDLE, (1.0,)), (RUN, (1.0, None)))))
    assert past.rows == {RUN: [1.0, None]}


def test_what_is_remembered_is_bounded_and_the_dearest() -> None:
    """Of thousands of workloads."""
    past = Past(LIMITS)
    many = [((f"w{n}", "inference", "", "cpu", "idle"), float(n)) for n in range(3000)]
    past.look({"unitcost_cost_usd_total": many}, START)
    assert len(past.rows) == 5000
    kept = past.remembered()
    assert len(kept.rows) == MAX_REMEMBERED
    assert kept.rows[0][0] == ("all",)
    assert min(row[0] or 0.0 for _, row in kept.rows) > 2400


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 50)), min_size=1, max_size=80))
def test_whatever_comes_when_it_is_never_more_than_was_gained(
    steps: list[tuple[int, int]],
) -> None:
    """Nor negative; and the samples are in order."""
    past, at, total = Past(LIMITS), START, 0.0
    for seconds, more in steps:
        at, total = at + seconds, total + more
        past.look(points(total), at)
        for window in WINDOWS:
            found = past.gained(IDLE, window)
            assert found is not None
            assert 0 <= found[0] <= total
            assert found[1] >= 0
    assert past.times == sorted(set(past.times))
    assert past.times[-1] <= at
