"""A report's rows: whose, of what, at which price, and what its units cost."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.lately import late, site_at
from tests.reports import report, row_of, written
from tests.sites import HOUR, MINUTE, Site, rented, rules, workload_rule
from unitcost.exporter.config.load import loads
from unitcost.exporter.report.build import NOT_USED, WORKLOADS
from unitcost.exporter.report.question import bound
from unitcost.pricing.money import to_usd
from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.unit_cost import Basis
from unitcost.pricing.workload import UNALLOCATED, UNMETERED, WorkloadKind

RULES = rules(
    rented(usd="24"),
    (
        workload_rule("chat", cores="2", gibs=4, endpoint=True, owner="search"),
        workload_rule("embed", cores="1", gibs=2, endpoint=True, owner="search"),
        workload_rule("tuner", kind=WorkloadKind.TRAINING),
    ),
)


def busy(site: Site, seconds: float = 120.0) -> None:
    """Two servers work and a job trains for so long."""
    chat, embed = site.host.servers[8000], site.host.servers[8001]
    for _ in range(round(seconds / MINUTE)):
        chat.work(60, seconds=20.0)
        chat.add(Quantity.REQUESTS, 3, Outcome.FAILED)
        chat.add(Quantity.TOKENS, 3000, TokenType.INPUT)
        chat.add(Quantity.TOKENS, 1000, TokenType.OUTPUT)
        chat.add(Quantity.TOKENS, 500, TokenType.CACHED_INPUT)
        embed.work(600)
        for job in site.host.jobs:
            job.steps += 10
        site.tick(12)


@pytest.fixture
def site() -> Site:
    """Two minutes of a host for 24 USD an hour."""
    site = Site(RULES)
    site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.host.serve("embed", 8001, cores=0.5, gibs=1.0)
    site.host.train("tuner", "r-1", 0, 0.5, 1.0, 0.0)
    site.settle()
    busy(site)
    return site


def test_what_units_cost_is_the_division_of_sums(site: Site, tmp_path: Path) -> None:
    """To twelve digits; cached input carries no cost, failures are no successes."""
    found = report(written(site.ledger, tmp_path / "l.db"), "workload")
    chat = row_of(found, "chat")
    usd = site.usd("chat")
    assert chat.usd == usd
    assert chat.units is not None
    assert chat.units.column("requests") == 120
    assert chat.units.column("requests_not_succeeded") == 6
    assert chat.units.column("epochs") is None
    assert chat.unit_usd == {
        "usd_per_request": round(usd / 120, 12),
        "usd_per_million_tokens": round(usd * 10**6 / 8000, 12),
    }


def test_a_sum_over_workloads_that_do_not_all_count_a_unit_has_no_cost_of_it(
    site: Site, tmp_path: Path
) -> None:
    """`embed` counts no tokens and `tuner` no requests."""
    path = written(site.ledger, tmp_path / "l.db")
    search = row_of(report(path, "owner"), "search")
    usd = site.usd("chat") + site.usd("embed")
    assert search.unit_usd == {"usd_per_request": round(usd / 1320, 12)}
    (workloads,) = (row for row in report(path, "day").rows if row.key.held_by == WORKLOADS)
    assert workloads.unit_usd == {}
    assert workloads.units is not None
    assert workloads.units.column("requests") == 1320


def test_nothing_that_cannot_be_told_apart_is_beside_it(site: Site, tmp_path: Path) -> None:
    """A request has no resource, state, component or attempt."""
    path = written(site.ledger, tmp_path / "l.db")
    for by in ("workload,resource", "workload,state", "component", "run,attempt"):
        assert not any(row.units or row.unit_usd for row in report(path, by).rows)


def test_a_server_that_spans_hosts_has_its_unit_cost_over_all_of_them_alone(
    site: Site, tmp_path: Path
) -> None:
    """The host that only holds a part of it counts no requests."""
    path = written(site.ledger, tmp_path / "l.db")
    site.ledger.units = {k: v for k, v in site.ledger.units.items() if k.workload != "chat"}
    written(site.ledger, path, "host-2")
    whole = row_of(report(path, "workload"), "chat")
    assert whole.unit_usd["usd_per_request"] == round(2 * site.usd("chat") / 120, 12)
    by_host = report(path, "workload,host")
    assert row_of(by_host, "chat", "host-1").unit_usd == {}
    assert row_of(by_host, "chat", "host-2").unit_usd == {}
    assert "usd_per_request" in row_of(by_host, "embed", "host-1").unit_usd
    only = report(path, "host", hosts=frozenset({"host-2"}))
    assert (only.hosts, only.accrued) == (1, by_host.accrued // 2)


def test_an_owner_is_the_ledger_s_else_the_configuration_s_else_unknown(
    site: Site, tmp_path: Path
) -> None:
    """Nobody guesses; whoever holds nothing has none."""
    path = written(site.ledger, tmp_path / "l.db")
    assert {row.key.values for row in report(path, "owner").rows} == {("search",), ("",)}
    text = b"workloads: [{name: tuner, kind: training, match: {command: t}, owner: research},"
    text += b" {name: chat, match: {command: c}, owner: other}]"
    found = report(path, "owner", loads(text))
    assert row_of(found, "research").usd == site.usd("tuner")
    assert row_of(found, "search").usd == site.usd("chat") + site.usd("embed")


def test_filters_leave_out_what_they_say_and_the_sum_still_holds(
    site: Site, tmp_path: Path
) -> None:
    """What nobody holds has no owner, so it is left out, too."""
    found = report(
        written(site.ledger, tmp_path / "l.db"), "workload", owners=frozenset({"search"})
    )
    assert [row.key.values for row in found.rows] == [("chat",), ("embed",)]
    assert found.missing == 0
    assert to_usd(found.left_out) == to_usd(found.accrued) - to_usd(found.total)
    assert found.left_out > 0


def test_used_is_what_was_active_and_the_rest_is_a_line(site: Site, tmp_path: Path) -> None:
    """So both bases sum to what the host cost."""
    path = written(site.ledger, tmp_path / "l.db")
    used, states = report(path, "workload", basis=Basis.USED), report(path, "workload,state")
    assert row_of(used, "chat").pico == row_of(states, "chat", "active").pico
    idle = sum(
        row.pico or 0
        for row in states.rows
        if row.key.held_by == WORKLOADS and row.key.values[1] != "active"
    )
    assert row_of(used, NOT_USED).pico == idle > 0
    assert used.missing == 0


def test_hours_without_a_price_are_hours_and_no_dollars(tmp_path: Path) -> None:
    """Even beside priced ones; and there a unit has no cost."""
    site = Site(replace(RULES, book=rented(usd=None)))
    site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.host.serve("embed", 8001, cores=0.5, gibs=1.0)
    site.settle()
    busy(site, HOUR)
    row = row_of(report(written(site.ledger, tmp_path / "l.db"), "workload"), "chat")
    assert row.usd is None
    assert row.unpriced_amounts() == {"core_hours": Decimal(2), "gib_hours": Decimal(4)}
    assert row.unit_usd == {}


def test_corrections_are_rows_of_their_own(tmp_path: Path) -> None:
    """Charged + Correction = what it costs at the prices known now, and so do its units."""
    site = site_at(None)
    site.tick(30, MINUTE)
    site.host.servers[8000].work(100)
    site.tick(30, MINUTE)
    at = site.host.clock.wall_ns
    late(site, rented((at - 3600 * 10**9, "98.32"), usd=None))
    found = report(written(site.ledger, tmp_path / "l.db"), "workload")
    assert row_of(found, "chat").usd is None
    assert row_of(found, "chat").unpriced_amounts() == {}
    corrected = row_of(found, "chat", charge_class="Correction")
    assert corrected.usd is not None
    assert row_of(found, "chat").unit_usd == {"usd_per_request": round(corrected.usd / 100, 12)}
    assert corrected.unit_usd == {}
    assert to_usd(found.total) == Decimal("98.32")
    assert found.missing == 0


def test_nobody_and_nowhere_are_always_lines_of_their_own(site: Site, tmp_path: Path) -> None:
    """Whatever it is by."""
    for proc in list(site.host.procs.values()):
        site.host.kill(proc)
    site.away(HOUR)
    site.settle()
    path = written(site.ledger, tmp_path / "l.db")
    for by in ("day", "owner", "resource", "run", "workload"):
        lines = {row.key.held_by for row in report(path, by).rows}
        assert {WORKLOADS, UNALLOCATED, UNMETERED} <= lines


@pytest.mark.parametrize(
    ("zone", "hour", "month"),
    [
        ("UTC", "2026-01-01T00:00+00:00", "2026-01"),
        ("Asia/Kolkata", "2026-01-01T05:30+05:30", "2026-01"),
        ("America/New_York", "2025-12-31T19:00-05:00", "2025-12"),
    ],
)
def test_times_are_local(site: Site, tmp_path: Path, zone: str, hour: str, month: str) -> None:
    """An hour belongs to the day in which it begins, where the zone is half an hour off, too."""
    path = written(site.ledger, tmp_path / "l.db")
    found = report(path, "month,day,hour", zone=ZoneInfo(zone))
    assert {row.key.values for row in found.rows} == {(month, hour[:10], hour)}


@pytest.mark.parametrize(
    ("zone", "first"), [("Asia/Kolkata", "2025-12-31T19"), ("Europe/Paris", "2025-12-31T23")]
)
def test_a_day_has_the_hours_that_begin_in_it(zone: str, first: str) -> None:
    """The clock hours are those of UTC: half an hour can be the day's before."""
    hour = bound("--from", "2026-01-01", ZoneInfo(zone))
    assert datetime.fromtimestamp(hour * 3600, UTC).isoformat().startswith(first)
    assert bound("--to", "2026-01-01", ZoneInfo(zone)) == hour + 24


def test_units_that_are_younger_than_the_ledger_have_no_cost_before(
    site: Site, tmp_path: Path
) -> None:
    """A ledger of an older version kept none: their cost would be too high."""
    path = written(site.ledger, tmp_path / "l.db")
    with closing(sqlite3.connect(path)) as connection:
        (hour,) = connection.execute("SELECT MAX(hour) FROM unit_count").fetchone()
        connection.execute("INSERT INTO meta VALUES ('units_since', ?)", (str(hour),))
        connection.commit()
    found = report(path, "workload")
    assert row_of(found, "chat").unit_usd == {}
    assert row_of(found, "chat").units is not None
    assert found.notes


@pytest.mark.parametrize("zone", ["Europe/Paris", "Australia/Lord_Howe", "America/Sao_Paulo"])
@pytest.mark.parametrize("start", [1_774_659_600, 1_792_882_800, 1_767_225_600])
def test_days_are_local_where_clocks_are_set(tmp_path: Path, zone: str, start: int) -> None:
    """The database finds the day of each hour as Python does, over half an hour's change, too."""
    site = Site(RULES)
    site.host.clock.advance(start - site.host.clock.wall_ns // 10**9)
    site.settle()
    site.tick(60, HOUR)
    path, place = written(site.ledger, tmp_path / "l.db"), ZoneInfo(zone)
    expected: dict[str, int] = {}
    for key, amount in site.ledger.posting.charges.items():
        day = datetime.fromtimestamp(key.hour * 3600, place).date().isoformat()
        expected[day] = expected.get(day, 0) + (amount.pico or 0)
    found: dict[str, int] = {}
    for row in report(path, "day", zone=place).rows:
        found[row.key.values[0]] = found.get(row.key.values[0], 0) + (row.pico or 0)
    assert found == expected
    assert len(found) >= 3
