"""Quotes: what no price can be is refused, and when one holds."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import MAX_NS, MAX_TEXT, MAX_USD_PER_HOUR, HostIdentity, PriceKey, Quote

KEY = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND)
QUOTE = Quote(KEY, Decimal("55.04"), "list", valid_from_ns=10, valid_to_ns=20)


def test_what_is_left_out_has_its_default() -> None:
    """A price of the whole region, in dollars, from the beginning, without an end or a discount."""
    plain = Quote(KEY, Decimal(1), "list")
    assert (plain.valid_from_ns, plain.valid_to_ns, plain.as_of_ns, plain.known_at_ns) == (
        0,
        None,
        0,
        0,
    )
    assert plain.list_per_hour is None
    assert (KEY.zone, KEY.currency) == ("", "USD")
    assert HostIdentity() == HostIdentity("", "", "", "", None, "", ())


def test_a_price_holds_from_its_begin_until_just_before_its_end() -> None:
    """Without an end, for ever."""
    assert [QUOTE.covers(at) for at in (9, 10, 19, 20, 21)] == [False, True, True, False, False]
    endless = replace(QUOTE, valid_to_ns=None)
    assert [endless.covers(at) for at in (9, 10, 10**20)] == [False, True, True]


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("1e-12"), MAX_USD_PER_HOUR])
@pytest.mark.parametrize("field", ["per_hour", "list_per_hour"])
def test_what_a_price_can_be(field: str, amount: Decimal) -> None:
    """0 is a price, and the largest too."""
    changed: dict[str, Any] = {field: amount}
    assert getattr(replace(QUOTE, **changed), field) == amount


@pytest.mark.parametrize(
    "amount",
    [
        Decimal("-0.01"),
        MAX_USD_PER_HOUR + Decimal("0.01"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
    ],
)
@pytest.mark.parametrize("field", ["per_hour", "list_per_hour"])
def test_what_no_price_can_be(field: str, amount: Decimal) -> None:
    """The list price as little as what is paid."""
    changed: dict[str, Any] = {field: amount}
    with pytest.raises(ValueError, match=f"from 0 to 1000000, not {amount}"):
        replace(QUOTE, **changed)


@pytest.mark.parametrize("end", [9, 10])
def test_a_price_that_never_holds_is_refused(end: int) -> None:
    """It would end before or when it begins; one nanosecond is some time."""
    with pytest.raises(ValueError, match=r"^a price must be valid for some time$"):
        replace(QUOTE, valid_to_ns=end)
    assert replace(QUOTE, valid_to_ns=11).covers(10)


@pytest.mark.parametrize("text", ["x" * (MAX_TEXT + 1), "a\nb", "a\x1b[31m"])
@pytest.mark.parametrize("field", ["provider", "region", "sku", "zone", "source"])
def test_names_are_short_and_printable(field: str, text: str) -> None:
    """They are labels of metrics and stand in logs."""
    with pytest.raises(ValueError, match=r"^a name in a price is too long or not printable$"):
        named(field, text)
    assert named(field, "x" * MAX_TEXT)


def named(field: str, text: str) -> Quote:
    """A quote with this name somewhere."""
    changed: dict[str, Any] = {field: text}
    if field == "source":
        return replace(QUOTE, **changed)
    return replace(QUOTE, key=replace(KEY, **changed))


@pytest.mark.parametrize("field", ["provider", "sku", "source"])
def test_some_names_must_be_there(field: str) -> None:
    """A region and a zone need not be."""
    with pytest.raises(
        ValueError, match=r"^a price needs a provider, an instance type and a source$"
    ):
        named(field, "")
    assert named("region", "")
    assert named("zone", "")


@pytest.mark.parametrize("field", ["valid_from_ns", "valid_to_ns", "as_of_ns", "known_at_ns"])
def test_instants_fit_into_the_ledger(field: str) -> None:
    """From 1970 until 64 bits of nanoseconds end."""
    for instant in (-1, MAX_NS + 1):
        changed: dict[str, Any] = {"valid_to_ns": None, field: instant}
        if changed["valid_to_ns"] == -1:
            changed["valid_from_ns"] = -2
        with pytest.raises(ValueError, match=r"^an instant is from 1970 to 2262, in nanoseconds$"):
            replace(QUOTE, **changed)
    edges: dict[str, Any] = {"valid_from_ns": 0, "valid_to_ns": MAX_NS, "as_of_ns": MAX_NS}
    assert replace(QUOTE, **edges, known_at_ns=0).covers(0)


@pytest.mark.parametrize("currency", ["", "usd", "EURO", "E1R"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    """As ISO 4217 writes it."""
    assert named("currency", "EUR").key.currency == "EUR"
    with pytest.raises(ValueError, match=r"^a currency is three capital letters$"):
        named("currency", currency)
