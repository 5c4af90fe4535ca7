"""How well drifts are found, and how often there is an alarm about nothing.

Run: python bench/drift.py [DRIFTS [FACTOR or clean] ...]. Beside it the two plain rules of the
field on the same data: a fixed threshold on the cost of a request, and 20 % above its own trailing
hour.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from drift_world import Change, Floats, Server, sizes, weeks_of

from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import (
    DAY_SLOTS,
    SLOTS_PER_HOUR,
    WEEK_SLOTS,
    Memory,
    Verdict,
    WatchRules,
    baseline_slots,
    default_limits,
    watch,
)

SERVERS = [Server(requests, busy) for requests in (84, 170, 400) for busy in (0.3, 0.45, 0.6)]
"""84 requests in the quietest five minutes are 504 in thirty."""
WEEKS = 4
MINUTES = 5
STEPS = (("price", 1.2), ("mix", 1.2), ("failures", 1.2), ("speed", 1.2))
OTHERS = (
    *((name, 1.1, 0) for name, _ in STEPS),
    *((name, 1.5, 0) for name, _ in STEPS),
    *((name, 1.5, DAY_SLOTS) for name, _ in STEPS),
)


@dataclass
class History:
    """Slots, and their sums from the first on, so that any stretch is a difference."""

    slots: Sequence[Sums]
    up_to: list[Sums] = field(default_factory=lambda: [Sums()])

    def __post_init__(self) -> None:
        for each in self.slots:
            self.up_to.append(self.up_to[-1].plus(each))

    def baseline(self, slot: int, length: int) -> Sums:
        """What the exporter would read from its ledger."""
        whole = Sums()
        for first, end in baseline_slots(slot, length, (slot - DAY_SLOTS // 2) // WEEK_SLOTS):
            whole = whole.plus(self.up_to[end].minus(self.up_to[first]))
        return whole


@dataclass(frozen=True)
class Alarm:
    """A slot in which something was out of its scatter that was not in the one before."""

    slot: int
    named: Factor | None


def alarms(history: History, first: int, end: int) -> Iterator[Alarm]:
    """What the watch says, slot by slot."""
    rules = WatchRules(default_limits())
    memory: Memory = {}
    before: frozenset[Factor] = frozenset()
    for slot in range(max(first, DAY_SLOTS + SLOTS_PER_HOUR), end):
        recent = history.slots[slot - SLOTS_PER_HOUR + 1 : slot + 1]
        verdict = watch(rules, memory, slot, recent, partial(history.baseline, slot))
        memory, now = verdict.memory, frozenset(verdict.raised)
        if now - before:
            yield Alarm(slot, _named(verdict))
        before = now


def _named(verdict: Verdict) -> Factor | None:
    """Of those that are out, the one that costs most."""
    found = verdict.drift
    if found is None:
        return None
    return max(verdict.raised, key=found.pico_per_unit)


def plain(history: History, first: int, end: int, limit: float) -> tuple[list[int], list[int]]:
    """Slots at which a fixed threshold, and a trailing hour, begin to alarm."""
    fixed, trailing = [], []
    was = [False, False]
    for slot in range(first, end):
        cost = _unit(history, slot + 1 - 5, slot + 1)
        hour = _unit(history, slot + 1 - 5 - SLOTS_PER_HOUR, slot + 1 - 5)
        now = [cost > limit, cost > 1.2 * hour]
        if now[0] and not was[0]:
            fixed.append(slot)
        if now[1] and not was[1]:
            trailing.append(slot)
        was = now
    return fixed, trailing


def _unit(history: History, first: int, end: int) -> float:
    part = history.up_to[end].minus(history.up_to[first])
    return part.cost / max(part.succeeded, 1)


@dataclass
class Result:
    """What came of one kind of drift."""

    tries: int = 0
    in_time: int = 0
    found: int = 0
    right: int = 0
    minutes: list[int] = field(default_factory=list)
    plain: Counter[str] = field(default_factory=Counter)


def expected(name: str) -> Factor:
    """The factor that should be named."""
    return Factor.IDLE if name == "load" else Factor(name)


def changed(name: str, size: float, server: Server, rng: np.random.Generator, ramp: int) -> Change:
    """A change at some time of the fourth week; for `idle` and `load`, that share doubles."""
    at = 3 * WEEK_SLOTS + int(rng.integers(DAY_SLOTS, 5 * DAY_SLOTS))
    if name in ("idle", "load"):
        size = server.busy / (1 - min(2 * (1 - server.busy), 0.9))
    return Change(name, at, size, ramp)


def try_one(
    rng: np.random.Generator,
    tokens: tuple[Floats, Floats],
    server: Server,
    change: Change,
    limit_minutes: int,
    result: Result,
) -> None:
    """Put one drift into four weeks, and see what is said of it within half a day of its end."""
    history = History(weeks_of(rng, server, tokens, WEEKS, change))
    end = min(change.at + change.ramp + DAY_SLOTS // 2, len(history.slots))
    said = [each for each in alarms(history, 2 * WEEK_SLOTS, end) if each.slot >= change.at]
    result.tries += 1
    if said:
        minutes = (said[0].slot - change.at + 1) * MINUTES
        result.found += 1
        result.minutes.append(minutes)
        result.in_time += minutes <= limit_minutes
        result.right += said[0].named is expected(change.factor)
    usual = _unit(history, 2 * WEEK_SLOTS, 3 * WEEK_SLOTS)
    soon = change.at + limit_minutes // MINUTES
    fixed, trailing = plain(history, change.at, soon, 1.5 * usual)
    result.plain["fixed"] += bool(fixed)
    result.plain["trailing"] += bool(trailing)


def report(name: str, size: str, result: Result, goal: str) -> None:
    """One line."""
    wait = sorted(result.minutes)
    middle = f"{wait[len(wait) // 2]} min, at most {wait[-1]}" if wait else "-"
    print(
        f"{name:9} {size:12} in time {result.in_time}/{result.tries} ({goal}), "
        f"found {result.found}, right factor {result.right}/{result.found}, {middle}; "
        f"fixed {result.plain['fixed']}, trailing hour {result.plain['trailing']}"
    )


def clean(rng: np.random.Generator, tokens: tuple[Floats, Floats], weeks: int) -> None:
    """Weeks in which nothing happens."""
    counts: Counter[str] = Counter()
    seen = 0
    for index in range(max(1, weeks // 3)):
        server = SERVERS[index % len(SERVERS)]
        history = History(weeks_of(rng, server, tokens, WEEKS))
        end = len(history.slots)
        said = [each for each in alarms(history, 0, end) if each.slot >= WEEK_SLOTS]
        counts.update(str(each.named) for each in said)
        counts["all"] += len(said)
        usual = _unit(history, 0, WEEK_SLOTS)
        fixed, trailing = plain(history, WEEK_SLOTS, end, 1.5 * usual)
        counts["fixed"] += len(fixed)
        counts["trailing"] += len(trailing)
        seen += WEEKS - 1
    by = {name: n for name, n in counts.items() if name not in ("all", "fixed", "trailing")}
    print(f"{seen} clean workload-weeks: {counts['all'] / seen:.3f} false alarms a week {by}; ")
    print(
        f"  fixed threshold {counts['fixed'] / seen:.1f}, trailing hour "
        f"{counts['trailing'] / seen:.1f} a week"
    )


def main() -> int:
    """All of it; 1 if a goal was missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get("UNITCOST_DRIFTS", 200))
    rng = np.random.default_rng(20261126)
    first, second, origin = sizes(rng)
    print(f"request sizes: {origin}")
    each, missed = max(1, count // 6), 0
    kinds = [(*step, 0, 30) for step in STEPS] + [("idle", 2.0, 0, 120), ("load", 2.0, 0, 120)]
    few = max(1, each // 4)
    kinds += [(*other, 30) for other in OTHERS]
    only = sys.argv[2:]
    for index, (name, size, ramp, limit) in enumerate(kinds):
        if only and name not in only:
            continue
        result = Result()
        for number in range(each if index < 6 else few):
            server = SERVERS[number % len(SERVERS)]
            change = changed(name, size, server, rng, ramp)
            try_one(rng, (first, second), server, change, limit, result)
        words = "doubled" if index in (4, 5) else f"{size - 1:+.0%}" + (" in a day" if ramp else "")
        report(name, words, result, "goal 95 %" if index < 6 else "no goal")
        if index < 6:
            missed += result.in_time < 0.95 * result.tries or result.right < 0.95 * result.found
    if not only or "clean" in only:
        clean(rng, (first, second), count)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
