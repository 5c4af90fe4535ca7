"""Amortisation of owned hardware: what a purchase costs an hour over its life, exactly.

A life is told by estimates, one after another. A new estimate (a shorter life, another residual
value, another method) spreads what is left of the book value from its own beginning on: it never
changes what was charged before (IAS 8.36 calls that prospective).

Every rate is a whole number of pico-dollars an hour, and each stretch has two of them, one
pico-dollar apart, such that rate x time sums to the amount to be spread without a remainder.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from unitcost.pricing.figures import above_zero, divide, within
from unitcost.pricing.money import round_half_even, to_pico, to_usd
from unitcost.pricing.price import HOURS_PER_YEAR, Component, Price, PriceModel
from unitcost.pricing.timeline import NS_PER_HOUR, Period

NS_PER_YEAR = HOURS_PER_YEAR * NS_PER_HOUR
MAX_USD = Decimal(10**12)
MIN_LIFE_YEARS = Decimal("0.001")
MAX_LIFE_YEARS = Decimal(100)
MAX_FACTOR = Decimal(10)
MAX_UNITS = Decimal(10**15)


@dataclass(frozen=True, slots=True)
class StraightLine:
    """The same amount every calendar hour of `life_years` (8760 hours each)."""

    life_years: Decimal

    def __post_init__(self) -> None:
        within("a life in years", self.life_years, MIN_LIFE_YEARS, MAX_LIFE_YEARS)


@dataclass(frozen=True, slots=True)
class DecliningBalance:
    """Each year `factor` / `life_years` of the book value at the year's start.

    From the first year on in which it charges no less, what is left goes in a straight line; the
    book value never falls below the residual. A `factor` of 2 is called double declining.
    """

    life_years: Decimal
    factor: Decimal = Decimal(2)

    def __post_init__(self) -> None:
        within("a life in years", self.life_years, MIN_LIFE_YEARS, MAX_LIFE_YEARS)
        above_zero("a factor", self.factor, MAX_FACTOR)


@dataclass(frozen=True, slots=True)
class UnitsOfProduction:
    """The same amount for each of `expected_units` (GPU-hours, say), whenever they are made."""

    expected_units: Decimal

    def __post_init__(self) -> None:
        above_zero("expected units", self.expected_units, MAX_UNITS)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is expected of the hardware from `from_ns` (Unix time) on.

    Life and expected units are what remains at that instant. `units_before` is what was produced
    under the estimate before, where that counted units. A residual above the book value stops the
    amortisation; it does not undo any.
    """

    from_ns: int
    method: StraightLine | DecliningBalance | UnitsOfProduction
    residual_usd: Decimal = Decimal(0)
    units_before: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        within("a residual value", self.residual_usd, 0, MAX_USD)
        within("units", self.units_before, 0, MAX_UNITS)


@dataclass(frozen=True, slots=True)
class Span:
    """[`start_ns`, `end_ns`) in which every hour costs the same; without an end for ever."""

    start_ns: int
    end_ns: int | None
    pico_per_hour: int

    @property
    def usd_per_hour(self) -> Decimal:
        """US dollars an hour."""
        return to_usd(self.pico_per_hour)

    def pico_until(self, instant_ns: int) -> Fraction:
        """Pico-dollars from its start until an instant, or until its end."""
        elapsed = max(0, _earlier(instant_ns, self.end_ns) - self.start_ns)
        return Fraction(self.pico_per_hour * elapsed, NS_PER_HOUR)


@dataclass(frozen=True, slots=True)
class Segment:
    """The time of one estimate: book value at its start, what it spreads, and how.

    `spans` tile the segment where time is counted, and are empty where units are.
    """

    estimate: Estimate
    end_ns: int | None
    opening_pico: int
    spans: tuple[Span, ...]

    @property
    def spread_pico(self) -> int:
        """Pico-dollars that this estimate spreads if it lasts."""
        return max(0, self.opening_pico - to_pico(self.estimate.residual_usd))

    def use_spans(self) -> tuple[Span, ...]:
        """What a unit costs by how many there were, where they are hours; empty where time counts.

        The spans are in nanoseconds of use. As with time there are two rates, and then none.
        """
        method = self.estimate.method
        if not isinstance(method, UnitsOfProduction):
            return ()
        whole = max(1, round(method.expected_units * NS_PER_HOUR))
        return (*_level(0, whole, self.spread_pico), Span(whole, None, 0))

    def book_pico(self, instant_ns: int, units: Decimal) -> int:
        """Book value at an instant, after so many units produced under this estimate."""
        method = self.estimate.method
        if isinstance(method, UnitsOfProduction):
            part = min(Fraction(1), Fraction(units) / Fraction(method.expected_units))
            gone = part * self.spread_pico
        else:
            gone = sum((span.pico_until(instant_ns) for span in self.spans), Fraction(0))
        return self.opening_pico - round_half_even(gone.numerator, gone.denominator)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What hardware bought for `cost_usd` costs; in service from the first estimate on.

    Raises ValueError for no estimate, estimates that are not in order of time, or a first one
    whose residual value is above the cost.
    """

    cost_usd: Decimal
    estimates: tuple[Estimate, ...]

    def __post_init__(self) -> None:
        within("a purchase price", self.cost_usd, 0, MAX_USD)
        if not self.estimates:
            raise ValueError("amortisation needs an estimate of life and residual value")
        if any(b.from_ns <= a.from_ns for a, b in itertools.pairwise(self.estimates)):
            raise ValueError("estimates follow each other in time")
        if self.estimates[0].residual_usd > self.cost_usd:
            raise ValueError("the residual value is above the purchase price")

    def segments(self) -> tuple[Segment, ...]:
        """One for each estimate; each opens with the book value that the one before left."""
        made: list[Segment] = []
        opening = to_pico(self.cost_usd)
        ends = [*(each.from_ns for each in self.estimates[1:]), None]
        for estimate, end in zip(self.estimates, ends, strict=True):
            if made:
                opening = made[-1].book_pico(estimate.from_ns, estimate.units_before)
            made.append(Segment(estimate, end, opening, _spans(estimate, opening, end)))
        return tuple(made)

    def book_value(self, instant_ns: int, units: Decimal = Decimal(0)) -> Decimal:
        """Book value in USD; `units`: produced by then under the estimate in force."""
        within("units", units, 0, MAX_UNITS)
        segment = self._segment(instant_ns)
        return to_usd(segment.book_pico(instant_ns, units)) if segment else self.cost_usd

    def amortised(
        self, period: Period, units: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))
    ) -> Decimal:
        """USD of a period in which one estimate holds (see `changes`), to a pico-dollar.

        `units`: produced under that estimate by the period's start and by its end. Periods that
        join up sum without a remainder. Raises ValueError for a change of estimate in the period,
        and for units that fall.
        """
        if any(period.start_ns < each.from_ns < period.end_ns for each in self.estimates):
            raise ValueError("an estimate changes in the period: cut it there")
        for count in units:
            within("units", count, 0, MAX_UNITS)
        if units[1] < units[0]:
            raise ValueError("units produced never fall")
        segment = self._segment(period.start_ns)
        if segment is None:
            return Decimal(0)
        before = segment.book_pico(period.start_ns, units[0])
        return to_usd(before - segment.book_pico(period.end_ns, units[1]))

    def usd_per_hour(
        self, period: Period, units: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))
    ) -> Decimal:
        """The mean of `amortised` an hour. Raises ValueError as that does, and for no time."""
        if not period.duration_ns:
            raise ValueError("a period of no length has no hourly cost")
        hours = divide(Decimal(period.duration_ns), Decimal(NS_PER_HOUR))
        return divide(self.amortised(period, units), hours)

    def changes(self, period: Period) -> tuple[int, ...]:
        """Instants inside the period at which the hourly cost or the estimate changes."""
        starts = {each.from_ns for each in self.estimates}
        starts.update(span.start_ns for each in self.segments() for span in each.spans)
        return tuple(sorted(at for at in starts if period.start_ns < at < period.end_ns))

    def prices(self, source: str, known_at_ns: int = 0) -> tuple[Price, ...]:
        """Prices of the component `amortisation` for a `PriceBook`.

        From the end of its life on the hardware costs nothing, which is a price. Before it is in
        service, and while units are counted, there is none: see `amortised`.
        """
        return tuple(
            Price(
                Component.AMORTISATION,
                span.usd_per_hour,
                PriceModel.OWNED,
                source,
                valid_from_ns=span.start_ns,
                valid_to_ns=span.end_ns,
                as_of_ns=segment.estimate.from_ns,
                known_at_ns=known_at_ns,
            )
            for segment in self.segments()
            for span in segment.spans
        )

    def _segment(self, instant_ns: int) -> Segment | None:
        """The segment an instant lies in; None before the hardware is in service."""
        begun = [each for each in self.segments() if each.estimate.from_ns <= instant_ns]
        return begun[-1] if begun else None


def _spans(estimate: Estimate, opening: int, end_ns: int | None) -> tuple[Span, ...]:
    """The spans of an estimate, cut where the next one begins."""
    if isinstance(estimate.method, UnitsOfProduction):
        return ()
    spread = max(0, opening - to_pico(estimate.residual_usd))
    spans: list[Span] = []
    at = estimate.from_ns
    for duration, pico in _stretches(estimate.method, opening, spread):
        spans += _level(at, duration, pico)
        at += duration
    spans.append(Span(at, None, 0))
    if end_ns is None:
        return tuple(spans)
    return tuple(
        Span(each.start_ns, _earlier(end_ns, each.end_ns), each.pico_per_hour)
        for each in spans
        if each.start_ns < end_ns
    )


def _earlier(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)


def _stretches(
    method: StraightLine | DecliningBalance, opening: int, spread: int
) -> Iterator[tuple[int, int]]:
    """Durations in nanoseconds, and the pico-dollars to be spread evenly over each."""
    life = int((method.life_years * NS_PER_YEAR).to_integral_value(ROUND_HALF_EVEN))
    if isinstance(method, DecliningBalance):
        yield from _declining(opening, spread, life, Fraction(method.factor))
    else:
        yield life, spread


def _declining(opening: int, spread: int, life: int, factor: Fraction) -> Iterator[tuple[int, int]]:
    residual, book, left = opening - spread, opening, life
    while left > NS_PER_YEAR:
        by_balance = factor * book * NS_PER_YEAR / life
        if by_balance <= Fraction((book - residual) * NS_PER_YEAR, left):
            break
        amount = min(round(by_balance), book - residual)
        yield NS_PER_YEAR, amount
        book -= amount
        left -= NS_PER_YEAR
    yield left, book - residual


def _level(start_ns: int, duration: int, pico: int) -> Iterator[Span]:
    """Two rates, the higher one first for just as long as makes the sum exact."""
    rate, higher = divmod(pico * NS_PER_HOUR, duration)
    if higher:
        yield Span(start_ns, start_ns + higher, rate + 1)
    yield Span(start_ns + higher, start_ns + duration, rate)
