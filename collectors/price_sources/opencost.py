"""Prices by resource, in the JSON of OpenCost's custom pricing, put together for this host.

They are of one CPU, GiB or GPU for an hour. How many this host has must be stated: what a running
system counts is less than what is paid for. OpenCost's own defaults are placeholders, and refused.
https://www.opencost.io/docs/configuration/on-prem
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec

from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.collectors.price_place import check_place, is_currency, read_place
from unitcost.collectors.price_reading import (
    Dropped,
    Seconds,
    Timeout,
    Unusable,
    amount,
    decoded,
    stated_ns,
)
from unitcost.pricing.discount import discounted
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import MAX_TEXT, HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

CAP = 256 * 1024
PLACEHOLDERS = {"CPU": Decimal("0.031611"), "RAM": Decimal("0.004237"), "GPU": Decimal("0.95")}
"""What OpenCost comes with: "default prices based on GCP us-central1", one price for any GPU."""
CLOUDS = ("aws", "azure", "gcp")

Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Amount = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path` or `url`: where the JSON is; `bearer_token_file`: what the URL asks for.

    `cpus`, `ram_gib`, `gpus`: what this host has, 0 GPUs included. `as_of`: the day the prices are
    of; ``fetched``: each time. `model`: the terms of those prices that are not for Spot.
    `discount_percent` off all of them. `override`: whether they come before those of live sources.
    """

    path: str = ""
    url: str = ""
    bearer_token_file: str = ""
    cpus: Count | None = None
    ram_gib: Amount | None = None
    gpus: Count | None = None
    as_of: str = ""
    model: PriceModel = PriceModel.ON_DEMAND
    discount_percent: Percent = 0.0
    override: bool = False
    refresh_seconds: Seconds = 3600.0
    timeout: Timeout = 10.0

    def __post_init__(self) -> None:
        """Check what depends on each other. Raises ValueError."""
        if self.model is PriceModel.SPOT:
            raise ValueError("model is of the prices that are not for Spot")
        check_place(self)


class OpenCost:
    """Reads the file each time."""

    name = "opencost"
    host_only = True

    def __init__(self, options: Options, context: SourceContext) -> None:
        self.rank = Rank.OVERRIDE if options.override else Rank.LIVE
        self.refresh_seconds = options.refresh_seconds
        self.dropped: Mapping[str, int] = {}
        self.local = bool(options.path)
        self._options = options
        self._context = context

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """This host's price by its resources, and on Spot where the file has prices for that.

        Raises PriceSourceError, also where it is not known how many resources there are, and
        NotHere where no file is stated or the host is none that can be named.
        """
        if not (self._options.path or self._options.url):
            raise NotHere("neither path nor url is stated")
        if not (identity.provider and identity.sku):
            raise NotHere("it is not known what this host is")
        counts = self._counts()
        content = _content(read_place(self._options, self._context.folder, deadline, CAP))
        _check(content, identity)
        dropped = Dropped()
        quotes = []
        for model, names in _terms(self._options.model):
            with dropped.row():
                quotes.append(self._quote(identity, model, _sum(content, names, counts)))
        if not quotes:
            raise PriceSourceError(next(iter(dropped.by_reason)))
        self.dropped = dropped.by_reason
        return tuple(quotes)

    def _counts(self) -> tuple[Decimal, Decimal, Decimal]:
        options = self._options
        counts = {"cpus": options.cpus, "ram_gib": options.ram_gib, "gpus": options.gpus}
        missing = [name for name, count in counts.items() if count is None]
        if missing:
            raise PriceSourceError(f"{' and '.join(missing)} of this host must be stated")
        cpus, ram, gpus = (Decimal(str(count)) for count in counts.values())
        return cpus, ram, gpus

    def _quote(self, host: HostIdentity, model: PriceModel, price: "_Price") -> Quote:
        now_ns = self._context.wall_ns()
        as_of_ns = stated_ns(self._options.as_of, now_ns)
        try:
            quote = Quote(
                PriceKey(host.provider, host.region, host.sku, model, "", price.currency),
                price.per_hour,
                f"opencost {Path(self._options.path or self._options.url).name}"[:MAX_TEXT],
                valid_from_ns=as_of_ns,
                as_of_ns=as_of_ns,
                known_at_ns=now_ns,
            )
        except ValueError:
            raise Unusable("no price can be so") from None
        percent = Decimal(str(self._options.discount_percent))
        return discounted(quote, percent) if percent else quote


class _Price(msgspec.Struct, frozen=True):
    per_hour: Decimal
    currency: str


Names = tuple[str, str, str]


def _terms(plain: PriceModel) -> Iterator[tuple[PriceModel, Names]]:
    yield plain, ("CPU", "RAM", "GPU")
    yield PriceModel.SPOT, ("spotCPU", "spotRAM", "spotGPU")


def _content(body: bytes) -> dict[str, str]:
    """The file's texts and numbers, as they are written; what else it holds is not for us."""
    content = {}
    for name, raw in decoded(body, dict[str, msgspec.Raw], "the file").items():
        text = bytes(raw).decode(errors="replace").strip()
        if text[:1] not in ("{", "["):
            content[name] = text.strip('"').strip()
    return content


def _check(content: Mapping[str, str], host: HostIdentity) -> None:
    """Refuse what these prices are not of. Raises PriceSourceError."""
    if host.provider in CLOUDS and content.get("customPricesEnabled", "").lower() == "false":
        raise PriceSourceError("customPricesEnabled is false: in a cloud these prices are not used")
    for name in ("discount", "negotiatedDiscount"):
        if content.get(name, "").rstrip("%") not in ("", "0", "0.0", "null"):
            # OpenCost takes it off some resources and not others.
            raise PriceSourceError(f"{name} is not taken from the file: state discount_percent")
    try:
        prices = {name: amount(content[name]) for name in PLACEHOLDERS}
    except (KeyError, Unusable):
        return
    if prices == PLACEHOLDERS:
        raise PriceSourceError("these are the placeholders that OpenCost comes with, no prices")


def _sum(
    content: Mapping[str, str], names: Names, counts: tuple[Decimal, Decimal, Decimal]
) -> _Price:
    """The host's price. Raises Unusable, which says of which resource there is none."""
    currency = content.get("currencyCode", "") or "USD"
    if not is_currency(currency):
        raise Unusable("currencyCode is none")
    total = Decimal(0)
    for name, count in zip(names, counts, strict=True):
        if not count:
            continue
        if not content.get(name):
            raise Unusable(f"no price of {name}")
        try:
            price = amount(content[name])
        except Unusable as why:
            raise Unusable(f"{name}: {why}") from None
        if price == 0:
            raise Unusable(f"{name}: a price of 0")
        total += price * count
    return _Price(total, currency)


def make_source(options: Options, context: SourceContext) -> OpenCost:
    """Make the source, as the contract asks."""
    return OpenCost(options, context)
