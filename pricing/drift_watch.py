"""Watching for drift: which factor is out of its own scatter, since when, and when it is over.

Judged are the factors, not the total, which load alone moves. Each has a threshold from how far it
used to be off its baseline (docs/drift.md has what that finds and misses, measured).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from unitcost.pricing.drift import Drift, Factor, Sums, drift, together
from unitcost.pricing.money import PICO

WEEKS = 4
SLOTS_PER_HOUR = 12
DAY_SLOTS = 24 * SLOTS_PER_HOUR
WEEK_SLOTS = 7 * DAY_SLOTS


@dataclass(frozen=True, slots=True)
class Limit:
    """When a factor is out of its scatter.

    `floor`, `guess` and all that is compared with them are natural logarithms of ratios. `slots`:
    the long window; `short`: the window at its end that must agree. `guess` is what the scatter is
    taken for before it was seen; `counted`: it falls with the square root of the requests seen.
    """

    floor: float
    guess: float
    slots: int = 5
    short: int = 2
    counted: bool = True
    follows: bool = True


def default_limits() -> Mapping[Factor, Limit]:
    """Limits for slots of five minutes."""
    hour = SLOTS_PER_HOUR
    return MappingProxyType(
        {
            Factor.PRICE: Limit(0.05, 0.005, counted=False, follows=False),
            Factor.MIX: Limit(0.08, 0.05),
            Factor.FAILURES: Limit(0.05, 0.02, follows=False),
            Factor.LOADING: Limit(0.10, 0.05, slots=hour, short=3, counted=False),
            Factor.IDLE: Limit(0.35, 0.10, slots=hour, short=4, counted=False),
            Factor.SPEED: Limit(0.08, 0.03),
        }
    )


@dataclass(frozen=True, slots=True)
class WatchRules:
    """`sigmas` of its own scatter are out of it; less than `least_requests` prove nothing.

    `least_pico_per_day`: what is not worth it. `calm_slots`: so long it must be back before it is
    over. `memory_slots`: over how much time scatter is learnt, and `slow_slots` over how much a
    factor is followed that moves with the day. `learnt_slots`: so much must have been seen at all.
    """

    limits: Mapping[Factor, Limit]
    sigmas: float = 4.0
    least_requests: int = 100
    least_pico_per_day: int = PICO
    calm_slots: int = 3
    memory_slots: int = WEEK_SLOTS
    slow_slots: int = 6 * SLOTS_PER_HOUR
    learnt_slots: int = DAY_SLOTS // 2


@dataclass(frozen=True, slots=True)
class Watched:
    """What is remembered of one factor.

    `square`: the mean square of how far it was off, over `seen` slots; `level`: where it moved with
    the day. `since`: the slot from which on it has been out of it, None while it is not; `calm`: so
    many slots it has been back since.
    """

    square: float = 0.0
    seen: int = 0
    level: float = 0.0
    since: int | None = None
    calm: int = 0


Memory = Mapping[Factor, Watched]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a slot came to: the drift over the hour, and what is remembered; `raised` is out now.

    `pico_per_day`: what the hour's difference to the baseline comes to in a day, below zero where
    a request became cheaper.
    """

    drift: Drift | None
    memory: Memory
    raised: tuple[Factor, ...] = ()
    pico_per_day: float = 0.0


def baseline_slots(slot: int, slots: int, weeks_known: int) -> list[tuple[int, int]]:
    """Which slots, ends excluded, the last `slots` up to `slot` (included) are compared with.

    The hour around the same time of past weeks where there is a whole week, else of yesterday.
    """
    first = slot + 1 - (slots + SLOTS_PER_HOUR) // 2
    end = first + SLOTS_PER_HOUR
    if weeks_known == 0:
        return [(first - DAY_SLOTS, end - DAY_SLOTS)]
    back = [week * WEEK_SLOTS for week in range(1, min(weeks_known, WEEKS) + 1)]
    return [(first - far, end - far) for far in back]


def watch(
    rules: WatchRules,
    memory: Memory,
    slot: int,
    recent: Sequence[Sums],
    baseline: Callable[[int], Sums],
) -> Verdict:
    """Judge the slot that just ended: `recent` are the last ones, it included, oldest first.

    `baseline` gives what a stretch of so many slots that ends now is compared with.
    """
    hour = together(recent[-SLOTS_PER_HOUR:])
    whole = drift(hour, baseline(SLOTS_PER_HOUR))
    per_day = hour.succeeded / 10**6 * DAY_SLOTS / len(recent[-SLOTS_PER_HOUR:])
    after = dict(memory)
    for factor, limit in rules.limits.items():
        now, brief = together(recent[-limit.slots :]), together(recent[-limit.short :])
        if brief.attempted < rules.least_requests * 10**6 and limit.counted:
            continue
        then = baseline(limit.slots)
        long, short = drift(now, then), drift(brief, then)
        if long is None or short is None or whole is None:
            continue
        off = math.log(long.factors[factor]), math.log(short.factors[factor])
        known = memory.get(factor, Watched())
        after[factor] = _step(rules, limit, known, off, now.attempted / 10**6)
        if after[factor].since is not None and known.since is None:
            stake = long.pico_per_unit(factor) * per_day
            since = slot - limit.slots + 1 if stake >= rules.least_pico_per_day else None
            after[factor] = replace(after[factor], since=since)
    raised = tuple(each for each in rules.limits if after.get(each, Watched()).since is not None)
    difference = (whole.unit_pico - whole.baseline_pico) * per_day if whole else 0.0
    return Verdict(whole, MappingProxyType(after), raised, difference)


def _step(
    rules: WatchRules,
    limit: Limit,
    known: Watched,
    off: tuple[float, float],
    requests: float,
) -> Watched:
    """One factor one slot on; `since` is 0 where it was not out before and is now."""
    scale = math.sqrt(max(requests, 1.0)) if limit.counted else 1.0
    long, short = off[0] - known.level, off[1] - known.level
    guessed = limit.guess * (math.sqrt(rules.least_requests * 5) if limit.counted else 1.0)
    count = known.seen + SLOTS_PER_HOUR
    scatter = math.sqrt((known.square * known.seen + guessed**2 * SLOTS_PER_HOUR) / count) / scale
    bound = max(limit.floor, rules.sigmas * scatter)
    if known.since is not None:
        calm = known.calm + 1 if long < bound / 2 else 0
        over = calm >= rules.calm_slots
        return replace(known, calm=0 if over else calm, since=None if over else known.since)
    if long >= bound and short >= bound / 2 and known.seen >= rules.learnt_slots:
        return replace(known, since=0, calm=0)
    return _learnt(rules, limit, known, off[0], long * scale)


def _learnt(rules: WatchRules, limit: Limit, known: Watched, off: float, scaled: float) -> Watched:
    """What is remembered after a slot that was not out of it; one wild slot does not count more."""
    seen = min(known.seen + 1, rules.memory_slots)
    square = known.square + (scaled**2 - known.square) / seen
    level = known.level
    if limit.follows:
        level += (off - level) / min(seen, rules.slow_slots)
    return replace(known, square=square, seen=seen, level=level)
