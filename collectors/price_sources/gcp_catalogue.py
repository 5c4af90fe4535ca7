"""Google Cloud's Billing catalogue: prices of cores, memory and GPUs, put together for a machine.

There is no price of a machine in it. One is put together from all its parts or not at all: where
a part is not in the catalogue for this region and these terms, or is there at two prices, there is
none. https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import quote as quoted

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.gcp_machines import ATTACHABLE, Machine, machine
from unitcost.collectors.price_contract import PriceSourceError, SourceContext
from unitcost.collectors.price_reading import (
    Dropped,
    Seconds,
    Timeout,
    Unusable,
    amount,
    asked,
    check_source_url,
    decoded,
    instant_ns,
    plain_name,
    read_secret,
    row_of,
    wanted,
)
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

URL = "https://cloudbilling.googleapis.com"
SERVICE = "6F81-5844-456A"
"""Compute Engine."""
PAGE_BYTES = 24 * 1024 * 1024
PAGE_ROWS = 5000
MAX_PAGES = 40
HOURS_A_MONTH = 730
"""By which Google turns a price by the month into one by the hour."""
UNITS = {"core": "h", "ram": "GiBy.h", "gpu": "h", "ssd": "GiBy.mo"}
EXCLUDED = ("Sole Tenancy", "Reserved", "Premium", "Custom", "suspended")
_NANOS = Decimal(999_999_999)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`api_key_file`: a key for the Cloud Billing API. `commitment_years`: of this host, 0: none.

    `attached_gpu`, `attached_gpus`: what is attached to an N1, which its type does not tell; 0
    where nothing is. `url`: for a mirror of one's own. `refresh_seconds`; `timeout` of a page.
    """

    api_key_file: str = ""
    commitment_years: Literal[0, 1, 3] = 0
    attached_gpu: Literal[
        "", "nvidia-tesla-t4", "nvidia-tesla-v100", "nvidia-tesla-p100", "nvidia-tesla-p4"
    ] = ""
    attached_gpus: Annotated[int, msgspec.Meta(ge=0, le=16)] | None = None
    url: str = URL
    refresh_seconds: Seconds = 21_600.0
    timeout: Timeout = 30.0

    def __post_init__(self) -> None:
        """Check what depends on each other. Raises ValueError."""
        check_source_url(self.url, secret=True)
        if bool(self.attached_gpu) != bool(self.attached_gpus):
            raise ValueError("attached_gpu and attached_gpus go together")


class _Money(msgspec.Struct, frozen=True):
    currencyCode: str
    units: msgspec.Raw = msgspec.Raw(b"0")
    nanos: msgspec.Raw = msgspec.Raw(b"0")


class _Rate(msgspec.Struct, frozen=True):
    unitPrice: _Money
    startUsageAmount: msgspec.Raw = msgspec.Raw(b"0")


class _Expression(msgspec.Struct, frozen=True):
    usageUnit: str
    tieredRates: list[_Rate]


class _Pricing(msgspec.Struct, frozen=True):
    pricingExpression: _Expression
    effectiveTime: str


class _Category(msgspec.Struct, frozen=True):
    usageType: str


class _Sku(msgspec.Struct, frozen=True):
    description: str
    category: _Category
    serviceRegions: list[str]
    pricingInfo: list[_Pricing]


class _Page(msgspec.Struct, frozen=True):
    skus: list[msgspec.Raw] = []
    nextPageToken: str = ""


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one unit of a part costs an hour, and since when."""

    price: Decimal
    since_ns: int


Found = dict[tuple[PriceModel, str], set[_Unit]]


class GcpCatalogue:
    """Reads the catalogue of Compute Engine and keeps what this machine is made of."""

    name = "gcp_catalogue"
    rank = Rank.LIVE

    def __init__(self, options: Options, context: SourceContext) -> None:
        self.refresh_seconds = options.refresh_seconds
        self.dropped: Mapping[str, int] = {}
        self._options = options
        self._context = context

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The prices of this machine type: on demand, Spot, and committed as stated.

        Raises PriceSourceError, also for a machine that cannot be put together, and NotHere.
        """
        return self.quotes_of((identity,), deadline)

    def quotes_of(self, identities: Sequence[HostIdentity], deadline: float) -> Sequence[Quote]:
        """The same of several types in the region of the first: the catalogue is read once.

        Of the others those are left out that cannot be put together by their type alone. Raises
        PriceSourceError, also where the first cannot, and NotHere.
        """
        host = wanted(identities[0], "gcp")
        region = plain_name(host.region, "region")
        others = [each for each in identities[1:] if machine(each.sku) and not _is_n1(each.sku)]
        asked_for = [self._wanted(each) for each in (host, *others)]
        for raw in self._rows(deadline):
            if f'"{region}"'.encode() in bytes(raw):
                for each in asked_for:
                    with each.dropped.row():
                        self._take(row_of(raw, _Sku), region, each.parts, each.found)
        quotes = []
        for each in asked_for:
            for model in dict.fromkeys(part.model for part in each.parts):
                with each.dropped.row():
                    quotes.append(self._composed(each.host, each.made_of, model, each.found))
        self.dropped = asked_for[0].dropped.by_reason
        return tuple(quotes)

    def _wanted(self, host: HostIdentity) -> "_Wanted":
        made_of = self._machine(plain_name(host.sku, "machine type"))
        parts = tuple(_parts(made_of, self._options.commitment_years))
        return _Wanted(host, made_of, parts, defaultdict(set), Dropped())

    def _machine(self, name: str) -> Machine:
        made_of = machine(name)
        if made_of is None:
            raise PriceSourceError(f"it is not known here what a {name} is made of")
        if not _is_n1(name):
            return made_of
        if self._options.attached_gpus is None:
            raise PriceSourceError(
                f"GPUs may be attached to a {name}: state attached_gpu and attached_gpus, or 0"
            )
        if not self._options.attached_gpus:
            return made_of
        gpu = ATTACHABLE[self._options.attached_gpu]
        return replace(made_of, gpus=self._options.attached_gpus, gpu=gpu)

    def _rows(self, deadline: float) -> Iterator[msgspec.Raw]:
        """The rows of all pages."""
        options = self._options
        if not options.api_key_file:
            raise PriceSourceError("api_key_file is not stated")
        # In a header: a URL stands in logs on the way.
        key = {"X-Goog-Api-Key": read_secret(options.api_key_file, self._context.folder)}
        base = f"{options.url.rstrip('/')}/v1/services/{SERVICE}/skus"
        base += f"?currencyCode=USD&pageSize={PAGE_ROWS}"
        url = base
        for _ in range(MAX_PAGES):

            def ask(timeout: float, url: str = url) -> bytes:
                return fetch.get(url, timeout=timeout, cap=PAGE_BYTES, headers=key).body

            page = decoded(asked(ask, deadline, options.timeout), _Page)
            yield from page.skus
            if not page.nextPageToken:
                return
            url = f"{base}&pageToken={quoted(page.nextPageToken, safe='')}"
        raise PriceSourceError(f"the answer goes on for more than {MAX_PAGES} pages")

    def _take(self, sku: _Sku, region: str, parts: "Sequence[_Part]", found: Found) -> None:
        """Keep the unit price of a part of ours. Raises Unusable for what looks like one."""
        if region not in sku.serviceRegions:
            return
        ours = [part for part in parts if part.pattern.fullmatch(sku.description)]
        if not ours:
            return
        if any(word in sku.description for word in EXCLUDED):
            raise Unusable("of other terms")
        for part in ours:
            if sku.category.usageType != part.usage_type:
                raise Unusable("named otherwise than it is used")
            unit = _unit(sku, part.kind, self._context.wall_ns())
            found[part.model, part.kind].add(unit)

    def _composed(
        self, host: HostIdentity, made_of: Machine, model: PriceModel, found: Found
    ) -> Quote:
        """The machine's price from its parts. Raises Unusable where one is missing or disputed."""
        total, since_ns = Decimal(0), 0
        for kind, count in _counts(made_of).items():
            units = found.get((model, kind), set())
            if not units:
                raise Unusable(f"{model}: no price of its {kind}")
            if len({unit.price for unit in units}) > 1:
                raise Unusable(f"{model}: more than one price of its {kind}")
            (price,) = {unit.price for unit in units}
            total += price * count / (HOURS_A_MONTH if kind == "ssd" else 1)
            since_ns = max(since_ns, min(unit.since_ns for unit in units))
        now_ns = self._context.wall_ns()
        key = PriceKey("gcp", host.region, host.sku, model)
        try:
            return Quote(
                key, total, self.name, valid_from_ns=since_ns, as_of_ns=now_ns, known_at_ns=now_ns
            )
        except ValueError:
            raise Unusable("no price can be so") from None


def _is_n1(name: str) -> bool:
    """Whether GPUs may be attached to it that its type does not tell of."""
    return name.startswith("n1-")


@dataclass(frozen=True, slots=True)
class _Part:
    """What the catalogue calls a part under some terms."""

    model: PriceModel
    kind: str
    usage_type: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A machine that is put together: what of, and what of it was found so far."""

    host: HostIdentity
    made_of: Machine
    parts: Sequence[_Part]
    found: Found
    dropped: Dropped


def _counts(made_of: Machine) -> dict[str, Decimal]:
    """How much there is of each part."""
    counts = {
        "core": Decimal(made_of.cores),
        "ram": made_of.ram_gib,
        "gpu": Decimal(made_of.gpus),
        "ssd": Decimal(made_of.ssd_gib),
    }
    return {kind: count for kind, count in counts.items() if count}


def _parts(made_of: Machine, years: int) -> Iterator[_Part]:
    """The parts to look for, by terms. Names are matched as a whole: many begin alike."""
    spot = "attached to Spot Preemptible VMs?"
    place = "(?: (?:running )?in .+)?"
    on_demand = {
        "core": f"{made_of.core} running in .+",
        "ram": f"{made_of.ram} running in .+",
        "gpu": f"{made_of.gpu} running in .+",
        "ssd": f"SSD backed Local Storage{place}",
    }
    preemptible = {
        "core": f"Spot Preemptible {made_of.core} running in .+",
        "ram": f"Spot Preemptible {made_of.ram} running in .+",
        "gpu": f"{made_of.gpu} {spot} running in .+",
        "ssd": f"SSD backed Local Storage {spot}{place}",
    }
    term = f"for {years} Years?"
    family = f"{made_of.committed} " if made_of.committed else ""
    committed = {
        "core": f"Commitment v1: {family}Cpu in .+ {term}",
        "ram": f"Commitment v1: {family}Ram in .+ {term}",
        "gpu": f"Commitment v1: {made_of.gpu} (?:running )?in .+ {term}",
        "ssd": f"Commitment v1: Local SSD [Ii]n .+ {term}",
    }
    named = [
        (PriceModel.ON_DEMAND, "OnDemand", on_demand),
        (PriceModel.SPOT, "Preemptible", preemptible),
    ]
    if years:
        named.append((PriceModel.COMMITTED, f"Commit{years}Yr", committed))
    for model, usage_type, patterns in named:
        for kind in _counts(made_of):
            yield _Part(model, kind, usage_type, re.compile(patterns[kind], re.IGNORECASE))


def _unit(sku: _Sku, kind: str, now_ns: int) -> _Unit:
    """The unit price that is in force. Raises Unusable."""
    in_force = [
        (instant_ns(each.effectiveTime), each.pricingExpression) for each in sku.pricingInfo
    ]
    in_force = [(since, each) for since, each in in_force if since <= now_ns]
    if not in_force:
        raise Unusable("not in force yet")
    since_ns, expression = max(in_force, key=lambda each: each[0])
    if expression.usageUnit != UNITS[kind]:
        raise Unusable("another unit")
    if len(expression.tieredRates) != 1 or _number(expression.tieredRates[0].startUsageAmount) != 0:
        raise Unusable("a price by amounts")
    money = expression.tieredRates[0].unitPrice
    if money.currencyCode != "USD":
        raise Unusable("another currency")
    price = _number(money.units) + _number(money.nanos, _NANOS).scaleb(-9)
    if price == 0:
        raise Unusable("a price of 0")
    return _Unit(price, since_ns)


def _number(raw: msgspec.Raw, limit: Decimal = Decimal(1_000_000)) -> Decimal:
    """A number, also where it is written as a text."""
    return amount(bytes(raw).decode(errors="replace").strip().strip('"'), limit)


def make_source(options: Options, context: SourceContext) -> GcpCatalogue:
    """Make the source, as the contract asks."""
    return GcpCatalogue(options, context)
