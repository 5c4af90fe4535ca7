"""Amortisation by units of production: what an hour of work of a device costs, and until when."""

from dataclasses import dataclass
from decimal import Decimal

from unitcost.pricing.amortisation import MAX_UNITS, Schedule, Span
from unitcost.pricing.currency import DOLLAR, Rate
from unitcost.pricing.figures import within
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.timeline import NS_PER_HOUR, Period


@dataclass(frozen=True, slots=True)
class Phase:
    """The time of one estimate that counts hours of work; `spans` are in nanoseconds of work.

    `before`: nanoseconds of work under it that nobody here counted.
    """

    start_ns: int
    end_ns: int | None
    spans: tuple[Span, ...]
    before: int = 0

    def covers(self, instant_ns: int) -> bool:
        """Whether it is in force then."""
        return self.start_ns <= instant_ns and (self.end_ns is None or instant_ns < self.end_ns)

    def span(self, used: int) -> Span:
        """What holds after so much work; the last span has no end."""
        at = self.before + used
        return next(each for each in self.spans if each.end_ns is None or at < each.end_ns)


@dataclass(frozen=True, slots=True)
class UsePrice:
    """An hour in which a device works. Amounts are nanoseconds of all the host's devices together.

    Where its schedule counts time instead, and before the hardware is in service, it has no price.
    """

    phases: tuple[Phase, ...]
    source: str
    component: Component = Component.AMORTISATION
    unit: PriceUnit = PriceUnit.ACTIVE_HOUR

    def counting_since(self, instant_ns: int) -> int | None:
        """The beginning of the estimate in force, if it counts work."""
        phase = self._phase(instant_ns)
        return phase.start_ns if phase else None

    def pico(self, instant_ns: int, used: int) -> int | None:
        """For an hour of work after so much of it under the estimate in force."""
        phase = self._phase(instant_ns)
        return phase.span(used).pico_per_hour if phase else None

    def left(self, instant_ns: int, used: int) -> int | None:
        """Nanoseconds of work at that price."""
        phase = self._phase(instant_ns)
        end = phase.span(used).end_ns if phase else None
        return end - phase.before - used if phase and end is not None else None

    def rate(self, instant_ns: int) -> Rate | None:
        """The purchase is dollars already."""
        return DOLLAR

    def changes(self, period: Period) -> tuple[int, ...]:
        """Where a phase begins or ends."""
        found = {at for each in self.phases for at in (each.start_ns, each.end_ns) if at}
        return tuple(sorted(at for at in found if period.start_ns < at < period.end_ns))

    def _phase(self, instant_ns: int) -> Phase | None:
        return next((each for each in self.phases if each.covers(instant_ns)), None)


def use_price(schedule: Schedule, source: str, hours_before: Decimal = Decimal(0)) -> UsePrice:
    """The price of an hour of work under a schedule.

    `hours_before`: hours of work under the first estimate that nobody counted here. Raises
    ValueError for hours that cannot be.
    """
    within("hours", hours_before, 0, MAX_UNITS)
    before = round(hours_before * NS_PER_HOUR)
    phases = tuple(
        Phase(each.estimate.from_ns, each.end_ns, spans, 0 if number else before)
        for number, each in enumerate(schedule.segments())
        if (spans := each.use_spans())
    )
    return UsePrice(phases, source)
