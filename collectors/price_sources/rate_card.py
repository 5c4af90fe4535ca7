"""The built-in rate card: list prices of much-used instances, each with its source and its day.

It is a last resort, asked after everything else. It holds what a provider's list said on a day,
for on-demand use of a whole Linux instance, without discounts. Spot prices are not in it: they
change by the minute. Nor are machine types whose price leaves out accelerators that can be
attached to them (GCP's N1): the card would be too low for a host that has some.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from unitcost.collectors.price_contract import NotHere, PriceSource, PriceSourceError, SourceContext
from unitcost.collectors.reference.table import BadTable, Row, packaged_text, rows_of, start_ns
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

FILE = "rate_card.csv"
COLUMNS = (
    "provider",
    "region",
    "sku",
    "model",
    "currency",
    "per_hour",
    "valid_from",
    "valid_to",
    "as_of",
    "source",
    "note",
)
MAX_ROWS = 300
REFRESH_SECONDS = 86_400.0
"""The card changes with the version of the exporter only."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """There are none; ``enabled: false`` switches the card off."""


@dataclass(frozen=True, slots=True)
class CardRow:
    """One line of the card. `as_of`: the day on which its source stated the price.

    The quote holds from the day the price took effect; where that is not known, from the first
    day on which it was seen. It ends only where it is known not to have held any longer.
    """

    quote: Quote
    as_of: date
    note: str


class RateCard:
    """Quotes from the table that comes with the exporter."""

    name = "rate_card"
    rank = Rank.RATE_CARD
    refresh_seconds = REFRESH_SECONDS
    local = True

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The card's quotes of this instance type, in every region that it has them for.

        Raises NotHere where the card has nothing of the host's provider.
        """
        try:
            quotes = [row.quote for row in read_rate_card()]
        except BadTable as error:
            raise PriceSourceError(str(error)) from error
        of_provider = [quote for quote in quotes if quote.key.provider == identity.provider]
        if not of_provider:
            raise NotHere("the rate card has nothing of this host's provider")
        return [quote for quote in of_provider if quote.key.sku == identity.sku]


def make_source(options: Options, context: SourceContext) -> PriceSource:
    """Make the source, as the contract asks."""
    return RateCard()


def read_rate_card() -> tuple[CardRow, ...]:
    """The card that comes with the exporter. Raises BadTable if a row of it is bad."""
    return parse_rate_card(packaged_text("unitcost.collectors.price_sources", FILE))


def parse_rate_card(text: str) -> tuple[CardRow, ...]:
    """The rows of a card, which must be sorted and must not overlap. Raises BadTable."""
    rows: list[CardRow] = []
    for row in rows_of(text, FILE, COLUMNS, MAX_ROWS):
        card_row = _card_row(row)
        if rows:
            _check_order(row, rows[-1].quote, card_row.quote)
        rows.append(card_row)
    return tuple(rows)


def _card_row(row: Row) -> CardRow:
    as_of, valid_from = row.day("as_of"), row.day("valid_from")
    valid_to = row.day("valid_to") if row.cells["valid_to"] else None
    if as_of < valid_from or (valid_to is not None and as_of >= valid_to):
        raise row.wrong("a price is stated on a day on which it holds")
    source = row.text("source")
    if not source.endswith(f" {as_of}"):
        raise row.wrong("the source must end with the day as_of")
    key, per_hour, stated_ns = _key(row), row.number("per_hour"), start_ns(as_of)
    if per_hour == 0:
        raise row.wrong("nothing in a rate card is free")
    try:
        quote = Quote(
            key,
            per_hour,
            source=source,
            valid_from_ns=start_ns(valid_from),
            valid_to_ns=None if valid_to is None else start_ns(valid_to),
            as_of_ns=stated_ns,
            known_at_ns=stated_ns,
        )
    except ValueError as error:
        raise row.wrong(str(error)) from error
    return CardRow(quote, as_of, row.cells["note"])


def _key(row: Row) -> PriceKey:
    if row.text("model") != PriceModel.ON_DEMAND:
        raise row.wrong("a card holds on-demand prices and no others")
    currency = row.text("currency")
    if not (len(currency) == 3 and currency.isalpha() and currency.isupper()):
        raise row.wrong(f"{currency!r} is not a currency")
    names = (row.text("provider"), row.text("region"), row.text("sku"))
    return PriceKey(*names, PriceModel.ON_DEMAND, "", currency)


def _check_order(row: Row, before: Quote, this: Quote) -> None:
    if (before.key, before.valid_from_ns) >= (this.key, this.valid_from_ns):
        raise row.wrong("the rows are not sorted, or there are two for the same time")
    if before.key != this.key:
        return
    if before.valid_to_ns is None or before.valid_to_ns > this.valid_from_ns:
        raise row.wrong("it begins before the row above it ends")
