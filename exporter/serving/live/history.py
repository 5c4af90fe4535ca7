"""The last hour, as the live page shows it: what was charged, and what units cost then.

Bounded; what was charged also lies in the ledger, so that a start goes on from there. It costs a
few microseconds a tick, and one pass over the counters every half minute.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.batch import CounterKey, Moment
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, UNMETERED

COST = "unitcost_cost_usd_total"
HELD = "unitcost_held_seconds_total"
REQUESTS = "unitcost_requests_total"
INFO = "unitcost_workload_info"
RATED = (COST, HELD, REQUESTS, INFO)
UNPRICED = "unitcost_resource_unpriced"
UNIT_COSTS = (
    "unitcost_request_cost_usd",
    "unitcost_token_cost_usd",
    "unitcost_step_cost_usd",
    "unitcost_sample_cost_usd",
    "unitcost_epoch_cost_usd",
)

GROUPS = ("active", "idle", "loading", "unallocated", "system", "unmetered")
"""Into what the host's cost is told apart: the states of workloads, and what is nobody's."""
_NOBODYS = {UNALLOCATED: "unallocated", SYSTEM: "system", UNMETERED: "unmetered"}

SPAN_NS = 3600 * NS_PER_SECOND
MOMENT_NS = 30 * NS_PER_SECOND
"""Moments lie so far apart once there are many; before that, as near as ticks."""
MAX_MOMENTS = 135
RATE_NS = 60 * NS_PER_SECOND
"""Over about how long the present rates are taken."""
BASE_NS = 15 * NS_PER_SECOND
MARK_NS = 600 * NS_PER_SECOND
_EARLY = 0.9
"""A tick that comes this early counts as in time."""

Points = Mapping[str, Sequence[Point]]


def group_of(workload: str, state: str) -> str:
    """Which of `GROUPS` a cost series belongs to."""
    return _NOBODYS.get(workload, state)


@dataclass(frozen=True, slots=True)
class Then:
    """Some points as they were at an earlier instant (accounting time).

    `priced`: whether any price held then.
    """

    at_ns: int
    points: Points
    priced: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the time before `at_ns`, up to where everything is charged.

    `bases`: instants of the last minute to take rates from, oldest first. `hour_ago`: the unit
    costs of about an hour before; None where nobody was looking then.
    """

    at_ns: int = 0
    priced: bool = False
    moments: tuple[Moment, ...] = ()
    bases: tuple[Then, ...] = ()
    hour_ago: Then | None = None


class History:
    """Takes in committed ticks. For one thread; what `past` gives may be read by any.

    `time_scale` divides all its lengths, as it does every other window.
    """

    def __init__(self, time_scale: float = 1.0) -> None:
        self._span, self._full, self._rate, self._gap, self._mark = (
            round(length / time_scale) for length in (SPAN_NS, MOMENT_NS, RATE_NS, BASE_NS, MARK_NS)
        )
        self._step = 0
        self._moments: list[Moment] = []
        self._bases: deque[Then] = deque()
        self._marks: deque[Then] = deque()
        self._past = Past()

    def past(self) -> Past:
        """What is known now."""
        return self._past

    def resume(self, moments: Sequence[Moment]) -> None:
        """Go on from what a ledger holds, oldest first, unless something is known already."""
        for moment in moments if not self._moments else ():
            if len(moment.pico) != len(GROUPS):  # of another version
                continue
            if not self._moments or _due(self._moments[-1].at_ns, moment.at_ns, self._full):
                self._moments.append(moment)
        if self._moments:
            self._step = self._full
            del self._moments[:-MAX_MOMENTS]

    def note(self, at_ns: int, counters: Mapping[CounterKey, int], points: Points) -> Moment | None:
        """A tick was committed: everything up to `at_ns` is charged. Returns what to remember.

        `counters`: all of them, those of retired workloads too, which `points` lack. A clock that
        was set back, or totals that fell, begin the history anew.
        """
        if self._moments and at_ns <= self._moments[-1].at_ns:
            self._forget()
        priced = any(not unpriced for _, unpriced in points.get(UNPRICED, ()))
        moment = None
        if not self._moments or _due(self._moments[-1].at_ns, at_ns, self._step):
            moment = Moment(at_ns, _by_group(counters), priced)
            self._add_moment(moment)
        if not self._bases or _due(self._bases[-1].at_ns, at_ns, self._gap):
            self._bases.append(Then(at_ns, _some(points, RATED), priced))
        while len(self._bases) > 1 and self._bases[1].at_ns <= at_ns - self._rate:
            self._bases.popleft()
        if not self._marks or _due(self._marks[-1].at_ns, at_ns, self._mark):
            self._marks.append(Then(at_ns, _some(points, UNIT_COSTS), priced))
        while self._marks[0].at_ns < at_ns - self._span - self._mark:
            self._marks.popleft()
        bases = tuple(each for each in self._bases if each.at_ns < at_ns)
        self._past = Past(at_ns, priced, tuple(self._moments), bases, self._hour_ago(at_ns))
        return moment

    def _forget(self) -> None:
        self._moments.clear()
        self._bases.clear()
        self._marks.clear()
        self._step = 0

    def _add_moment(self, moment: Moment) -> None:
        if self._moments and sum(moment.pico) < sum(self._moments[-1].pico):
            self._forget()
        moments = self._moments
        moments.append(moment)
        del moments[: max(0, bisect_right(moments, moment.at_ns - self._span, key=_at) - 1)]
        if len(moments) > MAX_MOMENTS:
            if self._step < self._full:
                spacing = (moments[-1].at_ns - moments[0].at_ns) // (len(moments) - 1)
                self._step = min(self._full, 2 * spacing)
                del moments[1:-1:2]
            else:
                del moments[0]

    def _hour_ago(self, now_ns: int) -> Then | None:
        """The mark nearest to an hour ago, if it is within half of their distance of it."""
        wanted = now_ns - self._span
        near = min(self._marks, key=lambda each: abs(each.at_ns - wanted))
        return near if abs(near.at_ns - wanted) <= self._mark // 2 else None


def _at(moment: Moment) -> int:
    return moment.at_ns


def _due(last_ns: int, now_ns: int, step_ns: int) -> bool:
    return now_ns - last_ns >= step_ns * _EARLY


def _by_group(counters: Mapping[CounterKey, int]) -> tuple[int, ...]:
    sums: dict[str, int] = {}
    for (metric, labels), pico in counters.items():
        if metric == COST:
            group = group_of(labels[0], labels[-1])
            sums[group] = sums.get(group, 0) + pico
    return tuple(sums.get(group, 0) for group in GROUPS)


def _some(points: Points, names: Sequence[str]) -> Points:
    return {name: tuple(points.get(name, ())) for name in names}
