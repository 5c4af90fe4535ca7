"""What `unitcost prices refresh` came to: in words, and as JSON."""

from collections.abc import Iterator
from typing import Any

from unitcost.exporter.prices.explain import price_words
from unitcost.exporter.prices.looked import Looked, SourceState
from unitcost.exporter.prices.refresh import RateChange, Refreshed
from unitcost.exporter.prices.words import at, host_fields, iso, key_fields, name_of, plain
from unitcost.pricing.conversion import Dollars, in_dollars
from unitcost.pricing.currency import Rate
from unitcost.pricing.price_changes import PriceChange

GOOD, FAILED = 0, 1


def exit_code(found: Refreshed) -> int:
    """0 where everybody answered and this host has a price in dollars now, else 1."""
    priced = _price(found.looked, found.now_ns)
    good = not found.failed and priced is not None and priced["usd_per_hour"] is not None
    return GOOD if good else FAILED


def lines(found: Refreshed) -> Iterator[str]:
    """Lines for a person."""
    if found.known.problem:
        yield f"! {found.known.problem}: there is nothing to compare with"
    elif not (found.prices or found.rates):
        yield "nothing changed"
    else:
        yield "changed:"
    yield from (f"  {_price_line(each, found.now_ns)}" for each in found.prices)
    yield from (f"  {_rate_line(each)}" for each in found.rates)
    yield from price_words(found.looked, found.now_ns)
    for name in found.failed:
        yield f"! {name} gave no answer that can be used: what it said last, if anything, holds"


def _price_line(change: PriceChange, now_ns: int) -> str:
    when = f", from {at(change.from_ns)}" if change.from_ns > now_ns else ""
    when += f", until {at(change.to_ns)}" if change.to_ns is not None else ""
    return f"{name_of(change.key)}: {_amounts(change)} {change.key.currency} an hour{when}"


def _amounts(change: PriceChange) -> str:
    if change.before is None or change.after is None:
        amount = change.after if change.before is None else change.before
        return f"{change.kind}, {plain(amount)}" if amount is not None else change.kind
    percent = "" if change.percent is None else f" ({change.percent:+.2f} %)"
    return f"{plain(change.before)} -> {plain(change.after)}{percent}"


def _rate_line(change: RateChange) -> str:
    before, after = (_rate_words(rate) for rate in (change.before, change.after))
    return f"{change.currency} for a dollar: {before} -> {after}"


def _rate_words(rate: Rate | None) -> str:
    return "none" if rate is None else f"{plain(rate.units_per_usd)} (of {rate.on})"


def document(found: Refreshed) -> dict[str, Any]:
    """All of it for a machine: amounts are decimal numbers as text, instants ISO 8601 in UTC."""
    looked = found.looked
    return {
        "host": _host(looked),
        "price": _price(looked, found.now_ns),
        "compared": not found.known.problem,
        "ledger": found.known.problem or None,
        "changes": [_change(each) for each in found.prices],
        "rate_changes": [
            {"currency": each.currency, "before": _rate(each.before), "after": _rate(each.after)}
            for each in found.rates
        ],
        "sources": [_source(each, each.name in found.late) for each in looked.sources],
        "exchange_rates": _exchange(looked),
        "failed": list(found.failed),
    }


def _host(looked: Looked) -> dict[str, Any]:
    missing, notes = list(looked.resolution.missing), list(looked.notes)
    return host_fields(looked.identity) | {"missing": missing, "notes": notes}


def _price(looked: Looked, now_ns: int) -> dict[str, Any] | None:
    chosen = looked.paid.at(now_ns)
    if chosen is None:
        return None
    quote = chosen.quote
    parts = in_dollars(quote, looked.rates)
    now: Dollars | None = next((each for each in parts if each.quote.covers(now_ns)), None)
    return key_fields(quote.key) | {
        "per_hour": plain(quote.per_hour),
        "list_per_hour": None if quote.list_per_hour is None else plain(quote.list_per_hour),
        "discount": chosen.discount or None,
        "usd_per_hour": None if now is None else plain(now.usd_per_hour),
        "rate": None if now is None else _rate(now.rate),
        "valid_from": iso(quote.valid_from_ns),
        "valid_to": iso(quote.valid_to_ns),
        "as_of": iso(quote.as_of_ns),
        "source": quote.source,
        "rank": str(chosen.rank),
    }


def _change(change: PriceChange) -> dict[str, Any]:
    return key_fields(change.key) | {
        "kind": change.kind,
        "before": None if change.before is None else plain(change.before),
        "after": None if change.after is None else plain(change.after),
        "percent": None if change.percent is None else f"{change.percent:.6f}",
        "from": iso(change.from_ns),
        "to": iso(change.to_ns),
    }


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    figures = {"currency": rate.currency, "units_per_usd": plain(rate.units_per_usd)}
    return figures | {"of": str(rate.on), "source": rate.source}


def _source(state: SourceState, late: bool) -> dict[str, Any]:
    return {
        "name": state.name,
        "rank": str(state.rank),
        "quotes": len(state.quotes),
        "error": "no answer in time" if late else state.error or None,
        "not_here": state.not_here,
        "left_out": dict(state.dropped),
    }


def _exchange(looked: Looked) -> dict[str, Any] | None:
    state = looked.exchange
    if not state.name:
        return None
    problems = list(state.problems)
    return {"name": state.name, "error": state.error or None, "problems": problems}
