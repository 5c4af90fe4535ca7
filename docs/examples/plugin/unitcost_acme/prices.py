"""Acme Cloud's prices, from the JSON that its own tool writes into a file now and then."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

MAX_BYTES = 1024 * 1024


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path`: the file, relative to the configuration; without one nobody is asked."""

    path: str = ""


class Row(msgspec.Struct, frozen=True):
    """One price in the file. `stated`: when Acme stated it, in Unix seconds."""

    region: str
    type: str
    currency: str
    per_hour: Decimal
    stated: int


class AcmePrices:
    """Reads all of the file each time; a row that cannot be a price is left out and counted."""

    name = "acme_prices"
    rank = Rank.LIVE
    refresh_seconds = 3600.0
    local = True

    def __init__(self, options: Options, context: SourceContext) -> None:
        self._path = context.folder / options.path if options.path else None
        self._wall_ns = context.wall_ns
        self.dropped: dict[str, int] = {}

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """Acme's prices of this host's type. Raises NotHere and PriceSourceError."""
        if identity.provider != "acme" or self._path is None:
            raise NotHere("no host of Acme's")
        try:
            with open(self._path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
            rows = msgspec.json.decode(data, type=list[Row])
        except OSError as error:
            raise PriceSourceError(f"the file cannot be read: {error.strerror}") from None
        except msgspec.DecodeError:
            raise PriceSourceError("the file is not as Acme writes it") from None
        if len(data) > MAX_BYTES:
            raise PriceSourceError(f"the file has more than {MAX_BYTES} bytes")
        quotes = []
        self.dropped = {}
        for row in rows:
            if row.type == identity.sku:
                try:
                    quotes.append(self._quote(row))
                except ValueError:  # negative, no currency, no number
                    self.dropped["no price"] = self.dropped.get("no price", 0) + 1
        return quotes

    def _quote(self, row: Row) -> Quote:
        key = PriceKey("acme", row.region, row.type, PriceModel.ON_DEMAND, "", row.currency)
        stated_ns = row.stated * 10**9
        return Quote(
            key,
            row.per_hour,
            "Acme's price list",
            valid_from_ns=stated_ns,
            as_of_ns=stated_ns,
            known_at_ns=self._wall_ns(),
        )


def make_source(options: Options, context: SourceContext) -> AcmePrices:
    """Make the source; it opens nothing before it is asked."""
    return AcmePrices(options, context)
