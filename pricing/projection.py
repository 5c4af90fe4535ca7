"""What a training run will have cost when it reaches its goal, and how sure that is.

Cost and progress are taken together in intervals that end where the run is seen to advance. The
rate is their summed cost over their summed units; what a number of future units may cost is a
prediction interval from the spread of the intervals around that rate (`project`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

MAX_INTERVALS = 32
"""As many intervals are merged by two: they are always few, and span all that was measured."""
MIN_INTERVALS = 3
"""With fewer intervals their spread says nothing: no bounds."""
SMALLEST = 1e-6
"""Units; less is no advance."""
FURTHEST = 2.0**53
"""Units; no run goes as far, and no step beyond could be told from the one before."""
MATERIAL = 0.01
"""A price that moves by more than this part of it makes what was measured before worthless."""
_STUDENT_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom."""
LEVEL = 0.9
"""Of this part of all runs the truth lies between the bounds: they are made for 95 %, which would
need costs that are normally distributed. A simulation in the tests holds us to it.
"""


class Progress(StrEnum):
    """What a run's progress is counted in."""

    STEPS = "steps"
    EPOCHS = "epochs"


@dataclass(frozen=True, slots=True)
class Interval:
    """So many units were done for so many pico-dollars."""

    units: float
    pico: int

    def plus(self, other: "Interval") -> "Interval":
        """Both together."""
        return Interval(self.units + other.units, self.pico + other.pico)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run turns money into progress.

    `last`: where the run was last seen to be, and `last_pico` its total when it got there (None
    until it was seen to get somewhere in this attempt). `since` and `since_pico`: where the open
    interval began; None while there is none, as before the first step of an attempt. `size`: how
    many advances make an interval, of which `count` are done. `prices`: pico-dollars an hour of
    the resources that the intervals were charged for.
    """

    unit: Progress
    last: float | None = None
    last_pico: int | None = None
    since: float | None = None
    since_pico: int = 0
    size: int = 1
    count: int = 0
    intervals: tuple[Interval, ...] = ()
    prices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Projection:
    """Pico-dollars of a whole run; bounds are None where nothing tells how sure it is."""

    expected: float
    low: float | None = None
    high: float | None = None


def start(pace: Pace, at: float, total_pico: int) -> Pace:
    """An interval begins where the run is known to stand: its first step was just seen."""
    return replace(pace, last=at, last_pico=total_pico, since=at, since_pico=total_pico, count=0)


def advance(pace: Pace, to: float, total_pico: int) -> Pace:
    """The run has come to `to`, at which it has cost `total_pico`.

    Without an open interval one begins here. At first sight none does: the run may be anywhere
    between this unit and the next.
    """
    if pace.last is None:
        return replace(pace, last=to)
    if to - pace.last < SMALLEST:
        return pace
    if pace.since is None:
        return start(pace, to, total_pico)
    if pace.count + 1 < pace.size:
        return replace(pace, last=to, last_pico=total_pico, count=pace.count + 1)
    done = Interval(to - pace.since, total_pico - pace.since_pico)
    return start(_with(pace, done), to, total_pico)


def _with(pace: Pace, interval: Interval) -> Pace:
    """One interval more; when there are too many, two and two become one."""
    intervals = (*pace.intervals, interval)
    if len(intervals) < MAX_INTERVALS:
        return replace(pace, intervals=intervals)
    pairs = zip(intervals[::2], intervals[1::2], strict=True)
    merged = tuple(first.plus(second) for first, second in pairs)
    return replace(pace, intervals=merged, size=pace.size * 2)


def interrupt(pace: Pace) -> Pace:
    """Some time had no price or nobody metered it: the interval that it is in is dropped."""
    return pace if pace.since is None else replace(pace, since=None, count=0)


def again(pace: Pace, at: float | None) -> Pace:
    """Another attempt goes on from `at`: until it gets somewhere, time counts for no interval."""
    return replace(pace, last=at, last_pico=None, since=None, count=0)


def priced(pace: Pace, prices: Mapping[str, int]) -> Pace:
    """It is charged at these prices now. One that changed: all is measured anew."""
    known = pace.prices
    if any(_moved(known[name], now) for name, now in prices.items() if name in known):
        return Pace(pace.unit, pace.last, pace.last_pico, prices=dict(prices))
    if prices.keys() <= known.keys():
        return pace
    return replace(pace, prices={**prices, **known})


def _moved(before: int, now: int) -> bool:
    return abs(now - before) > MATERIAL * before


def project(pace: Pace, total_pico: int, goal: float) -> Projection | None:
    """What the run will have cost at its goal, in pico-dollars; None without a finished interval.

    What was spent since the last advance already pays for the next one. With at least
    `MIN_INTERVALS` intervals, the bounds are those of a Student-t prediction interval for the sum
    of as many future intervals as the remaining units make, by the residuals of a ratio estimate
    (see `LEVEL`). Never less than the run has cost so far.
    """
    if pace.last is None:
        return None
    remaining = goal - pace.last
    if remaining <= 0:
        return Projection(float(total_pico), float(total_pico), float(total_pico))
    units = math.fsum(each.units for each in pace.intervals)
    if units <= 0:
        return None
    rate = sum(each.pico for each in pace.intervals) / units
    one = units / (len(pace.intervals) * pace.size)
    base = total_pico if pace.last_pico is None else pace.last_pico
    expected = max(base + remaining * rate, total_pico + max(remaining - one, 0.0) * rate)
    if len(pace.intervals) < MIN_INTERVALS:
        return Projection(expected)
    margin = _margin(pace.intervals, rate, remaining / units * len(pace.intervals))
    return Projection(expected, max(float(total_pico), expected - margin), expected + margin)


def _margin(intervals: tuple[Interval, ...], rate: float, future: float) -> float:
    """Half the width of the prediction interval for the sum of `future` more intervals."""
    count = len(intervals)
    squares = math.fsum((each.pico - rate * each.units) ** 2 for each in intervals)
    spread = math.sqrt(squares / (count - 1))
    return _STUDENT_T[count - 2] * spread * math.sqrt(future + future**2 / count)
