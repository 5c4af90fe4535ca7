"""In words: which price this host has, why, and what was rejected."""

from collections import Counter
from collections.abc import Iterator

from unitcost.exporter.prices.book import book_of, on_demand_at, spot_above_on_demand
from unitcost.exporter.prices.looked import Looked, SourceState, rate_problem
from unitcost.exporter.prices.words import day, name_of, plain
from unitcost.pricing.conversion import in_dollars
from unitcost.pricing.currency import USD
from unitcost.pricing.money import to_pico, to_usd
from unitcost.pricing.price import Component
from unitcost.pricing.price_list import sibling_pico
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import RANKS, Chosen, Rejected
from unitcost.pricing.resource import DEFAULT_SPLIT, SplitRule

MAX_REJECTED = 10


def explain(looked: Looked, now_ns: int, rule: SplitRule = DEFAULT_SPLIT) -> Iterator[str]:
    """Lines for a person. `rule` holds the weights by which a price is split."""
    yield from _identity(looked.identity)
    yield from (f"  ! {note}" for note in looked.notes)
    yield "sources, best first:"
    in_order = sorted(looked.sources, key=lambda each: RANKS.index(each.rank))
    yield from (f"  {source_words(each)}" for each in in_order)
    if looked.exchange.name:
        yield "exchange rates:"
        yield f"  {exchange_words(looked)}"
    yield from (f"  ! {problem}" for problem in looked.exchange.problems[:MAX_REJECTED])
    yield from price_words(looked, now_ns)
    if looked.paid.at(now_ns) is not None:
        yield f"split: {_split(looked, rule, now_ns)}"
        yield from _on_demand(looked, now_ns)
    yield from _rejected(looked.resolution.rejected)


def price_words(looked: Looked, now_ns: int) -> Iterator[str]:
    """The price in use, or why there is none."""
    chosen = looked.paid.at(now_ns)
    if looked.resolution.missing:
        missing = ", ".join(looked.resolution.missing)
        yield f"price: none. Not known of this host: {missing}. It stays unpriced."
    elif chosen is None:
        yield "price: none. No source has one for exactly this host now. It stays unpriced."
    else:
        yield from _price(chosen, looked, now_ns)


def _identity(identity: HostIdentity) -> Iterator[str]:
    said = dict(identity.said_by)
    yield "this host:"
    for name, value in (
        ("provider", identity.provider),
        ("region", identity.region),
        ("zone", identity.zone),
        ("instance type", identity.sku),
        ("price model", str(identity.model or "")),
    ):
        by = said.get({"instance type": "sku", "price model": "model"}.get(name, name), "")
        yield f"  {name:14} {value or 'unknown'}" + (f"  ({by})" if value and by else "")


def source_words(state: SourceState) -> str:
    """How a source is doing."""
    if state.not_here:
        return f"{state.name}: knows no hosts of this provider"
    if state.error:
        since = f", last good {day(state.last_success_ns)}" if state.last_success_ns else ""
        return f"{state.name}: failed{since}: {state.error}"
    if state.last_success_ns is None:
        return f"{state.name}: not asked yet"
    left_out = ", ".join(f"{count} {why}" for why, count in state.dropped)
    tail = f"; left out: {left_out}" if left_out else ""
    return f"{state.name} ({state.rank}): {len(state.quotes)} quotes{tail}"


def in_words(chosen: Chosen) -> str:
    """A price, from when, by whom and as of when."""
    quote = chosen.quote
    until = f" until {day(quote.valid_to_ns)}" if quote.valid_to_ns is not None else ""
    by = f" less {chosen.discount}" if chosen.discount else ""
    reduced = ""
    if quote.list_per_hour is not None and (by or quote.list_per_hour != quote.per_hour):
        reduced = f", list price {plain(quote.list_per_hour)}{by}"
    return (
        f"{plain(quote.per_hour)} {quote.key.currency} an hour, {quote.key.model}, "
        f"from {day(quote.valid_from_ns)}{until}{reduced}; "
        f"by {quote.source} ({chosen.rank}), as of {day(quote.as_of_ns)}"
    )


def exchange_words(looked: Looked) -> str:
    """How the source of exchange rates is doing."""
    state = looked.exchange
    if state.error:
        since = f", last good {day(state.last_success_ns)}" if state.last_success_ns else ""
        return f"{state.name}: failed{since}: {state.error}"
    if state.last_success_ns is None:
        return f"{state.name}: not asked yet"
    currencies = len({rate.currency for rate in looked.rates.rates})
    latest = max((rate.on for rate in looked.rates.rates), default=None)
    return f"{state.name}: {currencies} currencies, the latest of {latest}"


def _price(chosen: Chosen, looked: Looked, now_ns: int) -> Iterator[str]:
    """As it is billed; in another currency also in dollars now, at whose rate, of when."""
    parts = in_dollars(chosen.quote, looked.rates)
    now = next((part for part in parts if part.quote.covers(now_ns)), None)
    none = "" if now else "none in US dollars: it is unpriced. Billed at "
    yield f"price: {none}{in_words(chosen)}"
    if now and now.rate.currency != USD:
        rate = now.rate
        yield (
            f"  = {plain(now.usd_per_hour)} USD an hour, at {plain(rate.units_per_usd)} "
            f"{rate.currency} for a dollar ({rate.source}, of {rate.on})"
        )
    if problem := rate_problem(looked, now_ns):
        yield f"  ! {problem}"


def _split(looked: Looked, rule: SplitRule, now_ns: int) -> str:
    """How the price is split over the resources of a host with GPUs."""
    if looked.sibling is None:
        return "by weights; there is no type without GPUs to go by"
    sku, stated, book = looked.sibling.sku, looked.sibling_paid.at(now_ns), book_of(looked)
    pico, rent = sibling_pico(book, rule, now_ns), book.at(Component.RENT, now_ns)
    if stated is None or pico is None or rent is None:
        return f"by weights; no source prices {sku}, the type without GPUs, under these terms now"
    told = f"{plain(to_usd(pico))} USD an hour for CPU and memory by {sku}"
    if pico >= rent.pico_per_hour - to_pico(rule.rest_usd_per_hour):
        return f"by weights; {told} would leave nothing to the GPUs"
    return f"{told}, the remainder for the GPUs; it costs {in_words(stated)}"


def _on_demand(looked: Looked, now_ns: int) -> Iterator[str]:
    chosen = looked.on_demand.at(now_ns)
    if chosen is not None:
        none = "" if on_demand_at(looked, now_ns) else " (none in US dollars)"
        yield f"on demand it would cost{none}: {in_words(chosen)}"
    if spot_above_on_demand(looked, now_ns) is not None:
        yield "  ! Spot costs more than that"


def _rejected(rejected: tuple[Rejected, ...]) -> Iterator[str]:
    if not rejected:
        return
    counts = Counter(each.why for each in rejected)
    yield "rejected: " + ", ".join(f"{count} of {why}" for why, count in counts.most_common())
    near = [each for each in rejected if each.quote.key.sku][:MAX_REJECTED]
    for each in near:
        quote = each.quote
        price = f"{plain(quote.per_hour)} {quote.key.currency}"
        yield f"  {name_of(quote.key)} {price}: {each.why}"
