"""What of a price source's answer is taken: quotes, so many at most, with fields of their types.

A source may be anybody's. What is not as the contract says is an error of that source alone.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from unitcost.collectors.price_contract import PriceSourceError
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Rank

MAX_QUOTES = 2_000
MAX_REASONS = 20
MAX_TEXT = 300
MAX_SECONDS = 3600.0
"""Longer than that nobody may take to answer."""
_KINDS: dict[str, tuple[type, ...]] = {
    "per_hour": (Decimal,),
    "list_per_hour": (Decimal, type(None)),
    "source": (str,),
    "valid_from_ns": (int,),
    "valid_to_ns": (int, type(None)),
    "as_of_ns": (int,),
    "known_at_ns": (int,),
}


def accepted(answer: Any) -> tuple[Quote, ...]:
    """The quotes of an answer. Raises PriceSourceError if it is none, or any of them is not one."""
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes):
        raise PriceSourceError(f"the answer is no sequence of quotes but {_kind(answer)}")
    quotes = tuple(itertools.islice(answer, MAX_QUOTES + 1))
    if len(quotes) > MAX_QUOTES:
        raise PriceSourceError(f"the answer has more than {MAX_QUOTES} quotes")
    for quote in quotes:
        if problem := quote_problem(quote):
            raise PriceSourceError(f"the answer has {problem}")
    return quotes


def quote_problem(quote: Any) -> str:
    """Why something in an answer is no quote; empty if it is one."""
    if type(quote) is not Quote or type(quote.key) is not PriceKey:
        return f"something that is no quote but {_kind(quote)}"
    for name, kinds in _KINDS.items():
        if type(getattr(quote, name)) not in kinds:
            return f"a quote whose {name} is {_kind(getattr(quote, name))}"
    for field in fields(PriceKey):
        kind = PriceModel if field.name == "model" else str
        if type(getattr(quote.key, field.name)) is not kind:
            return f"a quote whose key's {field.name} is {_kind(getattr(quote.key, field.name))}"
    try:
        replace(quote)  # checks it once more, whatever was done to it
    except ValueError as error:
        return f"a quote that is none: {error}"[:MAX_TEXT]
    return ""


def _kind(value: Any) -> str:
    return f"of the type {type(value).__name__}"


def left_out(source: Any) -> tuple[tuple[str, int], ...]:
    """How many rows a source says it left out, by reason; a few reasons at most."""
    counts = dict(getattr(source, "dropped", {}))
    sane = {
        text_of(reason)[:60]: count
        for reason, count in itertools.islice(counts.items(), MAX_REASONS)
        if type(count) is int
    }
    return tuple(sorted(sane.items()))


def text_of(thing: object) -> str:
    """Its text on one line, bounded; its type's name where it cannot even say that."""
    try:
        text = str(thing)
    except Exception:  # noqa: BLE001 - whose code that is is not known
        text = type(thing).__name__
    text = text[:MAX_TEXT]
    return text if text.isprintable() else ascii(text)[1:-1][:MAX_TEXT]


def shape_problem(source: Any, name: str) -> str:
    """Why something is no price source that is called `name`; empty if it is one."""
    called, rank = getattr(source, "name", None), getattr(source, "rank", None)
    if called != name:
        return f"it is called {text_of(called)!r}, expected {name!r}"
    if not isinstance(rank, Rank) or rank is Rank.SNAPSHOT:
        return "its rank is none that a source can have"
    if not callable(getattr(source, "quotes", None)):
        return "it has no method quotes"
    if not _is_seconds(getattr(source, "refresh_seconds", None), math.inf):
        return "its refresh_seconds is no number of seconds"
    if not _is_seconds(getattr(source, "patience_seconds", 1.0), MAX_SECONDS):
        return f"its patience_seconds is no number of seconds up to {MAX_SECONDS:g}"
    return ""


def _is_seconds(value: Any, most: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 < value <= most
