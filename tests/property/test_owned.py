"""An owned host over any history: a life costs what was paid, and every joule is charged once."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.power_world import (
    ELECTRICITY,
    GPU,
    PowerHost,
    check_energy,
    config,
    instant,
    joules,
    power_site,
    world,
)
from tests.sites import Site, rules
from unitcost.exporter.config.owned_purchase import whole_hours
from unitcost.exporter.settling.energy import WORKLOAD_ENERGY
from unitcost.pricing.amortisation import DecliningBalance, Estimate, Schedule, StraightLine
from unitcost.pricing.money import to_pico
from unitcost.pricing.price import HOURS_PER_YEAR, Component, PriceBook, PriceUnit
from unitcost.pricing.resource import CPU
from unitcost.pricing.sample import NS_PER_SECOND

HOUR_NS = 3600 * NS_PER_SECOND
TARIFF = (
    "{tariff: {slabs: [{per_kwh: 0.23, up_to_kwh: 0.01}, {per_kwh: 0.38}],"
    ' windows: [{start: "02:00", end: "03:00", per_kwh: 0.05}]}, pue: 1.3%s}'
)

COSTS = st.decimals(0, 10**6, places=12)
TENTHS = st.integers(0, 10)
LENGTHS = st.lists(st.floats(0.001, 9_000), min_size=1, max_size=6)
HOURS = st.integers(9, 20)
START = instant("2026-01-04T21:00:00+00:00")


def hours(count: int) -> Decimal:
    """So many hours in years, as the configuration makes them."""
    return whole_hours(Decimal(count) / HOURS_PER_YEAR)


@st.composite
def lives(draw: st.DrawFn) -> Schedule:
    """What was paid for a host, and how that is spread; a change of estimate may come."""
    cost = draw(COSTS)
    found = []
    for start in (START, START + draw(st.integers(1, 12)) * HOUR_NS)[: draw(st.integers(1, 2))]:
        life = hours(draw(HOURS))
        methods = (StraightLine(life), DecliningBalance(life))
        method = methods[draw(st.integers(0, 1))]
        residual = (cost * draw(TENTHS) / 10).quantize(Decimal("1e-12"))
        found.append(Estimate(start, method, residual))
    return Schedule(cost, tuple(found))


@settings(max_examples=40)
@given(lives(), LENGTHS)
def test_over_its_life_a_host_is_charged_what_was_paid_for_it(
    schedule: Schedule, lengths: list[float]
) -> None:
    """To the last pico-dollar, less what it is still worth; in ticks of any length."""
    host = PowerHost(gpus=1)
    host.clock.set_wall(START)
    book = PriceBook((Component.AMORTISATION,), schedule.prices("test"))
    site = Site(rules(book, owned=True), host)
    site.settle()
    over, number = START + 33 * HOUR_NS, 0
    while host.clock.wall_ns < over:
        host.run(lengths[number % len(lengths)] + 400 * (number % 3 + 1))
        if number % 5 == 4:
            site.restart()
        if number % 7 == 6:
            host.reboot(1234.5)
            site.restart()
        site.settle()
        number += 1
    charged = sum(site.charged(component=Component.AMORTISATION).values())
    worth = min(schedule.cost_usd, schedule.estimates[-1].residual_usd)
    if len(schedule.estimates) > 1:
        worth = schedule.book_value(over)
    assert charged == to_pico(schedule.cost_usd - worth)
    assert site.point("unitcost_resource_unpriced", GPU, "amortisation") == 0


def test_a_configured_life_is_charged_to_the_last_pico_dollar() -> None:
    """From an instant inside of an hour, in a zone that is off by a part of one."""
    text = (
        "price: {owned: {purchase_usd: 1234.567890123457, residual_usd: 34.5, life_years: 0.01, "
        "in_service: '2026-01-05T03:17:17.5+05:45', electricity: none}}"
    )
    site = power_site(text, PowerHost(gpus=1, at="2026-01-04T21:00:00+00:00"))
    site.settle()
    for number in range(40):
        site.tick(1, 8_765.4)
        if number % 4 == 3:
            site.restart()
    charged = sum(site.charged(component=Component.AMORTISATION).values())
    assert charged == to_pico(Decimal("1200.067890123457"))
    assert site.point("unitcost_price_usd_per_hour", GPU) == 0


@settings(max_examples=40)
@given(
    st.decimals(0, 10**6, places=12),
    st.decimals("0.001", "0.3", places=3),
    st.lists(st.integers(0, 100), min_size=1, max_size=5),
)
def test_hours_of_work_cost_what_was_paid_when_they_are_worked(
    cost: Decimal, expected: Decimal, loads: list[int]
) -> None:
    """Nothing while nobody works; all of it in the end, and then nothing more."""
    text = (
        f"price: {{owned: {{purchase_usd: {cost:f}, method: units_of_production, electricity: none,"
        f" expected_gpu_hours: {expected}, in_service: '2026-01-01T00:00:00+00:00'}}}}"
    )
    host = PowerHost(gpus=2)
    site = power_site(text, host)
    proc = host.spawn(command="train.py")
    site.settle()
    for number, load in enumerate(loads):
        host.gpus[number % 2].use(proc, load)
        site.tick(1, 77.7)
        site.restart()
    worked = sum(
        row.elapsed_ns
        for key, row in site.ledger.posting.accruals.items()
        if site.ledger.prices[key.price].unit is PriceUnit.ACTIVE_HOUR
    )
    charged = sum(site.charged(component=Component.AMORTISATION).values())
    assert sum(site.charged(component=Component.AMORTISATION, state="idle").values()) == 0
    part = min(Fraction(1), Fraction(worked) / Fraction(expected * HOUR_NS))
    rows = len(site.ledger.posting.accruals)
    assert abs(charged - part * to_pico(cost)) <= rows + 1
    for gpu in host.gpus:
        gpu.use(proc, 100)
    site.tick(2, 600.0)
    charged = sum(site.charged(component=Component.AMORTISATION).values())
    assert abs(charged - to_pico(cost)) <= rows + 8
    check_energy(site)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["tick", "tick", "silent", "heard", "away", "lost", "suspend", "step", "work", "pod"]
        ),
        st.integers(0, 3),
        st.sampled_from([0.7, 5.0, 5.0, 13.37, 61.0, 4000.0]),
    ),
    max_size=14,
)


def _do(site: Site, step: tuple[str, int, float]) -> None:
    """One thing that happens, and then a tick."""
    host, (what, number, seconds) = world(site), step
    names = ["package-0", "package-1", GPU, "gpu:GPU-1"]
    if what == "silent":
        host.silent.add(names[number])
    elif what == "heard":
        host.silent.discard(names[number])
    elif what == "suspend":
        host.clock.suspend(seconds)
    elif what == "step":
        host.clock.set_wall(host.clock.wall_ns + (number - 1) * 1800 * NS_PER_SECOND)
    elif what == "work":
        host.gpus[number % 2].use(host.procs[1], 25 * number)
    elif what == "pod":
        host.start(f"p{len(host.pods)}-x", f"GPU-{number % 2}")
    host.run(seconds)
    if what == "away":
        site.restart()
    if what == "lost":
        site.settle(commit=False)
        site.restart()
    site.settle()


@settings(max_examples=60)
@given(STEPS, st.sampled_from(["", ", unmetered_watts: 33.3"]))
def test_every_joule_is_charged_once_at_its_price(
    history: list[tuple[str, int, float]], stated: str
) -> None:
    """Whatever falls silent, stops or is set: rows and counters have what meters counted."""
    host = PowerHost(gpus=2, at="2026-03-29T00:30:00+01:00")
    for number in range(2):
        host.package(f"package-{number}", 40.0 + number).range = 10.0**7
    site = power_site(config(TARIFF % stated, "Europe/Berlin"), host)
    site.settle()
    for step in history:
        _do(site, step)
    host.silent.clear()
    site.tick(2)
    check_energy(site)
    for resource in (CPU, GPU, "gpu:GPU-1"):
        assert abs(float(joules(site, resource) - host.used[resource])) < 1e-3 * (len(history) + 3)
    metered = sum(
        value for (metric, _), value in site.ledger.counters.items() if metric == WORKLOAD_ENERGY
    )
    assert metered == sum(joules(site, each) for each in (CPU, GPU, "gpu:GPU-1")) * 10**6
    per_kwh = {
        price.pico_per_unit
        for price in site.ledger.prices.values()
        if price.component is ELECTRICITY and price.unit is PriceUnit.KWH
    }
    assert per_kwh <= {299 * 10**9, 494 * 10**9, 65 * 10**9}
    assert replace(site.settler.state, owed=()) == site.settler.state
