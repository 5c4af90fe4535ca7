"""Energy from a power sensor: the integral of what it showed over time."""

import secrets

from unitcost.pricing.sample import NS_PER_SECOND

MAX_GAP_NS = 30 * NS_PER_SECOND
"""What happened over a longer time than this between two readings is not known."""


class PowerIntegral:
    """Joules of one sensor, from 0, by the trapezoid rule; never less than before.

    Two readings more than `max_gap_ns` apart have no energy between them. `generation` tells the
    joules of one integral from those of another.
    """

    def __init__(self, max_gap_ns: int = MAX_GAP_NS) -> None:
        self.generation = f"integral {secrets.token_hex(8)}"
        self._max_gap_ns = max_gap_ns
        self._joules = 0.0
        self._last: tuple[float, int] | None = None

    def add(self, watts: float, mono_ns: int) -> float:
        """Take one reading; returns all joules until now. One that is not later adds nothing."""
        if self._last is not None:
            before, then_ns = self._last
            elapsed_ns = mono_ns - then_ns
            if elapsed_ns <= 0:
                return self._joules
            if elapsed_ns <= self._max_gap_ns:
                self._joules += (before + watts) / 2 * elapsed_ns / NS_PER_SECOND
        self._last = (watts, mono_ns)
        return self._joules
