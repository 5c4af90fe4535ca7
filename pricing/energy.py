"""Power and energy: meters, what each of them measures, and the only way to add them up.

Meters overlap: a board's power is in its module's, a core's in its package's, everything in the
node's. So where a meter sits is part of it (`Meter.path`), and only a `Disjoint` set has a sum.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from unitcost.pricing.sample import Source


class Scope(StrEnum):
    """What a meter measures."""

    NODE = "node"
    PSYS = "psys"
    MODULE = "module"
    PACKAGE = "package"
    CORE = "core"
    UNCORE = "uncore"
    DRAM = "dram"
    GPU = "gpu"


Path = tuple[str, ...]
"""Where a meter sits, from the outside in: ``("module-0", "gpu:GPU-1")``. The node's is ()."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of a meter that was read once: the resource whose energy it counts, and where it sits."""

    resource: str
    path: Path


@dataclass(frozen=True, slots=True)
class Meter:
    """One reading of one power or energy meter.

    `joules` is a counter, `watts` the mean over about a second, `instant_watts` the power at the
    instant; each None where there is none. `source` says how the joules were obtained (counter, or
    sensor: integrated), `power_source` the watts. `resource` is the resource all of whose energy
    this is, empty where it is less or more than one. `generation` changes when the counter starts
    anew; `wraps_at` is its range in joules. `limit_watts`: more than this cannot be.
    """

    id: str
    scope: Scope
    path: Path
    mono_ns: int
    joules: float | None = None
    watts: float | None = None
    instant_watts: float | None = None
    source: Source = Source.COUNTER
    power_source: Source = Source.SENSOR
    resource: str = ""
    generation: str = ""
    wraps_at: float | None = None
    limit_watts: float | None = None


def overlaps(one: Path, other: Path) -> bool:
    """Whether two meters measure something in common: one sits inside of the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


class Disjoint:
    """Meters no two of which measure the same joule; only such a set can be summed.

    Raises ValueError if two of them overlap, so a sum that counts twice cannot be written.
    """

    def __init__(self, meters: Iterable[Meter]) -> None:
        self._meters = tuple(meters)
        ordered = sorted(self._meters, key=lambda meter: meter.path)
        for before, after in itertools.pairwise(ordered):
            if overlaps(before.path, after.path):
                raise ValueError(f"meters overlap: {before.id} and {after.id}")

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters)

    def watts(self) -> float | None:
        """The sum of their power; None where one of them has none, or there is no meter."""
        known = [meter.watts for meter in self._meters if meter.watts is not None]
        return sum(known) if known and len(known) == len(self._meters) else None

    def sources(self) -> frozenset[Source]:
        """How their power was obtained."""
        return frozenset(meter.power_source for meter in self._meters)


def outermost(meters: Sequence[Meter]) -> Disjoint:
    """The meters that lie in no other one: together they measure all that is measured, once.

    Of two in the same place the first counts. A superchip's modules may be seen by the board's
    sensors (``module-0``) and by the GPU's driver (``module:GPU-1``), and nothing says which is
    which: where the board's are there, the driver's and the GPUs in them are left out.
    """
    if any(_lies_in(meter, "module-") for meter in meters):
        meters = [meter for meter in meters if not _lies_in(meter, "module:")]
    return _outermost(meters)


def _lies_in(meter: Meter, prefix: str) -> bool:
    return bool(meter.path) and meter.path[0].startswith(prefix)


def of_resources(meters: Sequence[Meter]) -> Disjoint:
    """The meters that measure one whole resource each, the outermost of each."""
    return _outermost([meter for meter in meters if meter.resource])


def _outermost(meters: Sequence[Meter]) -> Disjoint:
    kept: list[Meter] = []
    for meter in sorted(meters, key=lambda each: len(each.path)):
        if not any(overlaps(meter.path, other.path) for other in kept):
            kept.append(meter)
    return Disjoint(kept)
