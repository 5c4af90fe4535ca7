"""Quotes: what a source says a host of some kind costs an hour, where, when, and under which terms.

A quote is never adjusted to fit: of another region, zone or price model it is another quote, and
where none fits the price is unknown.
"""

from dataclasses import dataclass
from decimal import Decimal

from unitcost.pricing.currency import is_code
from unitcost.pricing.price import PriceModel

MAX_USD_PER_HOUR = Decimal(1_000_000)
"""No host costs more; a quote above it is junk."""
MAX_TEXT = 128
MAX_NS = 2**63 - 1
"""The last instant that a ledger can hold: in the year 2262."""


@dataclass(frozen=True, slots=True, order=True)
class PriceKey:
    """What is quoted: an instance type (`sku`) of a provider in a region, under a price model.

    `zone` is empty where the price is the whole region's (on demand), else the provider's own
    name of the zone (spot). Providers, regions and types are as the provider writes them.
    """

    provider: str
    region: str
    sku: str
    model: PriceModel
    zone: str = ""
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of `key` from `valid_from_ns` until `valid_to_ns` (Unix time, nanoseconds).

    `per_hour` is what is paid for the whole instance, in the key's currency; `list_per_hour` what
    it was before any discount. `source` names who said so, `as_of_ns` when they stated it,
    `known_at_ns` when we learnt it. Raises ValueError for what no price can be.
    """

    key: PriceKey
    per_hour: Decimal
    source: str
    valid_from_ns: int = 0
    valid_to_ns: int | None = None
    as_of_ns: int = 0
    known_at_ns: int = 0
    list_per_hour: Decimal | None = None

    def __post_init__(self) -> None:
        for amount in (self.per_hour, self.list_per_hour):
            if amount is not None and not (amount.is_finite() and 0 <= amount <= MAX_USD_PER_HOUR):
                raise ValueError(f"a price is a number from 0 to {MAX_USD_PER_HOUR}, not {amount}")
        if self.valid_to_ns is not None and self.valid_to_ns <= self.valid_from_ns:
            raise ValueError("a price must be valid for some time")
        instants = (self.valid_from_ns, self.valid_to_ns, self.as_of_ns, self.known_at_ns)
        if not all(each is None or 0 <= each <= MAX_NS for each in instants):
            raise ValueError("an instant is from 1970 to 2262, in nanoseconds")
        if not is_code(self.key.currency):
            raise ValueError("a currency is three capital letters")
        names = (self.key.provider, self.key.region, self.key.sku, self.key.zone, self.source)
        for text in names:
            if len(text) > MAX_TEXT or not text.isprintable():
                raise ValueError("a name in a price is too long or not printable")
        if not (self.key.provider and self.key.sku and self.source):
            raise ValueError("a price needs a provider, an instance type and a source")

    def covers(self, instant_ns: int) -> bool:
        """Whether it holds at that instant."""
        ended = self.valid_to_ns is not None and instant_ns >= self.valid_to_ns
        return instant_ns >= self.valid_from_ns and not ended


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """What this host is, as far as it is known: empty where nobody said.

    `model` is the terms it runs under (None: unknown, which is not on demand). `said_by` names
    for each field that is known who said so: ``metadata``, ``node_labels``, ``configuration``.
    """

    provider: str = ""
    region: str = ""
    zone: str = ""
    sku: str = ""
    model: PriceModel | None = None
    instance_id: str = ""
    said_by: tuple[tuple[str, str], ...] = ()
