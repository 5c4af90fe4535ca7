"""The worked example of docs/cost-model.md, computed by the pricing package, tick by tick."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path

import pytest

from unitcost.pricing.allocate import Busy, Holding, Share, State, cpu_shares, memory_shares
from unitcost.pricing.charge import Posting, post, residual
from unitcost.pricing.money import to_pico, to_usd
from unitcost.pricing.price import Component, Price, PriceModel, UnitPrice, unit_price
from unitcost.pricing.resource import CPU, DEFAULT_SPLIT, GIB, MEMORY, MICRO, Resource, split_host
from unitcost.pricing.runs import Cost, Run, begin, charge, mark
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark
from unitcost.pricing.timeline import Period
from unitcost.pricing.unit_cost import (
    DECODE,
    INPUT,
    OUTPUT,
    PREFILL,
    SUCCEEDED,
    Basis,
    Slice,
    Unit,
    UnitKey,
    Window,
)
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, Account

CHAT, TUNER = Account("chat"), Account("tuner", run="r1")
TEN_O_CLOCK = 1_700_000_000 // 3600 * 3600 * NS_PER_SECOND
TICK_NS = 5 * NS_PER_SECOND
TICKS = 720
CORES, GIBS, USD_PER_HOUR = 4, 16, Decimal("0.3872")

RESOURCES = (Resource(CPU, CORES * MICRO), Resource(MEMORY, GIBS * MICRO))
DONE_IN_THE_HOUR: dict[UnitKey, int] = {
    SUCCEEDED: 800,
    INPUT: 400_000,
    OUTPUT: 160_000,
    PREFILL: 600,
    DECODE: 1800,
}


def prices() -> dict[str, UnitPrice]:
    """The unit price of each resource."""
    host = Price(Component.RENT, USD_PER_HOUR, PriceModel.ON_DEMAND, "config")
    parts = split_host(host.pico_per_hour, RESOURCES, DEFAULT_SPLIT)
    return {
        resource.id: unit_price(
            resource, Component.RENT, parts[resource.id], host, DEFAULT_SPLIT.name
        )
        for resource in RESOURCES
    }


def shares_of_a_tick() -> dict[str, list[Share]]:
    """Who held what during five seconds of steady work."""

    def cores(used: str, reserved: str = "0") -> Holding:
        return Holding(int(Decimal(used) * TICK_NS), int(Decimal(reserved) * TICK_NS))

    def gibs(used: int, reserved: int = 0) -> Holding:
        return Holding(used * GIB, reserved * GIB)

    system = Account(SYSTEM)
    cpu = {CHAT: cores("1", "2"), TUNER: cores("1.5"), system: cores("0.2")}
    memory = {CHAT: gibs(2, 4), TUNER: gibs(4), system: gibs(1)}
    busy = {CHAT: Busy(60, 100, "requests"), TUNER: Busy(1, 1, "units")}
    return {
        CPU: cpu_shares(CORES * TICK_NS, cpu, set()),
        MEMORY: memory_shares(GIBS * GIB, memory, set(), busy),
    }


@dataclass
class Hour:
    """What an hour of ticks came to: quantities (core-hours, GiB-hours), dollars, units."""

    quantity: dict[tuple[str, str, State], Decimal]
    usd: dict[tuple[str, str, State], Decimal]
    window: Window
    run: Run

    def total(self, workload: str = "", state: str = "", resource: str = "") -> Decimal:
        """Dollars of all that match."""
        return sum(
            (
                usd
                for (name, held, how), usd in self.usd.items()
                if workload in ("", name) and state in ("", how) and resource in ("", held)
            ),
            Decimal(0),
        )


def work_through(posting: Posting) -> tuple[Window, Run]:
    """Post every tick of the hour; returns chat's window and tuner's run."""
    window, unit_prices, shares = Window(3600 * NS_PER_SECOND), prices(), shares_of_a_tick()
    run = begin("tuner", "r1", 0, 0.0, TEN_O_CLOCK, from_birth=True)
    done = dict.fromkeys(DONE_IN_THE_HOUR, 0)
    charged: dict[tuple[Account, State], int] = {}
    for tick in range(TICKS):
        start = TEN_O_CLOCK + tick * TICK_NS
        for resource in RESOURCES:
            post(
                posting,
                Period(start, start + TICK_NS),
                resource,
                unit_prices[resource.id],
                shares[resource.id],
                lambda key: posting.accruals[key].elapsed_ns if key in posting.accruals else 0,
            )
        sums = _sums(posting)
        new = {key: pico - charged.get(key, 0) for key, pico in sums.items()}
        charged = sums
        until = {
            key: total * MICRO * (tick + 1) // TICKS for key, total in DONE_IN_THE_HOUR.items()
        }
        units = {key: micro - done[key] for key, micro in until.items()}
        done = until
        window.add(Slice(start + TICK_NS, *_both(new, CHAT), units))
        run = charge(run, Cost(*_both(new, TUNER)), start + TICK_NS)
        if tick + 1 in (TICKS // 2, TICKS):
            run = mark(run, EpochMark("tuner", run.last_epoch + 1, start + TICK_NS))
    return window, run


def _sums(posting: Posting) -> dict[tuple[Account, State], int]:
    sums: dict[tuple[Account, State], int] = defaultdict(int)
    for key, amount in posting.charges.items():
        assert amount.pico is not None
        sums[key.account, key.state] += amount.pico
    return dict(sums)


def _both(pico: dict[tuple[Account, State], int], account: Account) -> tuple[int, int]:
    """What an account was charged: all of it, and the active part."""
    allocated = sum(amount for (who, _), amount in pico.items() if who == account)
    return allocated, pico.get((account, State.ACTIVE), 0)


@pytest.fixture(scope="module")
def hour() -> Hour:
    """The example's hour in 720 ticks."""
    posting = Posting()
    window, run = work_through(posting)
    assert residual(posting) == {}
    quantity: dict[tuple[str, str, State], Decimal] = {}
    usd: dict[tuple[str, str, State], Decimal] = {}
    for key, amount in posting.charges.items():
        where = (key.account.workload, key.resource, key.state)
        assert amount.pico is not None
        quantity[where] = Decimal(amount.quantity) / 3600 / MICRO
        usd[where] = to_usd(amount.pico)
    return Hour(quantity, usd, window, run)


def plain(value: Decimal) -> str:
    """A number as the page writes it: six digits, no exponent, no zeros at the end."""
    text = f"{Context(prec=6).plus(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def name_of(workload: str) -> str:
    """A workload's name as the page writes it."""
    return f"`{workload}`" if workload.startswith("_") else workload


def resource_rows(hour: Hour) -> Iterator[str]:
    """The table of CPU and memory."""
    rows = [("chat", "active"), ("chat", "idle"), ("tuner", "active")]
    rows += [(SYSTEM, "idle"), (UNALLOCATED, "idle")]
    for workload, state in rows:
        cells = []
        for resource in (CPU, MEMORY):
            key = (workload, resource, State(state))
            cells += [plain(hour.quantity[key]), plain(hour.usd[key])]
        yield f"| {name_of(workload)} | {state} | {' | '.join(cells)} |"
    cpu, memory = hour.total(resource=CPU), hour.total(resource=MEMORY)
    yield f"| **all** | | **{CORES}** | **{plain(cpu)}** | **{GIBS}** | **{plain(memory)}** |"


def workload_rows(hour: Hour) -> Iterator[str]:
    """The table of workloads."""
    for workload in ("chat", "tuner", SYSTEM, UNALLOCATED):
        active, idle = hour.total(workload, "active"), hour.total(workload, "idle")
        cost = hour.total(workload)
        yield f"| {name_of(workload)} | {plain(active)} | {plain(idle)} | {plain(cost)} |"
    active, idle, cost = hour.total(state="active"), hour.total(state="idle"), hour.total()
    yield f"| **all** | **{plain(active)}** | **{plain(idle)}** | **{plain(cost)}** |"


def unit_rows(hour: Hour) -> Iterator[str]:
    """The last column of the table of units, with the first two."""
    costs = {(cost.unit, cost.type, cost.basis): cost.usd for cost in hour.window.costs()}
    whole, used = Basis.ALLOCATED, Basis.USED
    yield f"| a request of `chat` | allocated |{plain(costs[Unit.REQUEST, '', whole])}"
    yield f"| a request of `chat` | used |{plain(costs[Unit.REQUEST, '', used])}"
    yield f"| an input token | allocated |{plain(costs[Unit.TOKEN, 'input', whole])}"
    yield f"| an output token | allocated |{plain(costs[Unit.TOKEN, 'output', whole])}"
    assert hour.run.epoch_cost is not None
    assert hour.run.epoch_cost.pico is not None
    yield f"| an epoch of `tuner` | allocated |{plain(to_usd(hour.run.epoch_cost.pico))}"


def test_the_page_says_what_the_code_computes(hour: Hour, root: Path) -> None:
    """Every row of the three tables, number by number."""
    page = (root / "docs/cost-model.md").read_text(encoding="utf-8").splitlines()
    rows = [row for row in page if row.startswith("|")]
    assert [row for row in (*resource_rows(hour), *workload_rows(hour)) if row not in rows] == []
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    units = {f"| {row[0]} | {row[1]} |{row[3]}" for row in cells if len(row) == 4}
    assert [row for row in unit_rows(hour) if row not in units] == []


def test_the_hour_costs_what_the_host_costs(hour: Hour) -> None:
    """To the last pico-dollar, after 720 ticks that are no whole number of anything."""
    assert hour.total() == USD_PER_HOUR


def test_a_part_differs_from_its_exact_figure_by_less_than_a_pico_dollar_a_tick(
    hour: Hour,
) -> None:
    """What makes the sum exact is not seen in the parts."""
    exact = {"chat": "0.16", "tuner": "0.1284", SYSTEM: "0.02104", UNALLOCATED: "0.07776"}
    for workload, usd in exact.items():
        shares = sum(1 for name, _, _ in hour.usd if name == workload)
        assert abs(hour.total(workload) - Decimal(usd)) < to_usd(TICKS * shares)


def test_the_split_is_the_one_the_page_explains() -> None:
    """By the default weights, scaled to the price."""
    found = {name: price.pico_per_unit for name, price in prices().items()}
    assert found == {CPU: to_pico(Decimal("0.2528")), MEMORY: to_pico(Decimal("0.1344"))}


def test_the_hour_s_window_saw_all_units(hour: Hour) -> None:
    """800 requests, none of them outside of priced time."""
    assert hour.window.coverage == 1
    requests = [cost for cost in hour.window.costs() if cost.unit is Unit.REQUEST]
    assert {cost.units for cost in requests} == {Decimal(800)}
