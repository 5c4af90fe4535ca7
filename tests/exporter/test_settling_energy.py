"""Electricity charged by measured energy: joules x PUE x tariff, over every clock and calendar."""

from decimal import Decimal
from fractions import Fraction

import pytest

from tests.power_world import (
    ELECTRICITY,
    GPU,
    KWH,
    PowerHost,
    check_energy,
    config,
    instant,
    joules,
    paid,
    power_site,
    unpriced_ns,
    world,
)
from tests.sites import HOUR, Site
from unitcost.pricing.price import Component
from unitcost.pricing.resource import CPU, MEMORY, REST
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import UNALLOCATED

D = Decimal
IDLE, BUSY = 70, 500
PICO = D("1e-12")
FLAT = "{usd_per_kwh: 0.30, pue: 1.3}"
NIGHT = (
    '{tariff: {per_kwh: 0.30, windows: [{start: "02:00", end: "03:00", per_kwh: 0.05}]}, pue: 1.3}'
)
SLABS = "{tariff: {slabs: [{per_kwh: 0.23, up_to_kwh: %s}, {per_kwh: 0.38}]}, pue: 1.3}"


def usd(watts: float, seconds: float, per_kwh: str, pue: str = "1.3") -> Fraction:
    """Joules x PUE x tariff, by hand."""
    return Fraction(watts) * Fraction(seconds) / KWH * Fraction(pue) * Fraction(per_kwh)


def near(found: Decimal, expected: Fraction, rows: int = 1) -> bool:
    """To a pico-dollar for each row that was rounded."""
    return abs(Fraction(found) - expected) <= Fraction(rows, 10**12)


def test_a_workload_pays_for_its_joules() -> None:
    """What the GPU draws at rest by who holds it, what is above that by who works; by state."""
    site = power_site(config(FLAT))
    pod = world(site).start("a-x", "GPU-0")
    site.settle()
    site.tick(12)
    assert near(site.usd("team/Deployment/a", component=ELECTRICITY), usd(IDLE, 60, "0.30"))
    world(site).gpus[0].use(pod.proc, 50)
    site.tick(12)
    busy = IDLE + (BUSY - IDLE) / 2
    assert near(paid(site), usd(IDLE + busy, 60, "0.30"))
    above = usd(busy - IDLE, 60, "0.30")
    active = site.usd("team/Deployment/a", component=ELECTRICITY, state="active")
    assert near(active, above + usd(IDLE, 60, "0.30") / 2, 12)
    assert site.counter("unitcost_energy_joules_total") == (IDLE + busy) * 60 * 10**6
    check_energy(site)


@pytest.mark.parametrize(
    ("at", "cheap", "dear"),
    [
        ("2026-06-01T01:59:58+02:00", 3, 2),  # a window opens within the tick
        ("2026-06-01T02:59:59+02:00", 1, 4),  # and closes
        ("2026-03-29T01:59:57+01:00", 0, 5),  # clocks go from 02:00 to 03:00: it never opens
        ("2026-10-25T02:59:58+02:00", 5, 0),  # clocks go back to 02:00: it stays open
        ("2026-10-25T02:59:58+01:00", 2, 3),  # and closes the second time
    ],
)
def test_a_tick_over_a_change_of_the_tariff_pays_each_part_at_its_own_price(
    at: str, cheap: int, dear: int
) -> None:
    """Cut to the nanosecond, in local time, where the clocks change too."""
    site = power_site(config(NIGHT, "Europe/Berlin"), PowerHost(at=at))
    site.settle()
    site.tick()
    assert near(paid(site), usd(IDLE, cheap, "0.05") + usd(IDLE, dear, "0.30"), 2)
    check_energy(site)


@pytest.mark.parametrize(("day", "hours", "cheap"), [(28, 24, 1), (29, 23, 0)])
def test_a_day_on_which_the_clocks_are_set_has_its_own_hours(
    day: int, hours: int, cheap: int
) -> None:
    """In odd ticks, with restarts: 23 hours, none of them at night's price."""
    site = power_site(config(NIGHT, "Europe/Berlin"), PowerHost(at=f"2026-03-{day}T00:00:00+01:00"))
    site.settle()
    passed, number = 0.0, 0
    while passed < hours * HOUR:
        seconds = min((61.7, 613.0, 1999.9)[number % 3], hours * HOUR - passed)
        passed, number = passed + seconds, number + 1
        site.host.run(seconds)
        if number % 4 == 0:
            site.restart()
        site.settle()
    exact = usd(IDLE, cheap * HOUR, "0.05") + usd(IDLE, (hours - cheap) * HOUR, "0.30")
    assert near(paid(site), exact, hours + 2)
    assert joules(site) == Fraction(IDLE) * hours * 3600
    check_energy(site)


def test_slabs_count_the_local_month_and_begin_anew_with_it() -> None:
    """1.3 kWh at the meter are the first slab; it ends inside of a tick, and so does the month."""
    watts, seconds = 72.0, 50_000  # a kWh at the server
    host = PowerHost(gpus=0, at="2026-03-31T10:06:40+02:00")
    host.package("package-0", watts).range = 10.0**9
    site = power_site(config(SLABS % "1.3", "Europe/Berlin"), host)
    site.settle()
    assert site.point("unitcost_electricity_month_kwh") == 0
    for _ in range(10):
        host.run(5003.0)
        site.settle()
        site.restart()
    assert instant("2026-04-01T00:00:00+02:00") < host.clock.wall_ns
    assert near(paid(site), usd(watts, seconds + 30, "0.23"), 16)
    assert site.point("unitcost_electricity_month_kwh") == pytest.approx(
        watts * 30 / KWH * 1.3, rel=1e-9
    )
    site.tick(4, 20_000.0)
    exact = usd(watts, seconds + 50_000, "0.23") + usd(watts, 30_030, "0.38")
    assert near(paid(site), exact, 60)
    assert site.point("unitcost_electricity_price_usd_per_kwh") == pytest.approx(0.38)
    check_energy(site)


def test_a_slab_ends_for_all_resources_at_the_same_time() -> None:
    """Neither pays the cheap kWh of the other."""
    host = PowerHost(gpus=1)
    host.package("package-0", 140.0)
    site = power_site(config(SLABS % "0.0000455"), host)  # 126 J at the server
    site.settle()
    site.tick()
    for resource, watts in ((GPU, IDLE), (CPU, 140)):
        exact = usd(watts, 0.6, "0.23") + usd(watts, 4.4, "0.38")
        assert near(paid(site, resource=resource), exact, 2)


def test_a_clock_that_was_far_ahead_does_not_end_the_counting() -> None:
    """The months of then are forgotten, not those of now."""
    site = power_site(config(SLABS % "1000"))
    site.settle()
    site.tick()
    for year in (2030, 2031):
        site.host.clock.set_wall(instant(f"{year}-05-05T00:00:00+00:00"))
        site.tick(2)
    site.host.clock.set_wall(instant("2026-01-02T00:00:00+00:00"))
    site.tick(3)
    month = site.point("unitcost_electricity_month_kwh")
    assert month == pytest.approx(IDLE * 15 / KWH * 1.3)
    site.tick(3)
    month = site.point("unitcost_electricity_month_kwh")
    assert month == pytest.approx(IDLE * 30 / KWH * 1.3)


def test_what_others_use_of_the_month_is_used_up_already() -> None:
    """Then this host's first kWh goes at the second slab's price."""
    text = (SLABS % "1000").replace("pue: 1.3", "pue: 1.3, month_kwh_elsewhere: 1000")
    site = power_site(config(text))
    site.settle()
    site.tick()
    assert near(paid(site), usd(IDLE, 5, "0.38"))
    month = site.point("unitcost_electricity_month_kwh")
    assert month == pytest.approx(1000 + IDLE * 5 / KWH * 1.3)


def test_an_hour_of_another_currency_costs_dollars_by_the_peg() -> None:
    """Surcharge and VAT are in it."""
    tariff = "{tariff: {per_kwh: 0.23, surcharge_per_kwh: 0.05, vat_percent: 5, currency: AED}}"
    site = power_site(config(tariff))
    site.settle()
    site.tick(720)
    per_kwh = Fraction(round(D("0.294") / D("3.6725"), 12))
    assert near(paid(site), usd(IDLE, 3600, str(per_kwh), "1"))
    price = site.point("unitcost_electricity_price_usd_per_kwh", "configuration")
    assert price == pytest.approx(0.294 / 3.6725)
    assert site.point("unitcost_fx_rate", "AED") == 3.6725
    billed = {
        (each.currency, each.rate)
        for each in site.ledger.prices.values()
        if each.component is ELECTRICITY and each.pico_per_unit is not None
    }
    assert billed == {("AED", "3.6725")}


def test_energy_is_a_cost_only_where_hardware_is_owned() -> None:
    """On a rented host the same meters change nothing but the joules."""
    rows = []
    for silent in (False, True):
        host = PowerHost()
        host.package("package-0", 100.0)
        if silent:
            host.silent = {GPU, "package-0"}
        site = power_site("price: {usd_per_hour: 2}", host)
        site.settle()
        site.tick(12)
        rows.append((site.ledger.posting, site.ledger.prices))
        assert paid(site) == 0
        assert "unitcost_electricity_price_usd_per_kwh" not in site.points()
        assert {labels[1] for labels, _ in site.points()["unitcost_resource_unpriced"]} == {"rent"}
    assert rows[0] == rows[1]


def test_overheads_by_energy_go_the_same_way_and_know_no_pue() -> None:
    """Beside those by the hour."""
    more = ", overheads: {cooling: {usd_per_kwh: 0.02}, staff: {usd_per_hour: 3.6}}"
    site = power_site(config(FLAT, more=more))
    site.settle()
    site.tick(12)
    assert near(paid(site), usd(IDLE, 60, "0.30"))
    overhead = usd(IDLE, 60, "0.02", "1") + Fraction(6, 100)
    assert near(paid(site, Component.OVERHEAD), overhead, 4)
    unpriced = dict(site.points()["unitcost_resource_unpriced"])
    assert (unpriced[GPU, "overhead"], unpriced[CPU, "overhead"]) == (0, 1)
    check_energy(site)


def test_a_stated_draw_is_spread_over_what_no_sensor_sees() -> None:
    """As the host's price is; charged from the first nanosecond, at the prices of its instants."""
    site = power_site(config(NIGHT.replace("pue", "unmetered_watts: 90.5, pue")), PowerHost())
    site.host.clock.set_wall(instant("2026-06-01T01:59:58+00:00"))
    site.settle()
    site.tick()
    cpu, memory = paid(site, resource=CPU), paid(site, resource=MEMORY)
    assert near(cpu + memory, usd(90.5, 3, "0.05") + usd(90.5, 2, "0.30"), 4)
    assert cpu == memory  # without a price by the hour there is nothing to split it by
    assert unpriced_ns(site, CPU) == unpriced_ns(site) == 0
    assert near(paid(site, resource=GPU), usd(IDLE, 3, "0.05") + usd(IDLE, 2, "0.30"), 2)
    assert {price.rule for price in site.ledger.prices.values()} >= {"measured", "stated_draw"}
    assert site.counter("unitcost_energy_joules_total") == IDLE * 5 * 10**6
    check_energy(site)


def test_a_stated_draw_is_nobody_s_where_everything_has_a_sensor() -> None:
    """It is the rest's: fans and losses that no workload holds."""
    host = PowerHost()
    host.package("package-0", 100.0)
    host.package("dram-0", 10.0, MEMORY)
    site = power_site(config("{usd_per_kwh: 0.30, unmetered_watts: 150}"), host)
    site.settle()
    site.tick()
    last = site.tick()
    rest = site.usd(UNALLOCATED, last, resource=REST, component=ELECTRICITY)
    assert near(rest, usd(150, 5, "0.30", "1"))
    assert {key.resource for key in last.posting.accruals} == {CPU, MEMORY, GPU, REST}
    check_energy(site)


def test_a_whole_draw_that_is_stated_needs_no_sensor() -> None:
    """With a tariff it is charged by energy, and what sensors say is only told."""
    text = NIGHT.replace("pue", "watts: 360, pue")
    site = power_site(config(text), PowerHost(at="2026-06-01T01:59:58+00:00"))
    site.settle()
    site.tick()
    assert near(paid(site), usd(360, 3, "0.05") + usd(360, 2, "0.30"), 6)
    assert {price.rule for price in site.ledger.prices.values() if price.unit == "kwh"} == {
        "stated_draw"
    }
    assert site.counter("unitcost_energy_joules_total") == IDLE * 5 * 10**6


def test_a_stated_draw_at_one_price_has_a_price_by_the_hour() -> None:
    """As ever."""
    site = power_site(config("{usd_per_kwh: 0.30, pue: 1.2, watts: 500}"))
    site.settle()
    site.tick(720)
    assert near(paid(site), Fraction(18, 100), 4)
    prices = site.points()["unitcost_price_usd_per_hour"]
    assert sum(value for _, value in prices) == pytest.approx(0.18)
    assert "unitcost_electricity_price_usd_per_kwh" not in site.points()


def test_a_resource_without_a_sensor_is_unpriced_and_its_workloads_have_no_unit_costs() -> None:
    """Its energy is unknown, which is not zero; the rest is charged all the same."""
    site = power_site(config(FLAT))
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    for _ in range(3):
        server.work(5)
        site.tick()
    assert unpriced_ns(site, CPU) == unpriced_ns(site, MEMORY) == 15 * NS_PER_SECOND
    assert unpriced_ns(site) == 0
    unpriced = dict(site.points()["unitcost_resource_unpriced"])
    assert (unpriced[CPU, "electricity"], unpriced[GPU, "electricity"]) == (1, 0)
    assert site.point("unitcost_request_cost_usd", "chat", "m", "allocated") is None
    assert site.point("unitcost_unit_coverage_ratio", "chat") == 0
    assert near(paid(site), usd(IDLE, 15, "0.30"))


def test_an_uncommitted_tick_is_charged_once() -> None:
    """The exporter is killed between settling and committing."""
    site = power_site(config(SLABS % "0.0000455"))
    site.settle()
    site.tick()
    before = paid(site)
    for _ in range(3):
        site.host.run(5.0)
        site.settle(commit=False)
        site.restart()
    assert paid(site) == before
    site.settle()
    exact = usd(IDLE, 1.8, "0.23") + usd(IDLE, 18.2, "0.38")
    assert near(paid(site), exact, 2)
    assert joules(site) == IDLE * 20
    check_energy(site)


def followed(site: Site, text: str) -> None:
    """The configuration is reloaded."""
    fresh = power_site(text, world(site)).rules
    site.rules = fresh
    site.settler.follow(fresh, site.matcher)


def test_a_reload_changes_the_price_from_the_next_tick_on() -> None:
    """What was charged stays charged."""
    site = power_site(config(FLAT))
    site.settle()
    site.tick()
    followed(site, config("{usd_per_kwh: 0.60, pue: 1.3}"))
    site.tick()
    followed(site, "price: {usd_per_hour: 1}")
    site.tick()
    assert near(paid(site), usd(IDLE, 5, "0.30") + usd(IDLE, 5, "0.60"), 2)


def test_time_that_is_held_is_told_by_time_however_much_energy_there_is() -> None:
    """Held seconds, and what drift compares with, know no millijoules."""
    host = PowerHost()
    host.package("package-0", 20_000.0)
    text = config("{usd_per_kwh: 0.3, unmetered_watts: 0}", more=", overhead_usd_per_hour: 1")
    site = power_site(text, host)
    server = host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(3)
    site.tick()
    assert site.counter("unitcost_held_seconds_total") == 5 * (4 + 16 + 1) * 10**6
    assert site.settler.drift.frozen[CPU][1] == 5 * 4 * 10**6
    sums = site.settler.drift.open["chat", "m"]
    assert sums["cost"] == sum(site.charged(model="m").values())
    held = {name: sums.get(name, 0) for name in ("active", "idle", "loading")}
    assert sum(held.values()) <= sums["cost"]
