"""What a few counters said before, so that an alert can ask what they gained over minutes or hours.

Each minute is kept for a while, then each fifth, then each thirtieth: few samples, and any window
begins at most a tenth of it too early. Counters go on from the ledger over a restart, so a sample
that is missing makes no difference but to where a window begins.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from unitcost.dashboards.settings import DAY, Settings
from unitcost.exporter.serving.snapshot import Point

Key = tuple[str, ...]
"""What is looked back at, and of whom: ``("cost", workload)``."""
MAX_ROWS = 5_000
MAX_REMEMBERED = 200
"""Rows that outlive the process: those of the most dollars."""
LONG = frozenset({"cost", "idle", "all", "spent"})
"""What is looked at over hours; the rest is seen anew soon enough after a restart."""
COST = "unitcost_cost_usd_total"


class Remembered(msgspec.Struct, frozen=True):
    """What is kept of the past for the next process: `rows` at `times`, null where unknown."""

    times: tuple[float, ...] = ()
    rows: tuple[tuple[tuple[str, ...], tuple[float | None, ...]], ...] = ()


def counters_of(points: Mapping[str, Sequence[Point]]) -> dict[Key, float]:
    """What is looked back at, of one tick."""
    found: dict[Key, float] = {}

    def add(key: Key, value: float) -> None:
        found[key] = found.get(key, 0.0) + value

    for labels, usd in points.get(COST, ()):
        add(("all",), usd)
        add(("cost", labels[0]), usd)
        if labels[-1] == "idle":
            add(("idle", labels[0]), usd)
    for labels, steps in points.get("unitcost_steps_total", ()):
        add(("steps", labels[0]), steps)
    for labels, seconds in points.get("unitcost_held_seconds_total", ()):
        if labels[-1] != "loading" and ("steps", labels[0]) in found:
            add(("held", labels[0]), seconds)
    for labels, usd in points.get("unitcost_run_cost_usd", ()):
        add(("run", *labels), usd)
    for labels, usd in points.get("unitcost_run_stall_cost_usd_total", ()):
        add(("stalled", *labels[:2]), usd)
    for labels, usd in points.get("unitcost_budget_spent_usd", ()):
        add(("spent", *labels), usd)
    return found


@dataclass(slots=True)
class Past:
    """Samples of counters, oldest first. Times are seconds since 1970, windows those of `limits`.

    `news`: there is more to remember than when it was last asked for.
    """

    limits: Settings
    times: list[float] = field(default_factory=list)
    rows: dict[Key, list[float | None]] = field(default_factory=dict)
    news: bool = False
    _now: dict[Key, float] = field(default_factory=dict)
    _at: float = 0.0
    _up: dict[Key, float] = field(default_factory=dict)

    def look(self, points: Mapping[str, Sequence[Point]], now: float) -> None:
        """Take in a tick; it becomes a sample if the last one is long enough ago."""
        seen = self._follow(points, now - self._at if self._at else 0.0)
        self._now = counters_of(points) | seen
        self._at = now
        ahead = bisect_right(self.times, now)
        if ahead < len(self.times):  # the clock was set back
            self._keep(range(ahead))
        step = self.limits.scaled(self.limits.interval)
        if not self.times or now - self.times[-1] >= step:
            self._sample()

    def _follow(self, points: Mapping[str, Sequence[Point]], span: float) -> dict[Key, float]:
        """For how many seconds each collector that is there was up, as a counter."""
        seen = {
            ("up", *labels): self._up.get(("up", *labels), 0.0) + up * max(span, 0.0)
            for labels, up in points.get("unitcost_collector_up", ())
        }
        self._up |= seen
        return seen

    def _sample(self) -> None:
        coarse = self._grain(self.limits.window_6h)
        self.news = self.news or not self.times or self.times[-1] // coarse != self._at // coarse
        self.times.append(self._at)
        for key, row in self.rows.items():
            row.append(self._now.get(key))
        new = [key for key in self._now if key not in self.rows]
        room = MAX_ROWS - len(self.rows)
        if len(new) > room:
            new.sort(key=lambda key: -self._now[key])
        for key in new[:room]:
            self.rows[key] = [None] * (len(self.times) - 1) + [self._now[key]]
        self._keep(self._thinned())

    def _grain(self, window: float) -> float:
        """How far samples of about that age are apart."""
        return max(self.limits.scaled(self.limits.interval), self.limits.scaled(window / 12))

    def _thinned(self) -> list[int]:
        """Which samples are kept: the first in each grain of their age, and the last of all."""
        limits = self.limits
        kept: list[int] = []
        for index, at in enumerate(self.times):
            age = self._at - at
            windows = (limits.window_10m, limits.window_1h, limits.window_6h)
            grain = next((self._grain(w) for w in windows if age <= limits.scaled(w) * 1.2), None)
            newer = grain and not (kept and self.times[kept[-1]] // grain == at // grain)
            if newer or index == len(self.times) - 1:
                kept.append(index)
        return kept

    def _keep(self, indices: Sequence[int]) -> None:
        """Nothing but these samples; rows without any are gone."""
        if len(indices) == len(self.times):
            return
        self.times = [self.times[each] for each in indices]
        kept = {key: [row[each] for each in indices] for key, row in self.rows.items()}
        self.rows = {key: row for key, row in kept.items() if any(v is not None for v in row)}

    def gained(self, key: Key, window: float) -> tuple[float, float] | None:
        """What a counter gained over the last seconds, and over how many really.

        From the last sample before the window, else from the first within it. None where nothing
        is known, and where it fell.
        """
        value, row = self._now.get(key), self.rows.get(key)
        if value is None or row is None:
            return None
        base: tuple[float, float] | None = None
        for at, was in zip(self.times, row, strict=True):
            if was is not None and (base is None or at <= self._at - self.limits.scaled(window)):
                base = at, was
        if base is None or value < base[1]:
            return None
        return value - base[1], self._at - base[0]

    def per_day(self, key: Key, window: float) -> float | None:
        """What a counter gained a day over a window; where less is known, the rest counts as 0."""
        found = self.gained(key, window)
        return None if found is None else found[0] * DAY / max(self.limits.scaled(window), found[1])

    def covers(self, key: Key, window: float) -> bool:
        """Whether a counter is known since before the window."""
        found = self.gained(key, window)
        return found is not None and found[1] >= self.limits.scaled(window)

    def remembered(self) -> Remembered:
        """The coarse samples of what is looked at over hours."""
        self.news = False
        coarse = self._grain(self.limits.window_6h)
        indices = [
            index
            for index, at in enumerate(self.times)
            if index == 0 or self.times[index - 1] // coarse != at // coarse
        ]
        long = [(key, row) for key, row in self.rows.items() if key[0] in LONG]
        long.sort(key=lambda each: -(each[1][-1] or 0.0))
        rows = [
            (key, tuple(_short(row[each]) for each in indices))
            for key, row in long[:MAX_REMEMBERED]
        ]
        return Remembered(tuple(self.times[each] for each in indices), tuple(rows))

    def resume(self, known: Remembered) -> None:
        """Go on from what the last process remembered; what does not fit is left out."""
        self.times = sorted(known.times)
        count = len(self.times)
        self.rows = {key: list(row) for key, row in known.rows if len(row) == count}


def _short(value: float | None) -> float | None:
    """A number as it is remembered; below what it was, so that a counter never seems to fall."""
    return None if value is None else float(f"{value * (1 - 1e-9):.10g}")
