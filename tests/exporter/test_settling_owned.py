"""The purchase of an owned host in the books: schedules, hours of work, and what is learnt late."""

from decimal import Decimal

import pytest

from tests.power_world import GPU, PowerHost, check_energy, power_site, world
from tests.sites import HOUR, Site
from unitcost.exporter.settling.corrections import METRIC
from unitcost.pricing.price import Component
from unitcost.pricing.resource import CPU, MEMORY

D = Decimal
AT = "2026-03-02T08:00:00+00:00"
OWNED = "price: {owned: {electricity: none, in_service: '%s', %s}}"
BY_YEAR = "purchase_usd: 8760, life_years: 1"
BY_WORK = "purchase_usd: 1000, method: units_of_production, expected_gpu_hours: 100"


def site_at(text: str, gpus: int = 1) -> Site:
    """Metered from a full hour on."""
    site = power_site(text, PowerHost(gpus, at=AT))
    site.settle()
    return site


def reloaded(site: Site, text: str) -> None:
    """The configuration is another one from now on."""
    site.rules = power_site(text, world(site)).rules
    site.settler.follow(site.rules, site.matcher)


def amortised(site: Site) -> Decimal:
    """Dollars of amortisation, corrections included."""
    pico = sum(
        row.pico or 0
        for key, row in site.ledger.posting.accruals.items()
        if key.component is Component.AMORTISATION
    )
    return D(pico).scaleb(-12)


def near(found: Decimal, expected: Decimal | int) -> bool:
    """But for a pico-dollar in each of a few rows."""
    return abs(found - expected) < D("1e-10")


def test_before_it_is_in_service_it_is_unpriced_and_after_its_life_it_is_free() -> None:
    """The first is not known, the second is."""
    site = site_at(OWNED % ("2026-03-02T09:00:00+00:00", "purchase_usd: 88, life_years: 0.01"))
    site.tick(1, HOUR)
    assert amortised(site) == 0
    assert (
        site.point("unitcost_resource_unpriced", GPU, "amortisation") == 0
    )  # now it is in service
    assert any(row.pico is None for row in site.ledger.posting.accruals.values())
    site.tick(44, 2 * HOUR)
    assert amortised(site) == 88
    site.tick(1, HOUR)
    assert amortised(site) == 88
    assert site.point("unitcost_resource_unpriced", GPU, "amortisation") == 0


def test_an_hour_of_work_is_paid_by_who_works() -> None:
    """Idle and unheld time costs no amortisation; CPU and memory carry none."""
    site = site_at(OWNED % (AT, BY_WORK), gpus=2)
    pod = world(site).start("a-x", "GPU-0")
    world(site).gpus[0].use(pod.proc, 25)
    site.tick(60, 60.0)
    assert near(amortised(site), D(10) / 4)
    assert near(site.usd("team/Deployment/a", component=Component.AMORTISATION), D(10) / 4)
    assert site.usd("team/Deployment/a", state="idle") == 0
    for resource in (CPU, MEMORY, "gpu:GPU-1"):
        assert sum(site.charged(resource=resource).values()) == 0
    held = site.counter("unitcost_held_seconds_total", "team/Deployment/a", "", GPU)
    assert held == 3600 * 10**6
    assert site.point("unitcost_price_usd_per_hour", GPU, "active_hours") == 0
    check_energy(site)


def test_hours_of_work_are_counted_over_restarts_and_reloads() -> None:
    """What was worked is worked: the 20 USD of two hours are spent once."""
    text = OWNED % (AT, "purchase_usd: 20, method: units_of_production, expected_gpu_hours: 2")
    site = site_at(text)
    world(site).gpus[0].use(world(site).procs[1], 100)
    for _ in range(3):
        site.tick(1, HOUR / 2)
        site.restart()
        reloaded(site, text)
    assert near(amortised(site), 15)
    site.tick(4, HOUR / 2)
    assert near(amortised(site), 20)
    site.host.run(HOUR)
    site.settle(commit=False)
    site.restart()
    site.settle()
    assert near(amortised(site), 20)


def test_an_estimate_changes_nothing_before_it() -> None:
    """A change that is written down in time corrects nothing."""
    site = site_at(OWNED % (AT, BY_YEAR))
    site.tick(2, HOUR)
    change = "changes: [{at: '2026-03-02T12:00:00+00:00', life_years: 0.1}]"
    reloaded(site, OWNED % (AT, f"{BY_YEAR}, {change}"))
    site.tick(4, HOUR)
    assert near(amortised(site), 4 + 2 * (D(8760) - 4) / 876)
    assert site.counter(METRIC) == 0


def test_an_estimate_that_is_written_down_late_corrects_what_was_charged_since() -> None:
    """From its own instant on, no earlier."""
    site = site_at(OWNED % (AT, BY_YEAR))
    site.tick(6, HOUR)
    change = "changes: [{at: '2026-03-02T12:00:00+00:00', life_years: 0.1}]"
    reloaded(site, OWNED % (AT, f"{BY_YEAR}, {change}"))
    site.tick()
    later = (D(8760) - 4) / 876
    assert near(amortised(site), 4 + 2 * later + later * 5 / 3600)
    assert near(D(site.counter(METRIC)).scaleb(-12), 2 * later - 2)


@pytest.mark.parametrize(("before", "after"), [(BY_YEAR, BY_WORK), (BY_WORK, BY_YEAR)])
def test_time_and_work_never_correct_each_other(before: str, after: str) -> None:
    """What was charged by the one stays: nobody pays twice for it, or not at all."""
    site = site_at(OWNED % (AT, before))
    world(site).gpus[0].use(world(site).procs[1], 50)
    site.tick(2, HOUR)
    charged = amortised(site)
    assert charged > 0
    reloaded(site, OWNED % (AT, after))
    site.settle()
    assert amortised(site) == charged
    site.tick(1, HOUR)
    assert near(amortised(site) - charged, 1 if after is BY_YEAR else 5)
    assert site.counter(METRIC) == 0
