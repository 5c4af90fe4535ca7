"""Accounting time: durations follow the monotonic clock whatever the wall clock does."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.timeline import (
    NS_PER_HOUR,
    STEP_TOLERANCE_NS,
    SUSPEND_TOLERANCE_NS,
    Advance,
    ClockReading,
    Cover,
    Period,
    Position,
    advance,
    cut,
    hour_of,
)

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND + 123_456_789
INSTANTS = st.integers(0, 4_102_444_800 * SECOND)


@dataclass(frozen=True)
class Move:
    """What happens between two readings: time passes in each way, and the wall clock is set."""

    ran_ns: int = 0
    slept_ns: int = 0
    down_ns: int | None = None
    step_ns: int = 0
    present: bool = True


HOUR_STEPS = st.sampled_from([0, 0, NS_PER_HOUR, -NS_PER_HOUR, 37 * SECOND, -1, 1])
MOVES = st.builds(
    Move,
    ran_ns=st.integers(0, 3 * NS_PER_HOUR),
    slept_ns=st.one_of(
        st.just(0), st.integers(0, 2 * SUSPEND_TOLERANCE_NS), st.integers(0, 20 * NS_PER_HOUR)
    ),
    down_ns=st.one_of(st.none(), st.none(), st.integers(0, 50 * NS_PER_HOUR)),
    step_ns=st.one_of(
        HOUR_STEPS, st.integers(-2 * STEP_TOLERANCE_NS, 2 * STEP_TOLERANCE_NS), INSTANTS
    ),
    present=st.booleans(),
)


def after(clock: ClockReading, move: Move) -> ClockReading:
    """The clocks after a move; down time is seen by the wall clock alone."""
    wall = clock.wall_ns + move.ran_ns + move.slept_ns + move.step_ns + (move.down_ns or 0)
    if move.down_ns is not None:
        return ClockReading(wall, move.ran_ns, move.ran_ns, clock.boot_id + "'")
    return ClockReading(
        wall,
        clock.mono_ns + move.ran_ns,
        clock.boot_ns + move.ran_ns + move.slept_ns,
        clock.boot_id,
    )


def lengths(found: Advance) -> dict[Cover, int]:
    """Nanoseconds by what is known of them."""
    sums: dict[Cover, int] = {}
    for each in found.intervals:
        sums[each.cover] = sums.get(each.cover, 0) + each.period.duration_ns
    return sums


@given(st.lists(MOVES, max_size=12))
def test_durations_follow_the_monotonic_clock(moves: list[Move]) -> None:
    """Whatever the wall clock is set to: what ran is billed, once, and nothing else is."""
    clock = ClockReading(START, 5 * SECOND, 7 * SECOND, "a")
    position = advance(None, clock, present=True).position
    for move in moves:
        clock = after(clock, move)
        found = advance(position, clock, present=move.present)
        if move.down_ns is None:
            slept = move.slept_ns if move.slept_ns > SUSPEND_TOLERANCE_NS else 0
            cover = Cover.METERED if move.present else Cover.AWAY
            expected = {cover: move.ran_ns, Cover.SUSPENDED: slept}
        else:
            expected = {Cover.REBOOTED: max(0, clock.wall_ns - position.at_ns)}
        assert lengths(found) == {
            cover: ns for cover, ns in expected.items() if ns or cover is Cover.REBOOTED
        }
        assert_joined(found, position, clock)
        position = found.position


def assert_joined(found: Advance, before: Position, clock: ClockReading) -> None:
    """Intervals join up and end at the new position, near the wall clock or where time stood."""
    edges = [each.period for each in found.intervals]
    for earlier, later in itertools.pairwise(edges):
        assert earlier.end_ns == later.start_ns
    assert found.position.clock == clock
    if edges:
        assert edges[-1].end_ns == found.position.at_ns
        if not found.step_ns:
            assert edges[0].start_ns == before.at_ns
    if not found.step_ns and before.clock.boot_id == clock.boot_id:
        assert abs(found.position.at_ns - clock.wall_ns) <= STEP_TOLERANCE_NS
    elif before.clock.boot_id == clock.boot_id:
        assert found.position.at_ns == clock.wall_ns


def test_the_first_reading_bills_nothing() -> None:
    """There is nothing it could be compared with."""
    clock = ClockReading(START, 5, 5, "a")
    assert advance(None, clock, present=False) == Advance(Position(START, clock), ())


@pytest.mark.parametrize("step", [NS_PER_HOUR, -NS_PER_HOUR])
def test_a_clock_set_by_an_hour_moves_periods_and_stretches_none(step: int) -> None:
    """An hour forward or back costs five seconds, which is what passed."""
    position = Position(START, ClockReading(START, 0, 0, "a"))
    found = advance(
        position,
        ClockReading(START + step + 5 * SECOND, 5 * SECOND, 5 * SECOND, "a"),
        present=True,
    )
    (interval,) = found.intervals
    assert interval.period == Period(START + step, START + step + 5 * SECOND)
    assert found.step_ns == step


def test_a_slewed_clock_is_followed_without_a_step() -> None:
    """Each tick's small difference is kept until it is worth a step: nothing is lost meanwhile."""
    position, mono, wall = Position(START, ClockReading(START, 0, 0, "a")), 0, START
    billed, steps = 0, 0
    for _ in range(1000):
        mono += 5 * SECOND
        wall += 5 * SECOND + 2_500_000  # 500 ppm, the most that adjtime does
        found = advance(position, ClockReading(wall, mono, mono, "a"), present=True)
        billed += sum(each.period.duration_ns for each in found.intervals)
        steps += bool(found.step_ns)
        position = found.position
    assert billed == mono
    assert 0 < steps < 10


def test_a_monotonic_clock_that_goes_back_yields_nothing_negative() -> None:
    """A ledger restored from a later instant of the same boot."""
    position = Position(START, ClockReading(START, 100 * SECOND, 100 * SECOND, "a"))
    found = advance(position, ClockReading(START - 50 * SECOND, 50, 50, "a"), present=True)
    assert found.intervals == ()
    assert found.position.at_ns == START - 50 * SECOND


def test_a_wall_clock_that_went_back_over_a_reboot_leaves_time_where_it_stood() -> None:
    """A host without a battery for its clock."""
    position = Position(START, ClockReading(START, 9, 9, "a"))
    found = advance(position, ClockReading(17, 1, 1, "b"), present=False)
    assert [each.cover for each in found.intervals] == [Cover.REBOOTED]
    assert lengths(found) == {Cover.REBOOTED: 0}
    assert found.position == Position(START, ClockReading(17, 1, 1, "b"))


def test_a_suspend_comes_before_what_ran_since() -> None:
    """The host slept an hour, and two seconds of the tick were awake."""
    position = Position(START, ClockReading(START, 0, 0, "a"))
    awake = 2 * SECOND
    clock = ClockReading(START + NS_PER_HOUR + awake, awake, NS_PER_HOUR + awake, "a")
    found = advance(position, clock, present=True)
    assert [(each.cover, each.period.duration_ns) for each in found.intervals] == [
        (Cover.SUSPENDED, NS_PER_HOUR),
        (Cover.METERED, awake),
    ]


@given(INSTANTS, st.integers(0, 30 * NS_PER_HOUR), st.lists(st.integers(-10, 31 * NS_PER_HOUR)))
def test_parts_join_up_and_none_crosses_an_hour_or_an_instant(
    start: int, length: int, offsets: list[int]
) -> None:
    """The parts are the period again, whatever it is cut at."""
    period, instants = Period(start, start + length), tuple(start + each for each in offsets)
    parts = cut(period, instants)
    assert sum(part.duration_ns for part in parts) == length
    assert all(part.duration_ns for part in parts)
    for earlier, later in itertools.pairwise(parts):
        assert earlier.end_ns == later.start_ns
        assert later.start_ns in instants or later.start_ns % NS_PER_HOUR == 0
    if parts:
        assert (parts[0].start_ns, parts[-1].end_ns) == (start, start + length)
    for part in parts:
        assert hour_of(part.start_ns) == hour_of(part.end_ns - 1)
        assert not any(part.start_ns < at < part.end_ns for at in instants)


def test_a_period_does_not_end_before_it_starts() -> None:
    """Negative time cannot even be written down."""
    with pytest.raises(ValueError, match="ends before it starts"):
        Period(2, 1)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_what_is_within_the_tolerance_did_not_happen(extra: int) -> None:
    """A suspend or a step of just that length is noise; one of a nanosecond more is none."""
    position = Position(START, ClockReading(START, 0, 0, "boot"))
    slept = SUSPEND_TOLERANCE_NS + extra
    found = advance(position, ClockReading(START + slept, 0, slept, "boot"), present=True)
    assert lengths(found) == ({Cover.SUSPENDED: slept} if extra > 0 else {})
    step = STEP_TOLERANCE_NS + extra
    for sign in (1, -1):
        clock = ClockReading(START + SECOND + sign * step, SECOND, SECOND, "boot")
        found = advance(position, clock, present=True)
        assert found.step_ns == (sign * step if extra > 0 else 0)
        assert lengths(found) == {Cover.METERED: SECOND}
