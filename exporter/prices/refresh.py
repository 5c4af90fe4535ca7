"""`unitcost prices refresh`: ask everybody by hand, and say what changed.

It compares with what the ledger remembers and changes nothing: neither the ledger nor what an
exporter that runs charges by. That one asks by itself, and at once when it is told to reload.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unitcost.exporter.config.load import Loaded
from unitcost.exporter.prices.explain import exchange_words, source_words
from unitcost.exporter.prices.looked import REMEMBER_NS, Looked, believed
from unitcost.exporter.prices.lookup import EXCHANGE, IDENTITY, PriceLookup
from unitcost.exporter.prices.make import make_lookup
from unitcost.exporter.prices.progress import Progress
from unitcost.exporter.prices.remembered import Remembered, remembered
from unitcost.pricing.currency import USD, Rate, Rates
from unitcost.pricing.price_changes import PriceChange, price_changes
from unitcost.pricing.quote import HostIdentity

GRACE_SECONDS = 5.0
"""How much longer than it may take an answer is waited for."""


@dataclass(frozen=True, slots=True)
class RateChange:
    """The rate of a currency that was believed, and the one there is now; None: there is none."""

    currency: str
    before: Rate | None
    after: Rate | None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of asking everybody. `late` are those that gave no answer in time."""

    looked: Looked
    known: Remembered
    late: tuple[str, ...]
    prices: tuple[PriceChange, ...]
    rates: tuple[RateChange, ...]
    now_ns: int

    @property
    def failed(self) -> tuple[str, ...]:
        """Who gave no answer that can be used."""
        sources = [each.name for each in self.looked.sources if each.error]
        exchange = [EXCHANGE] if self.looked.exchange.error else []
        return tuple(dict.fromkeys([*sources, *exchange, *self.late]))


def refresh(loaded: Loaded, progress: Progress) -> Refreshed | None:
    """Ask everybody that the configuration names; None where it has nothing looked up."""
    price = loaded.settings.price
    if price.lookup is None:
        return None
    folder = Path(loaded.source).absolute().parent
    lookup = make_lookup(price, loaded.price_sources, folder)
    known = remembered(loaded.settings.ledger.path)
    lookup.remember((), known.rates)
    late = tuple(_late(lookup, progress))
    if late or any(each.error for each in lookup.current().sources):
        # Who gave no answer is believed to say what it said last: that is not gone.
        lookup.remember(known.quotes, known.rates, known.sibling_quotes)
    looked, now_ns = lookup.current(), time.time_ns()
    after = believed(looked, now_ns)
    changes: Sequence[PriceChange] = ()
    if after is not None:
        changes = price_changes(known.quotes, after, now_ns - REMEMBER_NS)
    rates = tuple(_rate_changes(looked, known, now_ns))
    return Refreshed(looked, known, late, tuple(changes), rates, now_ns)


def _late(lookup: PriceLookup, progress: Progress) -> Iterator[str]:
    """Ask, tell how it went, and give the names of those that did not answer in time."""
    questions = lookup.questions()
    progress.total = len(questions)
    for name, ask, seconds in questions:
        began = time.monotonic()
        in_time = progress.do(name, ask, seconds + GRACE_SECONDS)
        took = time.monotonic() - began
        if not in_time:
            yield name
            progress.say(f"{name}: no answer in {took:.0f} s, left behind")
        else:
            progress.say(f"{_came_of(name, lookup.current())} ({took:.1f} s)")
    progress.close()


def _came_of(name: str, looked: Looked) -> str:
    if name == IDENTITY:
        return f"{name}: {identity_words(looked.identity)}"
    if name == EXCHANGE:
        return f"{name}, {exchange_words(looked)}"
    return source_words(next(each for each in looked.sources if each.name == name))


def identity_words(identity: HostIdentity) -> str:
    """What a host is, on one line."""
    parts = (identity.provider, identity.region, identity.zone, identity.sku, identity.model)
    return " ".join(str(part) for part in parts if part) or "not known"


def _rate_changes(looked: Looked, known: Remembered, now_ns: int) -> Iterator[RateChange]:
    """Of the currencies in use, those whose rate now is another one."""
    used = {each.quote.key.currency for each in looked.resolution.chosen} - {USD}
    then = Rates(known.rates, looked.rates.pegs, looked.rates.fixed)
    for currency in sorted(used):
        before, after = then.at(currency, now_ns), looked.rates.at(currency, now_ns)
        same = before is not None and after is not None and before.agrees(after)
        if not same and (before, after) != (None, None):
            yield RateChange(currency, before, after)
