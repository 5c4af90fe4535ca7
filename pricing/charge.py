"""Charges: FOCUS-shaped rows, posted so that they sum to what each resource accrued, exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from unitcost.pricing.allocate import Method, Share, State
from unitcost.pricing.currency import USD
from unitcost.pricing.figures import multiply
from unitcost.pricing.money import distribute, round_half_even, to_pico, to_usd
from unitcost.pricing.pod import held_weights
from unitcost.pricing.price import Component, UnitPrice
from unitcost.pricing.resource import Resource
from unitcost.pricing.timeline import NS_PER_HOUR, Period, hour_of
from unitcost.pricing.workload import UNALLOCATED, Account

NS_PER_MICRO = 1000


@dataclass(frozen=True, slots=True)
class AccrualKey:
    """One resource and component in one clock hour (hours since the Unix epoch), at one price."""

    resource: str
    component: Component
    price: str
    hour: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class ChargeKey:
    """What tells one charge row from another; host, scope and currency are the ledger's own."""

    resource: str
    component: Component
    account: Account
    state: State
    method: Method
    price: str
    hour: int
    revision: int = 0


@dataclass(slots=True)
class Amount:
    """What is added to a row: resource-seconds in millionths (or millijoules), and pico-dollars.

    Pico-dollars are None while unpriced.
    """

    quantity: int = 0
    pico: int | None = None

    def add(self, quantity: int, pico: int | None) -> None:
        """Add to both; an unpriced addition leaves the money as it is."""
        self.quantity += quantity
        if pico is not None:
            self.pico = (self.pico or 0) + pico


@dataclass(slots=True)
class Accrued:
    """What a resource accrued: nanoseconds, and the quantity and money charged for them.

    Where its price is by the kWh, `elapsed_ns` are microjoules (`PriceUnit`).
    """

    elapsed_ns: int = 0
    quantity: int = 0
    pico: int | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """One row of the ledger as a reader sees it; the columns follow FOCUS 1.4 where it has one.

    `quantity` is in resource-hours (core-hours, GiB-hours, GPU-hours) or, where its price is by the
    kWh, in kWh; `cost_usd` None while unpriced. What was billed is in `currency`, of which `rate`
    units are one US dollar; `known_at_ns` is when it was charged.
    """

    host: str
    scope: str
    key: ChargeKey
    quantity: Decimal
    cost_usd: Decimal | None
    currency: str
    rate: Decimal
    known_at_ns: int

    @property
    def charge_class(self) -> str | None:
        """FOCUS's ChargeClass: ``Correction`` for what a price learnt late changes, else None.

        FOCUS has it null within a billing period that is not invoiced yet: that is for whoever
        knows the invoices.
        """
        return "Correction" if self.key.revision else None

    @classmethod
    def of(
        cls,
        host: str,
        scope: str,
        key: ChargeKey,
        amount: Amount,
        known_at_ns: int,
        currency: str = USD,
        rate: Decimal = Decimal(1),
    ) -> "Charge":
        """A charge from a row's sums."""
        hours = Decimal(amount.quantity) / Decimal(3600 * 10**6)
        cost = None if amount.pico is None else to_usd(amount.pico)
        return cls(host, scope, key, hours, cost, currency, rate, known_at_ns)

    @property
    def billed_cost(self) -> Decimal | None:
        """What it cost in the currency it is billed in, to 12 digits after the point.

        None while unpriced; the dollars themselves where they are what is billed.
        """
        if self.cost_usd is None or self.currency == USD:
            return self.cost_usd
        return to_usd(to_pico(multiply(self.cost_usd, self.rate)))


@dataclass(slots=True)
class Posting:
    """What one or more ticks add to the ledger."""

    charges: dict[ChargeKey, Amount] = field(default_factory=dict)
    accruals: dict[AccrualKey, Accrued] = field(default_factory=dict)


def cost_of(pico_per_unit: int, amount: int) -> int:
    """Pico-dollars for nanoseconds by the hour, or for microjoules by the kWh (`PriceUnit`).

    Price x amount, rounded half to even once.
    """
    return round_half_even(pico_per_unit * amount, NS_PER_HOUR)


def post(
    posting: Posting,
    period: Period,
    resource: Resource,
    price: UnitPrice,
    shares: Sequence[Share],
    amount_before: Callable[[AccrualKey], int],
) -> None:
    """Charge one resource and component for a period that lies in one clock hour and one price.

    The row's cost is always ``cost_of(price, its elapsed time)``: what this period adds is the
    difference, distributed by largest remainder over the shares. `amount_before` says what the
    ledger (with anything posted but not yet committed) holds for a row. Raises ValueError if
    there are no shares, so that no time can go uncharged.
    """
    key = AccrualKey(resource.id, price.component, price.id, hour_of(period.start_ns))
    before = amount_before(key)
    after = before + period.duration_ns
    quantity = quantity_of(resource, after) - quantity_of(resource, before)
    _enter(posting, key, price, (before, after), quantity, [(s, s.weight) for s in shares])


def post_held(
    posting: Posting,
    period: Period,
    resource: Resource,
    price: UnitPrice,
    shares: Sequence[Share],
    amount_before: Callable[[AccrualKey], int],
) -> None:
    """Charge what is held of a resource, and nobody for the rest of it: a pod's part of a host.

    Its row's time is the period times the part that is held, to the nanosecond below. Raises
    ValueError if nothing is.
    """
    held, whole = held_weights(shares)
    if not held:
        raise ValueError("nobody holds any of it")
    key = AccrualKey(resource.id, price.component, price.id, hour_of(period.start_ns))
    before = amount_before(key)
    after = before + period.duration_ns * held // whole
    quantity = quantity_of(resource, after) - quantity_of(resource, before)
    parts = [(s, s.weight) for s in shares if s.account.workload != UNALLOCATED]
    _enter(posting, key, price, (before, after), quantity, parts)


def post_amount(
    posting: Posting,
    instant_ns: int,
    price: UnitPrice,
    parts: Sequence[tuple[Share, int]],
    amount_before: Callable[[AccrualKey], int],
) -> None:
    """Charge what was measured in the clock hour of an instant, at one price: each share its part.

    As `post`, but for amounts (microjoules, or nanoseconds of a device) instead of time.
    """
    key = AccrualKey(price.resource, price.component, price.id, hour_of(instant_ns))
    before = amount_before(key)
    after = before + sum(part for _, part in parts)
    quantity = round_half_even(after, 1000) - round_half_even(before, 1000)
    _enter(posting, key, price, (before, after), quantity, parts)


def _enter(
    posting: Posting,
    key: AccrualKey,
    price: UnitPrice,
    amounts: tuple[int, int],
    quantity: int,
    parts: Sequence[tuple[Share, int]],
) -> None:
    """Add to a row what takes it from one amount to another, split over the shares by weight."""
    before, after = amounts
    weights = [weight for _, weight in parts]
    quantities = distribute(quantity, weights)
    if price.pico_per_unit is None:
        pico: int | None = None
        costs: Sequence[int | None] = [None] * len(parts)
    else:
        pico = cost_of(price.pico_per_unit, after) - cost_of(price.pico_per_unit, before)
        costs = distribute(pico, weights)
    accrued = posting.accruals.setdefault(key, Accrued())
    accrued.elapsed_ns += after - before
    accrued.quantity += quantity
    if pico is not None:
        accrued.pico = (accrued.pico or 0) + pico
    for (share, _), part, cost in zip(parts, quantities, costs, strict=True):
        charge_key = ChargeKey(
            key.resource,
            key.component,
            share.account,
            share.state,
            share.method,
            key.price,
            key.hour,
        )
        posting.charges.setdefault(charge_key, Amount()).add(part, cost)


def quantity_of(resource: Resource, elapsed_ns: int) -> int:
    """Millionths of resource-seconds in a duration."""
    return round_half_even(resource.capacity_micro * elapsed_ns, NS_PER_MICRO * 10**6)


def merge(posting: Posting, other: Posting) -> None:
    """Add all of `other` to `posting`."""
    for key, accrued in other.accruals.items():
        mine = posting.accruals.setdefault(key, Accrued())
        mine.elapsed_ns += accrued.elapsed_ns
        mine.quantity += accrued.quantity
        if accrued.pico is not None:
            mine.pico = (mine.pico or 0) + accrued.pico
    for charge, amount in other.charges.items():
        posting.charges.setdefault(charge, Amount()).add(amount.quantity, amount.pico)


def residual(posting: Posting) -> Mapping[AccrualKey, tuple[int, int]]:
    """Accrued minus charged, (quantity, pico) for each row where it is not zero. Always empty."""
    sums: dict[AccrualKey, list[int]] = {}
    for key, accrued in posting.accruals.items():
        sums[key] = [accrued.quantity, accrued.pico or 0]
    for charge, amount in posting.charges.items():
        row = sums.setdefault(
            AccrualKey(
                charge.resource, charge.component, charge.price, charge.hour, charge.revision
            ),
            [0, 0],
        )
        row[0] -= amount.quantity
        row[1] -= amount.pico or 0
    return {key: (quantity, pico) for key, (quantity, pico) in sums.items() if quantity or pico}
