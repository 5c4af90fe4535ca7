"""Reports on the fleet's ledger, as agents delivered it: all hosts together, each by itself."""

from pathlib import Path

import pytest

from tests.exporter.report.test_report_epochs import told, trained
from tests.places import Where
from tests.reports import ask, report, row_of, written
from tests.sites import MINUTE, Site, rented, rules, workload_rule
from unitcost.exporter.central.faults import check
from unitcost.exporter.central.store import CentralLedger
from unitcost.exporter.fleet.outbox import Outbox, Whose
from unitcost.exporter.ledger.checks import reading
from unitcost.exporter.ledger.engines import Database, Place
from unitcost.exporter.report.ledger_rows import NotALedger, Reader
from unitcost.exporter.report.question import Question
from unitcost.pricing.timeline import NS_PER_HOUR

CHAT = workload_rule("chat", cores="2", gibs=4, endpoint=True, owner="search")


def serving(usd: str | None, requests: int) -> Site:
    """A host with a replica of a server."""
    site = Site(rules(rented(usd=usd), (CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    site.tick(12, MINUTE)
    server.work(requests)
    site.tick(60, MINUTE)
    return site


def deliver(place: Place, folder: Path, **sites: Site) -> None:
    """All hours of all hosts, as agents send them."""
    central = CentralLedger(place)
    central.open()
    for host, site in sites.items():
        ledger = written(site.ledger, folder / f"{host}.db", host)
        outbox = Outbox(ledger, Whose(host, "host", "host", f"{1:032x}", "1"))
        for hour in sorted({key.hour for key in site.ledger.posting.accruals}):
            made = outbox.delivery(hour, 0)
            now_ns = (hour + 1) * NS_PER_HOUR
            check(made, now_ns)
            central.take(made, now_ns)
    central.close()


def test_the_fleet_is_all_hosts_and_each_is_what_its_own_ledger_says(
    where: Where, tmp_path: Path
) -> None:
    """In dollars, in hours without a price, in requests."""
    sites = {"a": serving("24", 100), "b": serving("12", 50), "c": serving(None, 30)}
    deliver(where.place, tmp_path, **sites)
    found = report(where.place, "host,workload")
    assert (found.hosts, found.missing) == (3, 0)
    for host in sites:
        own = report(tmp_path / f"{host}.db", "host,workload")
        for row in own.rows:
            there = row_of(found, *row.key.values)
            assert there.pico == row.pico
            assert there.unpriced == row.unpriced
            assert there.unit_usd == row.unit_usd
    both = row_of(report(where.place, "owner", hosts=frozenset({"a", "b"})), "search")
    usd = sites["a"].usd("chat") + sites["b"].usd("chat")
    assert both.unit_usd == {"usd_per_request": round(usd / 150, 12)}
    everything = row_of(report(where.place, "owner"), "search")
    assert everything.unit_usd == {}
    assert everything.unpriced_amounts()


def test_an_epoch_of_a_run_on_two_hosts(where: Where, tmp_path: Path) -> None:
    """Is there once both have delivered it."""
    first, second = trained(2, 3), trained(2, 2)
    deliver(where.place, tmp_path, a=first)
    before = told(report(where.place, "run,epoch"))
    assert before["r-1", "1"] == (False, "incomplete: 1 of 2 hosts")
    deliver(where.place, tmp_path, b=second)
    found = report(where.place, "run,epoch")
    assert told(found)["r-1", "2"] == (True, "whole")
    assert told(found)["r-1", "3"] == (False, "incomplete: 1 of 2 hosts")
    costs = (
        row.cost.pico or 0
        for site in (first, second)
        for row in site.ledger.epochs
        if row.epoch == 2 and row.cost is not None
    )
    assert row_of(found, "r-1", "2").pico == sum(costs)
    assert found.missing == 0


def test_a_newer_fleet_s_ledger_is_refused(where: Where) -> None:
    """As an agent's is."""
    central = CentralLedger(where.place)
    central.open()
    central.close()
    where.change("UPDATE central_meta SET value = '99' WHERE name = 'version'")
    place = where.place if isinstance(where.place, Database) else str(where.place)
    asked: Question = ask("day")
    with reading(place) as connection, pytest.raises(NotALedger, match="newer"):
        Reader(connection, asked)
