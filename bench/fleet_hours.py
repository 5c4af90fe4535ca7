"""Hours of a simulated fleet as its agents would deliver them, settled by the real arithmetic."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from fleet_world import GPUS, SERVERS, gpu, workload

from unitcost.exporter.fleet.protocol import (
    AccrualRow,
    ChargeRow,
    Delivery,
    PriceRow,
    UnitRow,
    WorkloadRow,
    encode,
)
from unitcost.pricing.allocate import Method, Share, State
from unitcost.pricing.charge import Posting, post
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel, UnitPrice
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.resource import DEFAULT_SPLIT, MICRO, Resource
from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.timeline import NS_PER_HOUR, Period
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, Account

USD = Decimal("98.32")
CORES, GIBS = 192, 2048
PARTS = {State.ACTIVE: 613, State.IDLE: 387}
"""Of a thousandth each."""
HOST, LEDGER, HOUR = "host-00000", "0" * 31 + "1", 400_000
"""What stands in the delivery that all others are made from."""


@dataclass(frozen=True, slots=True)
class Hours:
    """One host's deliveries: one of them, of which host, ledger and time are replaced."""

    host: int
    text: bytes
    rows: int

    def body(self, hour: int, seq: int) -> bytes:
        """The delivery of a clock hour, compressed."""
        text = self.text
        for was, now in (
            (f'"host":"{HOST}"', f'"host":"host-{self.host:05d}"'),
            (LEDGER, f"{self.host + 1:032x}"),
            (f'"hour":{HOUR}', f'"hour":{hour}'),
            (f'"from_ns":{HOUR * NS_PER_HOUR}', f'"from_ns":{hour * NS_PER_HOUR}'),
            (f'"to_ns":{(HOUR + 1) * NS_PER_HOUR}', f'"to_ns":{(hour + 1) * NS_PER_HOUR}'),
            ('"seq":1', f'"seq":{seq}'),
        ):
            text = text.replace(was.encode(), now.encode())
        return gzip.compress(text, compresslevel=6, mtime=0)


def hours_of(host: int) -> Hours:
    """What a host delivers."""
    made = _delivery(host)
    rows = len(made.accruals) + len(made.charges) + len(made.units)
    return Hours(host, encode(made), rows)


def _delivery(host: int) -> Delivery:
    listed = unit_prices(_book(), _resources(host), DEFAULT_SPLIT, 0)
    posting = Posting()
    period = Period(HOUR * NS_PER_HOUR, (HOUR + 1) * NS_PER_HOUR)
    for resource, price in listed:
        post(posting, period, resource, price, list(_shares(host, resource)), lambda _: 0)
    return Delivery(
        protocol=1,
        version="0",
        host=HOST,
        scope="host",
        ledger=LEDGER,
        session=LEDGER,
        opened=0,
        seq=1,
        hour=HOUR,
        from_ns=period.start_ns,
        to_ns=period.end_ns,
        prices=tuple(_price(price) for _, price in listed),
        workloads=tuple(_workload(host, number) for number in range(SERVERS)),
        accruals=tuple(_accruals(posting)),
        charges=tuple(_charges(posting)),
        units=tuple(unit for number in range(SERVERS) for unit in _units(host, number)),
    )


def _book() -> PriceBook:
    price = Price(Component.RENT, USD, PriceModel.ON_DEMAND, "bench")
    return PriceBook((Component.RENT,), (price,))


def _resources(host: int) -> list[Resource]:
    gpus = [Resource(gpu(host, each), MICRO) for each in range(GPUS)]
    return [Resource("cpu", CORES * MICRO), Resource("memory", GIBS * MICRO), *gpus]


def _shares(host: int, resource: Resource) -> Iterator[Share]:
    """A GPU is its server's; of CPU and memory each has a part, and some is nobody's."""
    if resource.is_gpu:
        number = int(resource.id[-12:], 16) * SERVERS // GPUS
        yield from _held(host, number, Method.EXCLUSIVE)
        return
    for number in range(SERVERS):
        yield from _held(host, number, Method.CPU_TIME)
    yield Share(Account(SYSTEM), State.IDLE, Method.CPU_TIME, 37)
    yield Share(Account(UNALLOCATED), State.IDLE, Method.REMAINDER, 2011)


def _held(host: int, number: int, method: Method) -> Iterator[Share]:
    account = Account(workload(host, number), f"model-{number}")
    for state, weight in PARTS.items():
        yield Share(account, state, method, weight + host % 11)


def _accruals(posting: Posting) -> Iterator[AccrualRow]:
    for key, row in posting.accruals.items():
        place = (key.resource, key.component, key.price, key.revision)
        yield AccrualRow(*place, row.elapsed_ns, row.quantity, row.pico)


def _charges(posting: Posting) -> Iterator[ChargeRow]:
    for key, row in posting.charges.items():
        yield ChargeRow(
            key.resource,
            key.component,
            key.account.workload,
            key.account.model,
            key.account.run,
            key.account.attempt,
            key.state,
            key.method,
            key.price,
            "USD",
            key.revision,
            row.quantity,
            row.pico,
            "1",
            1,
        )


def _units(host: int, number: int) -> Iterator[UnitRow]:
    counted = (
        (Quantity.REQUESTS, Outcome.SUCCEEDED, 3600),
        (Quantity.REQUESTS, Outcome.FAILED, 12),
        (Quantity.TOKENS, TokenType.INPUT, 4_000_000),
        (Quantity.TOKENS, TokenType.OUTPUT, 900_000),
    )
    for quantity, label, count in counted:
        who = (workload(host, number), f"model-{number}", "")
        yield UnitRow(*who, quantity, str(label), count * MICRO)


def _workload(host: int, number: int) -> WorkloadRow:
    name = workload(host, number)
    return WorkloadRow(name, "inference", f"team-{int(name[-4:]) % 20}", 1, 1, 0)


def _price(price: UnitPrice) -> PriceRow:
    return PriceRow(**{name: getattr(price, name) for name in PriceRow.__struct_fields__})
