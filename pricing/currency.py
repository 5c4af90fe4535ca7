"""Currencies: dollars inside, and for every amount billed otherwise the rate and its date.

A rate is never guessed: a currency without one has no dollars. On days without a rate (weekends,
holidays) the last one holds, and says its date.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from unitcost.pricing.figures import divide, multiply, within
from unitcost.pricing.money import PICO, round_half_even, to_usd
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import Period

USD = "USD"
NS_PER_DAY = 24 * 3600 * NS_PER_SECOND
STALE_AFTER_NS = 6 * NS_PER_DAY
"""Longer than the longest pause of a healthy source: four days at Easter, and some time to read."""
MIN_RATE = Decimal(1).scaleb(-9)
MAX_RATE = Decimal(10**9)
MAX_AMOUNT = Decimal(10**18)
MAX_HELD = 1000
"""Rates of one currency that are kept: four years of working days."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CODE = re.compile(r"[A-Z]{3}")


def is_code(text: str) -> bool:
    """Whether it has the form of a currency's code (ISO 4217)."""
    return _CODE.fullmatch(text) is not None


def day_ns(day: date) -> int:
    """00:00 UTC of a day, as Unix nanoseconds."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (start - _EPOCH) // timedelta(seconds=1) * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Rate:
    """`units` of a currency are `usd` US dollars: two exact numbers, so that crossing is exact.

    `on` is the date the source gives it, `from_ns` from when it is used and `known_at_ns` when we
    learnt it (Unix time). A pegged rate does not grow stale. Raises ValueError for what no rate
    can be.
    """

    currency: str
    units: Decimal
    usd: Decimal
    on: date
    from_ns: int
    source: str
    pegged: bool = False
    known_at_ns: int = 0

    def __post_init__(self) -> None:
        if not is_code(self.currency):
            raise ValueError("a currency is three capital letters")
        for value in (self.units, self.usd):
            within("a rate", value, MIN_RATE, MAX_RATE)
        if self.currency == USD and self.units != self.usd:
            raise ValueError("a US dollar is a US dollar")

    @property
    def units_per_usd(self) -> Decimal:
        """Units for one US dollar, to 28 digits: to be shown, not to be calculated with.

        The way round in which bills state it: Azure's ``exchangeRatePricingToBilling``, Google's
        ``currency_conversion_rate``.
        """
        return Context(prec=28, rounding=ROUND_HALF_EVEN).divide(self.units, self.usd)

    def agrees(self, other: "Rate") -> bool:
        """Whether it says the same of the same currency, whatever its numbers are."""
        same = self.units * other.usd == other.units * self.usd
        return same and (self.currency, self.on) == (other.currency, other.on)

    def is_stale(self, instant_ns: int, after_ns: int = STALE_AFTER_NS) -> bool:
        """Whether it has been in use for too long for another one not to be missing."""
        return not self.pegged and instant_ns - self.from_ns > after_ns


@dataclass(frozen=True, slots=True)
class Converted:
    """An amount in US dollars, to a pico-dollar; what was billed, and at which rate."""

    usd: Decimal
    billed: Decimal
    currency: str
    rate: Rate

    def is_stale(self, instant_ns: int) -> bool:
        """Whether its rate was too old at that instant."""
        return self.rate.is_stale(instant_ns)


DOLLAR = Rate(USD, Decimal(1), Decimal(1), date(1970, 1, 1), 0, "by definition", pegged=True)
PEGS = (
    Rate(
        "AED",
        Decimal("3.6725"),
        Decimal(1),
        date(2026, 11, 22),
        day_ns(date(1998, 1, 1)),
        "peg of the Central Bank of the UAE, the same since 1997",
        pegged=True,
    ),
    Rate(
        "SAR",
        Decimal("3.75"),
        Decimal(1),
        date(2026, 11, 22),
        day_ns(date(1987, 1, 1)),
        "peg of the Saudi Central Bank, the same since 1986",
        pegged=True,
    ),
)
"""Currencies that the ECB has no rate of; `on` is when the peg was last looked up."""


@dataclass(frozen=True, slots=True)
class Rates:
    """All rates known: what a source gave comes before a peg, what is `fixed` before both.

    Raises ValueError where two of the same kind hold from the same instant and differ.
    """

    rates: tuple[Rate, ...] = ()
    pegs: tuple[Rate, ...] = PEGS
    fixed: tuple[Rate, ...] = ()

    def __post_init__(self) -> None:
        for group in (self.fixed, self.rates, self.pegs):
            ordered = sorted(group, key=lambda each: (each.currency, each.from_ns))
            for one, other in itertools.pairwise(ordered):
                same = (one.currency, one.from_ns) == (other.currency, other.from_ns)
                if same and one.units * other.usd != other.units * one.usd:
                    raise ValueError(f"two rates of {one.currency} from the same instant")

    def at(self, currency: str, instant_ns: int) -> Rate | None:
        """The rate in use at an instant; None where there is none yet, or none at all."""
        in_use = None
        for from_ns, rate in self.timeline(currency):
            if from_ns <= instant_ns:
                in_use = rate
        return DOLLAR if currency == USD else in_use

    def timeline(self, currency: str) -> tuple[tuple[int, Rate], ...]:
        """From when on each rate of a currency is in use, in order; the last has no end.

        Nothing for USD, and for what has no rate.
        """
        own = [
            (rate.from_ns, kind, rate)
            for kind, group in enumerate((self.fixed, self.rates, self.pegs))
            for rate in group
            if rate.currency == currency and currency != USD
        ]
        best: dict[int, Rate] = {}
        used: list[tuple[int, Rate]] = []
        for from_ns, kind, rate in sorted(own, key=lambda each: each[:2]):
            if kind not in best or best[kind].from_ns < from_ns:  # of two at once: they agree
                best[kind] = rate
            now = best[min(best)]
            if not used or used[-1][1] is not now:
                used.append((from_ns, now))
        return tuple(used)

    def to_usd(self, amount: Decimal, currency: str, instant_ns: int) -> Converted | None:
        """An amount at the rate of an instant; None without a rate.

        Rounded once, half to even. Raises ValueError for an amount that is none.
        """
        rate = self.at(currency, instant_ns)
        return None if rate is None else convert(amount, rate)

    def changes(self, currency: str, period: Period) -> tuple[int, ...]:
        """Instants inside the period at which another rate comes into use."""
        starts = (from_ns for from_ns, _ in self.timeline(currency))
        return tuple(at for at in starts if period.start_ns < at < period.end_ns)

    def currencies(self, instant_ns: int) -> frozenset[str]:
        """Those that have a rate at an instant, besides the dollar."""
        known = (*self.fixed, *self.rates, *self.pegs)
        return frozenset(each.currency for each in known if each.from_ns <= instant_ns) - {USD}

    def with_more(self, more: Iterable[Rate]) -> "Rates":
        """These and newly read ones; of the same currency and instant the new one is kept.

        One that says what is known already changes nothing, nor when it was learnt. At most the
        latest `MAX_HELD` of each currency.
        """
        kept = {(each.currency, each.from_ns): each for each in self.rates}
        for each in more:
            key = (each.currency, each.from_ns)
            if key not in kept or not kept[key].agrees(each):
                kept[key] = each
        latest = sorted(kept.values(), key=lambda each: (each.currency, each.from_ns), reverse=True)
        groups = itertools.groupby(latest, key=lambda each: each.currency)
        held = (each for _, group in groups for each in itertools.islice(group, MAX_HELD))
        return replace(self, rates=tuple(held))

    def since(self, currencies: Iterable[str], instant_ns: int) -> tuple[Rate, ...]:
        """What sources gave of some currencies that was in use at an instant or comes later."""
        kept: list[Rate] = []
        for currency in sorted(set(currencies)):
            own = sorted(
                (each for each in self.rates if each.currency == currency),
                key=lambda each: each.from_ns,
            )
            begun = sum(each.from_ns <= instant_ns for each in own)
            kept += own[max(begun - 1, 0) :]
        return tuple(kept)


def convert(amount: Decimal, rate: Rate) -> Converted:
    """An amount in the rate's currency as dollars. Raises ValueError for an amount that is none."""
    within("an amount of money", amount, -MAX_AMOUNT, MAX_AMOUNT)
    pico = Fraction(amount) * Fraction(rate.usd) / Fraction(rate.units) * PICO
    usd = to_usd(round_half_even(pico.numerator, pico.denominator))
    return Converted(usd, amount, rate.currency, rate)


def from_usd(usd: Decimal, rate: Rate) -> Decimal:
    """Dollars in the rate's currency, to show them; to 60 digits."""
    return divide(multiply(usd, rate.units), rate.usd)
