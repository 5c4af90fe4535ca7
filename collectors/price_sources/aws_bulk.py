"""AWS's public price list of EC2, without credentials: one large file for each region.

A region's file has some hundred megabytes and is read in pieces, never as a whole, and only when
AWS has published a new one. The same instance type stands in it many times: Dedicated, Windows,
with databases, as capacity reserved or blocked. Six of its columns tell the price of a plain one.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.aws.offers import NEEDED, Commitment, Row, quote_of
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
    left,
    plain_name,
    until_the_next,
    wanted,
)
from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Rank

URL = "https://pricing.us-east-1.amazonaws.com"
URL_CHINA = "https://pricing.cn-north-1.amazonaws.com.cn"
INDEX_BYTES = 1024 * 1024
MAX_BYTES = 2 * 1024**3
MAX_LINE = 64 * 1024
MAX_PREAMBLE = 20
MAX_ROWS = 10_000
"""Of one instance type; there are some hundred."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`commitment_years`, `offering_class`: of this host's reservation, 0 where it has none.

    Only reservations without an upfront payment have a price by the hour. `url`: of the price
    list, for a mirror of one's own; empty for that of AWS, which China has of its own.
    `refresh_seconds`; `timeout` of the whole file.
    """

    commitment_years: Years = 0
    offering_class: Literal["standard", "convertible"] = "standard"
    url: str = ""
    refresh_seconds: Seconds = 43_200.0
    timeout: Timeout = 600.0

    def __post_init__(self) -> None:
        """Check the address. Raises ValueError."""
        if self.url:
            check_source_url(self.url)


class _Region(msgspec.Struct, frozen=True):
    currentVersionUrl: str


class _Index(msgspec.Struct, frozen=True):
    regions: dict[str, _Region]


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of which version of the list, for which region and types."""

    of: tuple[str, ...]
    quotes: tuple[Quote, ...]


class AwsBulk:
    """Reads the list of one region when there is a new one."""

    name = "aws_bulk"
    rank = Rank.LIVE

    def __init__(self, options: Options, context: SourceContext) -> None:
        self.refresh_seconds = options.refresh_seconds
        self.patience_seconds = options.timeout
        self.dropped: Mapping[str, int] = {}
        self._options = options
        self._context = context
        self._read: _Read | None = None

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The list prices of this type in its region: on demand, and reserved as stated.

        Raises PriceSourceError, NotHere.
        """
        return self.quotes_of((identity,), deadline)

    def quotes_of(self, identities: Sequence[HostIdentity], deadline: float) -> Sequence[Quote]:
        """The same of several types in the region of the first: the list is read once for all.

        Raises PriceSourceError, NotHere.
        """
        hosts = [wanted(each, "aws") for each in identities]
        region = plain_name(hosts[0].region, "region")
        skus = tuple(plain_name(host.sku, "instance type") for host in hosts)
        url = self._version_url(region, deadline)
        if self._read is None or self._read.of != (url, region, *skus):
            dropped = {sku: Dropped() for sku in skus}
            quotes = self._of_list(url, region, deadline, dropped)
            tiled = [each for sku in skus for each in until_the_next(quotes[sku], dropped[sku])]
            self._read = _Read((url, region, *skus), tuple(tiled))
            self.dropped = dropped[skus[0]].by_reason
        return self._read.quotes

    def _version_url(self, region: str, deadline: float) -> str:
        """Where the list of the region is that is current now."""
        china = region.startswith("cn-")
        base = self._options.url.rstrip("/") or (URL_CHINA if china else URL)
        partition = "cn" if china else "aws"
        index_url = f"{base}/offers/v1.0/{partition}/AmazonEC2/current/region_index.json"

        def ask(timeout: float) -> bytes:
            return fetch.fetch(index_url, timeout=timeout, cap=INDEX_BYTES)

        index = decoded(asked(ask, deadline, 20.0), _Index, "the index of regions")
        if region not in index.regions:
            raise PriceSourceError(f"AWS has no price list of the region {region}")
        path = index.regions[region].currentVersionUrl
        if not re.fullmatch(r"/offers/v1\.0/[A-Za-z0-9/_-]{1,200}/index\.json", path, re.ASCII):
            raise PriceSourceError("the index of regions names a list that is not on its server")
        return base + path.removesuffix("json") + "csv"

    def _of_list(
        self, url: str, region: str, deadline: float, dropped: Mapping[str, Dropped]
    ) -> Mapping[str, list[Quote]]:
        """The quotes of each type that `dropped` counts the others of."""
        timeout = min(self._options.timeout, left(deadline))
        quotes: dict[str, list[Quote]] = {sku: [] for sku in dropped}
        try:
            with fetch.stream(url, timeout=timeout, cap=MAX_BYTES) as pieces:
                rows = _Rows(_lines(pieces, [sku.encode() for sku in dropped]))
                for sku, row in rows.of(dropped):
                    with dropped[sku].row():
                        quotes[sku].append(self._quote(row, region, rows.published_ns))
        except fetch.FetchError as error:
            raise PriceSourceError(str(error)) from None
        return quotes

    def _quote(self, row: Row, region: str, published_ns: int) -> Quote:
        ours = Commitment(self._options.commitment_years, self._options.offering_class)
        quote = quote_of(row, region, ours)
        known_at_ns = self._context.wall_ns()
        return replace(quote, source=self.name, as_of_ns=published_ns, known_at_ns=known_at_ns)


class _Rows:
    """The rows of a list, after its preamble; `published_ns` says when it was made."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.published_ns = 0
        self._lines = lines
        self._columns = self._header()

    def of(self, dropped: Mapping[str, Dropped]) -> Iterator[tuple[str, Row]]:
        """The rows of each type that `dropped` counts the others of."""
        found: Counter[str] = Counter()
        for line in self._lines:
            cells = _cells(line)
            if len(cells) != len(self._columns):
                next(iter(dropped.values())).add("cells that do not fit the columns")
                continue
            row = dict(zip(self._columns, cells, strict=True))
            sku = row["Instance Type"]
            if sku in dropped:
                found[sku] += 1
                if found[sku] > MAX_ROWS:
                    raise PriceSourceError(f"the list has more than {MAX_ROWS} rows of {sku}")
                yield sku, row

    def _header(self) -> list[str]:
        for _ in range(MAX_PREAMBLE):
            cells = _cells(next(self._lines, b""))
            if cells[:1] == ["Publication Date"] and len(cells) == 2:
                self.published_ns = _published(cells[1])
            if cells[:1] == ["SKU"]:
                missing = sorted(set(NEEDED) - set(cells))
                if missing:
                    raise PriceSourceError(f"the list has no column {missing[0]!r}")
                if not self.published_ns:
                    raise PriceSourceError("the list does not say when it was published")
                return cells
        raise PriceSourceError("this is no price list: it has no columns")


def _published(text: str) -> int:
    try:
        return instant_ns(text)
    except Unusable:
        raise PriceSourceError("the list's publication date is none") from None


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except (csv.Error, UnicodeDecodeError):
        return []


def _lines(pieces: Iterable[bytes], texts: Sequence[bytes]) -> Iterator[bytes]:
    """The first lines, and of the rest those with one of the texts; others are passed over."""
    tail, seen = b"", 0
    for piece in pieces:
        block, newline, rest = piece.rpartition(b"\n")
        if not newline:
            tail += piece
            if len(tail) > MAX_LINE:
                raise PriceSourceError("this is no price list: it has no lines")
            continue
        whole, tail = tail + block, rest
        if seen < MAX_PREAMBLE or any(text in whole for text in texts):
            for line in whole.split(b"\n"):
                seen += 1
                if seen <= MAX_PREAMBLE or any(text in line for text in texts):
                    yield line.rstrip(b"\r")
    if tail:
        yield tail


def make_source(options: Options, context: SourceContext) -> AwsBulk:
    """Make the source, as the contract asks."""
    return AwsBulk(options, context)
