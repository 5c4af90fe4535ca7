"""What all price sources do alike: ask, read numbers and instants exactly, count what is left out.

A row that cannot be a price of this host is counted under its reason and left out; an answer that
is not what it should be is a PriceSourceError. Nothing is mended or guessed.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.address import is_loopback, parse_url
from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.pricing.quote import MAX_USD_PER_HOUR, HostIdentity, Quote

Answer = TypeVar("Answer")
Seconds = Annotated[float, msgspec.Meta(ge=60, le=31_536_000)]
Timeout = Annotated[float, msgspec.Meta(ge=0.05, le=3600)]
Years = Annotated[int, msgspec.Meta(ge=0, le=5)]

MAX_SECRET = 16_384
FETCHED = "fetched"
"""As the day prices are of: each time they are fetched."""
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 2200
"""Later instants do not fit into 63 bits of nanoseconds; writers mean "for ever" by them."""


class Unusable(Exception):
    """A row that is left out; the text is the reason it is counted under, one of a few."""


class Dropped:
    """How many rows of the last answer were left out, by reason."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def row(self) -> Iterator[None]:
        """Around the reading of a row: one that is Unusable is counted and left out."""
        try:
            yield
        except Unusable as why:
            self._counts[str(why)] += 1

    def add(self, reason: str, rows: int = 1) -> None:
        """Count rows that were left out."""
        self._counts[reason] += rows

    @property
    def by_reason(self) -> Mapping[str, int]:
        """The counts, the largest first."""
        return dict(self._counts.most_common())


def check_source_url(url: str, *, secret: bool = False) -> None:
    """Check the address of a price list. Raises ValueError.

    Where a secret is sent along it must be https, or this host.
    """
    place = parse_url(url)
    if secret and place.scheme != "https" and not is_loopback(place.host):
        raise ValueError("a secret is sent to this URL: it must begin with https://")


def wanted(identity: HostIdentity, provider: str) -> HostIdentity:
    """The host's identity, where it is of that provider and known well enough to ask for a price.

    Raises NotHere, PriceSourceError.
    """
    if identity.provider != provider:
        raise NotHere(f"no host of {provider}")
    if not (identity.region and identity.sku):
        raise PriceSourceError("the host's region and instance type must be known to ask for it")
    return identity


def plain_name(text: str, what: str) -> str:
    """A region, zone or type that goes into a request. Raises PriceSourceError for odd ones."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text, re.ASCII):
        raise PriceSourceError(f"no {what} has such a name: {text[:40]!r}")
    return text


def asked(ask: Callable[[float], Answer], deadline: float, timeout: float) -> Answer:
    """What `ask` answers within `timeout` seconds, and before the deadline.

    Raises PriceSourceError.
    """
    try:
        return ask(min(timeout, left(deadline)))
    except fetch.FetchError as error:
        raise PriceSourceError(str(error)) from None


def left(deadline: float) -> float:
    """Seconds until the deadline. Raises PriceSourceError where there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise PriceSourceError("no time was left to ask")
    return seconds


def decoded(body: bytes | str, kind: type[Answer], what: str = "the answer") -> Answer:
    """JSON of that shape, numbers exact. Raises PriceSourceError; the text shows none of it."""
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        raise PriceSourceError(f"{what} is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PriceSourceError(f"{what} is not as documented: {str(error)[:120]}") from None


def row_of(raw: msgspec.Raw, kind: type[Answer]) -> Answer:
    """One row of a JSON answer. Raises Unusable."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unusable("not as documented") from None


def amount(text: str, limit: Decimal = MAX_USD_PER_HOUR) -> Decimal:
    """A price, exactly as written. Raises Unusable: negative, not finite, no number, too large."""
    if not _NUMBER.fullmatch(text):
        raise Unusable("no number")
    value = Decimal(text)
    if value < 0:
        raise Unusable("negative")
    if value > limit:
        raise Unusable("too large to be a price")
    return value


def instant_ns(text: str) -> int:
    """Unix nanoseconds of an ISO 8601 instant with its zone, or of a day's beginning in UTC.

    Raises Unusable. What is before 1970 is 1970: no host is charged earlier.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable("no instant") from None
    if instant.tzinfo is None:
        if not _DAY.fullmatch(text):
            raise Unusable("an instant without its time zone")
        instant = instant.replace(tzinfo=UTC)
    if instant.year > _LAST_YEAR:
        raise Unusable("an instant too far away")
    return max((instant - _EPOCH) // timedelta(microseconds=1), 0) * 1000


def check_as_of(as_of: str, url: str) -> None:
    """Check the day a configuration says that prices were stated. Raises ValueError."""
    if as_of == FETCHED and not url:
        raise ValueError("as_of: fetched is for a url; of a file state the day it is of")
    if as_of not in ("", FETCHED):
        try:
            instant_ns(as_of)
        except Unusable:
            raise ValueError("as_of is no day (2026-01-31) and no instant") from None


def stated_ns(as_of: str, now_ns: int) -> int:
    """When prices were stated. Raises Unusable: a file's own time says when it was copied."""
    if not as_of:
        raise Unusable("as_of is missing: on which day was this price stated?")
    as_of_ns = now_ns if as_of == FETCHED else instant_ns(as_of)
    if as_of_ns > now_ns:
        raise Unusable("as_of is in the future")
    return as_of_ns


def end_ns(text: str | None) -> int | None:
    """As `instant_ns`; None where there is no end, or one no clock here will see."""
    if not text or text[:4] > str(_LAST_YEAR):
        return None
    return instant_ns(text)


def read_secret(path: str, folder: Path) -> str:
    """The secret in a file, without the line's end. Raises PriceSourceError, without the secret."""
    try:
        with (folder / path).open(encoding="ascii") as file:
            text = file.read(MAX_SECRET + 1).strip()
    except OSError as error:
        raise PriceSourceError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise PriceSourceError(f"{path} is no plain text") from None
    if not text or len(text) > MAX_SECRET:
        raise PriceSourceError(f"{path} is empty or too long")
    return text


def until_the_next(quotes: Sequence[Quote], dropped: Dropped) -> tuple[Quote, ...]:
    """One price after the other: one without an end holds until the next of its key begins.

    Rows that say the same are one. Where rows of one key contradict each other, by different
    prices from the same instant on or by stating times that overlap, none of those is believed.
    """
    kept: list[Quote] = []
    for _, same in groupby(sorted(set(quotes), key=_order), key=lambda quote: quote.key):
        kept += _tiled(list(same), dropped)
    return tuple(kept)


def _order(quote: Quote) -> tuple[object, ...]:
    return (quote.key, quote.valid_from_ns, quote.per_hour)


def _tiled(quotes: list[Quote], dropped: Dropped) -> list[Quote]:
    """The quotes of one key, in order of their beginnings."""
    disputed: set[int] = set()
    reaching = 0
    for index, quote in enumerate(quotes[1:], start=1):
        for earlier in {index - 1, reaching}:
            if _contradict(quotes[earlier], quote):
                disputed |= {earlier, index}
        if _reach(quote) >= _reach(quotes[reaching]):
            reaching = index
    if disputed:
        dropped.add("contradicts another row", len(disputed))
    kept: list[Quote] = []
    for index, quote in enumerate(quotes):
        if index not in disputed:
            kept = _followed(kept, quote)
    return kept


def _followed(kept: list[Quote], quote: Quote) -> list[Quote]:
    """What is kept so far, and what the next one adds to it."""
    if not kept:
        return [quote]
    last = kept[-1]
    if last.valid_from_ns == quote.valid_from_ns:  # of the same price: the one that says more
        return [*kept[:-1], max(last, quote, key=_reach)]
    if last.valid_to_ns is None:
        return [*kept[:-1], replace(last, valid_to_ns=quote.valid_from_ns), quote]
    if quote.valid_to_ns is not None and quote.valid_to_ns <= last.valid_to_ns:
        return kept
    begins = max(quote.valid_from_ns, last.valid_to_ns)
    return [*kept, replace(quote, valid_from_ns=begins)]


def _contradict(earlier: Quote, later: Quote) -> bool:
    at_once = earlier.valid_from_ns == later.valid_from_ns or _reach(earlier) > later.valid_from_ns
    return at_once and earlier.per_hour != later.per_hour


def _reach(quote: Quote) -> int:
    """Until when it says it holds: where it does not say, it stands back for whatever follows."""
    return quote.valid_from_ns if quote.valid_to_ns is None else quote.valid_to_ns
