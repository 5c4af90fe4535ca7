"""What an agent sends to the fleet's ledger: one clock hour of its own, whole, as it stands now.

Values are absolute and the hour is replaced, never added to, so that a delivery may be repeated,
come late or out of order: of two, the one with the higher number holds. Fields are the columns of
the ledger's tables (`exporter/ledger/schema.py`).
"""

from typing import Annotated, Any, Literal

import msgspec

from unitcost.pricing.allocate import Method, State
from unitcost.pricing.items import ItemType
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.sample import Quantity

PATH = "/v1/charges"
MAX_BODY = 4 * 1024 * 1024
"""Largest compressed body that is taken."""
MAX_TEXT = 32 * 1024 * 1024
"""Largest delivery once it is unpacked: some 100,000 rows."""

_INT64 = 2**63 - 1
Whole = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=_INT64)]
Small = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00]*$")]
Some = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00]+$")]
Code = Annotated[str, msgspec.Meta(max_length=32, pattern=r"^[^\x00]*$")]
Rate = Annotated[str, msgspec.Meta(max_length=40, pattern=r"^[0-9.E+-]+$")]
Random = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
Epoch = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row, without the columns that tell whose it is."""

    def columns(self) -> dict[str, Any]:
        """As the table has them."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class AccrualRow(_Row, frozen=True):
    """What a resource accrued."""

    resource: Some
    component: Component
    price: Code
    revision: Small
    elapsed_ns: Whole
    quantity: Whole
    pico: Whole | None


class ChargeRow(_Row, frozen=True):
    """What was charged to whom."""

    resource: Some
    component: Component
    workload: Some
    model: Name
    run: Name
    attempt: Small
    state: State
    method: Method
    price: Code
    currency: Code
    revision: Small
    quantity: Whole
    pico: Whole | None
    rate: Rate
    known_at_ns: Count


class UnitRow(_Row, frozen=True):
    """What was counted, in millionths."""

    workload: Some
    model: Name
    run: Name
    quantity: Quantity
    label: Code
    micro: Count


class ItemRow(_Row, frozen=True):
    """What was booked of an item."""

    id: Some
    workload: Name
    model: Name
    run: Name
    item: ItemType
    per: Code
    revision: Small
    usd: Whole
    pico: Whole
    units: Whole
    known_at_ns: Count


class MarkRow(_Row, frozen=True):
    """What a run had cost there in all when an epoch ended."""

    workload: Some
    run: Some
    attempt: Small
    epoch: Epoch
    at_ns: Count
    pico: Whole | None
    used_pico: Whole | None


class PartRow(_Row, frozen=True):
    """What the epochs between two marks cost there."""

    workload: Some
    run: Some
    attempt: Small
    epoch: Epoch
    since_epoch: Epoch
    hosts: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    at_ns: Count
    pico: Whole | None
    used_pico: Whole | None


class PriceRow(_Row, frozen=True):
    """A price that rows refer to."""

    id: Code
    resource: Some
    component: Component
    pico_per_unit: Count | None
    model: Code
    source: Name
    valid_from_ns: Whole
    valid_to_ns: Whole | None
    as_of_ns: Whole
    known_at_ns: Whole
    currency: Code
    rule: Name
    unit: PriceUnit
    rate: Rate
    rate_source: Name
    rate_as_of_ns: Whole
    list_pico_per_unit: Count | None


class WorkloadRow(_Row, frozen=True):
    """A workload that rows are for."""

    name: Some
    kind: Literal["inference", "training", "other"]
    owner: Name
    first_seen_ns: Count
    last_charged_ns: Count
    overflow: Annotated[int, msgspec.Meta(ge=0, le=1)]


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An hour of one ledger, as it stood after commit `seq`.

    `ledger` is the ledger's random name, `session` the sending process's; `opened` is the commit
    from which that process went on. The ledger has metered from `from_ns` to `to_ns` of the hour.
    """

    protocol: Literal[1]
    version: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[!-~]*$")]
    host: Some
    scope: Code
    ledger: Random
    session: Random
    opened: Count
    seq: Count
    hour: Annotated[int, msgspec.Meta(ge=1, le=10**7)]
    from_ns: Count
    to_ns: Count
    prices: tuple[PriceRow, ...] = ()
    workloads: tuple[WorkloadRow, ...] = ()
    accruals: tuple[AccrualRow, ...] = ()
    charges: tuple[ChargeRow, ...] = ()
    units: tuple[UnitRow, ...] = ()
    items: tuple[ItemRow, ...] = ()
    marks: tuple[MarkRow, ...] = ()
    parts: tuple[PartRow, ...] = ()


DECODER = msgspec.json.Decoder(Delivery)


def encode(delivery: Delivery) -> bytes:
    """As JSON."""
    return msgspec.json.encode(delivery)
