"""How well the recording rules find drifts, and how often they are wrong. A model of them in NumPy.

Run: python bench/drift_rules.py [DRIFTS]. The same weeks as bench/drift.py has; what the rules do
is done here slot by slot with their own settings, because four weeks in Prometheus take four weeks.
(tests/dashboards asks a real promtool whether the rules do that.)
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from drift import MINUTES, SERVERS, STEPS, changed
from drift_world import Floats, sizes, weeks_of
from numpy.typing import NDArray

from unitcost.dashboards.names import READY
from unitcost.dashboards.rules.drift import window_seconds
from unitcost.dashboards.rules.drift_states import PACES, Pace, floor_of
from unitcost.dashboards.rules.flows import WEEKS
from unitcost.dashboards.settings import Settings
from unitcost.pricing.drift import Sums
from unitcost.pricing.drift_watch import DAY_SLOTS, WEEK_SLOTS

PLAIN = Settings()
COUNTS = (
    "cost",
    "active",
    "idle",
    "attempted",
    "succeeded",
    "input",
    "output",
    "prefill",
    "decode",
)
JUDGED_EVERY = 36
"""Slots between two looks at the usual scatter, which changes little: three hours."""

Flows = dict[str, Floats]
Flags = NDArray[np.bool_]


def slots_of(seconds: float) -> int:
    """How many slots a duration has."""
    return round(seconds / 60 / MINUTES)


def mean(values: Floats, length: int) -> Floats:
    """The mean of the last slots that are known, at each slot; NaN where none is."""
    known = ~np.isnan(values)
    sums, counts = (
        np.concatenate([[0.0], np.cumsum(each)])
        for each in (np.where(known, values, 0.0), known.astype(float))
    )
    found = np.full(len(values), np.nan)
    counted = counts[length:] - counts[:-length]
    found[length - 1 :] = (sums[length:] - sums[:-length]) / np.where(counted > 0, counted, np.nan)
    return found


def before(values: Floats, slots: int) -> Floats:
    """The same values, later."""
    return np.concatenate([np.full(slots, np.nan), values[: len(values) - slots]])


def baseline(values: Floats) -> Floats:
    """The hour around the same time of past weeks; yesterday while there is none."""
    half = slots_of(PLAIN.baseline_window / 2)
    around = mean(values, 2 * half)
    weeks = np.stack([before(around, k * WEEK_SLOTS - half) for k in range(1, WEEKS + 1)])
    known = (~np.isnan(weeks)).sum(axis=0)
    past = np.nansum(weeks, axis=0) / np.where(known > 0, known, np.nan)
    return np.where(np.isnan(past), before(around, DAY_SLOTS - half), past)


def factors(now: Flows, usual: Flows, window: str) -> Flows:
    """Each factor over a window, against the same window of the baseline."""
    length = slots_of(window_seconds(PLAIN, window))
    per_token = [usual["prefill"] / usual["input"], usual["decode"] / usual["output"]]

    def parts(flows: Flows) -> Flows:
        means = {name: mean(values, length) for name, values in flows.items()}
        work = per_token[0] * means["input"] + per_token[1] * means["output"]
        held = means["active"] + means["idle"]
        return {
            "price": means["cost"] / held,
            "mix": work / means["attempted"],
            "failures": means["attempted"] / means["succeeded"],
            "idle": held / means["active"],
            "speed": means["active"] / work,
            READY: means["cost"] / means["succeeded"],
        }

    one, other = parts(now), parts(usual)
    return {name: one[name] / other[name] for name in one}


def thresholds(judged: Floats, factor: str) -> Floats:
    """From which ratio on it has drifted, by its scatter of a week that ended yesterday."""
    floor = floor_of(PLAIN, factor)
    found = np.full(len(judged), 1 + 2 * floor)
    length = slots_of(PLAIN.scatter_window)
    for slot in range(0, len(judged), JUDGED_EVERY):
        past = judged[max(0, slot - DAY_SLOTS - length) : max(0, slot - DAY_SLOTS)]
        past = past[~np.isnan(past)]
        if len(past) >= DAY_SLOTS / 2:
            low, high = np.quantile(past, [0.16, 0.84])
            moved = np.exp(PLAIN.scatter_factor * np.log(high / low) / 2)
            found[slot : slot + JUDGED_EVERY] = max(moved, 1 + floor)
    return found


@dataclass(frozen=True)
class Alarm:
    """A drift that begins to be told."""

    slot: int
    factor: str


def alarms(slots: Iterable[Sums]) -> list[Alarm]:
    """What the rules would tell of some weeks, in order."""
    listed = list(slots)
    flows = {name: np.array([float(getattr(slot, name)) for slot in listed]) for name in COUNTS}
    # Flows are recorded as rates over as long as a slot is, so each reaches into the one before.
    flows = {name: (each + np.append(each[:1], each[:-1])) / 2 for name, each in flows.items()}
    usual = {name: baseline(each) for name, each in flows.items()}
    found = [alarm for pace in PACES for alarm in _of_pace(flows, usual, pace)]
    return sorted(found, key=lambda each: each.slot)


def _of_pace(flows: Flows, usual: Flows, pace: Pace) -> Iterable[Alarm]:
    short, long = (factors(flows, usual, window) for window in (pace.short, pace.long))
    hours = slots_of(PLAIN.window_6h)
    for factor in pace.factors:
        if factor not in long:  # loading: these servers never load
            continue
        level = np.ones(len(long[factor]))
        if factor in pace.follow:
            length = slots_of(window_seconds(PLAIN, pace.long))
            level = before(mean(long[factor], hours), length)
        limit = thresholds(long[factor] / level, factor)
        moved = np.minimum(short[factor], long[factor]) / level > limit
        yield from _told(moved, long[factor] > np.sqrt(limit), factor)


def _told(moved: Flags, off: Flags, factor: str) -> Iterable[Alarm]:
    told = False
    for slot in range(len(off)):
        was, told = told, bool(off[slot] and (told or moved[slot]))
        if told and not was:
            yield Alarm(slot, factor)


def steps(rng: np.random.Generator, tokens: tuple[Floats, Floats], each: int) -> None:
    """Steps put into the fourth week: in time, and by the right name."""
    kinds = [(*step, 30) for step in STEPS] + [("idle", 2.0, 120), ("load", 2.0, 120)]
    for name, size, limit in kinds:
        minutes, right = [], 0
        for number in range(each):
            server = SERVERS[number % len(SERVERS)]
            change = changed(name, size, server, rng, 0)
            said = [
                alarm
                for alarm in alarms(weeks_of(rng, server, tokens, 4, change))
                if change.at <= alarm.slot < change.at + DAY_SLOTS // 2
            ]
            if said:
                minutes.append((said[0].slot - change.at + 1) * MINUTES)
                right += said[0].factor == ("idle" if name == "load" else name)
        minutes.sort()
        middle = f"{minutes[len(minutes) // 2]} min, at most {minutes[-1]}" if minutes else "-"
        in_time = sum(each <= limit for each in minutes)
        print(f"{name:9} in time {in_time}/{each}, right factor {right}/{len(minutes)}, {middle}")


def clean(rng: np.random.Generator, tokens: tuple[Floats, Floats], weeks: int) -> None:
    """Weeks in which nothing happens."""
    counts: Counter[str] = Counter()
    seen = 0
    for number in range(max(1, weeks // 3)):
        said = alarms(weeks_of(rng, SERVERS[number % len(SERVERS)], tokens, 4))
        counts.update(alarm.factor for alarm in said if alarm.slot >= WEEK_SLOTS)
        seen += 3
    print(f"{seen} clean weeks: {counts.total() / seen:.3f} false alarms a week {dict(counts)}")


def main() -> int:
    """All of it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get("UNITCOST_DRIFTS", 200))
    rng = np.random.default_rng(20261126)
    first, second, origin = sizes(rng)
    print(f"request sizes: {origin}")
    with np.errstate(invalid="ignore", divide="ignore"):
        steps(rng, (first, second), max(1, count // 6))
        clean(rng, (first, second), count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
