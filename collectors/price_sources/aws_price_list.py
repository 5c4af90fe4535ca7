"""AWS's Price List API (GetProducts): the same prices as `aws_bulk`, asked for by instance type.

A few kilobytes instead of some hundred megabytes, but with credentials; `pricing:GetProducts` must
be allowed. Each product in the answer is JSON within a JSON text.
https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.aws.credentials import RoleKeys, host_header, usual_chain
from unitcost.collectors.aws.offers import Commitment, Row, currency_of, quote_of
from unitcost.collectors.aws.sigv4 import signed
from unitcost.collectors.identity.aws_role import role_keys
from unitcost.collectors.price_contract import PriceSourceError, SourceContext
from unitcost.collectors.price_reading import (
    Dropped,
    Seconds,
    Timeout,
    Unusable,
    Years,
    asked,
    check_source_url,
    decoded,
    instant_ns,
    plain_name,
    row_of,
    until_the_next,
    wanted,
)
from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Rank

URL = "https://api.pricing.us-east-1.amazonaws.com/"
URL_CHINA = "https://api.pricing.cn-northwest-1.amazonaws.com.cn/"
TARGET = "AWSPriceListService.GetProducts"
PAGE_BYTES = 8 * 1024 * 1024
MAX_PAGES = 20
_NS = 1_000_000_000


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`credentials_file`, `profile`: a file as AWS's tools have it; else the environment or a role.

    `commitment_years`, `offering_class`: of this host's reservation without upfront payment, 0
    where it has none. `url`: of the API, empty for that of AWS. `refresh_seconds`; `timeout` of
    one question.
    """

    credentials_file: str = ""
    profile: str = "default"
    commitment_years: Years = 0
    offering_class: Literal["standard", "convertible"] = "standard"
    url: str = ""
    refresh_seconds: Seconds = 43_200.0
    timeout: Timeout = 20.0

    def __post_init__(self) -> None:
        """Check the address. Raises ValueError."""
        if self.url:
            check_source_url(self.url, secret=True)


class _Page(msgspec.Struct, frozen=True):
    PriceList: list[msgspec.Raw]
    NextToken: str | None = None


class _Dimension(msgspec.Struct, frozen=True):
    unit: str
    pricePerUnit: dict[str, msgspec.Raw]
    beginRange: str = "0"
    endRange: str = "Inf"


class _Term(msgspec.Struct, frozen=True):
    effectiveDate: str
    priceDimensions: dict[str, _Dimension]
    termAttributes: dict[str, str] = {}


class _Product(msgspec.Struct, frozen=True):
    attributes: dict[str, str]
    productFamily: str = ""


class _Offer(msgspec.Struct, frozen=True):
    product: _Product
    terms: dict[str, dict[str, _Term]]
    publicationDate: str


class AwsPriceList:
    """Asks for one type in one region."""

    name = "aws_price_list"
    rank = Rank.LIVE

    def __init__(
        self,
        options: Options,
        context: SourceContext,
        environment: Mapping[str, str],
        keys: RoleKeys,
    ) -> None:
        self.refresh_seconds = options.refresh_seconds
        self.dropped: Mapping[str, int] = {}
        self._options = options
        self._context = context
        self._commitment = Commitment(options.commitment_years, options.offering_class)
        self._api_region = ""
        file = (options.credentials_file, options.profile, context.folder)
        self._credentials = usual_chain(
            file, environment, lambda: self._api_region, keys, context.wall_ns
        )

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The list prices of this type in its region: on demand, and reserved as stated.

        Raises PriceSourceError, NotHere.
        """
        host = wanted(identity, "aws")
        region, sku = plain_name(host.region, "region"), plain_name(host.sku, "instance type")
        if region.startswith("us-gov-"):
            raise PriceSourceError("GovCloud has no Price List API: use aws_bulk")
        dropped = Dropped()
        quotes: list[Quote] = []
        for raw in self._products(region, sku, deadline):
            with dropped.row():
                offer = _offer(raw)
                published_ns = instant_ns(offer.publicationDate)
                for row in _rows(offer, region, dropped):
                    with dropped.row():
                        quotes.append(self._quote(row, region, sku, published_ns))
        tiled = until_the_next(quotes, dropped)
        self.dropped = dropped.by_reason
        return tiled

    def _quote(self, row: Row, region: str, sku: str, published_ns: int) -> Quote:
        if row["Instance Type"] != sku:
            raise Unusable("another instance type")
        quote = quote_of(row, region, self._commitment)
        known_at_ns = self._context.wall_ns()
        return replace(quote, source=self.name, as_of_ns=published_ns, known_at_ns=known_at_ns)

    def _products(self, region: str, sku: str, deadline: float) -> Iterator[msgspec.Raw]:
        """The products of all pages."""
        question: dict[str, Any] = {
            "ServiceCode": "AmazonEC2",
            "FormatVersion": "aws_v1",
            "MaxResults": 100,
            "Filters": [
                {"Type": "TERM_MATCH", "Field": field, "Value": value}
                for field, value in _filters(region, sku).items()
            ],
        }
        for _ in range(MAX_PAGES):
            page = decoded(self._answer(question, region, deadline), _Page)
            yield from page.PriceList
            if not page.NextToken:
                return
            question["NextToken"] = page.NextToken
        raise PriceSourceError(f"the answer goes on for more than {MAX_PAGES} pages")

    def _answer(self, question: Mapping[str, Any], region: str, deadline: float) -> bytes:
        china = region.startswith("cn-")
        url = self._options.url or (URL_CHINA if china else URL)
        self._api_region = "cn-northwest-1" if china else "us-east-1"
        body = json.dumps(question).encode()
        headers = signed(
            "POST",
            host_header(url),
            {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": TARGET},
            body,
            region=self._api_region,
            service="pricing",
            credentials=self._credentials(deadline),
            at=datetime.fromtimestamp(self._context.wall_ns() // _NS, UTC),
        )

        def ask(timeout: float) -> bytes:
            try:
                return fetch.post(url, body, timeout=timeout, cap=PAGE_BYTES, headers=headers)
            except fetch.FetchError as error:
                if error.status in (400, 401, 403):
                    raise PriceSourceError(
                        f"AWS refuses (HTTP {error.status}): the credentials are wrong or old, or "
                        "pricing:GetProducts is not allowed"
                    ) from None
                raise

        return asked(ask, deadline, self._options.timeout)


def _filters(region: str, sku: str) -> dict[str, str]:
    """What narrows the answer; each row is looked at all the same."""
    metal = ".metal" in sku
    return {
        "regionCode": region,
        "instanceType": sku,
        "tenancy": "Dedicated" if metal else "Shared",
        "productFamily": "Compute Instance (bare metal)" if metal else "Compute Instance",
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }


def _offer(raw: msgspec.Raw) -> _Offer:
    """A product, out of the text it is in. Raises Unusable."""
    if bytes(raw)[:1] == b'"':
        return row_of(msgspec.Raw(row_of(raw, str).encode()), _Offer)
    return row_of(raw, _Offer)


def _rows(offer: _Offer, region: str, dropped: Dropped) -> Iterator[Row]:
    """The prices of a product, as rows of the bulk file."""
    attributes = offer.product.attributes
    common = {
        "Product Family": offer.product.productFamily,
        "Instance Type": attributes.get("instanceType", ""),
        "Tenancy": attributes.get("tenancy", ""),
        "Operating System": attributes.get("operatingSystem", ""),
        "Pre Installed S/W": attributes.get("preInstalledSw", ""),
        "CapacityStatus": attributes.get("capacitystatus", ""),
        "MarketOption": attributes.get("marketoption", ""),
        "Region Code": attributes.get("regionCode", ""),
    }
    for kind, terms in offer.terms.items():
        for term in terms.values():
            for dimension in term.priceDimensions.values():
                if (dimension.beginRange, dimension.endRange) not in (("0", "Inf"), ("", "")):
                    dropped.add("a price by amounts")
                    continue
                yield {**common, **_price(dimension, region), **_terms(kind, term)}


def _terms(kind: str, term: _Term) -> Row:
    names = ("LeaseContractLength", "PurchaseOption", "OfferingClass")
    told = {name: term.termAttributes.get(name, "") for name in names}
    return {"TermType": kind, "EffectiveDate": term.effectiveDate, **told}


def _price(dimension: _Dimension, region: str) -> Row:
    prices = dimension.pricePerUnit
    ours = currency_of(region)
    currency = ours if ours in prices else next(iter(prices), "")
    written = bytes(prices[currency]) if prices else b""
    text = written.decode(errors="replace").strip().strip('"')
    return {"Unit": dimension.unit, "Currency": currency, "PricePerUnit": text}


def make_source(options: Options, context: SourceContext) -> AwsPriceList:
    """Make the source, as the contract asks."""
    return AwsPriceList(options, context, os.environ, role_keys)
