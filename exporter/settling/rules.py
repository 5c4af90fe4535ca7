"""Rules: what the configuration says, in the pricing core's own types."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcost.exporter.config.agreed import split_rule
from unitcost.exporter.config.instants import instant_ns
from unitcost.exporter.config.owned import owned_costs
from unitcost.exporter.config.settings import Price as PriceSettings
from unitcost.exporter.config.settings import (
    Settings,
    WorkloadSettings,
)
from unitcost.exporter.settling.planning import Planning, planning_of
from unitcost.exporter.settling.pod import PodRule, pod_rule
from unitcost.pricing.attribute import Rule, RuleMatcher
from unitcost.pricing.carbon import GridIntensity
from unitcost.pricing.metered import NOT_METERED, Metered
from unitcost.pricing.price import (
    Component,
    Price,
    PriceBook,
    PriceModel,
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
    """Everything that settling needs to know from the configuration.

    `pod`: the one we are in, where we are beside a workload.
    """

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
    metered: Metered = NOT_METERED
    planning: Planning = field(default_factory=Planning)
    pod: PodRule | None = None


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
        metered=metered_prices(settings),
        planning=planning_of(settings),
        pod=pod_rule(settings),
    )


def metered_prices(settings: Settings) -> Metered:
    """What is charged by what is measured: of a rented host nothing. Raises Mistake."""
    owned = settings.price.owned
    if owned is None or settings.host.scope == "units":
        return NOT_METERED
    return owned_costs(owned, settings.price.currency, settings.timezone).metered


def price_book(price: PriceSettings, scope: str = "host") -> PriceBook:
    """The host's prices by the hour; without any, its rent is unpriced.

    With scope `units`, no charges. Raises Mistake as `owned_costs` does.
    """
    if scope == "units":
        return PriceBook(())
    if price.owned is not None:
        return owned_costs(price.owned, price.currency, "UTC").book
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
