"""AWS's Spot prices, zone by zone, with the instants at which they changed.

They are asked for with credentials of the host's own account, since what `us-east-1a` is called
differs from account to account; `ec2:DescribeSpotPriceHistory` must be allowed. Zones are never
averaged.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.aws.answers import elements, parsed, text_of
from unitcost.collectors.aws.credentials import RoleKeys, endpoint, host_header, usual_chain
from unitcost.collectors.aws.offers import currency_of
from unitcost.collectors.aws.sigv4 import signed
from unitcost.collectors.identity.aws_role import role_keys
from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.collectors.price_reading import (
    Dropped,
    Timeout,
    Unusable,
    amount,
    asked,
    check_source_url,
    instant_ns,
    plain_name,
    until_the_next,
    wanted,
)
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

FORM = "application/x-www-form-urlencoded; charset=utf-8"
LINUX = "Linux/UNIX"
PAGE_BYTES = 4 * 1024 * 1024
PAGE_ROWS = 1000
MAX_PAGES = 20
_NS = 1_000_000_000

Period = Annotated[float, msgspec.Meta(ge=10, le=86_400)]
History = Annotated[float, msgspec.Meta(ge=0, le=90 * 86_400)]
"""AWS keeps 90 days."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`credentials_file`, `profile`: a file as AWS's tools have it; else the environment or a role.

    `history_seconds`: how far back changes are asked for. `url`: of the region's EC2 API, empty
    for that of AWS. `refresh_seconds`; `timeout` of one question.
    """

    credentials_file: str = ""
    profile: str = "default"
    history_seconds: History = 3600.0
    url: str = ""
    refresh_seconds: Period = 300.0
    timeout: Timeout = 20.0

    def __post_init__(self) -> None:
        """Check the address. Raises ValueError."""
        if self.url:
            check_source_url(self.url, secret=True)


class AwsSpot:
    """Asks for one type in all zones of a region."""

    name = "aws_spot"
    rank = Rank.LIVE

    def __init__(
        self,
        options: Options,
        context: SourceContext,
        environment: Mapping[str, str],
        role_keys: RoleKeys,
    ) -> None:
        self.refresh_seconds = options.refresh_seconds
        self.dropped: Mapping[str, int] = {}
        self._options = options
        self._context = context
        self._region = ""
        file = (options.credentials_file, options.profile, context.folder)
        self._credentials = usual_chain(
            file, environment, lambda: self._region, role_keys, context.wall_ns
        )

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The Spot prices of this type in each zone: each from its change until the next.

        Raises PriceSourceError, and NotHere where the host is known to be none on Spot.
        """
        host = wanted(identity, "aws")
        if host.model not in (None, PriceModel.SPOT):
            raise NotHere("the instance is not on Spot")
        # A Local Zone is a region of prices, but asked for at the region it belongs to.
        api = re.match(r"[a-z]+(-[a-z]+)+-[0-9]+", plain_name(host.region, "region"))
        self._region = api[0] if api else host.region
        dropped = Dropped()
        quotes: list[Quote] = []
        for record in self._records(plain_name(host.sku, "instance type"), deadline):
            with dropped.row():
                quotes.append(self._quote(record, host))
        tiled = until_the_next(quotes, dropped)
        self.dropped = dropped.by_reason
        return tiled

    def _records(self, sku: str, deadline: float) -> Iterator[Element]:
        """The records of all pages."""
        since = self._context.wall_ns() - round(self._options.history_seconds * _NS)
        form = {
            "Action": "DescribeSpotPriceHistory",
            "Version": "2016-11-15",
            "InstanceType.1": sku,
            "ProductDescription.1": LINUX,
            "StartTime": _instant(since).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "MaxResults": str(PAGE_ROWS),
        }
        for _ in range(MAX_PAGES):
            answer = self._answer(form, deadline)
            yield from elements(answer, "spotPriceHistorySet", "item")
            following = text_of(answer, "nextToken")
            if not following:
                return
            form["NextToken"] = following
        raise PriceSourceError(f"the answer goes on for more than {MAX_PAGES} pages")

    def _answer(self, form: Mapping[str, str], deadline: float) -> Element:
        url = self._options.url or endpoint("ec2", self._region)
        body = urlencode(form).encode()
        headers = signed(
            "POST",
            host_header(url),
            {"Content-Type": FORM},
            body,
            region=self._region,
            service="ec2",
            credentials=self._credentials(deadline),
            at=_instant(self._context.wall_ns()),
        )

        def ask(timeout: float) -> bytes:
            try:
                return fetch.post(url, body, timeout=timeout, cap=PAGE_BYTES, headers=headers)
            except fetch.FetchError as error:
                if error.status in (401, 403):
                    raise PriceSourceError(
                        f"AWS refuses (HTTP {error.status}): the credentials are wrong or old, or "
                        "ec2:DescribeSpotPriceHistory is not allowed"
                    ) from None
                raise

        answer = parsed(asked(ask, deadline, self._options.timeout))
        if answer.tag.rpartition("}")[2] != "DescribeSpotPriceHistoryResponse":
            raise PriceSourceError("the answer is no history of Spot prices")
        return answer

    def _quote(self, record: Element, host: HostIdentity) -> Quote:
        zone = text_of(record, "availabilityZone")
        if text_of(record, "instanceType") != host.sku:
            raise Unusable("another instance type")
        if text_of(record, "productDescription") != LINUX:
            raise Unusable("not Linux")
        if not zone.startswith(host.region):
            raise Unusable("another region")
        price = amount(text_of(record, "spotPrice"))
        if price == 0:
            raise Unusable("a price of 0")
        now_ns = self._context.wall_ns()
        try:
            return Quote(
                PriceKey(
                    "aws", host.region, host.sku, PriceModel.SPOT, zone, currency_of(host.region)
                ),
                price,
                self.name,
                valid_from_ns=instant_ns(text_of(record, "timestamp")),
                as_of_ns=now_ns,
                known_at_ns=now_ns,
            )
        except ValueError:
            raise Unusable("no price can be so") from None


def _instant(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // _NS, UTC)


def make_source(options: Options, context: SourceContext) -> AwsSpot:
    """Make the source, as the contract asks."""
    return AwsSpot(options, context, os.environ, role_keys)
