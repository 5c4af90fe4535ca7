"""Settling what is billed in another currency: a change of rate is a change of price."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.crash import settling
from tests.lately import by_amount, corrected, ledger_usd, now, site_at
from tests.lately import check as check_site
from tests.sites import Site, learn, near, rules
from tests.worlds import Host
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.rows import charge_rows
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.prices.book import book_of
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.charge import Charge
from unitcost.pricing.currency import Rate, Rates, day_ns
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel, unit_price
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Chosen, Rank, Resolution
from unitcost.pricing.resource import CPU, MICRO, Resource
from unitcost.pricing.sample import NS_PER_SECOND

KEY = PriceKey("acme", "here", "big", PriceModel.ON_DEMAND, "", "EUR")
DAY = date(2026, 11, 20)


def euro(usd: str, start: int, on: date = DAY) -> Rate:
    """A euro in dollars from an instant on."""
    return Rate("EUR", Decimal(1), Decimal(usd), on, start, "bank")


def book(*rates: Rate, per_hour: str = "3600") -> PriceBook:
    """A host that costs so many euros an hour."""
    quote = Quote(KEY, Decimal(per_hour), "contract")
    return book_of(Looked(paid=Resolution((Chosen(Rank.OVERRIDE, quote),)), rates=Rates(rates)))


def test_a_rate_change_inside_a_tick_charges_each_part_at_its_rate() -> None:
    """Two seconds at 1.1 dollars and three at 1.2, for a euro a second."""
    host = Host()
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    site = Site(rules(book(euro("1.1", 0), euro("1.2", change))), host)
    site.settle()
    last = site.tick()
    assert near(site.total(last), Decimal("2.2") + Decimal("3.6"))
    rows = charge_rows(last, "h", "host")
    assert {(row["currency"], row["rate"]) for row in rows} == {
        ("EUR", "0.9090909090909090909090909091"),
        ("EUR", "0.8333333333333333333333333333"),
    }
    billed = Decimal(0)
    for row, (key, amount) in zip(rows, last.posting.charges.items(), strict=True):
        charge = Charge.of("h", "host", key, amount, 0, row["currency"], Decimal(row["rate"]))
        billed += charge.billed_cost or 0
    assert billed == pytest.approx(Decimal(5), abs=Decimal("1e-11"))


def test_a_scrape_shows_the_rate_that_holds_now() -> None:
    """And its day."""
    host = Host()
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    rates = (euro("1.1", 0, date(2026, 11, 19)), euro("1.25", change))
    site = Site(rules(book(*rates)), host)
    site.settle()
    assert site.point("unitcost_fx_rate", "EUR") == float(rates[0].units_per_usd)
    site.tick()
    assert site.point("unitcost_fx_rate", "EUR") == 0.8
    as_of = site.point("unitcost_fx_rate_as_of_timestamp_seconds", "EUR")
    assert as_of is not None
    assert datetime.fromtimestamp(as_of, UTC).date() == DAY


def test_the_time_before_the_first_rate_is_unpriced() -> None:
    """Seconds are counted, dollars are not; no rate is shown that does not hold."""
    host = Host()
    begin = host.clock.wall_ns + 2 * NS_PER_SECOND
    site = Site(rules(book(euro("1.1", begin))), host)
    site.settle()
    assert site.points()["unitcost_fx_rate"] == []
    last = site.tick()
    assert near(site.total(last), Decimal("3.3"))
    unpriced = [row for row in charge_rows(last, "h", "host") if row["pico"] is None]
    assert {(row["currency"], row["rate"]) for row in unpriced} == {("USD", "1")}


def test_a_new_rate_of_the_same_figure_is_another_price() -> None:
    """So that it can be audited whose rate, and of when, a charge was converted at."""
    cpu = Resource(CPU, MICRO)
    dollars = Price(Component.RENT, Decimal(1), PriceModel.ON_DEMAND, "contract")
    rates = (
        euro("1.1", 0),
        euro("1.1", 0, date(2026, 11, 21)),
        replace(euro("1.1", 0), source="configuration"),
    )
    found = [
        unit_price(cpu, Component.RENT, 5, replace(dollars, rate=rate), "rule") for rate in rates
    ]
    plain = unit_price(cpu, Component.RENT, 5, dollars, "rule")
    assert len({each.id for each in (plain, *found)}) == 4
    assert (plain.currency, plain.rate, plain.rate_source) == ("USD", "1", "")
    assert found[0].rate_source == "bank"
    assert found[0].rate_as_of_ns == day_ns(DAY)


def settle(keeper: Keeper, first: int, last: int) -> Settler:
    """Rounds of the made-up world of the crash tests, at a price in euros."""
    found = keeper.open(settling.clock(first).wall_ns)
    assert found is not None
    its_rules = replace(settling.rules(), book=book(euro("1.1", 0), per_hour="98.32"))
    settler = Settler(its_rules, found[0], found[1], HostMeter(RuleMatcher()))
    for n in range(first, last):
        settler.tick(settling.observed(n), (), settling.clock(n))
        assert keeper.commit(settler.books, settling.clock(n).wall_ns)
    return settler


def test_the_ledger_goes_on_in_its_currency_over_a_restart(tmp_path: Path) -> None:
    """The rows of the hour stay one each; what a lost file is written anew from has it, too."""
    path = tmp_path / "ledger.db"
    for first in (0, 4):
        keeper = Keeper(path, "host", "host", 400)
        settler = settle(keeper, first, first + 4)
        keeper.close()
    assert check(path) == []
    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("SELECT currency, rate, price, workload, state, resource FROM charge")
        found = rows.fetchall()
    assert {row[:2] for row in found} == {("EUR", "0.9090909090909090909090909091")}
    anew = charge_rows(settler.books.whole(), "host", "host")
    names = ("currency", "rate", "price", "workload", "state", "resource")
    assert sorted(tuple(map(str, (row[name] for name in names))) for row in anew) == sorted(found)


@pytest.mark.parametrize("before", [("1.1",), ()])
def test_a_rate_learnt_late_costs_what_one_known_in_time_costs(before: tuple[str, ...]) -> None:
    """Also where there was none before: unpriced until then. Each row is in its currency."""
    first = [euro(usd, 1) for usd in before]
    late = site_at(None, book(*first, per_hour="90"))
    change = now(late) + 17 * 60 * NS_PER_SECOND
    then = [euro("1.1", 1), euro("1.25", change, date(2026, 11, 21))]
    known = site_at(None, book(*then, per_hour="90"))
    rows = []
    for tick in range(91):
        if tick == 90:
            learn(late, book(*then, per_hour="90"))
        known.tick(seconds=40.0)
        rows += charge_rows(late.tick(seconds=40.0), "h", "host")
    for site in (late, known):
        check_site(site)
    assert ledger_usd(late) == ledger_usd(known)
    assert by_amount(late) == by_amount(known)
    assert corrected(late) != 0
    prices = late.ledger.prices
    for row in rows:
        price = prices[row["price"]]
        assert (row["currency"], row["rate"]) == (price.currency, price.rate)
        assert row["pico"] is None or row["currency"] == "EUR"
