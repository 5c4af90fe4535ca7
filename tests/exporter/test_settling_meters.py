"""Meters of an owned host that fall silent, start anew, wrap or come late: nothing is made up."""

from dataclasses import replace
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
    joules,
    paid,
    power_site,
    unpriced_ns,
    world,
)
from tests.sites import HOUR, Site
from unitcost.exporter.settling.owed import MAX_SHARES, owed_of
from unitcost.exporter.settling.state import encode
from unitcost.pricing.allocate import Method
from unitcost.pricing.resource import CPU, MEMORY
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import UNMETERED

IDLE, BUSY = 70, 500
FLAT = "{usd_per_kwh: 0.30, pue: 1.3, unmetered_watts: 0}"
NIGHT = (
    '{tariff: {per_kwh: 0.30, windows: [{start: "00:00", end: "01:00", per_kwh: 0.10}]}, pue: 1.3}'
)
RATE = Fraction("0.39") / KWH
REQUEST = "unitcost_request_cost_usd"


def site_with(host: PowerHost | None = None, electricity: str = FLAT) -> Site:
    """An owned host on which all that no sensor sees draws nothing."""
    site = power_site(config(electricity), host)
    site.settle()
    return site


def near(found: Decimal, watt_seconds: float, rows: int = 1) -> bool:
    """So many joules at the flat price."""
    return abs(Fraction(found) - Fraction(watt_seconds) * RATE) <= Fraction(rows, 10**12)


def test_a_meter_that_misses_a_tick_or_two_is_late_and_not_unknown() -> None:
    """Its counter has it all; nobody's unit costs are gone for that."""
    site = site_with()
    server = site.host.serve("chat", 8000, cores=1.0)
    for silent in (False, True, True, False, False):
        world(site).silent = {GPU} if silent else set()
        server.work(5)
        site.tick()
    assert near(paid(site, resource=GPU), IDLE * 25)
    assert unpriced_ns(site) == 0
    assert site.point(REQUEST, "chat", "m", "allocated") is not None
    check_energy(site)


def test_a_meter_that_dies_leaves_its_resource_unpriced_until_it_is_back() -> None:
    """Not zero. Then all that its counter shows is charged, and is no part of what units cost."""
    host = PowerHost()
    pod = host.start("a-x", "GPU-0")
    site = site_with(host)
    server = host.serve("team/Deployment/a", 8000)
    server.proc = pod.proc
    site.tick(4)
    host.silent = {GPU}
    for _ in range(10):
        server.work(1)
        site.tick()
    assert near(paid(site, resource=GPU), IDLE * 20)
    assert unpriced_ns(site) == 35 * NS_PER_SECOND  # after three ticks of grace
    assert site.point("unitcost_resource_unpriced", GPU, "electricity") == 1
    coverage = site.point("unitcost_unit_coverage_ratio", "team/Deployment/a")
    assert coverage == pytest.approx(3 / 10)
    before = site.point(REQUEST, "team/Deployment/a", "m", "allocated")
    host.silent = set()
    server.work(1)
    site.tick()
    assert near(site.usd("team/Deployment/a", resource=GPU, component=ELECTRICITY), IDLE * 75, 3)
    late = {key.method for key in site.settler.books.open_rows.charges if key.resource == GPU}
    assert Method.CARRIED in late
    assert site.point(REQUEST, "team/Deployment/a", "m", "allocated") == before
    assert site.point("unitcost_resource_unpriced", GPU, "electricity") == 0
    server.work(1)
    site.tick()
    assert near(paid(site, resource=GPU), IDLE * 80, 3)
    assert unpriced_ns(site) == 35 * NS_PER_SECOND
    check_energy(site)


def test_what_was_used_meanwhile_is_theirs_who_held_then() -> None:
    """Two pods took turns on the GPU while its meter was silent; restarts do not change that."""
    host = PowerHost()
    host.start("first-x", "GPU-0")
    site = site_with(host)
    site.tick()
    host.silent = {GPU}
    site.tick(6)
    host.stop("first-x")
    host.start("second-x", "GPU-0")
    site.tick(2)
    site.away(60.0)
    site.settle()
    host.silent = set()
    site.tick()
    assert joules(site) == IDLE * (5 + 30 + 10 + 60 + 5)
    found = {
        name: paid_by(site, f"team/Deployment/{name}") for name in ("first", "second", UNMETERED)
    }
    # The tick in which they changed over is the second's but for the time until it was seen.
    assert sum(found.values()) == paid(site, resource=GPU)
    assert near(found["first"], IDLE * 35, 3)
    assert near(found["second"], IDLE * 75, 3)
    assert site.settler.power.owed.held == {}
    check_energy(site)


def paid_by(site: Site, workload: str) -> Decimal:
    """Dollars of the GPU's electricity."""
    name = UNMETERED if workload.endswith(UNMETERED) else workload
    return site.usd(name, resource=GPU, component=ELECTRICITY)


def test_late_energy_is_charged_at_the_prices_of_its_time() -> None:
    """Spread evenly over the two hours and a half in which nobody could read it, hour by hour."""
    host = PowerHost(at="2026-06-01T00:00:00+00:00")
    site = site_with(host, NIGHT)
    host.silent = {GPU}
    host.run(2.5 * HOUR - 5)
    site.settle()
    host.silent = set()
    site.tick()
    exact = Fraction(IDLE) * (3600 * Fraction("0.13") + 5400 * Fraction("0.39")) / KWH
    assert abs(Fraction(paid(site, resource=GPU)) - exact) <= Fraction(5, 10**12)
    hours = {key.hour for key in site.ledger.posting.accruals if key.resource == GPU}
    assert len(hours) == 3
    check_energy(site)


def test_a_gap_of_the_exporter_is_charged_when_it_is_back() -> None:
    """To whoever holds the GPU still; what those held who are gone is unmetered."""
    host = PowerHost()
    stays = host.start("stays-x", "GPU-0")
    site = site_with(host)
    site.tick()
    site.away(HOUR)
    last = site.settle()
    assert joules(site) == IDLE * 3605
    assert near(site.usd("team/Deployment/stays", last, resource=GPU), IDLE * 3600, 2)
    host.stop("stays-x")
    site.away(HOUR)
    last = site.settle()
    assert near(site.usd(UNMETERED, last, resource=GPU), IDLE * 3600, 2)
    assert stays.running is False
    check_energy(site)


def test_a_gap_whose_energy_is_read_a_tick_later_is_still_theirs_who_held() -> None:
    """A driver that takes its time after a restart."""
    host = PowerHost()
    host.start("stays-x", "GPU-0")
    site = site_with(host)
    site.tick()
    host.silent = {GPU}
    site.away(HOUR)
    site.settle()
    host.stop("stays-x")
    host.silent = set()
    site.tick()
    assert joules(site) == IDLE * 3610
    assert near(paid_by(site, "team/Deployment/stays"), IDLE * 3605, 4)


def test_a_meter_that_was_silent_before_a_gap_is_told_apart_from_it() -> None:
    """Two minutes of one, then an hour without anybody: each is of its own time and holders."""
    host = PowerHost(at="2026-06-01T00:58:00+00:00")
    host.start("first-x", "GPU-0")
    site = site_with(host, NIGHT)
    host.silent = {GPU}
    site.tick(24)
    host.stop("first-x")
    host.start("second-x", "GPU-0")
    site.away(HOUR)
    host.silent = set()
    site.settle()
    exact = Fraction(IDLE) * (120 * Fraction("0.13") + 3600 * Fraction("0.39")) / KWH
    assert abs(Fraction(paid(site, resource=GPU)) - exact) <= Fraction(5, 10**12)
    joule = exact / (IDLE * 3720)
    first = Fraction(paid_by(site, "team/Deployment/first"))
    assert abs(first - IDLE * 120 * joule) <= Fraction(5, 10**12)
    assert Fraction(paid_by(site, UNMETERED)) > IDLE * 3590 * joule


def test_a_counter_that_starts_anew_leaves_a_tick_unknown() -> None:
    """What it shows may be from before; from then on it counts."""
    site = site_with()
    site.tick()
    gpu = world(site).gpus[0]
    gpu.joules, gpu.generation = 12.0, "driver-2"
    site.tick()
    assert unpriced_ns(site) == 5 * NS_PER_SECOND
    assert joules(site) == IDLE * 5
    site.tick(2)
    assert joules(site) == IDLE * 15
    assert unpriced_ns(site) == 5 * NS_PER_SECOND


def test_a_leap_that_no_hardware_can_do_is_unknown() -> None:
    """It is not charged, and not zero either."""
    site = site_with()
    site.tick()
    world(site).gpus[0].joules += 10.0**9
    site.tick()
    assert joules(site) == IDLE * 5
    assert unpriced_ns(site) == 5 * NS_PER_SECOND
    site.tick()
    assert joules(site) == IDLE * 10


def test_a_counter_that_wraps_goes_on() -> None:
    """As those of processors do."""
    host = PowerHost(gpus=0)
    host.package("package-0", 100.0).joules = 262_000.0
    site = site_with(host)
    site.tick(3)
    assert float(joules(site, CPU)) == pytest.approx(1500)
    assert near(paid(site, resource=CPU), float(joules(site, CPU)))
    assert unpriced_ns(site, CPU) == 0


def test_a_resource_is_known_when_all_its_meters_are() -> None:
    """One package of two is silent: what the other draws is charged, the whole is unpriced."""
    host = PowerHost(gpus=0)
    for number in range(2):
        host.package(f"package-{number}", 100.0)
    site = site_with(host)
    site.tick()
    assert (float(joules(site, CPU)), unpriced_ns(site, CPU)) == (1000, 0)
    host.silent = {"package-1"}
    site.tick(5)
    assert float(joules(site, CPU)) == 1000 + 2500
    assert unpriced_ns(site, CPU) == 10 * NS_PER_SECOND
    site.restart()
    host.silent = set()
    site.tick()
    assert float(joules(site, CPU)) == 7000
    assert site.settler.power.owed.held == {}
    check_energy(site)


def test_after_a_reboot_energy_is_known_from_the_second_reading_on() -> None:
    """While it was down the host drew nothing that anybody could read."""
    site = site_with()
    site.tick()
    site.host.reboot(600.0)
    site.restart()
    site.settle()
    site.tick(2)
    assert joules(site) == IDLE * 15
    assert unpriced_ns(site) == 0
    assert near(paid(site, resource=GPU), IDLE * 15, 2)


def test_a_stated_draw_goes_on_while_we_are_away_and_not_while_the_host_is_down() -> None:
    """It is a draw of a host that runs."""
    site = site_with(None, "{usd_per_kwh: 0.30, pue: 1.3, unmetered_watts: 100}")
    site.away(HOUR)
    site.settle()
    stated = paid(site, resource=CPU) + paid(site, resource=MEMORY)
    assert near(stated, 100 * 3600, 4)
    site.host.clock.suspend(HOUR)
    site.tick()
    stated = paid(site, resource=CPU) + paid(site, resource=MEMORY)
    assert near(stated, 100 * 3605, 6)
    site.host.reboot(HOUR)
    site.restart()
    site.settle()
    assert paid(site, resource=CPU) + paid(site, resource=MEMORY) == stated


def test_a_gpu_out_of_sight_is_not_one_without_a_sensor() -> None:
    """It draws what nobody reads; one that answers and has no meter shares in the stated draw."""
    host = PowerHost()
    site = site_with(host, "{usd_per_kwh: 0.30, pue: 1.3, unmetered_watts: 100}")
    host.silent = {GPU}
    site = Site(site.rules, host)
    site.settle()
    site.tick()
    assert unpriced_ns(site) == 0
    assert paid(site, resource=GPU) > 0
    host.gpus[0].lost = True
    before = paid(site, resource=GPU)
    site.tick()
    assert unpriced_ns(site) == 5 * NS_PER_SECOND
    assert paid(site, resource=GPU) == before


def test_energy_of_a_run_is_in_its_cost() -> None:
    """Told late it is as well, but neither epoch has a cost of its own then."""
    host = PowerHost()
    job = host.train("job", "r1", cores=1.0)
    host.gpus[0].use(job.proc, 100)
    site = site_with(host)
    job.end_epoch(host.clock.wall_ns)
    site.tick(2)
    for silent, told in ((False, True), (True, False), (False, False), (False, True)):
        host.silent = {GPU} if silent else set()
        site.tick(8)
        job.end_epoch(host.clock.wall_ns)
        site.tick()
        cost = site.point("unitcost_epoch_cost_usd", "job", "", "allocated")
        assert (cost is not None) is told
    run = site.ledger.runs["job", "r1"]
    own = site.charged(run="r1", resource=GPU, component=ELECTRICITY)
    assert near(Decimal(sum(own.values())).scaleb(-12), BUSY * 190, 4)
    assert run.total.pico is not None
    assert run.total.pico <= sum(site.charged(run="r1").values())


def test_a_run_goes_on_at_its_pace_through_windows_of_the_tariff() -> None:
    """A dear hour is no other price of its hardware: what it cost so far still tells."""
    host = PowerHost(at="2026-06-01T00:59:00+00:00")
    job = host.train("job", "r1", cores=1.0)
    job.goal_steps = 1000
    site = site_with(host, NIGHT.replace("pue", "unmetered_watts: 50, pue"))
    for _ in range(24):
        job.steps += 10
        site.tick()
    pace = site.ledger.runs["job", "r1"].pace
    assert pace is not None
    assert len(pace.intervals) > 15


def test_so_many_holders_of_a_silent_meter_are_remembered() -> None:
    """The first ones by name, the others together; their time is not lost."""
    host = PowerHost()
    site = site_with(host)
    site.tick()
    host.silent = {GPU}
    for number in range(MAX_SHARES + 5):
        pod = host.start(f"p{number}-x", "GPU-0")
        site.tick()
        host.stop(pod.pod.name)
    host.silent = set()
    owed = site.settler.power.owed.held[GPU]
    assert len(owed) <= MAX_SHARES + 1
    assert sum(owed.values()) == 5 * (MAX_SHARES + 5) * NS_PER_SECOND
    assert owed_of(site.settler.state.owed).held == site.settler.power.owed.held
    site.tick()
    assert paid_by(site, UNMETERED) > 0
    assert joules(site) == IDLE * 5 * (MAX_SHARES + 7)


def test_a_monotonic_clock_that_went_back_says_nothing_of_energy() -> None:
    """A restored machine: neither its old points nor who was waited for."""
    host = PowerHost()
    site = site_with(host)
    site.tick()
    host.silent = {GPU}
    site.tick(2)
    host.clock.mono_ns -= 10 * NS_PER_SECOND
    host.silent = set()
    site.tick(2)
    assert joules(site) == IDLE * 10
    assert site.settler.power.owed.held == {}


def test_what_an_older_version_left_is_gone_on_from() -> None:
    """Its state says nothing of where meters sit: they are known once they are read."""
    site = site_with()
    site.tick()
    old = replace(site.settler.state, places=(), owed=(), counts=())
    site.ledger.state = encode(old)
    site.restart()
    site.tick()
    assert joules(site) == IDLE * 10
