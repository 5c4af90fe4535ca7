"""Reports by epoch: whole once all hosts of a run have closed it; and still every dollar once."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reports import report, row_of, written
from tests.sites import MINUTE, Site, rented, rules, workload_rule
from unitcost.exporter.report.build import Report
from unitcost.pricing.workload import WorkloadKind

TUNER = workload_rule("tuner", kind=WorkloadKind.TRAINING, owner="research")


def trained(hosts: int, epochs: int, seconds: float = MINUTE) -> Site:
    """A host on which a part of a run trains, so many epochs of so many ticks' length."""
    site = Site(rules(rented(usd="60"), (TUNER,)))
    site.settle()
    job = site.host.train("tuner", "r-1", 0, 1.0, 2.0, 0.0)
    job.hosts = hosts
    for _ in range(epochs):
        site.tick(1, seconds)
        job.end_epoch(site.host.clock.wall_ns - 10**9)
    site.tick(1, seconds)
    return site


def fleet(folder: Path, *sites: Site) -> Path:
    """A ledger with the rows of several hosts."""
    path = folder / "fleet.db"
    for number, site in enumerate(sites):
        written(site.ledger, path, f"host-{number}")
        with closing(sqlite3.connect(path)) as connection:
            if number == 0:
                connection.execute("CREATE TABLE many AS SELECT *, '' AS host FROM epoch_part")
                connection.execute("DELETE FROM many")
            connection.execute("INSERT INTO many SELECT *, ? FROM epoch_part", (f"host-{number}",))
            connection.execute("DELETE FROM epoch_part")
            connection.commit()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE epoch_part")
        connection.execute("ALTER TABLE many RENAME TO epoch_part")
        connection.commit()
    return path


def told(found: Report) -> dict[tuple[str, ...], tuple[bool, str]]:
    """Whether each row has a cost, and what is said of it."""
    rows = (row for row in found.rows if row.key.values[0])
    return {row.key.values: (row.pico is not None, row.note) for row in rows}


def test_each_epoch_is_a_row_and_the_rest_of_the_run_another(tmp_path: Path) -> None:
    """On one host: what is in no epoch is what the run was charged since its last mark."""
    site = trained(1, 3)
    found = report(written(site.ledger, tmp_path / "l.db"), "run,epoch")
    assert told(found) == {
        ("r-1", ""): (True, ""),
        ("r-1", "1"): (True, "whole"),
        ("r-1", "2"): (True, "whole"),
        ("r-1", "3"): (True, "whole"),
    }
    run = sum(row.pico or 0 for row in found.rows if row.key.values[0])
    assert run == sum(site.charged(run="r-1").values())
    parts = [row.cost.pico for row in site.ledger.epochs if row.cost is not None]
    assert [row_of(found, "r-1", str(n)).pico for n in (1, 2, 3)] == parts
    assert found.missing == 0


def test_an_epoch_on_two_hosts_is_whole_when_both_have_closed_it(tmp_path: Path) -> None:
    """Until then it is incomplete, and what it cost is in no epoch."""
    first, second = trained(2, 3), trained(2, 2)
    found = report(fleet(tmp_path, first, second), "run,epoch")
    assert told(found) == {
        ("r-1", ""): (True, ""),
        ("r-1", "1"): (True, "whole"),
        ("r-1", "2"): (True, "whole"),
        ("r-1", "3"): (False, "incomplete: 1 of 2 hosts"),
    }
    costs = [
        {row.epoch: row.cost.pico or 0 for row in site.ledger.epochs if row.cost is not None}
        for site in (first, second)
    ]
    for epoch in (1, 2):
        assert row_of(found, "r-1", str(epoch)).pico == sum(own[epoch] for own in costs)
    assert found.missing == 0
    assert found.hosts == 2


def test_a_host_that_does_not_deliver_leaves_all_epochs_incomplete(tmp_path: Path) -> None:
    """As on the local ledger of one of them."""
    found = report(written(trained(2, 2).ledger, tmp_path / "l.db"), "workload,run,epoch")
    notes = [row.note for row in found.rows if row.key.values[2]]
    assert notes == ["incomplete: 1 of 2 hosts"] * 2
    assert found.missing == 0


def test_an_epoch_that_was_not_all_priced_is_unknown(tmp_path: Path) -> None:
    """And not cheap."""
    site = trained(1, 2)
    site.ledger.epochs[0] = replace(site.ledger.epochs[0], cost=None)
    found = report(written(site.ledger, tmp_path / "l.db"), "run,epoch")
    assert told(found)["r-1", "1"] == (False, "unknown: not all of it was metered and priced")
    assert told(found)["r-1", "2"] == (True, "whole")
    assert found.missing == 0


@pytest.mark.parametrize("by", ["run,epoch", "run,attempt,epoch"])
def test_another_attempt_s_epochs_are_its_own(tmp_path: Path, by: str) -> None:
    """By run alone those of one number are one row, in which they add up."""
    site = trained(1, 2)
    old = site.host.jobs[0]
    old.running = False
    site.host.kill(old.proc)
    job = site.host.train("tuner", "r-1", 1, 1.0, 2.0, 1.0)
    job.epochs = 1.0
    site.tick(1, MINUTE)
    job.end_epoch(site.host.clock.wall_ns - 10**9)
    site.tick(1, MINUTE)
    found = report(written(site.ledger, tmp_path / "l.db"), by)
    twos = [row for row in found.rows if row.key.values[-1] == "2"]
    assert len(twos) == (1 if by == "run,epoch" else 2)
    costs = [row.cost.pico or 0 for row in site.ledger.epochs if row.cost and row.epoch == 2]
    assert sum(row.pico or 0 for row in twos) == sum(costs)
    assert len(costs) == 2
    assert found.missing == 0
