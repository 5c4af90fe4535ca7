"""Ticks come at whole periods, one at a time, and go on whatever the tick or the clock do."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from unitcost.exporter.schedule import Schedule, _WholePeriods

PERIOD = 0.05
PATIENCE = 30.0


class Ticks:
    """A tick that remembers when it was called, and does what it is told."""

    def __init__(self, act: Callable[[int], object] = lambda _: None) -> None:
        self.starts: list[float] = []
        self.running = 0
        self.most_at_once = 0
        self._act = act

    def __call__(self) -> None:
        self.starts.append(time.time())
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            self._act(len(self.starts))
        finally:
            self.running -= 1

    def wait_for(self, count: int) -> None:
        """Until it was called so often."""
        end = time.monotonic() + PATIENCE
        while len(self.starts) < count:
            assert time.monotonic() < end, f"{len(self.starts)} ticks, not {count}"
            time.sleep(0.005)


@pytest.fixture
def running() -> Iterator[Callable[[Ticks, float], Schedule]]:
    """Starts a schedule, and stops it after the test."""
    started: list[Schedule] = []

    def start(ticks: Ticks, period: float = PERIOD) -> Schedule:
        schedule = Schedule(ticks, period)
        started.append(schedule)
        schedule.start()
        return schedule

    yield start
    for schedule in started:
        schedule.stop()


Start = Callable[..., Schedule]


def test_the_first_tick_comes_at_once_and_then_one_each_period(running: Start) -> None:
    """No period has to pass before there is something to serve."""
    ticks = Ticks()
    running(ticks, 3600.0)
    ticks.wait_for(1)
    other = Ticks()
    running(other)
    other.wait_for(4)
    assert len(ticks.starts) == 1


def test_ticks_after_the_first_are_due_at_whole_periods(running: Start) -> None:
    """Hours and days then begin with a tick."""
    ticks = Ticks()
    schedule = running(ticks, 3600.0)
    ticks.wait_for(1)
    job = schedule._scheduler.get_job("tick")
    assert job is not None
    due = job.next_run_time
    assert (due.minute, due.second, due.microsecond) == (0, 0, 0)
    assert timedelta() < due - datetime.now(UTC) <= timedelta(hours=1.5)


def test_due_times_are_whole_periods_and_lie_ahead() -> None:
    """For any time and period, however the float falls."""
    trigger = _WholePeriods(5.0)
    now = datetime(2026, 1, 31, 12, 0, 3, 123456, UTC)
    assert trigger.get_next_fire_time(None, now) == datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
    exact = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
    assert trigger.get_next_fire_time(exact, exact) == exact + timedelta(seconds=5)
    for period in (0.05, 0.1, 0.3, 1.7, 60.0):
        for micros in range(0, 1_000_000, 7919):
            at = now.replace(microsecond=micros)
            due = _WholePeriods(period).get_next_fire_time(None, at)
            assert at < due <= at + timedelta(seconds=2 * period)


def test_the_first_tick_is_not_chased_by_the_second() -> None:
    """It comes at once; a whole period that follows within half a period is left out."""
    trigger = _WholePeriods(5.0)
    first = datetime(2026, 1, 31, 12, 0, 4, 900_000, tzinfo=UTC)
    assert trigger.get_next_fire_time(first, first) == datetime(2026, 1, 31, 12, 0, 10, tzinfo=UTC)
    early = datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)
    assert trigger.get_next_fire_time(early, early) == datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def test_a_clock_that_leaps_ahead_by_years_leads_to_one_tick() -> None:
    """Of all that was missed nothing is made up for, and no list of it is made."""
    trigger = _WholePeriods(5.0)
    last, now = datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert trigger.get_next_fire_time(last, now) > now


def test_a_clock_that_was_set_back_does_not_stop_the_ticks(running: Start) -> None:
    """The next tick seems an hour away, as after setting the clock back by an hour."""
    ticks = Ticks()
    schedule = running(ticks)
    ticks.wait_for(1)
    schedule._scheduler.modify_job("tick", next_run_time=datetime.now(UTC) + timedelta(hours=1))
    ticks.wait_for(len(ticks.starts) + 3)


def test_a_tick_that_raises_is_logged_and_counted_and_the_next_comes(
    running: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises, an exit included."""

    def act(count: int) -> None:
        raise (ValueError("odd one"), SystemExit(3))[count % 2]

    ticks = Ticks(act)
    with caplog.at_level(logging.ERROR):
        schedule = running(ticks)
        ticks.wait_for(4)
    assert schedule.failures >= 3
    assert "odd one" in caplog.text


def test_a_tick_that_takes_long_is_never_run_twice_at_once(running: Start) -> None:
    """What comes due meanwhile is skipped and counted."""
    released = threading.Event()
    ticks = Ticks(lambda count: count > 1 or released.wait(PATIENCE))
    schedule = running(ticks)
    end = time.monotonic() + PATIENCE
    while schedule.skipped < 3:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert len(ticks.starts) == 1
    released.set()
    ticks.wait_for(3)
    assert ticks.most_at_once == 1


def test_no_tick_comes_after_stop() -> None:
    """Stopped means stopped; stopping again is allowed."""
    ticks = Ticks()
    schedule = Schedule(ticks, PERIOD)
    schedule.start()
    ticks.wait_for(2)
    assert schedule.stop()
    count = len(ticks.starts)
    time.sleep(4 * PERIOD)
    assert len(ticks.starts) == count
    assert schedule.stop()


def test_stopping_gives_up_on_a_tick_that_hangs() -> None:
    """It says so, and the process can end: the thread is a daemon."""
    released = threading.Event()
    ticks = Ticks(lambda _: released.wait(PATIENCE))
    schedule = Schedule(ticks, PERIOD)
    schedule.start()
    ticks.wait_for(1)
    assert not schedule.stop()
    assert all(t.daemon for t in threading.enumerate() if t.name == "tick")
    released.set()


def test_a_schedule_that_was_never_started_can_be_stopped() -> None:
    """The end of a start that failed half-way."""
    assert Schedule(Ticks(), PERIOD).stop()
