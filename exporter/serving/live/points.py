"""Reading a snapshot: points by their labels, and how fast counters rise."""

import math
from collections.abc import Iterator, Mapping, Sequence

from unitcost.exporter.serving.exposition import MAX_LABEL_CHARACTERS
from unitcost.exporter.serving.live.history import COST, INFO, Past, Then
from unitcost.exporter.serving.snapshot import Point
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import RESERVED

Labels = tuple[str, ...]


def shown(text: str) -> str:
    """A label as /metrics shows it: cut, and without what UTF-8 cannot carry."""
    return text[:MAX_LABEL_CHARACTERS].encode("utf-8", "replace").decode()


def _shown(labels: Labels) -> Labels:
    if all(label.isascii() and len(label) <= MAX_LABEL_CHARACTERS for label in labels):
        return labels
    return tuple(map(shown, labels))


class Points:
    """The points of one tick, labels as /metrics has them, without what it would leave out."""

    def __init__(self, points: Mapping[str, Sequence[Point]]) -> None:
        self._points = points
        self._made: dict[str, dict[Labels, float]] = {}

    def of(self, name: str) -> Mapping[Labels, float]:
        """All points of a metric by their labels."""
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = {}
            for labels, value in self._points.get(name, ()):
                if math.isfinite(value):
                    found.setdefault(_shown(labels), value)
        return found

    def one(self, name: str) -> float | None:
        """The only point of a metric; None if it is absent."""
        return next(iter(self.of(name).values()), None)

    def by_first(self, name: str) -> dict[str, dict[Labels, float]]:
        """Points by their first label, each by its other labels."""
        found: dict[str, dict[Labels, float]] = {}
        for (first, *rest), value in self.of(name).items():
            found.setdefault(first, {})[tuple(rest)] = value
        return found


class Rates:
    """How much counters rose a second since the base; None where that is not known.

    The base is the oldest of the last minute at which all workloads of now were shown, so that
    the rates of one document are over the same time; else the oldest there is. A workload that
    was not shown there may have been counted long ago: what its counters rose by is unknown. One
    that was shown, without the series, had it at 0. Cost that stands still because there is no
    price is unknown, not 0.
    """

    def __init__(self, points: Points, past: Past) -> None:
        base = _base(past.bases, _workloads(points)) or Then(past.at_ns, {})
        self._now, self._then = points, Points(base.points)
        self.seconds = (past.at_ns - base.at_ns) / NS_PER_SECOND or None
        self._known = _workloads(self._then) | RESERVED
        self.priced = past.priced and base.priced

    def of(self, name: str, labels: Labels) -> float | None:
        """The rate of one series of `COST`, `HELD` or `REQUESTS`."""
        now = self._now.of(name).get(labels)
        before = self._then.of(name).get(labels, 0.0 if labels[0] in self._known else None)
        if now is None or before is None or self.seconds is None or now < before:
            return None
        if name == COST and not self.priced:
            return None
        return (now - before) / self.seconds

    def all_of(self, name: str) -> Iterator[tuple[Labels, float | None]]:
        """The rates of all series of a metric that are there now."""
        return ((labels, self.of(name, labels)) for labels in self._now.of(name))

    def knows(self, workload: str) -> bool:
        """Whether it was there at the base."""
        return self.seconds is not None and workload in self._known


def _workloads(points: Points) -> set[str]:
    return {labels[0] for labels in points.of(INFO)}


def _base(bases: Sequence[Then], workloads: set[str]) -> Then | None:
    whole = (each for each in bases if workloads <= _workloads(Points(each.points)))
    return next(whole, bases[0] if bases else None)


def total(values: Iterator[float | None] | Sequence[float | None]) -> float | None:
    """The sum of values that are all known; None if one is not, or there are none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return math.fsum(known) if known and len(known) == len(found) else None
