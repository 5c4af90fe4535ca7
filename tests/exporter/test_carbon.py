"""Emissions: from the configuration to the counters, over reloads, restarts and crashes."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.gpu_world import BUSY_WATTS, IDLE_WATTS, GpuHost
from tests.sites import Site, rules
from unitcost.exporter.config.load import loads
from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.emissions import EMISSIONS, Emissions
from unitcost.exporter.settling.rules import rules_of
from unitcost.pricing.carbon import MICROGRAMS, MICROJOULES_PER_KWH, GridIntensity
from unitcost.pricing.sample import Source

D = Decimal
TEXT = "carbon: {country: FR, pue: 1.2}"
OWNED = "price: {owned: {purchase_usd: 9, life_years: 5, electricity: %s}}\n"
PAID = "{usd_per_kwh: 0.1, pue: 1.3}"


def of(text: str) -> GridIntensity | None:
    """What a configuration makes of it."""
    return loads(text).carbon


def gpu_site(carbon: GridIntensity | None) -> Site:
    """A rented host with a GPU."""
    return Site(replace(rules(), carbon=carbon), GpuHost(1))


def grid(grams: str) -> GridIntensity:
    """A grid of so many grams."""
    return GridIntensity(D(grams), "test")


def follow(site: Site, carbon: GridIntensity | None) -> None:
    """The configuration is reloaded."""
    site.rules = replace(site.rules, carbon=carbon)
    site.settler.follow(site.rules, site.matcher)


def grams(site: Site, *labels: str) -> Decimal:
    """What was emitted and committed so far."""
    return D(site.counter(EMISSIONS, *labels)) / MICROGRAMS


def emission(*spans: tuple[int, int], watts: float = IDLE_WATTS) -> Decimal:
    """What spans of (seconds, grams for a kWh) emit, to the microgram below."""
    exact = sum(Fraction(watts) * seconds * grams_per_kwh for seconds, grams_per_kwh in spans)
    return D(exact * MICROGRAMS // 3_600_000) / MICROGRAMS


def test_a_country_is_a_figure_of_the_table() -> None:
    """By two letters or three, with its year and who says so; Norway is no bool."""
    found = of(TEXT)
    assert found is not None
    assert (found.country, found.year, found.pue) == ("FR", 2024, D("1.2"))
    assert (found.grams_per_kwh, found.source) == (D("44.18"), "Ember Yearly Electricity Data")
    assert found == of("carbon: {country: FRA, pue: 1.2}")
    norway = of("carbon: {country: NO}")
    assert norway is not None
    assert (norway.country, norway.pue) == ("NO", D(1))


def test_a_stated_figure_is_kept_as_stated() -> None:
    """With who says so; zero is a figure."""
    text = "carbon: {grams_per_kwh: 411.9, source: our supplier, year: 2026}"
    assert of(text) == GridIntensity(D("411.9"), "our supplier", "", 2026)
    zero = of("carbon: {grams_per_kwh: 0, source: own turbine}")
    assert zero is not None
    assert (zero.grams_per_kwh, zero.year) == (D(0), None)


def test_nothing_is_counted_that_nobody_asked_for() -> None:
    """Nor beside an agent that counts the same host's energy."""
    assert of("") is None
    assert of("host: {scope: units}\n" + TEXT) is None


def test_a_building_has_one_pue() -> None:
    """That of the electricity bill holds for carbon, and may be said twice."""
    assert [
        found.pue if found else None
        for found in (
            of(OWNED % PAID + "carbon: {country: FR}"),
            of(OWNED % PAID + "carbon: {country: FR, pue: 1.30}"),
            of(OWNED % "none" + "carbon: {country: FR, pue: 1.4}"),
            of(OWNED % "none" + "carbon: {country: FR}"),
        )
    ] == [D("1.3"), D("1.3"), D("1.4"), D(1)]


def test_the_figure_is_a_rule() -> None:
    """Taken from what was loaded."""
    loaded = loads(TEXT)
    assert rules_of(loaded.settings, loaded.carbon).carbon is loaded.carbon is not None


def test_energy_emits_by_the_grid() -> None:
    """On a rented host too; by workload as the energy is, and what nobody held as well."""
    site = gpu_site(grid("412"))
    host = site.host
    assert isinstance(host, GpuHost)
    pod = host.start("a-x", "GPU-0")
    site.settle()
    assert site.points().get(EMISSIONS) is None  # nothing was measured yet
    site.tick(12)
    assert grams(site) == grams(site, "team/Deployment/a", "gpu:GPU-0") == emission((60, 412))
    host.gpus[0].use(pod.proc, 100)
    site.tick(12)
    assert grams(site) == emission((60, 412), watts=IDLE_WATTS + BUSY_WATTS)
    assert site.point(EMISSIONS, "team/Deployment/a") == float(grams(site))


def test_the_intensity_in_use_is_served_with_its_origin() -> None:
    """And the PUE, 1 where there is none; both absent where nothing is configured."""
    site = gpu_site(of(TEXT))
    site.settle()
    name = "unitcost_grid_intensity_grams_per_kwh"
    labels = ("FR", "2024", "Ember Yearly Electricity Data")
    assert site.points()[name] == [(labels, 44.18)]
    assert site.point("unitcost_emissions_pue_ratio") == 1.2
    follow(site, grid("400"))
    assert site.points()[name] == [(("", "", "test"), 400.0)]
    assert site.point("unitcost_emissions_pue_ratio") == 1.0
    follow(site, None)
    assert not site.points().keys() & {name, "unitcost_emissions_pue_ratio"}


def test_a_new_intensity_is_for_new_energy() -> None:
    """The interval in which it comes is still the old one's, and nothing is counted twice."""
    site = gpu_site(grid("400"))
    site.settle()
    site.tick(10)
    follow(site, grid("100"))
    assert grams(site) == emission((50, 400))
    site.tick()
    assert grams(site) == emission((55, 400))
    site.tick(8)
    assert grams(site) == emission((55, 400), (40, 100))
    follow(site, None)
    site.tick(3)
    assert grams(site) == emission((55, 400), (45, 100))
    follow(site, grid("200"))
    site.tick(3)
    assert grams(site) == emission((55, 400), (45, 100), (10, 200))


def test_energy_of_a_stop_is_emitted_at_what_held_before_it() -> None:
    """Whatever the configuration says at the next start."""
    site = gpu_site(grid("400"))
    site.settle()
    site.tick(10)
    site.rules = replace(site.rules, carbon=grid("100"))
    site.away(3600)
    site.settle()
    assert grams(site) == emission((3650, 400))
    site.tick(2)
    assert grams(site) == emission((3650, 400), (10, 100))


def test_energy_from_before_it_was_asked_for_is_not_counted() -> None:
    """Its counter begins with the first interval of which the intensity was known."""
    site = gpu_site(None)
    site.settle()
    site.tick(10)
    follow(site, grid("400"))
    site.tick()
    assert grams(site) == 0
    assert site.point(EMISSIONS) is None
    site.tick(4)
    assert grams(site) == emission((20, 400))


def test_a_tick_that_was_not_committed_is_told_once() -> None:
    """kill -9: what is left of a microgram goes back with everything else."""
    site = gpu_site(grid("561.135"))
    whole = gpu_site(grid("561.135"))
    for each in (site, whole):
        each.settle()
        each.tick(3)
    for _ in range(20):
        site.host.run(5.0)
        site.settle(commit=False)
        site.restart()
        site.settle()
        whole.host.run(5.0)
        whole.settle()
    assert site.counter(EMISSIONS) == whole.counter(EMISSIONS) > 0


def test_a_grid_without_carbon_is_a_zero() -> None:
    """Measured: the energy is known."""
    site = gpu_site(grid("0"))
    site.settle()
    site.tick(2)
    assert site.point(EMISSIONS, "__unallocated__") == 0.0


def test_modelled_energy_emits_nothing() -> None:
    """Only what was measured is multiplied."""
    pending, emissions = Batch(), Emissions(10**15)
    for source in Source:
        emissions.count(pending, source, str(source), {"a": MICROJOULES_PER_KWH})
    assert {labels[1] for _, labels in pending.counters} == {"counter", "sensor"}
    assert set(emissions.left) == {"counter", "sensor"}
