"""What each table of docs/worked-examples.md comes to, by the pricing package."""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from zoneinfo import ZoneInfo

from tests.pricing.examples_page import NUMBER, Page, number
from unitcost.collectors.reference.grid import read_grids
from unitcost.pricing.amortisation import (
    DecliningBalance,
    Estimate,
    Schedule,
    StraightLine,
    UnitsOfProduction,
)
from unitcost.pricing.carbon import MICROGRAMS, MICROJOULES_PER_KWH, GridIntensity, emitted
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
NS_PER_YEAR = HOURS_PER_YEAR * NS_PER_HOUR
BOUGHT = day_ns(date(2026, 1, 1))
BERLIN = ZoneInfo("Europe/Berlin")


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


def row_of(page: Page, heading: str, first: str) -> Row:
    """A row of another table."""
    return next(row for row in page.tables[heading].rows if row[0] == first)


def hour_of(page: Page, way: str) -> Decimal:
    """What a host costs for an hour's work, by the way it is paid for."""
    found = NUMBER.search(way)
    assert found
    if way.startswith("spot"):
        full = 4 * page.given("Dollars for a GPU-hour", "GPUs")
        again = page.given("Spot", "work done again, %") / 100
        return hourly(full * (1 - number(found[0]) / 100), 1 + again)
    if way.startswith("owned"):
        return D(kilowatt_hours(page, [found[0]])[3])
    return number(row_of(page, "From the GPU-hour to the request", found[0])[1])


def fleet(page: Page, way: str, a_second: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Hosts for a day's requests, what they cost a month, and how busy they are (0 to 1)."""
    needed = page.given("Assumed throughout", "requests a day") / 86_400 / a_second
    hosts = needed.to_integral_value(ROUND_CEILING)
    hours = page.given("Assumed throughout", "hours a month")
    return hosts, hourly(hour_of(page, way) * hosts, hours), needed / hosts


def three_ways(page: Page, row: Row) -> Result:
    """The month's requests on whole hosts."""
    a_second = page.given("Dollars for a GPU-hour", "requests a second")
    hosts, month, busy = fleet(page, row[0], a_second)
    assumed = ("requests a day", "days a month")
    requests = math.prod((page.given("Assumed throughout", name) for name in assumed), start=D(1))
    return hour_of(page, row[0]), hosts, month, request_usd(month, requests), busy * 100


def ways_made_cheaper(page: Page, row: Row) -> Result:
    """The same fleets with hosts that answer more."""
    ways = [each[0] for each in page.tables["The same month, three ways"].rows]
    a_second = number(row_of(page, "More requests from the same host", row[0])[1])
    first = number(page.tables["More requests from the same host"].rows[0][1])
    fleets = [fleet(page, way, a_second) for way in ways]
    saved = 1 - fleets[0][1] / fleet(page, ways[0], first)[1]
    return a_second, fleets[0][0], *(month for _, month, _ in fleets), saved * 100


def emissions(page: Page, row: Row) -> Result:
    """Energy at the meter of an hour, by the grid of a country of the table."""
    name, _, year = row[0].rpartition(", ")
    (grid,) = (each for each in read_grids() if each.name == name)
    assert grid.year == int(year)
    grams = grams_an_hour(page, grid.grams_per_kwh)
    a_second = page.given("Dollars for a GPU-hour", "requests a second")
    hours = page.given("Assumed throughout", "hours a month")
    return (
        grid.grams_per_kwh,
        grams / 1000,
        grams * hours / 10**6,
        grams / (a_second * 3600),
    )


def grams_an_hour(page: Page, grams_per_kwh: Decimal) -> Decimal:
    """What the owned host emits in an hour, as the exporter counts it."""
    grid = GridIntensity(grams_per_kwh, "page", pue=owned(page, "PUE"))
    drawn = owned(page, "mean draw, watts") / 1000 * MICROJOULES_PER_KWH
    parts, _ = emitted({"host": int(drawn)}, grid.picograms_per_kwh)
    return D(parts["host"]) / MICROGRAMS


def in_short(page: Page, row: Row) -> Result:
    """The ends of each range, from the table that works it out."""
    ends = re.search(r"([\d.]+) to ([\d.]+) ", row[0])
    heading = re.match(r"\[(.*)\]", row[3])
    assert ends
    assert heading
    return [*(short(page, heading[1], end) for end in ends.groups()), row[3]]


def short(page: Page, heading: str, end: str) -> Decimal:
    """A month at one end of a range."""
    hours = page.given("Assumed throughout", "hours a month")
    if heading == "What it emits":
        return grams_an_hour(page, number(end)) * hours / 10**6
    row = row_of(page, heading, end)
    if heading == "What is left of a discount":
        full = page.given("Spot", "on demand, USD an hour")
        return hourly(full - D(COMPUTED[heading](page, row)[3]), hours)
    if heading == "From the kilowatt-hour to the GPU-hour":
        return D(COMPUTED[heading](page, row)[1]) * hours
    return number(row[2])


COMPUTED: dict[str, Callable[[Page, Row], Result]] = {
    "In short": in_short,
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
    "The same month, three ways": three_ways,
    "The same month, made cheaper": ways_made_cheaper,
    "What it emits": emissions,
}
