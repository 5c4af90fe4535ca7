"""What a scrape sees: the points of one tick, unchangeable once made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

Point = tuple[tuple[str, ...], float]
"""Label values in the order of the metric's labels, and the value in the metric's unit."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All points of one tick, by metric name; `wall_ns` is when, in Unix nanoseconds.

    The points are copied, so nobody can change them afterwards. A metric without points is
    absent from the exposition: unknown, not zero.
    """

    wall_ns: int
    points: Mapping[str, Sequence[Point]]

    def __post_init__(self) -> None:
        """Copy the points and make the copy read-only."""
        frozen = {name: tuple(points) for name, points in self.points.items()}
        object.__setattr__(self, "points", MappingProxyType(frozen))
