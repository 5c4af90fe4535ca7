"""The resolver: which of all quotes is this host's price, over time, and why not the others.

Sources are asked in order. At any instant the first that has a quote of exactly this host's kind
is believed; where none has, the host is unpriced at that instant. Nothing is ever taken from a
neighbouring region, another zone or other terms. In which currency it is quoted is no reason to
believe somebody else: without a rate that quote is the price, and its dollars are unknown
(`conversion.py`).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from unitcost.pricing.currency import USD
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote


class Why(StrEnum):
    """Why a quote is not this host's price."""

    PROVIDER = "another provider"
    SKU = "another instance type"
    REGION = "another region"
    ZONE = "another zone"
    MODEL = "another price model"
    OUTRANKED = "a better source has one for that time"
    OVERLAP = "the same source says something else for the same time"


class Rank(StrEnum):
    """Where quotes come from, best first."""

    OVERRIDE = "configuration"
    LIVE = "live source"
    SNAPSHOT = "snapshot in the ledger"
    RATE_CARD = "built-in rate card"


RANKS = tuple(Rank)


@dataclass(frozen=True, slots=True)
class Offered:
    """The quotes of one source, and what kind of source it is."""

    rank: Rank
    quotes: Sequence[Quote]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A quote, cut to the time in which it is this host's price.

    `discount` names what was taken off it, where something was (`discount.py`), and
    `discount_from_ns` is since when that is agreed, 0 where it does not say so.
    """

    rank: Rank
    quote: Quote
    discount: str = ""
    discount_from_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A quote that is not this host's price, and why."""

    rank: Rank
    quote: Quote
    why: Why


@dataclass(frozen=True, slots=True)
class Resolution:
    """This host's price over time: `chosen` do not overlap and are in order.

    `missing` names what is not known of the host, without which there is no price at all.
    """

    chosen: tuple[Chosen, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[str, ...] = ()

    def at(self, instant_ns: int) -> Chosen | None:
        """The price at an instant; None where there is none."""
        return next((each for each in self.chosen if each.quote.covers(instant_ns)), None)


def resolve(
    identity: HostIdentity, offers: Iterable[Offered], currencies: frozenset[str] = frozenset()
) -> Resolution:
    """This host's price over time. `currencies`: those that have a rate, besides USD.

    Of two quotes of one source for the same time the one stated last holds; if both were stated
    at once and differ, neither is believed. A source that says it in several currencies is
    believed in one that has a rate, dollars first.
    """
    missing = missing_of(identity)
    ranked = sorted(offers, key=lambda each: RANKS.index(each.rank))
    chosen: list[Chosen] = []
    rejected: list[Rejected] = []
    taken = _Taken()
    for offered in ranked:
        fitting: list[Quote] = []
        for quote in offered.quotes:
            why = None if missing else misfit(identity, quote.key)
            if why is not None:
                rejected.append(Rejected(offered.rank, quote, why))
            elif not missing:
                fitting.append(quote)
        tiled, disputed = _tiled(fitting, currencies)
        rejected += [Rejected(offered.rank, quote, Why.OVERLAP) for quote in disputed]
        for quote in tiled:
            free = taken.free(quote)
            if not free:
                rejected.append(Rejected(offered.rank, quote, Why.OUTRANKED))
            for part in free:
                taken.take(part)
                chosen.append(Chosen(offered.rank, part))
        chosen.sort(key=lambda each: each.quote.valid_from_ns)
    return Resolution(tuple(chosen), tuple(rejected), missing)


def missing_of(identity: HostIdentity) -> tuple[str, ...]:
    """What must be known of a host and is not."""
    needed = {
        "provider": identity.provider,
        "region": identity.region,
        "instance type": identity.sku,
        "price model": identity.model,
    }
    return tuple(name for name, value in needed.items() if not value)


def misfit(identity: HostIdentity, key: PriceKey) -> Why | None:
    """Why a quote is of something else than this host; None if it is of exactly this kind."""
    if key.provider != identity.provider:
        return Why.PROVIDER
    if key.sku != identity.sku:
        return Why.SKU
    if key.region != identity.region:
        return Why.REGION
    if key.model is not identity.model:
        return Why.MODEL
    if key.zone and key.zone != identity.zone:
        return Why.ZONE
    return None


def _tiled(quotes: Sequence[Quote], currencies: frozenset[str]) -> tuple[list[Quote], list[Quote]]:
    """The quotes of one source without overlaps, in order of time; and those in dispute.

    What can be told in dollars comes before what cannot, a zone's own price before the whole
    region's; then the one stated last holds for all of its time.
    """

    def right(quote: Quote) -> tuple[object, ...]:
        usd = quote.key.currency == USD
        told = usd or quote.key.currency in currencies
        return told, bool(quote.key.zone), quote.as_of_ns, quote.known_at_ns, usd

    disputed = _disputed(quotes)
    told = [quote for quote in quotes if quote not in disputed]
    tiled = _Taken()
    for quote in reversed(sorted(told, key=right)):
        for part in tiled.free(quote):
            tiled.take(part)
    return tiled.pieces, [quote for quote in quotes if quote in disputed]


def _disputed(quotes: Sequence[Quote]) -> set[Quote]:
    """Those that say another thing than some other of the same time, with the same right.

    That is what was stated and learnt at once of one key. In order of their beginnings, each is
    compared with the one before that reaches farthest and the nearest one after it, of those that
    have another price.
    """
    groups: dict[tuple[object, ...], list[Quote]] = {}
    for quote in quotes:
        groups.setdefault((quote.key, quote.as_of_ns, quote.known_at_ns), []).append(quote)
    disputed: set[Quote] = set()
    for group in groups.values():
        in_order = sorted(group, key=lambda each: each.valid_from_ns)
        reach: dict[Decimal, float] = {}
        for quote in in_order:
            if any(end > quote.valid_from_ns for end in _others(reach, quote)):
                disputed.add(quote)
            reach[quote.per_hour] = max(reach.get(quote.per_hour, 0), _end(quote))
            reach = dict(sorted(reach.items(), key=lambda item: item[1])[-2:])
        begin: dict[Decimal, float] = {}
        for quote in reversed(in_order):
            if any(start < _end(quote) for start in _others(begin, quote)):
                disputed.add(quote)
            begin[quote.per_hour] = quote.valid_from_ns
            begin = dict(sorted(begin.items(), key=lambda item: item[1])[:2])
    return disputed


def _others(of_price: Mapping[Decimal, float], quote: Quote) -> Iterator[float]:
    """The figures of the other prices than the quote's."""
    return (figure for price, figure in of_price.items() if price != quote.per_hour)


def _end(quote: Quote) -> float:
    return math.inf if quote.valid_to_ns is None else quote.valid_to_ns


class _Taken:
    """Quotes one after another, none for the time of another; thousands of them are no burden."""

    def __init__(self) -> None:
        self.pieces: list[Quote] = []
        self._starts: list[int] = []

    def take(self, piece: Quote) -> None:
        """Add one whose time is free."""
        place = bisect_right(self._starts, piece.valid_from_ns)
        self._starts.insert(place, piece.valid_from_ns)
        self.pieces.insert(place, piece)

    def free(self, quote: Quote) -> list[Quote]:
        """The parts of a quote's time that no other has taken."""
        at, end = quote.valid_from_ns, _end(quote)
        parts: list[Quote] = []
        place = max(bisect_right(self._starts, at) - 1, 0)
        for index in range(place, len(self.pieces)):
            piece = self.pieces[index]
            if piece.valid_from_ns >= end:
                break
            if piece.valid_from_ns > at:
                until = piece.valid_from_ns
                parts.append(replace(quote, valid_from_ns=at, valid_to_ns=until))
            if piece.valid_to_ns is None:
                return parts
            at = max(at, piece.valid_to_ns)
        if at < end:
            parts.append(replace(quote, valid_from_ns=at))
        return parts
