"""Settling runs: what the ledger keeps of them, and when nothing is said of them."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.exporter.test_settling_runs_lost import REPEATED, crashed_at, resumed_at, stalled, usd
from tests.property.test_settle import FileLedger
from tests.sites import Site, rules
from tests.worlds import Job
from unitcost.exporter.ledger.store import Ledger
from unitcost.exporter.settling.batch import MAX_RUNS
from unitcost.pricing.lost_money import Lost
from unitcost.pricing.runs import Place
from unitcost.pricing.sample import Quantity


def test_what_was_lost_is_in_the_ledger_when_the_exporter_is_killed(tmp_path: Path) -> None:
    """It is killed before it could commit a tick, twice: the next one covers that time, once."""
    site = Site(ledger=FileLedger(tmp_path / "ledger.db"))
    crashed_at(site, 40)
    job = resumed_at(site, 20)
    job.waited = {"checkpoint": 0.0}
    site.tick(2)
    lost, before = Decimal(0), site.usd("job")
    for _ in range(2):
        for commit in (True, False, True):
            site.host.run(5.0)
            job.steps += 2
            job.waited["checkpoint"] += 1.0
            lost += site.usd("job", site.settle(commit=commit)) if commit else 0
            if not commit:
                site.restart()
    assert site.point(REPEATED, "job", "r1") == usd(lost)
    assert lost == site.usd("job") - before
    assert stalled(site, "checkpoint") == usd(lost / 5)
    run = site.ledger.runs["job", "r1"]
    assert (run.place.steps, run.peak.steps, run.attempts) == (32, 40, 2)
    site.restart()
    assert site.settler.books.runs["job", "r1"] == run


def test_a_ledger_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Its runs are documents of fewer fields; a newer one's of more are read all the same."""
    path = tmp_path / "ledger.db"
    site = Site(ledger=FileLedger(path))
    crashed_at(site, 40)
    now_ns = site.host.clock.wall_ns
    new = {"place", "peak", "moved", "tells_again", "lost", "pace", "attempts"}
    with closing(sqlite3.connect(path, isolation_level=None)) as change:
        (text,) = change.execute("SELECT document FROM run").fetchone()
        document = json.loads(text)
        assert new < document.keys()
        old = {name: value for name, value in document.items() if name not in new}
        change.execute("UPDATE run SET document = ?", [json.dumps(old | {"of_later": [1]})])
    with closing(Ledger(path, "host-1", "host")) as ledger:
        run = ledger.open(now_ns).runs["job", "r1"]
    known = site.ledger.runs["job", "r1"]
    assert (run.total, run.last_epoch, run.attempt) == (known.total, 0.0, 0)
    assert (run.place, run.lost, run.pace) == (Place(), Lost(), None)
    site.ledger.runs["job", "r1"] = run
    site.settler.books.runs["job", "r1"] = run
    job = resumed_at(site, 20)
    for _ in range(6):
        job.steps += 5
        site.tick()
    assert site.ledger.runs["job", "r1"].peak.steps == 40  # the file of the first is still there
    assert site.ledger.runs["job", "r1"].lost.repeated > 0


def test_a_workload_over_the_cap_has_no_runs() -> None:
    """Its money is with the others'; no series of it is made."""
    site = Site(replace(rules(), max_workloads=1))
    site.host.serve("chat", 8000, cores=1.0)
    job = site.host.train("job", "r1", cores=1.0)
    job.goal_steps, job.waited = 100, {"checkpoint": 1.0}
    site.settle()
    job.steps += 10
    site.tick(5)
    names = {name for name, found in site.points().items() if found and "_run_" in name}
    assert names == set()


def test_nothing_of_runs_is_said_where_only_units_are() -> None:
    """In scope `units` there is no money, and a run is a matter of money."""
    site = Site(replace(rules(), scope="units"))
    job = site.host.train("job", "r1", cores=1.0)
    job.goal_steps, job.waited = 100, {"checkpoint": 1.0}
    site.settle()
    job.steps += 10
    site.tick(5)
    assert not [name for name in site.points() if "_run_" in name]
    assert site.counter(f"unitcost_{Quantity.STEPS}_total", "job") == 10**7


def test_a_run_that_is_retired_is_not_shown() -> None:
    """As its cost."""
    site = Site()
    crashed_at(site, 40)
    assert site.points()[REPEATED]
    retire = site.rules.retire_after_ns / 1e9
    site.tick(3, seconds=retire / 2)
    assert not [found for name, found in site.points().items() if "_run_" in name and found]


def _lost_its_files(site: Site, ranks: int) -> list[Job]:
    """A first attempt that got to step 40; after a reboot of its host it goes on from step 20."""
    crashed_at(site, 40)
    site.host.jobs.clear()
    site.tick(2)
    jobs = [resumed_at(site, 20, attempt=0) for _ in range(ranks)]
    for rank, job in enumerate(jobs):
        job.rank = rank
    return jobs


@pytest.mark.parametrize("ranks", [1, 3])
def test_an_attempt_after_the_files_were_lost_has_the_number_of_the_one_before(ranks: int) -> None:
    """They lie in memory, or in a pod that is replaced: another first follows the first."""
    site = Site()
    jobs = _lost_its_files(site, ranks)
    lost = Decimal(0)
    for steps, part in ((0, 0), (10, 1), (10, 1), (10, 0)):
        for job in jobs:
            job.steps += steps
        lost += site.usd("job", site.tick()) * part
        assert site.point("unitcost_run_attempts", "job", "r1") == 2
        assert site.point(REPEATED, "job", "r1") == usd(lost)
    assert site.settler.books.runs["job", "r1"].place.steps == 50


def test_fewer_ranks_after_the_files_were_lost_wait_for_themselves() -> None:
    """Three were there; the one that goes on waits all the time, and all of it is lost."""
    site = Site()
    ranks = [site.host.train("job", "r1", cores=1.0) for _ in range(3)]
    site.settle()
    site.tick()
    for job in ranks:
        site.host.kill(job.proc)
    site.host.jobs.clear()
    site.host.run(2.0)
    job = site.host.train("job", "r1", cores=1.0)
    job.waited = {"data_loading": 0.0}
    site.tick()
    job.waited = {"data_loading": 5.0}
    assert stalled(site, "data_loading") == 0
    batch = site.tick()
    assert stalled(site, "data_loading") == usd(site.usd("job", batch))


def test_a_rank_that_comes_later_is_of_the_same_attempt() -> None:
    """Somebody is there who works on it already, or has just ended; even if nobody was charged."""
    site = Site()
    jobs = _lost_its_files(site, 1)
    for tick in range(6):
        jobs[0].steps += 1
        site.tick()
        jobs.append(resumed_at(site, 20, attempt=0))
        jobs[-1].rank = len(jobs) - 1
        if tick == 4:
            site.host.kill(jobs[0].proc)
    site.tick()
    assert site.point("unitcost_run_attempts", "job", "r1") == 2
    outside = Site()
    for rank in range(3):
        job = outside.host.train("job", "r2")
        job.rank = rank
        outside.host.kill(job.proc)
        job.running = True
        outside.tick(2)
    assert outside.settler.books.runs["job", "r2"].attempts == 1


def test_runs_of_the_past_are_not_kept_in_memory_for_ever() -> None:
    """Weeks of short trials: they stay in the ledger; whoever has a file here is still known."""
    site = Site()
    first = site.host.train("job", "first", cores=0.5)
    site.settle()
    site.tick()
    site.host.kill(first.proc)
    site.tick()
    known = site.settler.books.runs["job", "first"]
    for number in range(25):
        trials = [
            site.host.train("job", f"{number}-{each}", cores=0.01) for each in range(MAX_RUNS // 10)
        ]
        site.tick()
        for trial in trials:
            site.host.kill(trial.proc)
        site.tick()
        site.host.jobs = [first]
    site.tick()
    book = site.settler.runs
    assert len(book.books.runs) <= 2 * MAX_RUNS + 1
    assert len(book.hosts) <= len(book.books.runs)
    assert len(book.run_of) == 1
    assert book.books.runs["job", "first"] == known
    assert len(site.ledger.runs) == 25 * (MAX_RUNS // 10) + 1
