"""What of a run's cost bought nothing new: time its processes waited, and steps done before.

Both are memos: parts of what the run was charged, never added to it. Whole pico-dollars, and each
is counted at most once for each purpose, so neither can exceed the run's cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from unitcost.pricing.money import distribute


@dataclass(frozen=True, slots=True)
class Lost:
    """Pico-dollars lost so far.

    `stalled`: while processes waited, by reason; a reason is there as soon as it is counted.
    `repeated`: for steps an earlier attempt had done. `free_ns` and `free_pico`: time, and what
    it cost, that was not declared stalled yet; a long wait is often told only when it is over.
    """

    stalled: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    free_ns: int = 0
    free_pico: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run was charged in a tick: for `span_ns`, of which `priced_ns` had a price."""

    pico: int = 0
    span_ns: int = 0
    priced_ns: int = 0

    def plus(self, pico: int | None, span_ns: int) -> "Spent":
        """A further period of the tick; None: it has no price."""
        if pico is None:
            return replace(self, span_ns=self.span_ns + span_ns)
        return Spent(self.pico + pico, self.span_ns + span_ns, self.priced_ns + span_ns)

    def beside(self, other: "Spent", within_ns: int) -> "Spent":
        """Both together, in a tick of that length: they may be of the same time."""
        return Spent(
            self.pico + other.pico,
            min(self.span_ns + other.span_ns, within_ns),
            min(self.priced_ns + other.priced_ns, within_ns),
        )


def stall(lost: Lost, waited_ns: Mapping[str, int], spent: Spent) -> Lost:
    """Processes have reported that they waited so long, on average, while the run cost `spent`.

    The tick's own time is taken first. What goes beyond it was waited before: it is taken, at its
    average cost, from time that was not declared yet, as far as there is any.
    """
    waited = sum(waited_ns.values())
    now = min(waited, spent.span_ns)
    late = min(waited - now, lost.free_ns)
    pico_now = spent.pico * now // spent.span_ns if now else 0
    pico_late = lost.free_pico * late // lost.free_ns if late else 0
    priced_now = spent.priced_ns * now // spent.span_ns if now else 0
    parts = distribute(pico_now + pico_late, list(waited_ns.values())) if waited else ()
    stalled = dict(lost.stalled) | {reason: lost.stalled.get(reason, 0) for reason in waited_ns}
    for reason, pico in zip(waited_ns, parts, strict=False):
        stalled[reason] += pico
    return replace(
        lost,
        stalled=stalled,
        free_ns=lost.free_ns + spent.priced_ns - priced_now - late,
        free_pico=lost.free_pico + spent.pico - pico_now - pico_late,
    )


def repeated(pico: int, before: float, now: float, peak: float) -> int:
    """How much of what was spent from `before` to `now` went into what was done up to `peak`.

    By units where the peak lies between; all of it while the first new unit is not begun.
    """
    if before >= peak:
        return 0
    if now <= before or now <= peak:
        return pico
    return int(pico * (Fraction(peak) - Fraction(before)) / (Fraction(now) - Fraction(before)))
