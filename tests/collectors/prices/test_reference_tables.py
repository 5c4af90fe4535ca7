"""The tables that come with the exporter besides prices: what they say, and that each says who."""

import csv
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from unitcost.collectors.reference import electricity, grid, hardware
from unitcost.collectors.reference.electricity import parse_electricity, read_electricity
from unitcost.collectors.reference.grid import parse_grids, read_grids
from unitcost.collectors.reference.hardware import parse_hardware, read_hardware
from unitcost.collectors.reference.table import BadTable, packaged_text, start_ns

HARDWARE = "L4,L4,1,72,Datasheet,2500,3000,2023-03-21,Shop,5,Report,card"
COUNTRY = "ARE,United Arab Emirates,0.109,2019,World Bank"
GRID = "AE,ARE,United Arab Emirates,492.7,2023,Ember"


def test_a_day_begins_at_midnight_utc() -> None:
    """Exactly, and in nanoseconds."""
    told = datetime(2025, 6, 1, tzinfo=UTC).timestamp()
    assert start_ns(date(2025, 6, 1)) == int(told) * 10**9 == 1_748_736_000_000_000_000


@pytest.mark.parametrize(
    ("product", "watts", "low", "high"),
    [
        ("H100 SXM", "700", "25000", "30000"),
        ("H200 SXM", "700", None, None),
        ("A100 SXM", "400", None, None),
        ("L40S", "350", None, None),
        ("L4", "72", None, None),
        ("T4", "70", None, None),
        ("MI300X", "750", None, None),
        ("DGX A100", "6500", "199000", "199000"),
        ("DGX-2", "10000", "399000", "399000"),
        ("Gaudi 3 baseboard", None, "125000", "125000"),
    ],
)
def test_hardware_that_can_be_bought(
    product: str, watts: str | None, low: str | None, high: str | None
) -> None:
    """What its maker says it draws; what it cost only where somebody said so."""
    (found,) = [each for each in read_hardware() if each.product == product]
    assert found.max_watts == (None if watts is None else Decimal(watts))
    prices = None if found.purchase is None else (found.purchase.low_usd, found.purchase.high_usd)
    assert prices == (None if low is None or high is None else (Decimal(low), Decimal(high)))


def test_each_figure_of_hardware_has_a_source() -> None:
    """Watts, price and years each their own; chips that nobody sells are not there."""
    found = read_hardware()
    assert 15 <= len(found) <= 60
    for each in found:
        assert bool(each.watts_source) == (each.max_watts is not None)
        assert each.life_source
        assert 2 <= each.useful_life_years <= 8
        assert each.purchase is None or (each.purchase.source and each.purchase.as_of.year >= 2017)
        assert each.accelerator not in {"TPU v5e", "TPU v5p", "Inferentia", "Trainium", "A10G"}


@pytest.mark.parametrize(
    ("country", "price"), [("ARE", "0.109"), ("SAU", "0.074"), ("USA", "0.181"), ("FRA", "0.136")]
)
def test_electricity_of_a_country(country: str, price: str) -> None:
    """The price of 2019, and who says so."""
    (found,) = [each for each in read_electricity() if each.country == country]
    assert (found.usd_per_kwh, found.price_year) == (Decimal(price), 2019)
    assert found.price_source


@pytest.mark.parametrize(
    ("country", "alpha3", "grams", "year"),
    [
        ("AE", "ARE", "492.7", 2023),
        ("SA", "SAU", "696.31", 2023),
        ("US", "USA", "383.55", 2024),
        ("FR", "FRA", "44.18", 2024),
    ],
)
def test_the_grid_of_a_country(country: str, alpha3: str, grams: str, year: int) -> None:
    """The mean of the year that is told with it."""
    (found,) = [each for each in read_grids() if each.country == country]
    assert (found.alpha3, found.grams_per_kwh, found.year) == (alpha3, Decimal(grams), year)
    assert found.source
    assert found.name


def test_every_country_with_a_price_has_a_grid() -> None:
    """And none of the figures is older than the other table's."""
    grids = {each.alpha3: each for each in read_grids()}
    assert {each.country for each in read_electricity()} <= grids.keys()
    assert min(each.year for each in grids.values()) >= 2022


def test_nothing_reads_these_tables_by_itself(root: Path) -> None:
    """They are opt-in: only what a configuration asks for may import their readers."""
    readers = ("read_hardware", "read_electricity", "read_grids")
    users = {
        str(path.relative_to(root))
        for folder in ("collectors", "pricing")
        for path in (root / folder).rglob("*.py")
        if any(reader in path.read_text(encoding="utf-8") for reader in readers)
    }
    assert users == {
        f"collectors/reference/{name}.py" for name in ("hardware", "electricity", "grid")
    }


def hardware_of(*lines: str) -> str:
    """A table of hardware with these rows."""
    return "\n".join((",".join(hardware.COLUMNS), *lines))


def electricity_of(*lines: str) -> str:
    """A table of countries with these rows."""
    return "\n".join((",".join(electricity.COLUMNS), *lines))


def grids_of(*lines: str) -> str:
    """A table of grids with these rows."""
    return "\n".join((",".join(grid.COLUMNS), *lines))


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (",72,", ",-72,", "max_watts"),
        (",72,", ",0,", "above 0"),
        (",72,", ",,", "watts"),
        ("Datasheet", "", "watts"),
        (",72,Datasheet,2500,3000,2023-03-21,Shop,", ",,,,,,,", "nothing"),
        (",1,", ",0,", "whole"),
        (",1,", ",1.5,", "whole"),
        ("2500,3000", "3000,2500", "low to high"),
        ("2500,3000", ",3000", "purchase_usd_low"),
        ("2023-03-21", "2023-03", "purchase_as_of"),
        ("Shop", "", "purchase_source"),
        (",5,", ",,", "useful_life_years"),
        (",5,", ",0,", "above 0"),
        ("Report", "", "life_source"),
        ("L4,L4", "L4,", "accelerator"),
    ],
)
def test_a_bad_row_of_hardware_is_refused(good: str, bad: str, said: str) -> None:
    """A figure without who said it, and a source without its figure, as well."""
    assert len(parse_hardware(hardware_of(HARDWARE))) == 1
    with pytest.raises(BadTable, match="line 2") as error:
        parse_hardware(hardware_of(HARDWARE.replace(good, bad, 1)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("ARE", "UAE.", "country"),
        ("ARE", "are", "country"),
        ("0.109", "10.9", "such a price"),
        ("0.109", "0", "such a price"),
        ("0.109", "", "usd_per_kwh is empty"),
        ("2019", "19", "price_year"),
        ("2019", "0019", "price_year"),
        ("World Bank", "", "price_source"),
    ],
)
def test_a_bad_row_of_electricity_is_refused(good: str, bad: str, said: str) -> None:
    """Cents for dollars are the mistake people make."""
    assert len(parse_electricity(electricity_of(COUNTRY))) == 1
    with pytest.raises(BadTable, match="line 2") as error:
        parse_electricity(electricity_of(COUNTRY.replace(good, bad, 1)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("AE", "UAE", "country"),
        ("AE", "ae", "country"),
        ("AE", "A1", "country"),
        (",ARE,", ",AE,", "alpha3"),
        ("492.7", "4927", "such a grid"),
        ("492.7", "2000.01", "such a grid"),
        ("492.7", "0", "such a grid"),
        ("492.7", "", "grams_per_kwh is empty"),
        ("2023", "", "year"),
        ("Ember", "", "source"),
        ("United Arab Emirates", "", "name"),
    ],
)
def test_a_bad_row_of_a_grid_is_refused(good: str, bad: str, said: str) -> None:
    """Tons and kilograms for grams are the mistakes people make."""
    assert len(parse_grids(grids_of(GRID, GRID.replace("AE,ARE", "DE,DEU")))) == 2
    with pytest.raises(BadTable, match="line 2") as error:
        parse_grids(grids_of(GRID.replace(good, bad, 1)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("parse", "table"),
    [
        (parse_hardware, hardware_of(HARDWARE, HARDWARE)),
        (parse_hardware, hardware_of(HARDWARE, HARDWARE.replace("L4", "A10"))),
        (parse_electricity, electricity_of(COUNTRY, COUNTRY)),
        (parse_electricity, electricity_of(COUNTRY, COUNTRY.replace("ARE", "ABW"))),
        (parse_grids, grids_of(GRID, GRID)),
        (parse_grids, grids_of(GRID, GRID.replace("AE,ARE", "AD,AND"))),
    ],
)
def test_rows_twice_or_out_of_order_are_refused(
    parse: Callable[[str], tuple[object, ...]], table: str
) -> None:
    """So that a second opinion on the same thing cannot creep in."""
    with pytest.raises(BadTable, match="not sorted"):
        parse(table)


def test_two_countries_with_one_code_are_refused() -> None:
    """By their three letters as well."""
    with pytest.raises(BadTable, match="ARE is there twice"):
        parse_grids(grids_of(GRID, GRID.replace("AE,", "DE,")))


def test_a_table_that_is_not_there_is_told() -> None:
    """By its name."""
    with pytest.raises(BadTable, match=r"none\.csv: cannot be read"):
        packaged_text("unitcost.collectors.reference", "none.csv")


def test_electricity_agrees_with_the_large_table() -> None:
    """Where that is at hand."""
    folder = os.environ.get("UNITCOST_PRICE_TABLES")
    if not folder:
        pytest.skip("UNITCOST_PRICE_TABLES names no folder with large price tables")
    with (Path(folder) / "electricity_carbon.csv").open(encoding="utf-8", newline="") as file:
        facts = {
            row["iso3"]: row
            for row in csv.DictReader(file)
            if row["price_basis"] == "business_standard_warehouse"
        }
    for each in read_electricity():
        fact = facts[each.country]
        assert each.usd_per_kwh == Decimal(fact["electricity_usd_kwh"])
        assert each.price_year == int(fact["price_year"])


def test_grids_are_near_the_older_figures_of_the_large_table() -> None:
    """Where that is at hand. The newest figures are a year or two younger: the same order."""
    folder = os.environ.get("UNITCOST_PRICE_TABLES")
    if not folder:
        pytest.skip("UNITCOST_PRICE_TABLES names no folder with large price tables")
    with (Path(folder) / "electricity_carbon.csv").open(encoding="utf-8", newline="") as file:
        facts = {row["iso3"]: Decimal(row["carbon_gco2e_kwh"] or 0) for row in csv.DictReader(file)}
    for each in read_grids():
        assert each.grams_per_kwh / facts[each.alpha3] < Decimal("1.35")
        assert facts[each.alpha3] / each.grams_per_kwh < Decimal("1.5")
