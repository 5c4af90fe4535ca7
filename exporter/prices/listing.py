"""`unitcost prices list`: what is known of prices without asking anybody.

That is what the ledger remembers, what the user's own files on this host say, and the built-in
rate card.
"""

import fnmatch
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unitcost.collectors.price_sources.rate_card import read_rate_card
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.settings import Lookup
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.prices.lookup import IDENTITY
from unitcost.exporter.prices.make import make_local, stated_identity
from unitcost.exporter.prices.remembered import Remembered, remembered
from unitcost.exporter.prices.words import day, iso, key_fields, plain
from unitcost.pricing.conversion import in_dollars
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import RANKS, Rank, misfit


@dataclass(frozen=True, slots=True)
class Filter:
    """Patterns as a shell has them (``*``, ``?``), in any case; empty: all."""

    provider: str = ""
    region: str = ""
    type: str = ""

    def __bool__(self) -> bool:
        """Whether anything is filtered."""
        return self != Filter()

    def matches(self, key: PriceKey) -> bool:
        """Whether a price is of those that are wanted."""
        pairs = ((self.provider, key.provider), (self.region, key.region), (self.type, key.sku))
        return all(
            fnmatch.fnmatchcase(text.lower(), (pattern or "*").lower()) for pattern, text in pairs
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One price. `usd_per_hour` is now's, None without an exchange rate; `used`: it is in use."""

    rank: Rank
    quote: Quote
    usd_per_hour: str | None
    used: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known, and in words what keeps more from being known."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def listing(loaded: Loaded, wanted: Filter) -> Listing:
    """The prices of this host, or those that a filter names, of the rate card as well."""
    price = loaded.settings.price
    known = remembered(loaded.settings.ledger.path) if price.lookup else Remembered()
    identity = identity_of(price.lookup or Lookup(), known.quotes)
    folder = Path(loaded.source).absolute().parent
    lookup = make_local(identity, loaded.price_sources, folder, price.currency)
    lookup.remember(known.quotes, known.rates)
    for name, ask, _ in lookup.questions():
        if name == IDENTITY or name in {each.name for each in lookup.current().sources}:
            ask()
    if price.currency.ecb_file:
        lookup.refresh_rates()
    looked, now_ns = lookup.current(), time.time_ns()
    offered = [*_offered(looked, known), *_card(wanted)]
    if wanted:
        chosen = [(rank, quote) for rank, quote in offered if wanted.matches(quote.key)]
    else:
        chosen = [(rank, each) for rank, each in offered if misfit(identity, each.key) is None]
    rows = {_row(rank, quote, looked, now_ns): None for rank, quote in chosen}
    notes = tuple(_notes(loaded, known, looked, wanted))
    return Listing(tuple(sorted(rows, key=_order)), notes)


def identity_of(lookup: Lookup, quotes: Sequence[Quote]) -> HostIdentity:
    """What this host is by the configuration; what that leaves open, by what is remembered of it.

    A host's remembered prices are all its own; where they differ in something, that is open.
    """
    identity = stated_identity(lookup.instance)
    for name in ("provider", "region", "sku", "model", "zone"):
        values = {getattr(quote.key, name) for quote in quotes} - {""}
        if not getattr(identity, name) and len(values) == 1:
            identity = replace(identity, **{name: values.pop()})
    return identity


def _offered(looked: Looked, known: Remembered) -> Iterator[tuple[Rank, Quote]]:
    for state in looked.sources:
        yield from ((state.rank, quote) for quote in state.quotes)
    yield from ((Rank.SNAPSHOT, quote) for quote in known.quotes)


def _card(wanted: Filter) -> Iterator[tuple[Rank, Quote]]:
    """All of the built-in card, where something is filtered."""
    if wanted:
        yield from ((Rank.RATE_CARD, row.quote) for row in read_rate_card())


def _row(rank: Rank, quote: Quote, looked: Looked, now_ns: int) -> Row:
    parts = in_dollars(quote, looked.rates)
    now = next((each for each in parts if each.quote.covers(now_ns)), None)
    in_use = looked.resolution.at(now_ns)
    used = in_use is not None and _same(in_use.quote, quote) and in_use.rank is rank
    return Row(rank, quote, None if now is None else plain(now.usd_per_hour), used)


def _same(chosen: Quote, quote: Quote) -> bool:
    """Whether what was chosen is this quote, or a part of its time."""
    from_ns, to_ns = chosen.valid_from_ns, chosen.valid_to_ns
    return replace(quote, valid_from_ns=from_ns, valid_to_ns=to_ns) == chosen


def _order(row: Row) -> tuple[object, ...]:
    quote = row.quote
    return (quote.key, RANKS.index(row.rank), quote.valid_from_ns, quote.per_hour, quote.source)


def _notes(loaded: Loaded, known: Remembered, looked: Looked, wanted: Filter) -> Iterator[str]:
    if loaded.settings.price.lookup is None:
        yield "no price is looked up: the configuration has no price.lookup"
    elif known.problem:
        yield known.problem
    if looked.resolution.missing and not wanted:
        missing = ", ".join(looked.resolution.missing)
        yield f"not known of this host without asking: {missing} (unitcost prices explain asks)"
    for state in looked.sources:
        if state.error:
            yield f"{state.name} cannot be read: {state.error}"


COLUMNS = ("", "USD/h", "billed/h", "terms", "region", "type", "from", "until", "as of", "source")


def lines(found: Listing) -> Iterator[str]:
    """A table for a person; the price in use has a star."""
    cells = [COLUMNS, *(_cells(row) for row in found.rows)]
    if found.rows:
        widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
        for line in cells:
            padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
            yield "  ".join(padded).rstrip()
    else:
        yield "no prices are known"
    yield from (f"! {note}" for note in found.notes)


def _cells(row: Row) -> tuple[str, ...]:
    quote = row.quote
    key = quote.key
    until = "" if quote.valid_to_ns is None else day(quote.valid_to_ns)
    return (
        "*" if row.used else "",
        row.usd_per_hour or "none",
        f"{plain(quote.per_hour)} {key.currency}",
        str(key.model),
        "/".join(part for part in (key.region, key.zone) if part),
        f"{key.provider} {key.sku}",
        day(quote.valid_from_ns),
        until,
        day(quote.as_of_ns),
        f"{quote.source} ({row.rank})",
    )


def document(found: Listing) -> dict[str, Any]:
    """The same for a machine: amounts are decimal numbers as text, instants ISO 8601 in UTC."""
    return {"prices": [_fields(row) for row in found.rows], "notes": list(found.notes)}


def _fields(row: Row) -> dict[str, Any]:
    quote = row.quote
    return key_fields(quote.key) | {
        "per_hour": plain(quote.per_hour),
        "usd_per_hour": row.usd_per_hour,
        "list_per_hour": None if quote.list_per_hour is None else plain(quote.list_per_hour),
        "valid_from": iso(quote.valid_from_ns),
        "valid_to": iso(quote.valid_to_ns),
        "as_of": iso(quote.as_of_ns),
        "source": quote.source,
        "rank": str(row.rank),
        "in_use": row.used,
    }
