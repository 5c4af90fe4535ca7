"""An auditor: checks a site's every tick against what must hold, whatever happened."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tests.sites import Site
from tests.worlds import Server
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.state import decode, encode
from unitcost.pricing.allocate import Method
from unitcost.pricing.charge import AccrualKey, Posting, cost_of
from unitcost.pricing.price import Component
from unitcost.pricing.resource import MICRO, REST, Resource
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import RESERVED

CORRECTION = "unitcost_cost_correction_usd"
DAY_NS = 24 * 3600 * NS_PER_SECOND
DOWN_LIMIT_NS = 15 * 60 * NS_PER_SECOND
DOWN_COMPONENTS = (Component.AMORTISATION, Component.OVERHEAD)


@dataclass
class Passed:
    """The time since the last tick, by what the host did in it."""

    ran_ns: int = 0
    slept_ns: int = 0
    rebooted_ns: int | None = None
    present: bool = True

    def due(self, component: Component, owned: bool) -> int:
        """Nanoseconds that must be charged for a component."""
        down = (self.slept_ns,) if self.rebooted_ns is None else (self.rebooted_ns,)
        ran = self.ran_ns if self.rebooted_ns is None else 0
        if owned:
            return ran + (sum(down) if component in DOWN_COMPONENTS else 0)
        return ran + sum(each for each in down if each <= DOWN_LIMIT_NS)


def check_rows(posting: Posting, site: Site) -> None:
    """Each row costs price times time; what is charged on it is what it accrued."""
    charged: dict[AccrualKey, list[int]] = {key: [0, 0] for key in posting.accruals}
    for key, amount in posting.charges.items():
        row = charged[AccrualKey(key.resource, key.component, key.price, key.hour, key.revision)]
        row[0] += amount.quantity
        row[1] += amount.pico or 0
        assert amount.quantity >= 0 or key.revision
        assert (amount.pico is None) == (site.ledger.prices[key.price].pico_per_unit is None)
        assert amount.pico is None or amount.pico >= 0 or key.revision
    for accrual, accrued in posting.accruals.items():
        assert charged[accrual] == [accrued.quantity, accrued.pico or 0]


def check_totals(site: Site) -> None:
    """The whole ledger: what was charged is what counters say; what prices learnt late change too.

    At each price, all revisions together, an hour costs its price times its time, rounded once.
    """
    posting = site.ledger.posting
    check_rows(posting, site)
    standing: dict[AccrualKey, list[int]] = {}
    for key, row in posting.accruals.items():
        own = standing.setdefault(replace(key, revision=0), [0, 0, 0])
        own[0] += row.elapsed_ns
        own[1] += row.pico or 0
        own[2] += row.quantity
    for key, (elapsed_ns, pico, quantity) in standing.items():
        per_hour = site.ledger.prices[key.price].pico_per_unit
        assert pico == (0 if per_hour is None else cost_of(per_hour, elapsed_ns))
        assert elapsed_ns >= 0
        assert quantity >= 0
    first = [(key, row) for key, row in posting.accruals.items() if key.revision == 0]
    cost = site.counter("unitcost_cost_usd_total")
    assert cost == site.counter("unitcost_resource_cost_usd_total")
    assert cost == sum(row.pico or 0 for _, row in first)
    for place in {(key.resource, key.component) for key in posting.accruals}:
        accrued = sum(r.pico or 0 for key, r in first if (key.resource, key.component) == place)
        resource, component = place[0], str(place[1])
        assert site.counter("unitcost_resource_cost_usd_total", resource, component) == accrued
    corrected: dict[tuple[str, ...], int] = {}
    for charge, amount in posting.charges.items():
        if charge.revision and amount.pico:
            labels = (charge.account.workload, charge.resource)
            corrected[labels] = corrected.get(labels, 0) + amount.pico
    counted = {own: v for (name, own), v in site.ledger.counters.items() if name == CORRECTION}
    assert {own: v for own, v in counted.items() if v} == {o: v for o, v in corrected.items() if v}


def check_time(batch: Batch, site: Site, passed: Passed, resources: Iterable[Resource]) -> None:
    """Each component of each resource is charged for the time that passed, no more, no less."""
    spent: dict[tuple[str, Component], int] = {}
    for key, row in batch.posting.accruals.items():
        place = (key.resource, key.component)
        spent[place] = spent.get(place, 0) + row.elapsed_ns
    for component in site.rules.book.components:
        rest = spent.pop((REST, component), 0)
        due = passed.due(component, site.rules.owned)
        gpus = {spent.pop((each.id, component), 0) for each in resources if each.is_gpu}
        found = {spent.pop((each.id, component), 0) for each in resources if not each.is_gpu}
        # While it is not known what the host has, its whole price is on the rest.
        assert found in ({due}, {due - rest}) if found else rest == due
        # A GPU's part is on the rest until it is first seen.
        assert gpus <= {due, due - rest}
    assert spent == {}


def check_held(site: Site, capacities: dict[str, int]) -> None:
    """Held seconds sum to capacity times elapsed time, whoever held."""
    posting = site.ledger.posting
    for resource, micro in capacities.items():
        first = next((key.component for key in posting.accruals if key.resource == resource), None)
        rows = [
            row
            for key, row in posting.accruals.items()
            if (key.resource, key.component, key.revision) == (resource, first, 0)
        ]
        held = sum(
            value
            for (name, labels), value in site.ledger.counters.items()
            if name == "unitcost_held_seconds_total" and labels[2] == resource
        )
        assert held == sum(row.quantity for row in rows)
        exact = sum(row.elapsed_ns for row in rows) * micro
        assert abs(held * NS_PER_SECOND - exact) <= 2 * len(rows) * NS_PER_SECOND


def check_split(batch: Batch, site: Site) -> None:
    """What the resources cost an hour sums to the host's price, for each price there was."""
    sums: dict[tuple[Component, int, int], dict[str, int | None]] = {}
    for key in batch.posting.accruals:
        if key.revision:
            continue
        price = site.ledger.prices[key.price]
        span = (key.component, price.valid_from_ns, price.valid_to_ns or 0)
        sums.setdefault(span, {})[key.resource] = price.pico_per_unit
    for (component, start, _), parts in sums.items():
        if None in parts.values() or REST in parts:
            continue
        told = {own.pico_per_hour for b in site.books if (own := b.at(component, start))}
        assert sum(pico or 0 for pico in parts.values()) in told


@dataclass
class Life:
    """One series as it was last read: its value, and in which life of its server."""

    value: int
    life: int


@dataclass
class Oracle:
    """Knows what every counter must have added. Keyed as servers and jobs are: by subject."""

    series: dict[tuple[str, object], Life] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    units: dict[tuple[str, str], int] = field(default_factory=dict)

    def read_server(self, server: Server, since_ns: int) -> None:
        """A reading of a server that answers; metered without a break since `since_ns`."""
        subject, life = f"server:{server.port}", server.life
        proven = server.says_birth and server.born_wall_ns >= since_ns
        for key, value in server.counters.items():
            name = (server.workload, str(key[0]))
            self._take((subject, key), name, value, life, server.says_birth, proven)
        self.seen.add(subject)

    def read_job(self, subject: str, workload: str, steps: int, born: int, since_ns: int) -> None:
        """A reading of a job's state file."""
        self._take((subject, "steps"), (workload, "steps"), steps, born, True, born >= since_ns)
        self.seen.add(subject)

    def _take(
        self,
        key: tuple[str, object],
        name: tuple[str, str],
        value: int,
        life: int,
        named: bool,
        proven: bool,
    ) -> None:
        last = self.series.get(key)
        if last is None:
            added = value if proven or key[0] in self.seen else 0
        elif last.life == life or (not named and value >= last.value):
            added = value - last.value
        else:
            added = value
        assert added >= 0
        self.units[name] = self.units.get(name, 0) + added
        self.series[key] = Life(value, life)


COUNTED = {"requests": "unitcost_requests_total", "steps": "unitcost_steps_total"}


def check_units(site: Site, oracle: Oracle) -> None:
    """Units counted are those that the oracle knows of."""
    for (workload, quantity), units in oracle.units.items():
        if quantity in COUNTED:
            assert site.counter(COUNTED[quantity], workload) == units * MICRO, (workload, quantity)


def check_who(batch: Batch, allowed: set[str], measured: bool) -> None:
    """Only those are charged who could have held something."""
    for key in batch.posting.charges:
        if key.revision:  # of time long past
            continue
        assert key.account.workload in allowed | RESERVED, key
        if not measured:
            assert key.method in (Method.CARRIED, Method.REMAINDER), key


SIGNED = (CORRECTION, "unitcost_item_cost_correction_usd", "unitcost_budget_spent_usd")
"""Metrics that may be negative."""


def check_scrape(points: Points, before: Points) -> None:
    """No series twice, no counter that falls, nothing negative."""
    for metric, found in points.items():
        values = dict(found)
        assert len(values) == len(found), metric
        assert metric in SIGNED or all(value >= 0 for value in values.values()), metric
        if metric.endswith("_total"):
            for labels, value in before.get(metric, []):
                assert values.get(labels, value) >= value, (metric, labels)


def check_runs(site: Site) -> None:
    """A run cost what was charged to it, over all attempts."""
    for (workload, name), run in site.ledger.runs.items():
        rows = [
            (key.revision, amount.pico)
            for key, amount in site.ledger.posting.charges.items()
            if (key.account.workload, key.account.run) == (workload, name)
        ]
        own = [pico for revision, pico in rows if revision == 0]
        assert run.corrected_pico == sum(pico or 0 for revision, pico in rows if revision)
        if None not in own:
            assert (run.total.pico or 0) == sum(pico or 0 for pico in own)
            assert (run.total.used_pico or 0) <= (run.total.pico or 0)
        if run.epoch_cost is not None and run.epoch_cost.pico is not None:
            assert 0 <= run.epoch_cost.pico <= (run.total.pico or 0)


def check_state(site: Site) -> None:
    """What a restart will go on from is what there is."""
    assert decode(encode(site.settler.state)) == site.settler.state
