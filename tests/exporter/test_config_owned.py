"""Owned hardware as configured: what it comes to, and combinations that cannot be."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from unitcost.exporter.config.load import ConfigError, loads
from unitcost.exporter.config.owned import OwnedCosts, owned_costs
from unitcost.pricing.currency import Rates
from unitcost.pricing.metered import Electricity, EnergyOverhead, Metered
from unitcost.pricing.overhead import Pue
from unitcost.pricing.price import Component, Price
from unitcost.pricing.tariff import Slab, Tariff, Vat, Window, flat
from unitcost.pricing.timeline import NS_PER_HOUR

D = Decimal
YEAR = 8760 * NS_PER_HOUR
BOUGHT = int(datetime(2025, 3, 1, 9, tzinfo=UTC).timestamp()) * 10**9
SINCE = "in_service: 2025-03-01T09:30:00+00:00"
FLAT = "purchase_usd: 8760, life_years: 1, electricity: {usd_per_kwh: 0.3%s}"


def costs(owned: str, more: str = "") -> OwnedCosts:
    """What an owned host costs."""
    settings = loads(f"{more}\nprice:\n  owned: {{{owned}}}").settings
    assert settings.price.owned is not None
    return owned_costs(settings.price.owned, settings.price.currency, settings.timezone)


def prices(owned: str, component: Component = Component.AMORTISATION) -> list[Price]:
    """The prices of a component by the hour."""
    return [price for price in costs(owned).book.prices if price.component is component]


def usd_at(found: list[Price], at_ns: int) -> Decimal | None:
    """What holds at an instant."""
    return next((price.usd_per_hour for price in found if price.covers(at_ns)), None)


def test_without_an_instant_a_straight_line_holds_always() -> None:
    """As it ever did."""
    (only,) = prices("purchase_usd: 9000, residual_usd: 240, life_years: 2, electricity: none")
    assert (only.usd_per_hour, only.valid_from_ns, only.valid_to_ns) == (D("0.5"), 0, None)
    assert only.source == "configuration"


def test_from_when_it_is_in_service_it_has_a_price_and_after_its_life_it_is_free() -> None:
    """On whole clock hours; before that its cost is unknown."""
    found = prices(f"purchase_usd: 17520, life_years: 2, {SINCE}, electricity: none")
    assert [usd_at(found, BOUGHT + at) for at in (-1, 0, 2 * YEAR - 1, 2 * YEAR)] == [None, 1, 1, 0]
    assert found[-1].valid_to_ns is None
    assert all(price.valid_from_ns % NS_PER_HOUR == 0 for price in found)


def test_a_declining_balance_charges_less_each_year() -> None:
    """Double where nothing is said."""
    text = f"purchase_usd: 87600, life_years: 5, method: declining_balance, {SINCE}, "
    found = prices(text + "electricity: none")
    assert [usd_at(found, BOUGHT + n * YEAR) for n in range(6)] == [
        4,
        D("2.4"),
        D("1.44"),
        D("1.08"),
        D("1.08"),
        0,
    ]
    slower = prices(text + "factor: 1.5, electricity: none")
    assert usd_at(slower, BOUGHT) == 3


def test_a_change_of_estimate_spreads_what_is_left() -> None:
    """Nothing before it changes; what is not said of it stays."""
    text = (
        f"purchase_usd: 43800, life_years: 5, residual_usd: 8760, {SINCE}, electricity: none, "
        "changes: [{at: 2026-03-01T09:00:00+00:00, life_years: 1}, "
        "{at: 2026-08-30T21:00:00+00:00, life_years: 1, method: declining_balance, "
        "residual_usd: 0}]"
    )
    found = prices(text)
    year = 365 * 24 * NS_PER_HOUR
    assert usd_at(found, BOUGHT) == usd_at(found, BOUGHT + year - 1) == D("0.8")
    assert usd_at(found, BOUGHT + year) == D("3.2")
    book = 43800 - D("0.8") * 8760 - D("3.2") * (182 * 24 + 12)
    later = usd_at(found, BOUGHT + year + (182 * 24 + 12) * NS_PER_HOUR)
    assert later is not None
    assert abs(later - book / 8760) < D("1e-12")


def test_units_of_production_cost_nothing_by_the_hour() -> None:
    """An hour of work has the price; those of before are worked off already."""
    text = (
        f"purchase_usd: 1000, method: units_of_production, expected_gpu_hours: 100, {SINCE}, "
        "gpu_hours_before: 25, electricity: none"
    )
    found = costs(text)
    use = found.metered.use
    assert use is not None
    assert (use.pico(BOUGHT, 0), use.left(BOUGHT, 0)) == (10 * 10**12, 75 * NS_PER_HOUR)
    (only,) = (each for each in found.book.prices if each.component is Component.AMORTISATION)
    assert only.usd_per_hour == 0
    assert (only.valid_from_ns, only.valid_to_ns) == (BOUGHT, None)
    changed = costs(
        text + ", changes: [{at: 2026-03-01T09:00:00+00:00, method: straight_line, life_years: 1, "
        "gpu_hours_before: 30}]"
    )
    later = BOUGHT + 365 * 24 * NS_PER_HOUR
    price = changed.book.at(Component.AMORTISATION, later)
    assert price is not None
    assert price.usd_per_hour == D("0.079908675800")  # 700 USD over 8760 hours, the dearer first
    assert changed.metered.use is not None
    assert changed.metered.use.pico(later, 0) is None


def test_a_purchase_in_another_currency_is_dollars_of_its_day() -> None:
    """By the peg, or by a rate that is stated; the source says so."""
    text = f"life_years: 1, {SINCE}, electricity: none, purchase: {{amount: 36725, currency: %s}}"
    (first, *_) = prices(text % "AED")
    assert first.usd_per_hour == D("1.141552511416")
    assert first.source == (
        "configuration, 3.6725 AED for a dollar, "
        "peg of the Central Bank of the UAE, the same since 1997"
    )
    assert prices(text % "USD")[0].source == "configuration"
    settings = loads(
        "price:\n  currency: {rates: [{currency: EUR, usd_per_unit: 1.25, valid_from: 2020-01-01}]}"
        f"\n  owned: {{{text % 'EUR'}}}"
    ).settings
    assert settings.price.owned is not None
    book = owned_costs(settings.price.owned, settings.price.currency, "UTC").book
    price = book.at(Component.AMORTISATION, BOUGHT)
    assert price is not None
    assert round(price.usd_per_hour * 8760, 6) == D("45906.25")
    assert price.source == "configuration, 0.8 EUR for a dollar, configuration"


@pytest.mark.parametrize(
    ("hardware", "usd", "years", "source"),
    [
        (
            "hardware: {product: DGX H100}",
            270_000,
            5,
            "DGX H100 at 270000 USD (2023, SemiAnalysis estimate, cited by Epoch AI); "
            "5 years (Amazon 10-K 2025-02-07: a subset of its ser...",
        ),
        (
            "hardware: {product: H100 SXM, count: 8, at: high}, life_years: 4",
            240_000,
            4,
            "8 x H100 SXM at 30000 USD (2023, Raymond James estimate, reported by TechSpot)",
        ),
        (
            "hardware: {product: H100 SXM, at: low}, life_years: 4",
            25_000,
            4,
            "H100 SXM at 25000 USD (2023, Raymond James estimate, reported by TechSpot)",
        ),
        (
            "hardware: {product: A10}, purchase_usd: 2500",
            2500,
            5,
            "configuration; 5 years "
            "(Amazon 10-K 2025-02-07: a subset of its servers from 2025-01-01)",
        ),
    ],
)
def test_what_the_built_in_table_says_is_labelled_as_such(
    hardware: str, usd: int, years: int, source: str
) -> None:
    """Whose price, and of which year; whose life. Only where it is asked for."""
    (only,) = prices(f"{hardware}, electricity: none")
    assert only.usd_per_hour == D(usd) / (years * 8760)
    assert only.source == source
    assert len(only.source) <= 128


def test_a_tariff_is_taken_as_it_is_written() -> None:
    """In the zone of the file."""
    text = """
timezone: Asia/Dubai
price:
  owned:
    purchase_usd: 1
    life_years: 1
    electricity:
      tariff:
        slabs: [{per_kwh: 0.23, up_to_kwh: 10000}, {per_kwh: 0.38}]
        windows:
          - {start: "22:00", end: "06:00", days: [fri, sat], per_kwh: 0.1}
          - {start: "12:00", end: "24:00", days: [sun], slabs: [{per_kwh: 0.2}]}
        surcharge_per_kwh: 0.05
        vat_percent: 5
        currency: AED
      pue: 1.25
      unmetered_watts: 0.5
      month_kwh_elsewhere: 12
    overheads:
      cooling: {usd_per_kwh: 0.01}
      maintenance: {usd_per_kwh: 0.005, usd_per_hour: 0.25}
      rack: {usd_per_hour: 0.5}
    overhead_usd_per_hour: 0.125
"""
    settings = loads(text).settings
    assert settings.price.owned is not None
    found = owned_costs(settings.price.owned, settings.price.currency, settings.timezone)
    windows = (
        Window(frozenset({4, 5}), 1320, 360, flat(D("0.1"))),
        Window(frozenset({6}), 720, 1440, (Slab(D("0.2")),)),
    )
    tariff = Tariff(
        (Slab(D("0.23"), D(10000)), Slab(D("0.38"))),
        windows,
        D("0.05"),
        Vat(D("0.05")),
        None,
        "AED",
    )
    assert found.metered == Metered(
        Electricity(
            tariff,
            ZoneInfo("Asia/Dubai"),
            Pue(D("1.25"), "configuration"),
            "configuration, PUE 1.25",
            Rates(),
            D(12),
        ),
        EnergyOverhead(D("0.015"), "configuration: cooling, maintenance"),
        None,
        True,
        500_000,
    )
    overhead = found.book.at(Component.OVERHEAD, 0)
    assert overhead is not None
    assert overhead.usd_per_hour == D("0.875")
    assert Component.ELECTRICITY not in found.book.components


@pytest.mark.parametrize(
    ("vat", "expected"),
    [
        ("vat_percent: 19", Vat(D("0.19"))),
        ("vat_percent: 19, vat_included: true", Vat(D("0.19"), included=True)),
        ("vat_percent: 19, vat_recoverable: true", Vat(D("0.19"), is_cost=False)),
    ],
)
def test_vat_is_a_cost_unless_it_is_got_back(vat: str, expected: Vat) -> None:
    """As the bill has it."""
    found = costs(f"purchase_usd: 1, life_years: 1, electricity: {{tariff: {{per_kwh: 1, {vat}}}}}")
    assert found.metered.electricity is not None
    assert found.metered.electricity.tariff.vat == expected


def test_a_country_s_average_says_of_when_it_is() -> None:
    """And is at the meter, like any other price."""
    text = "purchase_usd: 1, life_years: 1, electricity: {country: DEU, pue: 1.5%s}"
    power = costs(text % "").metered.electricity
    assert power is not None
    assert power.source == "Germany 2019, World Bank Doing Business: standard warehouse, PUE 1.5"
    hourly = costs(text % ", watts: 1000")
    price = hourly.book.at(Component.ELECTRICITY, 0)
    assert price is not None
    assert price.usd_per_hour == power.tariff.slabs[0].per_kwh * D("1.5")
    assert price.source == power.source
    assert hourly.metered == Metered()


def test_a_draw_that_is_stated_at_the_meter_has_everything_in_it() -> None:
    """With a tariff as well: no PUE comes on it."""
    found = costs(FLAT % ", watts: 500, watts_at: meter")
    price = found.book.at(Component.ELECTRICITY, 0)
    assert price is not None
    assert price.usd_per_hour == D("0.15")
    tariff = "purchase_usd: 1, life_years: 1, electricity: {tariff: {per_kwh: 0.3}, watts: 500"
    metered = costs(tariff + ", watts_at: meter}").metered
    assert metered.electricity is not None
    assert (metered.sensors, metered.stated_microwatts) == (False, 500 * 10**6)
    assert metered.electricity.pico(0, 0) == 3 * 10**11


def test_overheads_of_a_stated_draw_are_by_the_hour() -> None:
    """Watts times what a kWh costs, without PUE."""
    text = FLAT % ", pue: 1.5, watts: 500"
    found = costs(text + ", overheads: {staff: {usd_per_kwh: 0.1, usd_per_hour: 1}}")
    price = found.book.at(Component.OVERHEAD, 0)
    assert price is not None
    assert price.usd_per_hour == D("1.05")
    assert found.metered == Metered()


POWER = "price.owned.electricity"
BAD = {
    "no purchase": ("life_years: 1, electricity: none", "price.owned.purchase_usd", "missing"),
    "two purchases": (
        "purchase_usd: 1, purchase: {amount: 1, currency: AED}, life_years: 1, electricity: none",
        "price.owned",
        "one of purchase_usd and purchase",
    ),
    "a purchase and a table's": (
        "purchase_usd: 1, hardware: {product: DGX H100, at: low}, electricity: none",
        "price.owned",
        "one of purchase_usd and hardware.at",
    ),
    "no life": ("purchase_usd: 1, electricity: none", "price.owned.life_years", "how many years"),
    "hardware that the table lacks": (
        "hardware: {product: H999}, electricity: none",
        "price.owned.hardware.product",
        "not in the built-in table: 'H999'; it has A10, ",
    ),
    "hardware without a price": (
        "hardware: {product: A10}, electricity: none",
        "price.owned.hardware.product",
        "no price of A10: say purchase_usd",
    ),
    "a range": (
        "hardware: {product: H100 SXM}, electricity: none",
        "price.owned.hardware.at",
        "low (25000 USD) or high (30000 USD)",
    ),
    "a currency without a rate": (
        f"purchase: {{amount: 1, currency: EUR}}, life_years: 1, {SINCE}, electricity: none",
        "price.owned.purchase.currency",
        "no rate of 'EUR' then, only of AED, SAR, USD: state one in price.currency.rates",
    ),
    "a currency of no day": (
        "purchase: {amount: 1, currency: AED}, life_years: 1, electricity: none",
        "price.owned.in_service",
        "the rate of that day",
    ),
    "a method without a beginning": (
        "purchase_usd: 1, life_years: 1, method: declining_balance, electricity: none",
        "price.owned.in_service",
        "depends on it",
    ),
    "a beginning that is no instant": (
        "purchase_usd: 1, life_years: 1, in_service: yesterday, electricity: none",
        "price.owned.in_service",
        "expected a date and time with UTC offset",
    ),
    "a factor of a straight line": (
        "purchase_usd: 1, life_years: 1, factor: 2, electricity: none",
        "price.owned.factor",
        "is for declining_balance",
    ),
    "hours of a straight line": (
        "purchase_usd: 1, life_years: 1, expected_gpu_hours: 2, electricity: none",
        "price.owned.expected_gpu_hours",
        "is for units_of_production",
    ),
    "hours before a straight line": (
        "purchase_usd: 1, life_years: 1, gpu_hours_before: 2, electricity: none",
        "price.owned.gpu_hours_before",
        "is for units_of_production",
    ),
    "production without units": (
        f"purchase_usd: 1, method: units_of_production, {SINCE}, electricity: none",
        "price.owned.expected_gpu_hours",
        "above 0",
    ),
    "production by the year": (
        "purchase_usd: 1, method: units_of_production, expected_gpu_hours: 1, life_years: 1, "
        f"{SINCE}, electricity: none",
        "price.owned.life_years",
        "not years",
    ),
    "changes without a beginning": (
        "purchase_usd: 1, life_years: 1, electricity: none, "
        "changes: [{at: 2026-01-01T00:00:00Z, life_years: 1}]",
        "price.owned.in_service",
        "depends on it",
    ),
    "a change without a life": (
        f"purchase_usd: 1, life_years: 1, {SINCE}, electricity: none, "
        "changes: [{at: 2026-01-01T00:00:00Z}]",
        "price.owned.changes[0].life_years",
        "from then on",
    ),
    "a change of another hour only": (
        f"purchase_usd: 1, life_years: 1, {SINCE}, electricity: none, "
        "changes: [{at: 2025-03-01T09:59:00Z, life_years: 1}]",
        "price.owned.changes[0].at",
        "a later clock hour",
    ),
    "a change that is no instant": (
        f"purchase_usd: 1, life_years: 1, {SINCE}, electricity: none, "
        "changes: [{at: 2026-01-01, life_years: 1}]",
        "price.owned.changes[0].at",
        "UTC offset missing",
    ),
    "a change that nobody counted for": (
        f"purchase_usd: 1, method: units_of_production, expected_gpu_hours: 1, {SINCE}, "
        "electricity: none, changes: [{at: 2026-01-01T00:00:00Z, expected_gpu_hours: 1}]",
        "price.owned.changes[0].gpu_hours_before",
        "hours of work until then",
    ),
    "a change that counted nothing": (
        f"purchase_usd: 1, life_years: 1, {SINCE}, electricity: none, "
        "changes: [{at: 2026-01-01T00:00:00Z, life_years: 1, gpu_hours_before: 3}]",
        "price.owned.changes[0].gpu_hours_before",
        "no hours were counted",
    ),
    "no price of a kWh": (
        "purchase_usd: 1, life_years: 1, electricity: {pue: 1.3}",
        f"{POWER}.usd_per_kwh",
        "only one of them",
    ),
    "two prices of a kWh": (FLAT % ", country: DEU", f"{POWER}.usd_per_kwh", "only one of them"),
    "a country that the table lacks": (
        "purchase_usd: 1, life_years: 1, electricity: {country: ATA}",
        f"{POWER}.country",
        "no price of 'ATA', only of ARE AUS ",
    ),
    "two draws": (
        FLAT % ", watts: 300, unmetered_watts: 30",
        f"{POWER}.unmetered_watts",
        "the draw of the whole host already",
    ),
    "sensors at the meter": (FLAT % ", watts_at: meter", f"{POWER}.watts_at", "at the server"),
    "PUE twice": (
        FLAT % ", watts: 300, watts_at: meter, pue: 1.3",
        f"{POWER}.pue",
        "has cooling and losses in it",
    ),
    "others without slabs": (
        FLAT % ", month_kwh_elsewhere: 3",
        f"{POWER}.month_kwh_elsewhere",
        "slabs",
    ),
    "an overhead of no name": (
        "purchase_usd: 1, life_years: 1, electricity: none, overheads: {coffee: {}}",
        "price.owned.overheads.coffee",
        "expected one of cooling, rack, maintenance, staff, other",
    ),
    "an overhead of no energy": (
        "purchase_usd: 1, life_years: 1, electricity: none, overheads: {rack: {usd_per_kwh: 1}}",
        "price.owned.overheads.rack.usd_per_kwh",
        "needs the energy at the server",
    ),
    "an overhead of energy at the meter": (
        FLAT % ", watts: 300, watts_at: meter" + ", overheads: {rack: {usd_per_kwh: 1}}",
        "price.owned.overheads.rack.usd_per_kwh",
        "needs the energy at the server",
    ),
}
TARIFF = "purchase_usd: 1, life_years: 1, electricity: {tariff: {%s}}"
BAD_TARIFFS = {
    "no price": ("", ".per_kwh", "either per_kwh or slabs"),
    "two prices": ("per_kwh: 1, slabs: [{per_kwh: 1}]", ".per_kwh", "either per_kwh or slabs"),
    "an end of all": ("slabs: [{per_kwh: 1, up_to_kwh: 5}]", "", "the last slab"),
    "slabs out of order": (
        "slabs: [{per_kwh: 1, up_to_kwh: 5}, {per_kwh: 1, up_to_kwh: 4}, {per_kwh: 1}]",
        "",
        "above the one before",
    ),
    "a time of no day": (
        'per_kwh: 1, windows: [{start: "25:00", end: "02:00", per_kwh: 1}]',
        ".windows[0].start",
        'a local time such as "22:00"',
    ),
    "a window of no time": (
        'per_kwh: 1, windows: [{start: "02:00", end: "02:00", per_kwh: 1}]',
        ".windows[0]",
        "from one minute of the day to another",
    ),
    "a window without a price": (
        'per_kwh: 1, windows: [{start: "01:00", end: "02:00"}]',
        ".windows[0].per_kwh",
        "either per_kwh or slabs",
    ),
    "windows that overlap": (
        'per_kwh: 1, windows: [{start: "01:00", end: "03:00", per_kwh: 1}, '
        '{start: "02:00", end: "04:00", per_kwh: 1}]',
        "",
        "at the same time",
    ),
    "a currency without a rate": ("per_kwh: 1, currency: EUR", ".currency", "no rate of 'EUR'"),
}
ALL_BAD = BAD | {
    f"tariff: {name}": (TARIFF % text, f"{POWER}.tariff{key}", said)
    for name, (text, key, said) in BAD_TARIFFS.items()
}


@pytest.mark.parametrize("name", ALL_BAD)
def test_what_cannot_be_is_one_line_that_names_the_key(name: str) -> None:
    """And what is expected there."""
    text, key, said = ALL_BAD[name]
    with pytest.raises(ConfigError) as caught:
        loads(f"price:\n  owned: {{{text}}}", source="unitcost.yaml")
    assert caught.value.key == key
    assert said in caught.value.problem
    assert "\n" not in str(caught.value)


def test_time_zones_are_known_where_the_system_has_none() -> None:
    """Slim containers have no such data: it comes with the exporter."""
    text = "timezone: Europe/Berlin\nprice: {owned: {" + FLAT % "" + "}}"
    code = f"from unitcost.exporter.config.load import loads; loads({text!r})"
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import zoneinfo; zoneinfo.reset_tzpath(()); {code}"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("electricity", "said"),
    [
        ("none", []),
        ("{usd_per_kwh: 0.3}", ["unmetered_watts"]),
        ("{usd_per_kwh: 0.3, unmetered_watts: 0}", []),
        ("{usd_per_kwh: 0.3, watts: 500}", []),
        ("{tariff: {per_kwh: 1}}", ["unmetered_watts", "UTC"]),
        ("{tariff: {per_kwh: 1}, watts: 500}", ["UTC"]),
    ],
)
def test_what_is_seldom_meant_is_a_warning(electricity: str, said: list[str]) -> None:
    """Resources without a sensor, and a tariff in the hours of Greenwich."""
    text = f"price: {{owned: {{purchase_usd: 1, life_years: 1, electricity: {electricity}}}}}"
    found = [line for line in loads(text).warnings if line.startswith(("price", "timezone"))]
    assert len(found) == len(said)
    assert all(word in line for word, line in zip(said, found, strict=True))
    berlin = loads("timezone: Europe/Berlin\n" + text).warnings
    assert not any(line.startswith("timezone") for line in berlin)


def test_rates_of_the_bank_are_for_prices_that_are_looked_up() -> None:
    """They come while the exporter runs; what owned hardware cost is known before."""
    owned = "owned: {purchase_usd: 1, life_years: 1, electricity: none}"
    text = "price:\n  currency: {ecb: {}}\n  " + owned
    with pytest.raises(ConfigError, match="only stated rates"):
        loads(text)
