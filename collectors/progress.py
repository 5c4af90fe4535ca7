"""How far a training run is, as somebody outside of its process is told: counters and marks."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from unitcost.pricing.sample import EpochMark, Quantity, Sample, Source, TokenType
from unitcost.pricing.training_sources import ENOUGH, Progress, base_of

Number = TypeVar("Number", int, float)

DERIVED = Source.DERIVED
MAX_MARKS = 64
MAX_COUNT = 2.0**53
"""No count of anything is as high."""


@dataclass(slots=True)
class Track:
    """Follows one run. `begin_ns`: when it began (Unix nanoseconds), None where nobody saw it.

    Counts never fall: what a run repeats is not counted again. Nothing is shown until it is known
    whether the run began at zero; where it did not, that is shown first, so that what was done
    before is no usage.
    """

    begin_ns: int | None = None
    latest: Progress | None = None
    base: Progress | None = None
    over: bool = False
    _early: list[Progress] = field(default_factory=list)
    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=MAX_MARKS))
    _peak: Progress | None = None
    _base_shown: bool = False

    @property
    def from_zero(self) -> bool:
        """Whether it is known that it began with nothing done."""
        return self.begin_ns is not None and self.base is not None and not _any(self.base)

    @property
    def known(self) -> bool:
        """Whether there is something to show."""
        return self.latest is not None and (self.begin_ns is None or self.base is not None)

    def begin(self, wall_ns: int) -> None:
        """It begins (again)."""
        if self.latest is not None:
            self._peak, self.latest = self._shown(), None
        self.begin_ns, self.base, self.over = wall_ns, None, False
        self._early.clear()

    def add(self, progress: Progress, *, judge: bool = True) -> None:
        """Take a record, in order of time. `judge`: it may tell of the run's pace."""
        before, now = self.latest, _highest(self.latest, progress)
        self.latest = now
        if before is not None or self.begin_ns is not None:
            earlier = math.floor((before.epochs or 0) if before else 0)
            if now.epochs is not None and math.floor(now.epochs) > earlier:
                self._marks.append((float(math.floor(now.epochs)), progress.wall_ns))
        if judge and self.base is None and len(self._early) < ENOUGH:
            self._early.append(progress)
        self._judge()

    def end(self) -> None:
        """No more is to be expected for now."""
        self.over = True
        self._judge()

    def take(self) -> Progress | None:
        """What to show now; None while nothing can be shown."""
        if not self.known:
            return None
        if not self._base_shown and self.base is not None and self.begin_ns is not None:
            self._base_shown = True
            if self._peak is not None and self.from_zero:
                self._peak = None
                return self._as_base()
            if self._peak is None and not self.from_zero:
                return self._as_base()
        return self._shown()

    def marks(self, subject: str, before_ns: int) -> Iterator[EpochMark]:
        """Ends of epochs; of a run that did not begin at zero first, before `before_ns`, where."""
        if not self.known:
            return
        begun = float(math.floor(self.base.epochs or 0)) if self.base else 0.0
        if begun:
            yield EpochMark(subject, begun, before_ns - 1)
        for epoch, wall_ns in self._marks:
            if epoch > begun:
                yield EpochMark(subject, epoch, wall_ns)

    def _judge(self) -> None:
        if self.base is None and self.begin_ns is not None:
            early = self._early
            if not early and self.over and self.latest is not None:
                early = [self.latest]
            self.base = base_of(self.begin_ns, early, over=self.over)
            self._base_shown = False

    def _as_base(self) -> Progress | None:
        """The base, of what is counted at all."""
        base, latest = self.base, self.latest
        if base is None or latest is None:
            return None
        return Progress(
            base.wall_ns,
            base.steps if latest.steps is not None else None,
            base.epochs if latest.epochs is not None else None,
            base.tokens if latest.tokens is not None else None,
        )

    def _shown(self) -> Progress | None:
        if self.latest is None or self._peak is None:
            return self.latest or self._peak
        return _highest(self._peak, self.latest)


def _any(progress: Progress) -> bool:
    return bool(progress.steps or progress.epochs or progress.tokens)


def _highest(before: Progress | None, now: Progress) -> Progress:
    if before is None:
        return now
    return Progress(
        now.wall_ns,
        _higher(before.steps, now.steps),
        _higher(before.epochs, now.epochs),
        _higher(before.tokens, now.tokens),
    )


def _higher(before: Number | None, now: Number | None) -> Number | None:
    known = [each for each in (before, now) if each is not None]
    return max(known) if known else None


def counters(subject: str, progress: Progress | None, mono_ns: int) -> Iterator[Sample]:
    """The counters of a subject; none of what was not said.

    They are how far it is, not what was counted: one that resumes may fall back, which is no start
    anew, whether or not the exporter was there to see how far it had been.
    """
    if progress is None:
        return
    if progress.epochs is not None:
        yield Sample(subject, Quantity.EPOCHS, progress.epochs, mono_ns, source=DERIVED)
    if progress.steps is not None:
        yield Sample(subject, Quantity.STEPS, float(progress.steps), mono_ns, source=DERIVED)
    if progress.tokens is not None:
        label, tokens = TokenType.INPUT.value, float(progress.tokens)
        yield Sample(subject, Quantity.TOKENS, tokens, mono_ns, label=label, source=DERIVED)


def count_of(value: float | None) -> int | None:
    """A whole number of something; None for what is none (a fraction, negative, too large)."""
    known = amount_of(value)
    return int(known) if known is not None and known.is_integer() else None


def amount_of(value: float | None) -> float | None:
    """How much of something; None for what cannot be (negative, not finite, too large)."""
    return float(value) if value is not None and 0 <= value < MAX_COUNT else None
