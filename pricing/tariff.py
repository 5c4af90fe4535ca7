"""Electricity tariffs: slabs, surcharge, VAT, time of use in local time, demand.

Windows are in the local time of a zone, which the caller gives: a day has 23, 24 or 25 hours as
the zone's clocks have it. An hour that happens twice is twice in its window, one that is skipped
is in none.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

from unitcost.pricing.currency import Converted, Rates, is_code
from unitcost.pricing.figures import divide, within
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import NS_PER_HOUR, Period

MINUTES_PER_DAY = 24 * 60
MAX_PER_KWH = Decimal(10**6)
MAX_KWH = Decimal(10**12)
MAX_WINDOWS = 64
MAX_SLABS = 32
_NS_PER_MINUTE = 60 * NS_PER_SECOND
_MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
_PROBE_NS = 6 * NS_PER_HOUR  # no zone changes its offset twice within this time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Slab:
    """A price for each kWh of a month up to `up_to_kwh`, counted from the month's start.

    The last slab has no end.
    """

    per_kwh: Decimal
    up_to_kwh: Decimal | None = None

    def __post_init__(self) -> None:
        within("a price for a kWh", self.per_kwh, 0, MAX_PER_KWH)
        if self.up_to_kwh is not None:
            within("the end of a slab in kWh", self.up_to_kwh, 0, MAX_KWH)


Slabs = tuple[Slab, ...]


def flat(per_kwh: Decimal) -> Slabs:
    """One price for every kWh."""
    return (Slab(per_kwh),)


def _check_slabs(slabs: Slabs) -> None:
    ends = [slab.up_to_kwh for slab in slabs]
    if not 0 < len(ends) <= MAX_SLABS or ends[-1] is not None or None in ends[:-1]:
        raise ValueError("the last slab, and no other, is without an end")
    known = [Decimal(0), *(end for end in ends if end is not None)]
    if any(later <= earlier for earlier, later in itertools.pairwise(known)):
        raise ValueError("each slab ends above the one before")


@dataclass(frozen=True, slots=True)
class Window:
    """A time of use with slabs of its own, from `start_minute` until `end_minute` of local days.

    `weekdays`: 0 is Monday. One that ends before it starts goes on past midnight, and belongs to
    the day on which it starts. A whole day is 0 to 1440.
    """

    weekdays: frozenset[int]
    start_minute: int
    end_minute: int
    slabs: Slabs

    def __post_init__(self) -> None:
        _check_slabs(self.slabs)
        if not self.weekdays or not self.weekdays <= set(range(7)):
            raise ValueError("weekdays are from 0 (Monday) to 6")
        good = 0 <= self.start_minute < MINUTES_PER_DAY and 0 < self.end_minute <= MINUTES_PER_DAY
        if not good or self.start_minute == self.end_minute:
            raise ValueError("a window is from one minute of the day to another: 0 to 1440")

    def stretches(self) -> Iterator[tuple[int, int]]:
        """[start, end) in minutes of the local week; none goes past its end."""
        length = (self.end_minute - self.start_minute) % MINUTES_PER_DAY or MINUTES_PER_DAY
        for weekday in self.weekdays:
            start = weekday * MINUTES_PER_DAY + self.start_minute
            end = start + length
            yield start, min(end, _MINUTES_PER_WEEK)
            if end > _MINUTES_PER_WEEK:
                yield 0, end - _MINUTES_PER_WEEK


@dataclass(frozen=True, slots=True)
class Vat:
    """Value-added tax: its rate, whether the stated prices have it in them, whether it is a cost.

    For whoever gets it back it is none.
    """

    rate: Decimal = Decimal(0)
    included: bool = False
    is_cost: bool = True

    def __post_init__(self) -> None:
        within("a VAT rate, as a part of 1,", self.rate, 0, 1)

    def cost_of(self, stated: Decimal) -> Decimal:
        """What a stated price costs."""
        if self.is_cost:
            return stated if self.included else stated * (1 + self.rate)
        return divide(stated, 1 + self.rate) if self.included else stated


@dataclass(frozen=True, slots=True)
class Tariff:
    """What electricity costs, in `currency`.

    `slabs` hold outside of all windows. All slabs count the month's whole consumption. The
    surcharge comes on every kWh; VAT on everything. `demand_per_kw_month` is for each kW of the
    month's peak. Raises ValueError if windows overlap.
    """

    slabs: Slabs
    windows: tuple[Window, ...] = ()
    surcharge_per_kwh: Decimal = Decimal(0)
    vat: Vat = Vat()
    demand_per_kw_month: Decimal | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        _check_slabs(self.slabs)
        within("a surcharge for a kWh", self.surcharge_per_kwh, 0, MAX_PER_KWH)
        if self.demand_per_kw_month is not None:
            within("a demand charge", self.demand_per_kw_month, 0, MAX_PER_KWH)
        if not is_code(self.currency):
            raise ValueError("a currency is three capital letters")
        if len(self.windows) > MAX_WINDOWS:
            raise ValueError(f"more than {MAX_WINDOWS} windows")
        week = sorted(each for window in self.windows for each in window.stretches())
        if any(later[0] < earlier[1] for earlier, later in itertools.pairwise(week)):
            raise ValueError("two windows hold at the same time")

    def per_kwh(self, instant_ns: int, zone: tzinfo, month_kwh: Decimal = Decimal(0)) -> Decimal:
        """The price of the next kWh, all in; `month_kwh`: what the local month has had so far."""
        slab = self._slab_at(instant_ns, zone, month_kwh)
        return self.vat.cost_of(slab.per_kwh + self.surcharge_per_kwh)

    def slab_end(self, instant_ns: int, zone: tzinfo, month_kwh: Decimal) -> Decimal | None:
        """Up to how many kWh of the local month `per_kwh` holds; None: for all that follow."""
        return self._slab_at(instant_ns, zone, month_kwh).up_to_kwh

    @property
    def counts_month(self) -> bool:
        """Whether the price depends on what the month has had so far."""
        return any(len(each) > 1 for each in (self.slabs, *(w.slabs for w in self.windows)))

    def cost(
        self, kwh: Decimal, instant_ns: int, zone: tzinfo, month_kwh: Decimal = Decimal(0)
    ) -> Decimal:
        """What `kwh` more cost at an instant, over as many slabs as they reach."""
        within("energy in kWh", kwh, 0, MAX_KWH)
        within("a month's kWh", month_kwh, 0, MAX_KWH)
        stated, at, end = Decimal(0), month_kwh, month_kwh + kwh
        for slab in self._slabs_at(instant_ns, zone):
            until = end if slab.up_to_kwh is None else min(end, slab.up_to_kwh)
            if until > at:
                stated += (until - at) * (slab.per_kwh + self.surcharge_per_kwh)
                at = until
        return self.vat.cost_of(stated)

    def demand_per_hour(self, peak_kw: Decimal, instant_ns: int, zone: tzinfo) -> Decimal | None:
        """The demand charge, spread over the hours that the local month has; None without one."""
        if self.demand_per_kw_month is None:
            return None
        within("a peak in kW", peak_kw, 0, MAX_KWH)
        charge = self.vat.cost_of(self.demand_per_kw_month * peak_kw)
        return divide(charge, month_hours(instant_ns, zone))

    def changes(self, period: Period, zone: tzinfo) -> tuple[int, ...]:
        """Instants inside the period at which another window, or a month that counts, begins.

        Between them the price depends on the month's kWh alone.
        """
        edges = [period.start_ns, *_transitions(period, zone), period.end_ns]
        found: set[int] = set(edges[1:-1])
        for start, end in itertools.pairwise(edges):
            found.update(self._boundaries(start, end, _offset_ns(start, zone)))
        inner = sorted(at for at in found if period.start_ns < at < period.end_ns)
        return tuple(at for at in inner if self._state(at, zone) != self._state(at - 1, zone))

    def _boundaries(self, start_ns: int, end_ns: int, offset_ns: int) -> Iterator[int]:
        """Where windows and days begin and end, while the clocks keep one offset from UTC."""
        minutes = {0}
        for window in self.windows:
            minutes.update((window.start_minute, window.end_minute % MINUTES_PER_DAY))
        days = range(_day(start_ns + offset_ns), _day(end_ns + offset_ns) + 1)
        for day in days:
            for minute in minutes:
                yield (day * MINUTES_PER_DAY + minute) * _NS_PER_MINUTE - offset_ns

    def _state(self, instant_ns: int, zone: tzinfo) -> tuple[Slabs, tuple[int, int]]:
        """What the price depends on: the slabs, and the month if its consumption or peak counts."""
        slabs = self._slabs_at(instant_ns, zone)
        monthly = self.demand_per_kw_month is not None or self.counts_month
        return slabs, _month(instant_ns, zone) if monthly else (0, 0)

    def _slab_at(self, instant_ns: int, zone: tzinfo, month_kwh: Decimal) -> Slab:
        within("a month's kWh", month_kwh, 0, MAX_KWH)
        return next(
            each
            for each in self._slabs_at(instant_ns, zone)
            if each.up_to_kwh is None or month_kwh < each.up_to_kwh
        )

    def _slabs_at(self, instant_ns: int, zone: tzinfo) -> Slabs:
        local = (instant_ns + _offset_ns(instant_ns, zone)) // _NS_PER_MINUTE
        # The week begins on Monday; 1970 began on a Thursday.
        minute = (local + 3 * MINUTES_PER_DAY) % _MINUTES_PER_WEEK
        for window in self.windows:
            if any(start <= minute < end for start, end in window.stretches()):
                return window.slabs
        return self.slabs


def usd_per_kwh(
    tariff: Tariff,
    rates: Rates,
    instant_ns: int,
    zone: tzinfo,
    month_kwh: Decimal = Decimal(0),
) -> Converted | None:
    """The price of the next kWh in dollars, with what it is billed at; None without a rate."""
    price = tariff.per_kwh(instant_ns, zone, month_kwh)
    return rates.to_usd(price, tariff.currency, instant_ns)


def month_start_ns(instant_ns: int, zone: tzinfo) -> int:
    """When the local month of an instant began, to begin counting its kWh."""
    return _first_of(_month(instant_ns, zone), zone)


def month_hours(instant_ns: int, zone: tzinfo) -> Decimal:
    """How many hours the local month of an instant has: 743 or 745 where the clocks change."""
    year, month = _month(instant_ns, zone)
    following = (year + month // 12, month % 12 + 1)
    length = _first_of(following, zone) - _first_of((year, month), zone)
    return divide(Decimal(length), Decimal(NS_PER_HOUR))


def _first_of(month: tuple[int, int], zone: tzinfo) -> int:
    first = datetime(*month, 1, tzinfo=zone)
    return (first.astimezone(UTC) - _EPOCH) // timedelta(seconds=1) * NS_PER_SECOND


def _offset_ns(instant_ns: int, zone: tzinfo) -> int:
    """How far local time is ahead of UTC."""
    moment = _EPOCH + timedelta(microseconds=instant_ns // 1000)
    offset = moment.astimezone(zone).utcoffset() or timedelta(0)
    return offset // timedelta(microseconds=1) * 1000


def _day(local_ns: int) -> int:
    return local_ns // (MINUTES_PER_DAY * _NS_PER_MINUTE)


def _month(instant_ns: int, zone: tzinfo) -> tuple[int, int]:
    day = date.fromordinal(_EPOCH_DAY + _day(instant_ns + _offset_ns(instant_ns, zone)))
    return day.year, day.month


def _transitions(period: Period, zone: tzinfo) -> Iterator[int]:
    """Instants inside the period at which the clocks are set, to the second."""
    at = period.start_ns // NS_PER_SECOND * NS_PER_SECOND
    before = _offset_ns(at, zone)
    while at < period.end_ns:
        following = at + _PROBE_NS
        after = _offset_ns(following, zone)
        if after != before:
            change = _bisect(at, following, before, zone)
            if period.start_ns < change < period.end_ns:
                yield change
        at, before = following, after


def _bisect(low: int, high: int, before: int, zone: tzinfo) -> int:
    """The first second in (low, high] at which the offset is another one."""
    while high - low > NS_PER_SECOND:
        middle = low + (high - low) // (2 * NS_PER_SECOND) * NS_PER_SECOND
        if _offset_ns(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
