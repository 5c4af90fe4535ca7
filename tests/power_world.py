"""An owned host whose energy is measured: counters of GPUs, of packages and of memory."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from tests.gpu_world import GpuHost
from tests.sites import Site
from unitcost.exporter.config.load import loads
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.rules import rules_of
from unitcost.pricing.charge import cost_of
from unitcost.pricing.energy import Meter, Scope
from unitcost.pricing.price import Component, PriceUnit
from unitcost.pricing.resource import CPU, MEMORY
from unitcost.pricing.sample import EpochMark

GPU = "gpu:GPU-0"
KWH = 3_600_000
"""Joules."""
ELECTRICITY = Component.ELECTRICITY


@dataclass
class Package:
    """A RAPL counter: what it draws, and up to where it counts before it wraps."""

    name: str
    resource: str
    watts: float
    joules: float = 0.0
    range: float = 262_143.328850


class PowerHost(GpuHost):
    """A host with energy meters; those in `silent` are not read."""

    def __init__(self, gpus: int = 1, at: str = "2026-01-01T00:00:00+00:00") -> None:
        super().__init__(gpus)
        self.clock.set_wall(instant(at))
        self.packages: dict[str, Package] = {}
        self.silent: set[str] = set()
        self.used: dict[str, Fraction] = {}

    def package(self, name: str, watts: float, resource: str = CPU) -> Package:
        """There is such a counter."""
        self.packages[name] = Package(name, resource, watts)
        return self.packages[name]

    def run(self, seconds: float) -> None:
        """Time passes, energy is used."""
        before = {gpu.id: gpu.joules for gpu in self.gpus}
        super().run(seconds)
        for gpu in self.gpus:
            drawn = Fraction(gpu.joules) - Fraction(before[gpu.id])
            self.used[gpu.id] = self.used.get(gpu.id, Fraction(0)) + drawn
        for each in self.packages.values():
            drawn = Fraction(each.watts) * Fraction(seconds)
            each.joules = (each.joules + float(drawn)) % each.range
            self.used[each.resource] = self.used.get(each.resource, Fraction(0)) + drawn

    def observe(self, host: bool = True) -> tuple[Observed, tuple[EpochMark, ...]]:
        """What all collectors say, those of RAPL included."""
        observed, marks = super().observe(host)
        now = self.clock.mono_ns
        own = tuple(
            Meter(
                each.name,
                Scope.DRAM if each.resource == MEMORY else Scope.PACKAGE,
                (each.name,),
                now,
                each.joules,
                resource=each.resource,
                wraps_at=each.range,
            )
            for each in self.packages.values()
        )
        meters = tuple(each for each in (*observed.meters, *own) if each.id not in self.silent)
        return replace(observed, meters=meters), marks


def instant(text: str) -> int:
    """ISO 8601 as Unix nanoseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def config(electricity: str, timezone: str = "UTC", more: str = "") -> str:
    """The configuration of an owned host that costs nothing but its energy."""
    return (
        f"timezone: {timezone}\nprice: {{owned: {{purchase_usd: 0, life_years: 5, "
        f"electricity: {electricity}{more}}}}}\n"
    )


def power_site(text: str, host: PowerHost | None = None) -> Site:
    """An exporter on an owned host."""
    return Site(rules_of(loads(text).settings), host or PowerHost())


def world(site: Site) -> PowerHost:
    """The site's host."""
    assert isinstance(site.host, PowerHost)
    return site.host


def paid(site: Site, component: Component = ELECTRICITY, **where: object) -> Decimal:
    """Dollars that energy cost so far, as the ledger has them."""
    found: dict[str, object] = {"component": component, **where}
    pico = sum(
        amount.pico or 0
        for key, amount in site.ledger.posting.charges.items()
        if all(getattr(key, name) == value for name, value in found.items())
    )
    return Decimal(pico).scaleb(-12)


def joules(site: Site, resource: str = GPU) -> Fraction:
    """What the ledger's rows by the kWh say was measured of a resource."""
    prices = site.ledger.prices
    return Fraction(
        sum(
            row.elapsed_ns
            for key, row in site.ledger.posting.accruals.items()
            if (key.resource, key.component) == (resource, ELECTRICITY)
            and (prices[key.price].unit, prices[key.price].rule) == (PriceUnit.KWH, "measured")
        ),
        10**6,
    )


def unpriced_ns(site: Site, resource: str = GPU, component: Component = ELECTRICITY) -> int:
    """For how long a component of a resource had no price."""
    return sum(
        row.elapsed_ns
        for key, row in site.ledger.posting.accruals.items()
        if (key.resource, key.component) == (resource, component) and row.pico is None
    )


def check_energy(site: Site) -> None:
    """Every row is its price times its amount, and is charged to the last pico-dollar."""
    posting = site.ledger.posting
    charged: dict[tuple[object, ...], list[int]] = {}
    for charge, amount in posting.charges.items():
        name = (charge.resource, charge.component, charge.price, charge.hour)
        row = charged.setdefault(name, [0, 0])
        row[0] += amount.quantity
        row[1] += amount.pico or 0
        assert amount.quantity >= 0
        assert (amount.pico or 0) >= 0
    for key, accrued in posting.accruals.items():
        price = site.ledger.prices[key.price]
        pico = price.pico_per_unit
        assert accrued.pico == (None if pico is None else cost_of(pico, accrued.elapsed_ns))
        name = (key.resource, key.component, key.price, key.hour)
        assert charged.pop(name) == [accrued.quantity, accrued.pico or 0]
        if price.unit is not PriceUnit.HOUR:
            assert abs(accrued.quantity * 1000 - accrued.elapsed_ns) <= 500
    assert charged == {}
    total = site.counter("unitcost_cost_usd_total")
    assert total == sum(row.pico or 0 for row in posting.accruals.values())
    assert total == site.counter("unitcost_resource_cost_usd_total")
