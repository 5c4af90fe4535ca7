"""The meter: from readings of cumulative counters to usage; never negative, never counted twice."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Event(StrEnum):
    """What the meter saw in a reading."""

    COUNTED = "counted"
    FIRST = "first"  # first sight: a baseline, nothing counted
    BORN = "born"  # first sight of a counter proven to start at zero inside metered time
    RESET = "reset"  # the counter started anew; what it shows was counted since
    WRAP = "wrap"  # the counter reached its largest value and went on from zero
    DUPLICATE = "duplicate"  # the same instant again
    DISORDER = "disorder"  # an instant before the last one
    JUNK = "junk"  # negative, not finite, or a leap that nothing can do


MAX_USAGE = 10**12 * 10**6
"""More than this (in millionths) between two readings is a broken counter: 10**12 tokens."""


@dataclass(frozen=True, slots=True)
class Point:
    """The last reading of one counter: its value in millionths, and when."""

    micro: int
    mono_ns: int
    generation: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used over [start, end) on the monotonic clock, in millionths; never negative."""

    micro: int
    start_ns: int
    end_ns: int
    event: Event


def to_micro(value: float) -> int:
    """A reading in whole millionths of its unit; exact for whole numbers below 2**53."""
    return (
        round(value * 10**6)
        if isinstance(value, float) and not value.is_integer()
        else int(value) * 10**6
    )


def read_counter(
    last: Point | None,
    value: float,
    mono_ns: int,
    *,
    generation: str = "",
    born: bool = False,
    wraps_at: float | None = None,
    derived: bool = False,
) -> tuple[Point | None, Usage]:
    """Take one reading of a counter; returns the new point and what it adds.

    `born`: the counter is known to have stood at zero inside metered time (or when its subject
    last answered), so its first value counts whole. A lower value than before is a wrap if
    `wraps_at` is given and less than half the range went by, else a reset, after which the value
    counts from zero. Another `generation` is a reset even if the value is higher. `derived`: it is
    a difference of two counters read at different instants, which falls a little now and then: only
    a fall to less than half is a reset, else it stays where it was. Readings out of order, twice,
    negative, not finite or leaping by more than `MAX_USAGE` add nothing.
    """
    if not 0 <= value < float("inf"):
        return last, Usage(0, mono_ns, mono_ns, Event.JUNK)
    point = Point(to_micro(value), mono_ns, generation)
    if derived and last is not None and _fell_a_little(last, point):
        point = replace(point, micro=last.micro)
    if last is None:
        added, event = (point.micro, Event.BORN) if born else (0, Event.FIRST)
        usage = Usage(added, mono_ns, mono_ns, event)
    elif mono_ns <= last.mono_ns:
        event = Event.DUPLICATE if mono_ns == last.mono_ns else Event.DISORDER
        return last, Usage(0, last.mono_ns, last.mono_ns, event)
    else:
        usage = _between(last, point, wraps_at)
    if usage.micro > MAX_USAGE:
        return last, Usage(0, mono_ns, mono_ns, Event.JUNK)
    return point, usage


def _fell_a_little(last: Point, point: Point) -> bool:
    same = point.generation == last.generation
    return same and point.micro < last.micro <= 2 * point.micro


def _between(last: Point, point: Point, wraps_at: float | None) -> Usage:
    """The usage between two points in order."""
    micro, event = point.micro, Event.RESET
    if point.generation == last.generation:
        if point.micro >= last.micro:
            micro, event = point.micro - last.micro, Event.COUNTED
        elif wraps_at is not None:
            wrapped = to_micro(wraps_at) - last.micro + point.micro
            if 0 <= wrapped < to_micro(wraps_at) // 2:
                micro, event = wrapped, Event.WRAP
    return Usage(micro, last.mono_ns, point.mono_ns, event)
