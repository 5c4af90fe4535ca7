"""What is taken of anybody's answer: quotes, bounded, of the right types; an error otherwise."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from unitcost.collectors.price_contract import PriceSourceError
from unitcost.exporter.prices.accepted import (
    MAX_QUOTES,
    MAX_REASONS,
    MAX_TEXT,
    accepted,
    left_out,
    quote_problem,
    shape_problem,
    text_of,
)
from unitcost.exporter.prices.lookup import PriceLookup
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

HOST = HostIdentity("acme", "here", "", "big", PriceModel.ON_DEMAND)
KEY = PriceKey("acme", "here", "big", PriceModel.ON_DEMAND)
GOOD = Quote(KEY, Decimal("1.5"), "acme's list", as_of_ns=5, known_at_ns=6)


def spoilt(**fields: Any) -> Quote:
    """A quote that somebody has changed by force."""
    quote = replace(GOOD)
    for name, value in fields.items():
        object.__setattr__(quote, name, value)
    return quote


def key(**fields: Any) -> PriceKey:
    """A key with such fields."""
    return replace(KEY, **fields)


class Liar(Quote):
    """No quote, though it looks like one."""


BAD: dict[str, Any] = {
    "a mapping": {"per_hour": 1},
    "a float": spoilt(per_hour=1.5),
    "no number": spoilt(per_hour=Decimal("NaN")),
    "a number that signals": spoilt(per_hour=Decimal("sNaN")),
    "without end": spoilt(per_hour=Decimal("Infinity")),
    "negative": spoilt(per_hour=Decimal(-1)),
    "too dear": spoilt(per_hour=Decimal(10**9)),
    "negative before its discount": spoilt(list_per_hour=Decimal(-1)),
    "a text for an instant": spoilt(valid_from_ns="2026"),
    "true for an instant": spoilt(as_of_ns=True),
    "an instant beyond 64 bits": spoilt(valid_to_ns=2**63),
    "an instant before all": spoilt(valid_from_ns=-1),
    "over before it begins": spoilt(valid_from_ns=5, valid_to_ns=5),
    "no source": spoilt(source=""),
    "a source of control characters": spoilt(source="a\nb"),
    "a source that is none": spoilt(source=None),
    "another key": spoilt(key=("acme", "here", "big")),
    "a model in words": spoilt(key=key(model="on_demand")),
    "a currency in words": spoilt(key=key(currency="dollars")),
    "a currency of nobody": spoilt(key=key(currency="usd")),
    "a region that is none": spoilt(key=key(region=None)),
    "of another class": Liar(KEY, Decimal(1), "x"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_quote_is_an_error(name: str) -> None:
    """Of the whole answer: whose it is has a defect, and what else it says may be wrong, too."""
    assert quote_problem(GOOD) == ""
    with pytest.raises(PriceSourceError, match=r"^the answer has (a quote|something)") as caught:
        accepted([GOOD, BAD[name]])
    assert len(str(caught.value)) <= MAX_TEXT + 20


@pytest.mark.parametrize("answer", [None, 5, "prices", b"prices", GOOD, {"a": 1}])
def test_what_is_no_sequence_of_quotes_is_an_error(answer: Any) -> None:
    """A text, a single quote, nothing."""
    with pytest.raises(PriceSourceError, match="the answer"):
        accepted(answer)


def test_an_answer_has_an_end() -> None:
    """So many quotes, and not one more is even looked at."""
    assert len(accepted(itertools.repeat(GOOD, MAX_QUOTES))) == MAX_QUOTES
    taken = itertools.count()

    def endless() -> Iterator[Quote]:
        while True:
            next(taken)
            yield GOOD

    with pytest.raises(PriceSourceError, match=f"more than {MAX_QUOTES} quotes"):
        accepted(endless())
    assert next(taken) == MAX_QUOTES + 1


class Mute(PriceSourceError):
    """An error that fails at saying what it is."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def test_texts_are_one_line_and_bounded() -> None:
    """Whatever they are of."""
    assert text_of(PriceSourceError("a\nb")) == "a\\nb"
    assert len(text_of("x" * 9999)) == MAX_TEXT
    assert len(text_of("\n" * 9999)) == MAX_TEXT
    assert text_of(Mute()) == "Mute"


def test_what_was_left_out_is_a_few_reasons() -> None:
    """With whole numbers."""
    dropped: dict[Any, Any] = {"negative": 3, "a\nb": 1, "odd": "many", 5: 2, "yes": True}
    source = SimpleNamespace(dropped=dropped)
    assert left_out(source) == (("5", 2), ("a\\nb", 1), ("negative", 3))
    source.dropped = {f"row {n}": 1 for n in range(999)}
    assert len(left_out(source)) == MAX_REASONS
    assert left_out(object()) == ()


class Source:
    """A source of somebody's."""

    name: Any = "acme"
    rank: Any = Rank.LIVE
    refresh_seconds: Any = 3600.0
    patience_seconds: Any = 60

    def __init__(self, say: Callable[[], Any] = lambda: [GOOD]) -> None:
        self.say = say

    def quotes(self, identity: HostIdentity, deadline: float) -> Any:
        """What it says."""
        return self.say()


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("name", "rate_card", "called 'rate_card', expected 'acme'"),
        ("name", None, "called 'None'"),
        ("rank", "live source", "rank"),
        ("rank", Rank.SNAPSHOT, "rank"),
        ("quotes", None, "no method quotes"),
        ("refresh_seconds", 0, "refresh_seconds"),
        ("refresh_seconds", math.nan, "refresh_seconds"),
        ("refresh_seconds", math.inf, "refresh_seconds"),
        ("refresh_seconds", "daily", "refresh_seconds"),
        ("refresh_seconds", True, "refresh_seconds"),
        ("patience_seconds", -1, "patience_seconds"),
        ("patience_seconds", 3601, "patience_seconds"),
    ],
)
def test_what_is_no_source_is_refused(field: str, value: Any, problem: str) -> None:
    """Above all one that calls itself what another is called."""
    source = Source()
    assert shape_problem(source, "acme") == ""
    setattr(source, field, value)
    assert problem in shape_problem(source, "acme")


def raises(error: BaseException) -> Callable[[], Any]:
    """Raise it."""

    def do() -> Any:
        raise error

    return do


@pytest.mark.parametrize(
    ("say", "error"),
    [
        (lambda: [spoilt(per_hour=Decimal("NaN"))], "the answer has a quote that is none"),
        (lambda: itertools.repeat(GOOD), "more than"),
        (raises(SystemExit(3)), "SystemExit"),
        (raises(MemoryError()), "MemoryError"),
        (raises(PriceSourceError("a\nb")), "a\\nb"),
        (raises(PriceSourceError()), "did not say why"),
        (raises(Mute()), "Mute"),
    ],
)
def test_a_source_breaks_nothing_but_itself(say: Callable[[], Any], error: str) -> None:
    """What it said before stays, and the others are asked."""
    source, other = Source(), Source()
    other.name = "other"
    lookup = PriceLookup(lambda: (HOST, ()), [source, other], lambda: 10**18)
    lookup.ask_all()
    source.say = say
    looked = lookup.ask_all()
    assert error in looked.sources[0].error
    assert looked.sources[0].quotes == looked.sources[1].quotes == (GOOD,)
    chosen = looked.resolution.at(10)
    assert chosen is not None
    assert chosen.quote.per_hour == Decimal("1.5")
