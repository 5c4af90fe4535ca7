"""Accounting time: from clock readings to half-open periods that are charged exactly once.

Durations come from the monotonic clock, so a wall clock that is set forward or back can neither
bill an hour that did not pass nor lose one that did; the wall clock only says where a period lies.
"""

import itertools
from dataclasses import dataclass
from enum import StrEnum

from unitcost.pricing.sample import NS_PER_SECOND

STEP_TOLERANCE_NS = NS_PER_SECOND // 2
"""A wall clock further than this from where it should be was set, not merely slewed."""
SUSPEND_TOLERANCE_NS = NS_PER_SECOND // 10
"""BOOTTIME minus MONOTONIC grows by more than this only in a suspend."""
NS_PER_HOUR = 3600 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class ClockReading:
    """All clocks at one instant, in nanoseconds; `boot_ns` is CLOCK_BOOTTIME (counts suspends)."""

    wall_ns: int
    mono_ns: int
    boot_ns: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) in accounting nanoseconds (Unix time). Raises ValueError if end < start."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ValueError(f"period ends before it starts: {self.start_ns}..{self.end_ns}")

    @property
    def duration_ns(self) -> int:
        """Its length in nanoseconds."""
        return self.end_ns - self.start_ns


class Cover(StrEnum):
    """What we know of an interval."""

    METERED = "metered"  # we were there
    AWAY = "away"  # the host ran, the exporter did not
    SUSPENDED = "suspended"  # the host slept
    REBOOTED = "rebooted"  # the host went down and came back


@dataclass(frozen=True, slots=True)
class Interval:
    """A period and what we know of it."""

    cover: Cover
    period: Period


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where time is accounted for (`at_ns`), and the clocks at that instant."""

    at_ns: int
    clock: ClockReading


@dataclass(frozen=True, slots=True)
class Advance:
    """The new position, the intervals that lead there (in order), and the clock's step if any."""

    position: Position
    intervals: tuple[Interval, ...]
    step_ns: int = 0


def advance(position: Position | None, clock: ClockReading, *, present: bool) -> Advance:
    """Account for the time from `position` to `clock`.

    `present`: whether the exporter has run since `position` (False for its first tick after a
    start). The first reading ever yields no interval. Time never runs backwards: a monotonic
    clock that did (a restored ledger) yields none either, and a reboot one that may be empty.
    """
    if position is None:
        return Advance(Position(clock.wall_ns, clock), ())
    if clock.boot_id != position.clock.boot_id:
        return _after_reboot(position, clock)
    ran = max(0, clock.mono_ns - position.clock.mono_ns)
    slept = max(0, (clock.boot_ns - position.clock.boot_ns) - ran)
    if slept <= SUSPEND_TOLERANCE_NS:
        slept = 0
    start, step = _place(position.at_ns, ran + slept, clock.wall_ns)
    middle, end = start + slept, start + slept + ran
    intervals = (
        Interval(Cover.SUSPENDED, Period(start, middle)),
        Interval(Cover.METERED if present else Cover.AWAY, Period(middle, end)),
    )
    kept = tuple(interval for interval in intervals if interval.period.duration_ns)
    return Advance(Position(end, clock), kept, step)


def _after_reboot(position: Position, clock: ClockReading) -> Advance:
    """Only the wall clock spans a reboot; one that went back leaves an empty interval.

    It is there all the same: whoever held something before does not any more.
    """
    end = max(position.at_ns, clock.wall_ns)
    interval = Interval(Cover.REBOOTED, Period(position.at_ns, end))
    return Advance(Position(end, clock), (interval,))


def _place(expected_start_ns: int, duration_ns: int, wall_ns: int) -> tuple[int, int]:
    """Where a period of `duration_ns` that ends now starts, and by how much the clock was set."""
    step = wall_ns - (expected_start_ns + duration_ns)
    if abs(step) <= STEP_TOLERANCE_NS:
        return expected_start_ns, 0
    return wall_ns - duration_ns, step


def hour_of(instant_ns: int) -> int:
    """The clock hour an instant lies in, as whole hours since the Unix epoch (UTC)."""
    return instant_ns // NS_PER_HOUR


def cut(period: Period, instants: tuple[int, ...] = ()) -> list[Period]:
    """Cut a period at every clock hour and at the instants given; the parts join up exactly."""
    inner = {
        hour * NS_PER_HOUR
        for hour in range(hour_of(period.start_ns) + 1, hour_of(period.end_ns) + 1)
    }
    inner.update(instants)
    bounds = sorted(at for at in inner if period.start_ns < at < period.end_ns)
    edges = [period.start_ns, *bounds, period.end_ns]
    return [Period(a, b) for a, b in itertools.pairwise(edges) if b > a]
