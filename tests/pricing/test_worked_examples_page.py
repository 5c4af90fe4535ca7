"""docs/worked-examples.md: every number on it, computed from the page's own inputs."""

import csv
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from unitcost.pricing.amortisation import (
    DecliningBalance,
    Estimate,
    Schedule,
    StraightLine,
    UnitsOfProduction,
)
from unitcost.pricing.charge import cost_of
from unitcost.pricing.currency import PEGS, Rates, day_ns
from unitcost.pricing.money import to_pico, to_usd
from unitcost.pricing.overhead import AtMeter, AtServer, Overhead, OverheadKind, Pue, overhead_usd
from unitcost.pricing.price import HOURS_PER_YEAR, Component, Price, PriceModel
from unitcost.pricing.resource import MICRO
from unitcost.pricing.tariff import Slab, Tariff, Vat, Window, flat
from unitcost.pricing.timeline import NS_PER_HOUR, Period
from unitcost.pricing.unit_cost import SUCCEEDED, Basis, Slice, Unit
from unitcost.pricing.unit_cost import Window as CostWindow

D = Decimal
PAGE = "docs/worked-examples.md"
NS_PER_YEAR = HOURS_PER_YEAR * NS_PER_HOUR
BOUGHT = day_ns(date(2026, 1, 1))
BERLIN = ZoneInfo("Europe/Berlin")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")


def number(text: str) -> Decimal:
    """A number as the page writes it."""
    return D(text.replace(",", ""))


def plain(value: Decimal) -> str:
    """As the page writes a result: six digits, thousands apart, no zeros at the end."""
    text = f"{Context(prec=6).plus(value):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True)
class Table:
    """One table of the page, under its heading."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Page:
    """The page: tables by heading, and the text outside of them."""

    tables: dict[str, Table]
    prose: str

    def given(self, heading: str, name: str) -> Decimal:
        """An assumption."""
        rows = dict(self.tables[heading].rows)
        return number(rows[name])


def parse(text: str) -> Page:
    """Tables and prose. A heading has one table at most."""
    tables: dict[str, Table] = {}
    prose: list[str] = []
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif not line.startswith("|"):
            prose.append(line)
        elif not line.startswith("|--"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if heading in tables:
                tables[heading].rows.append(cells)
            else:
                tables[heading] = Table(cells, [])
    return Page(tables, "\n".join(prose))


@pytest.fixture(scope="module")
def page(root: Path) -> Page:
    """The page as it is."""
    return parse((root / PAGE).read_text(encoding="utf-8"))


def hourly(usd: Decimal, hours: Decimal | int) -> Decimal:
    """What a price an hour comes to, as the ledger charges it."""
    price = Price(Component.RENT, usd, PriceModel.ON_DEMAND, "page")
    return to_usd(cost_of(price.pico_per_hour, int(hours * NS_PER_HOUR)))


def request_usd(usd: Decimal, requests: Decimal) -> Decimal:
    """The unit cost that the exporter would show for so many requests at such a cost."""
    window = CostWindow(NS_PER_HOUR)
    window.add(Slice(1, to_pico(usd), None, {SUCCEEDED: int(requests * MICRO)}))
    (cost,) = (each for each in window.costs() if each.unit is Unit.REQUEST)
    assert (cost.basis, cost.units) == (Basis.ALLOCATED, requests)
    return cost.usd


Row = Sequence[str]
Result = Sequence[Decimal | str]


def requests_at_scale(page: Page, row: Row) -> Result:
    """From the price of a request; checked back by the window's unit cost."""
    a_day = page.given("Assumed throughout", "requests a day")
    day = to_usd(to_pico(number(row[0])) * int(a_day))
    assert request_usd(day, a_day) == number(row[0])
    return day, day * page.given("Assumed throughout", "days a month"), day * 365


def gpu_hours(page: Page, row: Row) -> Result:
    """A host of equal GPUs, and what a request on it costs."""
    gpus = page.given("Dollars for a GPU-hour", "GPUs")
    a_second = page.given("Dollars for a GPU-hour", "requests a second")
    hour = hourly(number(row[0]) * gpus, 1)
    month = hourly(hour, page.given("Assumed throughout", "hours a month"))
    target = D("0.001")
    return hour, month, request_usd(hour, a_second * 3600), hour / target / 3600


def spot(page: Page, row: Row) -> Result:
    """What is left of a discount once some work is done twice."""
    full = page.given("Spot", "on demand, USD an hour")
    again = page.given("Spot", "work done again, %") / 100
    hours = page.given("Assumed throughout", "hours a month")
    hour = full * (1 - number(row[0]) / 100)
    month, useful = hourly(hour, hours), hourly(hour, 1 + again)
    return hour, month, hourly(full, hours) - month, useful, (1 - useful / full) * 100


def owned(page: Page, name: str) -> Decimal:
    """An assumption on the owned host."""
    return page.given("The owned host", name)


def schedule(page: Page, method: StraightLine | DecliningBalance | UnitsOfProduction) -> Schedule:
    """The owned host's life by a method."""
    estimate = Estimate(BOUGHT, method, owned(page, "worth in the end, USD"))
    return Schedule(owned(page, "bought for, USD"), (estimate,))


def metered(page: Page, hours: Decimal) -> AtMeter:
    """The owned host's energy at the meter."""
    energy = AtServer.of(owned(page, "mean draw, watts"), hours)
    return Pue(owned(page, "PUE"), "page").at_meter(energy)


def kilowatt_hours(page: Page, row: Row) -> Result:
    """Amortisation, electricity and overheads of an hour."""
    energy = metered(page, D(1))
    tariff = Tariff(flat(number(row[0])))
    electricity = tariff.cost(energy.kwh, BOUGHT, BERLIN)
    assert electricity == energy.usd(tariff.per_kwh(BOUGHT, BERLIN))
    line = schedule(page, StraightLine(owned(page, "life, years")))
    amortised = line.amortised(Period(BOUGHT, BOUGHT + NS_PER_HOUR))
    stated = owned(page, "rack, maintenance and staff, USD an hour")
    overhead = overhead_usd([Overhead(OverheadKind.OTHER, stated)], D(1), None)
    assert overhead is not None
    total = electricity + amortised + overhead[OverheadKind.OTHER]
    part = electricity / total * 100
    return energy.kwh, electricity, amortised, total, total / owned(page, "GPUs"), part


def ways_to_spread(page: Page, row: Row) -> Result:
    """A year by each method, or all years."""
    life = owned(page, "life, years")
    table = page.tables["Ways to spread the purchase"].rows
    worked = [number(each[3]) for each in table[:-1]]
    line, balance = (
        schedule(page, method) for method in (StraightLine(life), DecliningBalance(life))
    )
    units = schedule(page, UnitsOfProduction(sum(worked, D(0))))
    if not row[0].isdigit():
        period, done = Period(BOUGHT, BOUGHT + int(life) * NS_PER_YEAR), (D(0), sum(worked, D(0)))
        sums = [each.amortised(period) for each in (line, balance)]
        return *sums, done[1], units.amortised(period, done)
    year = int(row[0])
    period = Period(BOUGHT + (year - 1) * NS_PER_YEAR, BOUGHT + year * NS_PER_YEAR)
    before = sum(worked[: year - 1], D(0))
    done = (before, before + worked[year - 1])
    hours = [each.usd_per_hour(period) for each in (line, balance)]
    return *hours, worked[year - 1], units.usd_per_hour(period, done)


def shorter_life(page: Page, row: Row) -> Result:
    """The same host, expected to last for four years instead of five after two of them."""
    first = Estimate(
        BOUGHT, StraightLine(owned(page, "life, years")), owned(page, "worth in the end, USD")
    )
    then = Estimate(BOUGHT + 2 * NS_PER_YEAR, StraightLine(D(2)))
    changed = Schedule(owned(page, "bought for, USD"), (first, then))
    at = BOUGHT + int(row[0]) * NS_PER_YEAR
    price = next(each.usd_per_hour for each in changed.prices("page") if each.covers(at))
    return round(changed.book_value(at), 6), price


def dirhams(page: Page, row: Row) -> Result:
    """A month of several hosts on one meter."""
    heading = "An industrial tariff in dirhams"
    first, second, surcharge = (
        page.given(heading, f"{name}, fils") / 100
        for name in ("first slab", "second slab", "surcharge")
    )
    tariff = Tariff(
        (Slab(first, page.given(heading, "first slab ends, kWh a month")), Slab(second)),
        surcharge_per_kwh=surcharge,
        vat=Vat(page.given(heading, "VAT, %") / 100),
        currency="AED",
    )
    energy = metered(page, page.given("Assumed throughout", "hours a month") * number(row[0]))
    billed = tariff.cost(energy.kwh, BOUGHT, ZoneInfo("Asia/Dubai"))
    found = Rates().to_usd(billed, tariff.currency, BOUGHT)
    assert found is not None
    assert found.rate is PEGS[0]
    assert found.rate.units_per_usd == page.given(heading, "AED for a dollar")
    return energy.kwh, billed, found.usd


def clocks(page: Page, row: Row) -> Result:
    """A day of one kilowatt, cut where the price changes."""
    cheap = D(re.search(r"(\S+) from two to three", page.prose).group(1))  # type: ignore[union-attr]
    dear = D(re.search(r"at (\S+) a kWh, and", page.prose).group(1))  # type: ignore[union-attr]
    tariff = Tariff(flat(dear), (Window(frozenset(range(7)), 120, 180, flat(cheap)),))
    day = datetime.fromisoformat(row[0]).replace(tzinfo=BERLIN)
    start, end = (int(each.timestamp()) * 10**9 for each in (day, day + timedelta(days=1)))
    edges = [start, *tariff.changes(Period(start, end), BERLIN), end]
    cost, cheap_kwh = D(0), D(0)
    for one, other in itertools.pairwise(edges):
        price, hours = tariff.per_kwh(one, BERLIN), D(other - one) / NS_PER_HOUR
        cost += price * hours
        cheap_kwh += hours if price == cheap else 0
    return D(end - start) / NS_PER_HOUR, cheap_kwh, cost


def more_requests(page: Page, row: Row) -> Result:
    """The same host, busier."""
    hour = hourly(4 * page.given("Dollars for a GPU-hour", "GPUs"), 1)
    before = request_usd(hour, page.given("Dollars for a GPU-hour", "requests a second") * 3600)
    after = request_usd(hour, number(row[1]) * 3600)
    return row[1], after, (1 - after / before) * 100


def worth_a_month(page: Page, row: Row) -> Result:
    """A part of what the requests of a month cost."""
    scale = [page.tables["Requests at scale"].rows[index] for index in (0, 1)]
    months = [requests_at_scale(page, each)[1] for each in scale]
    return [D(month) * number(row[0]) / 100 for month in months]


COMPUTED: dict[str, Callable[[Page, Row], Result]] = {
    "Requests at scale": requests_at_scale,
    "From the GPU-hour to the request": gpu_hours,
    "What is left of a discount": spot,
    "From the kilowatt-hour to the GPU-hour": kilowatt_hours,
    "Ways to spread the purchase": ways_to_spread,
    "A life that gets shorter": shorter_life,
    "A month in dirhams and dollars": dirhams,
    "When the clocks change": clocks,
    "More requests from the same host": more_requests,
    "What that is worth a month": worth_a_month,
}


@pytest.mark.parametrize("heading", COMPUTED)
def test_each_row_is_what_the_code_computes(page: Page, heading: str) -> None:
    """From the row's first cell and the assumptions; all other cells are results."""
    table = page.tables[heading]
    assert table.rows
    for row in table.rows:
        results = COMPUTED[heading](page, row)
        shown = [each if isinstance(each, str) else plain(each) for each in results]
        assert [row[0], *shown] == row


def test_every_table_is_computed_or_assumed(page: Page) -> None:
    """There is no other number on the page."""
    assumed = {name for name, table in page.tables.items() if table.header[0] == "assumption"}
    assert set(page.tables) == assumed | set(COMPUTED)
    assert not assumed & set(COMPUTED)


def test_every_number_in_the_text_is_in_a_table(page: Page) -> None:
    """Or in the header of one, or is a year; what is said in words is the same as in figures."""
    cells = [cell for table in page.tables.values() for row in table.rows for cell in row]
    cells += [cell for table in page.tables.values() for cell in table.header]
    known = {number(each) for cell in cells for each in NUMBER.findall(cell)}
    # 40 % is 2 over the life; 0.30 is the clocks' tariff, read from the text by its test.
    known |= {D(2) / page.given("The owned host", "life, years") * 100, D("0.30")}
    told = {number(each) for each in NUMBER.findall(page.prose)}
    assert {each for each in told - known if not 2000 <= each <= 2100} == set()


def test_what_the_field_says_is_on_the_page(page: Page) -> None:
    """The ranges that people quote, each with what it comes to."""

    def firsts(heading: str) -> list[Decimal]:
        return [number(row[0]) for row in page.tables[heading].rows]

    months = [row[2] for row in page.tables["Requests at scale"].rows]
    assert months == ["300,000", "3,000,000"]
    gpus = firsts("From the GPU-hour to the request")
    assert (min(gpus), max(gpus)) == (D(2), D(10))
    kwh = firsts("From the kilowatt-hour to the GPU-hour")
    assert (min(kwh), max(kwh)) == (D("0.10"), D("0.30"))
    off = firsts("What is left of a discount")
    assert (min(off), max(off)) == (D(60), D(80))
    saved = firsts("What that is worth a month")
    assert (min(saved), max(saved)) == (D(50), D(90))


def test_the_price_of_the_spot_example_is_on_the_rate_card(page: Page, root: Path) -> None:
    """It is a real one, of that type and region, from that month on."""
    with open(root / "collectors/price_sources/rate_card.csv", encoding="utf-8") as card:
        (row,) = (
            each
            for each in csv.DictReader(card)
            if (each["region"], each["sku"]) == ("us-east-1", "p5.48xlarge")
            and each["valid_from"] == "2025-06-01"
        )
    assert D(row["per_hour"]) == page.given("Spot", "on demand, USD an hour")


def test_a_wrong_number_on_the_page_is_found(root: Path) -> None:
    """The checks above are not blind."""
    text = (root / PAGE).read_text(encoding="utf-8")
    wrong = parse(text.replace("| 300,000 |", "| 300,001 |"))
    with pytest.raises(AssertionError):
        test_each_row_is_what_the_code_computes(wrong, "Requests at scale")
    with pytest.raises(AssertionError):
        test_every_number_in_the_text_is_in_a_table(parse(text + "\nAbout 123.4 USD.\n"))
