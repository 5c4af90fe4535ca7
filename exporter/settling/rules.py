"""Rules: what the configuration says, in the pricing core's own types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from unitcost.exporter.config.agreed import split_rule
from unitcost.exporter.config.settings import (
    Electricity,
    Owned,
    Settings,
    WorkloadSettings,
)
from unitcost.exporter.config.settings import Price as PriceSettings
from unitcost.pricing.attribute import Rule, RuleMatcher
from unitcost.pricing.carbon import GridIntensity
from unitcost.pricing.price import (
    Component,
    Price,
    PriceBook,
    PriceModel,
    electricity_per_hour,
    straight_line,
)
from unitcost.pricing.resource import GIB, SplitRule
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import Account, WorkloadKind

SOURCE = "configuration"
REBOOT_LIMIT_NS = 15 * 60 * NS_PER_SECOND
"""A rented host that was away longer than this may have been stopped: its cost is unknown."""
RETIRE_AFTER_NS = 15 * 60 * NS_PER_SECOND
SLOT_NS = 300 * NS_PER_SECOND
"""In how long stretches drift is judged."""
MAX_WORKLOADS = 256
MAX_TENANTS = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a workload holds while it runs: thousandths of cores, bytes, and GPUs.

    A GPU is named by its UUID, that of a MIG instance, or the driver's number.
    """

    milli_cores: int = 0
    memory_bytes: int = 0
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadRule:
    """What the configuration says of one workload."""

    name: str
    kind: WorkloadKind
    owner: str
    reservation: Reservation
    has_endpoint: bool
    max_tenants: int = MAX_TENANTS


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that settling needs to know from the configuration."""

    book: PriceBook
    split: SplitRule
    owned: bool
    scope: str
    workloads: Mapping[str, WorkloadRule]
    window_ns: int
    minimum_micro: int
    max_workloads: int = MAX_WORKLOADS
    slot_ns: int = SLOT_NS
    retire_after_ns: int = RETIRE_AFTER_NS
    reboot_limit_ns: int = REBOOT_LIMIT_NS
    carbon: GridIntensity | None = None


def rules_of(settings: Settings, carbon: GridIntensity | None = None) -> Rules:
    """Rules from checked settings, and from what was looked up for them."""
    scale = settings.time_scale
    return Rules(
        book=price_book(settings.price, settings.host.scope),
        split=split_rule(settings.price.split),
        owned=settings.price.owned is not None,
        scope=settings.host.scope,
        workloads={item.name: _workload(item) for item in settings.workloads},
        window_ns=round(settings.unit_costs.window / scale * NS_PER_SECOND),
        minimum_micro=round(settings.unit_costs.minimum_units * 10**6),
        slot_ns=round(SLOT_NS / scale),
        retire_after_ns=round(RETIRE_AFTER_NS / scale),
        carbon=carbon,
    )


def instant_ns(text: str) -> int:
    """ISO 8601 with an offset, as Unix nanoseconds. Raises ValueError without an offset."""
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("an instant needs an offset from UTC, such as Z or +04:00")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def price_book(price: PriceSettings, scope: str = "host") -> PriceBook:
    """The host's prices; without any, its rent is unpriced. With scope `units`, no charges."""
    if scope == "units":
        return PriceBook(())
    if price.owned is not None:
        return _owned_book(price.owned)
    if price.usd_per_hour is None:
        return PriceBook((Component.RENT,))
    starts = [0, *(instant_ns(change.at) for change in price.changes)]
    amounts = [price.usd_per_hour, *(change.usd_per_hour for change in price.changes)]
    ends: list[int | None] = [*starts[1:], None]
    prices = tuple(
        Price(
            Component.RENT,
            amount,
            PriceModel.OVERRIDE,
            SOURCE,
            valid_from_ns=start,
            valid_to_ns=end,
            as_of_ns=start,
        )
        for amount, start, end in zip(amounts, starts, ends, strict=True)
    )
    return PriceBook((Component.RENT,), prices)


def _owned_book(owned: Owned) -> PriceBook:
    """Amortisation and overhead; electricity unless it is said to be none.

    A tariff without a stated draw leaves electricity unpriced: there is no sensor to read here.
    """
    amortisation = straight_line(owned.purchase_usd, owned.residual_usd, owned.life_years)
    amounts: dict[Component, Decimal] = {
        Component.AMORTISATION: amortisation,
        Component.OVERHEAD: owned.overhead_usd_per_hour,
    }
    components = tuple(amounts)
    if isinstance(owned.electricity, Electricity):
        components = (*components, Component.ELECTRICITY)
        power = owned.electricity
        if power.watts is not None:
            amounts[Component.ELECTRICITY] = electricity_per_hour(
                power.watts, power.usd_per_kwh, power.pue
            )
    prices = tuple(
        Price(component, amount, PriceModel.OWNED, SOURCE) for component, amount in amounts.items()
    )
    return PriceBook(components, prices)


def matcher_of(settings: Settings) -> RuleMatcher:
    """What ties processes to the workloads that have a `match`."""
    return RuleMatcher(
        [
            Rule(
                Account(item.name),
                item.match.command,
                item.match.user,
                item.match.cgroup,
                item.match.port,
                item.match.cuda_visible_devices,
            )
            for item in settings.workloads
            if item.match is not None
        ]
    )


def _workload(item: WorkloadSettings) -> WorkloadRule:
    reservation = Reservation(
        milli_cores=int(item.reserve.cpu * 1000),
        memory_bytes=int(item.reserve.memory_gib * GIB),
        gpus=item.reserve.gpus,
    )
    kind = WorkloadKind(item.kind)
    limit = item.tenants.limit if item.tenants else MAX_TENANTS
    return WorkloadRule(item.name, kind, item.owner, reservation, bool(item.endpoints), limit)
