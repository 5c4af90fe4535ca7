"""Charged time: which stretches of it stand charged at which prices, so that they can be corrected.

The ledger's rows say how much of a clock hour was charged at a price, not which part of it. That is
kept here, for the whole host: contiguous time at the same prices is one span, so there are few.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from unitcost.pricing.price import Component, PriceBook
from unitcost.pricing.resource import Resource, SplitRule
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import Period

HORIZON_NS = 35 * 24 * 3600 * NS_PER_SECOND
"""Time longer ago than this is not corrected: a month's bill has come by then."""
MAX_SPANS = 128
"""As many spans are kept; of more, the oldest quarter goes."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """The resources that the host's price was split over, and by which rule."""

    resources: tuple[Resource, ...]
    split: SplitRule


@dataclass(frozen=True, slots=True)
class Basis:
    """The prices that time stands charged at: a book of those alone, and the components charged."""

    book: PriceBook
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in accounting nanoseconds; `layout` and `basis` are places in the tables."""

    start_ns: int
    end_ns: int
    layout: int
    basis: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Charged time, what it was split over, and what it stands charged at."""

    period: Period
    layout: Layout
    basis: Basis


@dataclass(frozen=True, slots=True)
class ChargedTime:
    """All time that can be corrected, in the order in which it was charged.

    Of time before `since_ns` (0: there is none) it is not known any more how it was charged.
    """

    layouts: tuple[Layout, ...] = ()
    bases: tuple[Basis, ...] = ()
    spans: tuple[Span, ...] = ()
    since_ns: int = 0

    def charged(self, stretch: Stretch) -> "ChargedTime":
        """These, and time that was charged after them."""
        start_ns, end_ns = stretch.period.start_ns, stretch.period.end_ns
        layouts, layout = _placed(self.layouts, stretch.layout)
        bases, basis = _placed(self.bases, stretch.basis)
        spans = self.spans
        last = spans[-1] if spans else None
        if last is not None and (last.end_ns, last.layout, last.basis) == (start_ns, layout, basis):
            start_ns, spans = last.start_ns, spans[:-1]
        span = Span(start_ns, end_ns, layout, basis)
        return ChargedTime(layouts, bases, (*spans, span), self.since_ns)

    def stretches(self) -> Iterator[Stretch]:
        """All of it."""
        for span in self.spans:
            period = Period(span.start_ns, span.end_ns)
            yield Stretch(period, self.layouts[span.layout], self.bases[span.basis])

    def until(self, instant_ns: int) -> "ChargedTime":
        """Without what lies after an instant: a clock that was set back to it had been wrong."""
        if all(span.end_ns <= instant_ns for span in self.spans):
            return self
        before = (each for each in self.stretches() if each.period.start_ns < instant_ns)
        return rebuilt((_ended(each, instant_ns) for each in before), self.since_ns)

    def kept(self, now_ns: int) -> "ChargedTime":
        """Without what is too long ago, or too much."""
        first = MAX_SPANS // 4 if len(self.spans) > MAX_SPANS else 0
        if not first and (not self.spans or self.spans[0].end_ns > now_ns - HORIZON_NS):
            return self
        kept, gone_ns = [], self.since_ns
        for place, stretch in enumerate(self.stretches()):
            if place < first or stretch.period.end_ns <= now_ns - HORIZON_NS:
                gone_ns = max(gone_ns, stretch.period.end_ns)
            else:
                kept.append(stretch)
        return rebuilt(kept, gone_ns)


def _ended(stretch: Stretch, instant_ns: int) -> Stretch:
    end_ns = min(stretch.period.end_ns, instant_ns)
    return replace(stretch, period=Period(stretch.period.start_ns, end_ns))


def rebuilt(stretches: Iterable[Stretch], since_ns: int) -> ChargedTime:
    """Charged time from its stretches; tables hold what is used, and no more."""
    made = ChargedTime(since_ns=since_ns)
    for stretch in stretches:
        made = made.charged(stretch)
    return made


def _placed(table: Sequence[T], entry: T) -> tuple[tuple[T, ...], int]:
    """The table with the entry in it, and where; what is used now was mostly used last."""
    for place in range(len(table) - 1, -1, -1):
        if table[place] == entry:
            return tuple(table), place
    return (*table, entry), len(table)
