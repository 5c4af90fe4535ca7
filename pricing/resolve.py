"""The resolver: which of all quotes is this host's price, over time, and why not the others.

Sources are asked in order. At any instant the first that has a quote of exactly this host's kind
is believed; where none has, the host is unpriced at that instant. Nothing is ever taken from a
neighbouring region, another zone or other terms. In which currency it is quoted is no reason to
believe somebody else: without a rate that quote is the price, and its dollars are unknown
(`conversion.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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

    `discount` names what was taken off it, where something was (`discount.py`).
    """

    rank: Rank
    quote: Quote
    discount: str = ""


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
            free = _free(quote, [each.quote for each in chosen])
            if not free:
                rejected.append(Rejected(offered.rank, quote, Why.OUTRANKED))
            chosen += [Chosen(offered.rank, part) for part in free]
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

    in_order = sorted(quotes, key=right)
    disputed = [each for each in quotes if any(_disagree(each, other) for other in quotes)]
    tiled: list[Quote] = []
    for quote in reversed(in_order):
        if quote not in disputed:
            tiled += _free(quote, tiled)
    return sorted(tiled, key=lambda each: each.valid_from_ns), disputed


def _disagree(one: Quote, other: Quote) -> bool:
    """Whether they say different things of the same time with the same right."""
    if one.per_hour == other.per_hour or one.key != other.key:
        return False
    equal = (one.as_of_ns, one.known_at_ns) == (other.as_of_ns, other.known_at_ns)
    return equal and _overlap(one, other)


def _overlap(one: Quote, other: Quote) -> bool:
    ends_after = one.valid_to_ns is None or one.valid_to_ns > other.valid_from_ns
    begins_before = other.valid_to_ns is None or one.valid_from_ns < other.valid_to_ns
    return ends_after and begins_before


def _free(quote: Quote, taken: Sequence[Quote]) -> list[Quote]:
    """The parts of a quote's time that no other has taken."""
    parts = [quote]
    for other in taken:
        parts = [piece for part in parts for piece in _without(part, other)]
    return parts


def _without(quote: Quote, other: Quote) -> list[Quote]:
    if not _overlap(quote, other):
        return [quote]
    pieces = []
    if quote.valid_from_ns < other.valid_from_ns:
        pieces.append(replace(quote, valid_to_ns=other.valid_from_ns))
    if other.valid_to_ns is not None and (
        quote.valid_to_ns is None or other.valid_to_ns < quote.valid_to_ns
    ):
        pieces.append(replace(quote, valid_from_ns=other.valid_to_ns))
    return pieces
