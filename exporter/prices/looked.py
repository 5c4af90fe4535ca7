"""What is known of this host's price, and what of it is to be remembered."""

from dataclasses import dataclass, field, replace

from unitcost.exporter.prices.exchange import ExchangeState
from unitcost.pricing.currency import USD, Rate, Rates
from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Rank, Resolution
from unitcost.pricing.sibling import Sibling

REMEMBER_NS = 48 * 3600 * 10**9
"""How long a price that has ended is remembered; Spot prices end by the minute."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing. `last_success_ns` is None before the first; `error` is its last one.

    `not_here`: it knows no hosts of this provider. `dropped`: how many rows it left out, by reason.
    `sibling_quotes`, `sibling_error`: what it says of the host's sibling, or why it could not.
    """

    name: str
    rank: Rank
    quotes: tuple[Quote, ...] = ()
    last_success_ns: int | None = None
    errors: int = 0
    error: str = ""
    not_here: bool = False
    dropped: tuple[tuple[str, int], ...] = ()
    sibling_quotes: tuple[Quote, ...] = ()
    sibling_error: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """All that is known of this host's price; another object whenever anything changed.

    `resolution` is what was found, `paid` what of that is paid after discounts. `on_demand` is
    what it would cost on demand, where it runs under other terms. `sibling` is the same machine
    without its GPUs; what that costs is `sibling_resolution` and `sibling_paid`. `identified`:
    whether it was asked at all what this host is.
    """

    identity: HostIdentity = field(default_factory=HostIdentity)
    notes: tuple[str, ...] = ()
    resolution: Resolution = field(default_factory=Resolution)
    sources: tuple[SourceState, ...] = ()
    rates: Rates = field(default_factory=Rates)
    exchange: ExchangeState = field(default_factory=lambda: ExchangeState(""))
    paid: Resolution = field(default_factory=Resolution)
    on_demand: Resolution = field(default_factory=Resolution)
    sibling: Sibling | None = None
    sibling_resolution: Resolution = field(default_factory=Resolution)
    sibling_paid: Resolution = field(default_factory=Resolution)
    identified: bool = False

    @property
    def sibling_identity(self) -> HostIdentity | None:
        """Whose price tells the sibling's: of the same provider, place and terms."""
        if self.sibling is None:
            return None
        return replace(self.identity, sku=self.sibling.sku, instance_id="", said_by=())


Remember = tuple[tuple[Quote, ...], tuple[Rate, ...], tuple[Quote, ...]]
"""Quotes, exchange rates, and the sibling's quotes."""


def rate_problem(looked: Looked, now_ns: int) -> str:
    """What is wrong with the exchange rate of the price in use, in words; empty if nothing is."""
    chosen = looked.resolution.at(now_ns)
    currency = chosen.quote.key.currency if chosen else USD
    rate = looked.rates.at(currency, now_ns)
    if rate is None:
        return (
            f"the price is in {currency}, which has no exchange rate: the host stays unpriced "
            "(price.currency says where rates come from)"
        )
    if rate.is_stale(now_ns):
        return f"the price is in {currency}, whose exchange rate is stale: of {rate.on}"
    return ""


def rates_in_use(looked: Looked, now_ns: int) -> tuple[Rate, ...] | None:
    """The exchange rates to be remembered: those that were read, of the price's currencies.

    None where `believed` says None.
    """
    if looked.resolution.missing:
        return None
    chosen = (*looked.resolution.chosen, *looked.sibling_resolution.chosen)
    currencies = (each.quote.key.currency for each in chosen)
    return looked.rates.since(currencies, now_ns - REMEMBER_NS)


def believed(looked: Looked, now_ns: int) -> tuple[Quote, ...] | None:
    """The quotes to be remembered: those that are this host's price, from a live source.

    None while the host does not know what it is: what was remembered stays. Those that ended
    `REMEMBER_NS` ago are of no use any more.
    """
    return None if looked.resolution.missing else _of_use(looked.resolution, now_ns)


def believed_of_sibling(looked: Looked, now_ns: int) -> tuple[Quote, ...] | None:
    """The same of its sibling; None where `believed` says None."""
    return None if looked.resolution.missing else _of_use(looked.sibling_resolution, now_ns)


def to_remember(looked: Looked, now_ns: int) -> Remember | None:
    """What the ledger is to remember; None while the host does not know what it is."""
    quotes, rates = believed(looked, now_ns), rates_in_use(looked, now_ns)
    siblings = believed_of_sibling(looked, now_ns)
    if quotes is None or rates is None or siblings is None:
        return None
    return quotes, rates, siblings


def _of_use(resolution: Resolution, now_ns: int) -> tuple[Quote, ...]:
    kept = (Rank.LIVE, Rank.SNAPSHOT)
    since = now_ns - REMEMBER_NS
    return tuple(
        each.quote
        for each in resolution.chosen
        if each.rank in kept and (each.quote.valid_to_ns is None or each.quote.valid_to_ns > since)
    )
