"""Unit costs: what a request, a token or a step cost over a sliding window."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from unitcost.pricing.money import to_usd
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import Outcome, Phase, Quantity, TokenType


class Basis(StrEnum):
    """`ALLOCATED`: all that was held, idle included. `USED`: only while busy."""

    ALLOCATED = "allocated"
    USED = "used"


class Unit(StrEnum):
    """What is counted, and so what the cost is of."""

    REQUEST = "request"
    TOKEN = "token"  # noqa: S105 - a unit of text, not a secret
    STEP = "step"
    SAMPLE = "sample"


UnitKey = tuple[Quantity, str]
"""A counted quantity and its label."""
SUCCEEDED: UnitKey = (Quantity.REQUESTS, Outcome.SUCCEEDED)
INPUT: UnitKey = (Quantity.TOKENS, TokenType.INPUT)
OUTPUT: UnitKey = (Quantity.TOKENS, TokenType.OUTPUT)
PREFILL: UnitKey = (Quantity.PHASE_SECONDS, Phase.PREFILL)
DECODE: UnitKey = (Quantity.PHASE_SECONDS, Phase.DECODE)
STEPS: UnitKey = (Quantity.STEPS, "")
SAMPLES: UnitKey = (Quantity.SAMPLES, "")
_ALL_UNITS = (SUCCEEDED, INPUT, OUTPUT, STEPS, SAMPLES)


@dataclass(frozen=True, slots=True)
class Slice:
    """One tick of one workload and model.

    `pico` is None where some of its cost is unpriced or the time was not metered: such a slice
    counts for coverage only. `used_pico` is None where nothing tells busy from idle.
    """

    end_ns: int
    pico: int | None
    used_pico: int | None
    units: Mapping[UnitKey, int]


@dataclass(frozen=True, slots=True)
class UnitCost:
    """Dollars for one unit, over `units` of them. `type`: token type or ``all``, else empty."""

    unit: Unit
    type: str
    basis: Basis
    usd: Decimal
    units: Decimal


@dataclass(slots=True)
class Window:
    """The last `length_ns` of one workload and model; it grows from the first unit on.

    All sums are whole numbers, so what enters and leaves cancels exactly.
    """

    length_ns: int
    minimum_micro: int = MICRO
    slices: deque[Slice] = field(default_factory=deque)
    seen: dict[UnitKey, int] = field(default_factory=dict)
    covered: dict[UnitKey, int] = field(default_factory=dict)
    pico: int = 0
    used_pico: int = 0
    without_used: int = 0
    started: bool = False

    def add(self, part: Slice) -> None:
        """Take in one tick and drop what is older than the window."""
        if not self.started and not any(part.units.get(key) for key in _ALL_UNITS):
            return
        self.started = True
        self.slices.append(part)
        self._sum(part, 1)
        while self.slices and self.slices[0].end_ns <= part.end_ns - self.length_ns:
            self._sum(self.slices.popleft(), -1)

    def _sum(self, part: Slice, sign: int) -> None:
        for key, micro in part.units.items():
            self.seen[key] = self.seen.get(key, 0) + sign * micro
        if part.pico is None:
            return
        self.pico += sign * part.pico
        self.used_pico += sign * (part.used_pico or 0)
        self.without_used += sign * (part.used_pico is None)
        for key, micro in part.units.items():
            self.covered[key] = self.covered.get(key, 0) + sign * micro

    @property
    def coverage(self) -> Decimal | None:
        """Which part of the units seen fell into metered, priced time; None without units."""
        for key in (SUCCEEDED, OUTPUT, INPUT, STEPS, SAMPLES):
            if self.seen.get(key):
                return Decimal(self.covered.get(key, 0)) / self.seen[key]
        return None

    def costs(self) -> Iterator[UnitCost]:
        """All unit costs that are defined; one without enough units is not there at all."""
        for basis, pico in self._bases():
            yield from self._per(Unit.REQUEST, "", basis, pico, self._units(SUCCEEDED))
            yield from self._tokens(basis, pico)
            yield from self._per(Unit.STEP, "", basis, pico, self._units(STEPS))
            yield from self._per(Unit.SAMPLE, "", basis, pico, self._units(SAMPLES))

    def _bases(self) -> Iterator[tuple[Basis, Decimal]]:
        yield Basis.ALLOCATED, Decimal(self.pico)
        if not self.without_used:
            yield Basis.USED, Decimal(self.used_pico)

    def _units(self, *keys: UnitKey) -> int:
        return sum(self.covered.get(key, 0) for key in keys)

    def _tokens(self, basis: Basis, pico: Decimal) -> Iterator[UnitCost]:
        """`all` always; input and output apart by the server's prefill and decode seconds."""
        yield from self._per(Unit.TOKEN, "all", basis, pico, self._units(INPUT, OUTPUT))
        prefill, decode = self._units(PREFILL), self._units(DECODE)
        if PREFILL not in self.seen or DECODE not in self.seen or not prefill + decode:
            return
        for kind, phase, tokens in (("input", prefill, INPUT), ("output", decode, OUTPUT)):
            part = pico * phase / (prefill + decode)
            yield from self._per(Unit.TOKEN, kind, basis, part, self._units(tokens))

    def _per(
        self, unit: Unit, kind: str, basis: Basis, pico: Decimal, micro: int
    ) -> Iterator[UnitCost]:
        if micro > 0 and micro >= self.minimum_micro:
            units = Decimal(micro) / MICRO
            yield UnitCost(unit, kind, basis, pico.scaleb(-12) / units, units)


def total_usd(window: Window) -> Decimal:
    """Dollars in the window, as charged."""
    return to_usd(window.pico)
