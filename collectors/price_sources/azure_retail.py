"""Azure's Retail Prices API: public list prices, in USD, without a key.

One question for this host's type in its region; the answer holds the same machine under Windows,
as Spot, as Low Priority, for Cloud Services, reserved for years: each is told apart here.
https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote as quoted
from urllib.parse import urlsplit

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.price_contract import PriceSourceError, SourceContext
from unitcost.collectors.price_reading import (
    Dropped,
    Seconds,
    Timeout,
    Unusable,
    Years,
    amount,
    asked,
    check_source_url,
    decoded,
    end_ns,
    instant_ns,
    plain_name,
    row_of,
    until_the_next,
    wanted,
)
from unitcost.pricing.price import HOURS_PER_YEAR, PriceModel
from unitcost.pricing.quote import MAX_USD_PER_HOUR, HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

URL = "https://prices.azure.com/api/retail/prices"
API_VERSION = "2023-01-01-preview"
"""The one whose rows carry savings plans."""
PAGE_BYTES = 4 * 1024 * 1024
MAX_PAGES = 20
CURRENCY = "'USD'"
SERVICE = "Virtual Machines"
TERMS = {"1 Year": 1, "3 Years": 3, "5 Years": 5}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`commitment_years`: the term of this host's reservation or savings plan, 0 where it has none.

    `url`: of the API, for a mirror of one's own. `refresh_seconds`, `timeout` of one question.
    """

    commitment_years: Years = 0
    url: str = URL
    refresh_seconds: Seconds = 21_600.0
    timeout: Timeout = 20.0

    def __post_init__(self) -> None:
        """Check the address. Raises ValueError."""
        check_source_url(self.url)


class _Page(msgspec.Struct, frozen=True):
    Items: list[msgspec.Raw]
    NextPageLink: str | None = None


class _Plan(msgspec.Struct, frozen=True):
    retailPrice: msgspec.Raw
    term: str


class _Item(msgspec.Struct, frozen=True):
    currencyCode: str
    retailPrice: msgspec.Raw
    armRegionName: str
    armSkuName: str
    effectiveStartDate: str
    meterName: str
    productName: str
    skuName: str
    serviceName: str
    unitOfMeasure: str
    type: str
    effectiveEndDate: str | None = None
    reservationTerm: str | None = None
    tierMinimumUnits: msgspec.Raw = msgspec.Raw(b"0")
    isPrimaryMeterRegion: bool = True
    savingsPlan: list[_Plan] | None = None


class AzureRetail:
    """Asks for one type in one region."""

    name = "azure_retail"
    rank = Rank.LIVE

    def __init__(self, options: Options, context: SourceContext) -> None:
        self.refresh_seconds = options.refresh_seconds
        self.dropped: Mapping[str, int] = {}
        self._options = options
        self._context = context

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The list prices of this type: on demand, spot, and under its commitment.

        Raises PriceSourceError, NotHere.
        """
        host = wanted(identity, "azure")
        dropped = Dropped()
        primary: list[Quote] = []
        others: list[Quote] = []
        for raw in self._items(host, deadline):
            with dropped.row():
                item = row_of(raw, _Item)
                _check(item, host.sku)
                offers = primary if item.isPrimaryMeterRegion else others
                offers += self._offers(item, dropped)
        # Most older types have no other meter than one whose home is another region.
        keys = {quote.key for quote in primary}
        alone = [quote for quote in others if quote.key not in keys]
        if len(alone) < len(others):
            dropped.add("the meter of another region", len(others) - len(alone))
        tiled = until_the_next(primary + alone, dropped)
        self.dropped = dropped.by_reason
        return tiled

    def _items(self, host: HostIdentity, deadline: float) -> Iterator[msgspec.Raw]:
        """The rows of all pages."""
        url = _question(self._options.url, host)
        asked_for: set[str] = set()
        while url:
            if url in asked_for or len(asked_for) == MAX_PAGES:
                raise PriceSourceError(f"the answer goes on for more than {len(asked_for)} pages")
            asked_for.add(url)
            page = decoded(self._fetched(url, deadline), _Page)
            yield from page.Items
            url = (page.NextPageLink or "").replace(" ", "%20")
            if url and not _same_place(url, self._options.url):
                raise PriceSourceError("the next page is said to be on another server")

    def _fetched(self, url: str, deadline: float) -> bytes:
        def ask(timeout: float) -> bytes:
            return fetch.fetch(url, timeout=timeout, cap=PAGE_BYTES)

        return asked(ask, deadline, self._options.timeout)

    def _offers(self, item: _Item, dropped: Dropped) -> Iterator[Quote]:
        """What one row offers: a price, and those of its savings plans."""
        if item.type == "Reservation":
            hours = self._of_our_term(item.reservationTerm or "") * HOURS_PER_YEAR
            whole_term = amount(_text(item.retailPrice), MAX_USD_PER_HOUR * hours)
            yield self._quote(item, PriceModel.RESERVED, whole_term / hours)
            return
        spot = "Spot" in item.meterName or "Spot" in item.skuName
        model = PriceModel.SPOT if spot else PriceModel.ON_DEMAND
        price = amount(_text(item.retailPrice))
        if price == 0:
            raise Unusable("a price of 0")
        yield self._quote(item, model, price)
        for plan in item.savingsPlan or ():
            with dropped.row():
                self._of_our_term(plan.term)
                price = amount(_text(plan.retailPrice))
                yield self._quote(item, PriceModel.SAVINGS_PLAN, price)

    def _of_our_term(self, term: str) -> int:
        years = TERMS.get(term)
        if years is None or years != self._options.commitment_years:
            raise Unusable("a commitment of another term than ours")
        return years

    def _quote(self, item: _Item, model: PriceModel, per_hour: Decimal) -> Quote:
        key = PriceKey("azure", item.armRegionName, item.armSkuName, model)
        now_ns = self._context.wall_ns()
        try:
            return Quote(
                key,
                per_hour,
                self.name,
                valid_from_ns=instant_ns(item.effectiveStartDate),
                valid_to_ns=end_ns(item.effectiveEndDate),
                as_of_ns=now_ns,
                known_at_ns=now_ns,
            )
        except ValueError:
            raise Unusable("no price can be so") from None


def _question(url: str, host: HostIdentity) -> str:
    region, sku = plain_name(host.region, "region"), plain_name(host.sku, "instance type")
    # The values are compared as they are written, upper and lower case.
    condition = (
        f"serviceName eq '{SERVICE}' and armRegionName eq '{region}' and armSkuName eq '{sku}'"
    )
    version = f"api-version={API_VERSION}"
    return f"{url}?{version}&currencyCode={quoted(CURRENCY)}&$filter={quoted(condition)}"


def _same_place(url: str, ours: str) -> bool:
    try:
        theirs, own = urlsplit(url), urlsplit(ours)
        ports = {"http": 80, "https": 443}
        return (theirs.scheme, theirs.hostname, theirs.port or ports.get(theirs.scheme)) == (
            own.scheme,
            own.hostname,
            own.port or ports.get(own.scheme),
        )
    except ValueError:
        return False


def _text(number: msgspec.Raw) -> str:
    """A number as it is written, also where it is written as a text."""
    return bytes(number).decode(errors="replace").strip().strip('"')


def _check(item: _Item, sku: str) -> None:
    """Drop what is not the machine alone, under Linux, by the hour. Raises Unusable."""
    decoys = {
        "another currency": item.currencyCode != "USD",
        "another service": item.serviceName != SERVICE,
        "another instance type": item.armSkuName != sku,
        "Windows": "Windows" in item.productName,
        "Dedicated or Cloud Services": _is_dedicated(item.productName),
        "Low Priority": "Low Priority" in item.meterName or "Low Priority" in item.skuName,
        "DevTest": item.type == "DevTestConsumption",
        "another kind of price": item.type
        not in ("Consumption", "Reservation", "DevTestConsumption"),
        "another unit": item.unitOfMeasure != "1 Hour",
        "a price for large amounts": amount(_text(item.tierMinimumUnits)) != 0,
    }
    for reason, is_decoy in decoys.items():
        if is_decoy:
            raise Unusable(reason)


def _is_dedicated(product: str) -> bool:
    squeezed = product.replace(" ", "")
    return "Dedicated" in squeezed or "CloudServices" in squeezed


def make_source(options: Options, context: SourceContext) -> AzureRetail:
    """Make the source, as the contract asks."""
    return AzureRetail(options, context)
