"""The books: a ledger that was lost can be written anew from them, and goes on."""

from tests import audit
from tests.sites import CHAT, MINUTE, MemoryLedger, Site, rules
from unitcost.exporter.settling.books import MAX_TOTAL
from unitcost.pricing.timeline import hour_of


def busy_site() -> Site:
    """A server and a run, metered for half an hour."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    job = site.host.train("job", "r1", cores=0.5)
    site.settle()
    for _ in range(30):
        server.work(3)
        job.steps += 1
        site.tick(seconds=MINUTE)
    job.end_epoch(site.host.clock.wall_ns)
    return site


def test_a_lost_ledger_is_written_anew_with_everything_that_counts() -> None:
    """Totals, runs, workloads, the open hours; a restart after it charges each second once."""
    site = busy_site()
    site.host.run(MINUTE)
    site.settle(commit=False)
    books, old = site.settler.books, site.ledger
    site.ledger = MemoryLedger()
    site.ledger.commit(books.whole())
    books.committed_now(hour_of(site.host.clock.wall_ns))
    audit.check_totals(site)
    assert site.counter("unitcost_cost_usd_total") > old.counters_sum("unitcost_cost_usd_total")
    assert site.ledger.workloads == books.workloads
    assert site.ledger.runs == books.runs
    assert [row.epoch for row in site.ledger.epochs] == [1]
    site.away(MINUTE)
    site.settle()
    site.tick(3)
    audit.check_totals(site)
    elapsed = {row.elapsed_ns for row in site.ledger.posting.accruals.values()}
    assert elapsed == {(32 * 60 + 15) * 10**9}


def test_a_batch_that_was_not_committed_is_in_the_next_one() -> None:
    """A disk that is full for three ticks costs nothing but the delay."""
    site = busy_site()
    before = site.total()
    for _ in range(3):
        site.host.run(5.0)
        site.settle(commit=False)
    assert site.counter("unitcost_requests_total", "chat") == 90 * 10**6
    last = site.tick()
    assert site.total() == before + site.total(last)
    assert {row.elapsed_ns for row in last.posting.accruals.values()} == {20 * 10**9}
    audit.check_totals(site)


def test_rows_of_hours_long_over_are_not_kept_in_memory() -> None:
    """Only what is still being added to, and a little more."""
    site = busy_site()
    site.tick(10, seconds=60 * MINUTE)
    hours = {key.hour for key in site.settler.books.open_rows.charges}
    now = hour_of(site.host.clock.wall_ns)
    assert hours == {now - 2, now - 1, now} & hours
    assert len(hours) >= 2
    assert {key.hour for key in site.settler.books.open_rows.accruals} == hours


def test_a_row_of_long_ago_is_looked_up_when_the_clock_goes_back_to_it() -> None:
    """Nothing of it is in memory after a restart; what is added follows what is there."""
    site = busy_site()
    past = site.host.clock.wall_ns
    rows = {key: row.elapsed_ns for key, row in site.ledger.posting.accruals.items()}
    site.host.clock.set_wall(past + 4 * 86_400 * 10**9)
    site.tick(2)
    site.restart()
    site.settle()
    assert not rows.keys() & site.settler.books.elapsed.keys()
    site.host.clock.set_wall(past)
    site.tick(seconds=7.0)
    audit.check_totals(site)
    assert {key: site.settler.books.elapsed_of(key) for key in rows} == {
        key: elapsed + 7 * 10**9 for key, elapsed in rows.items()
    }


def test_a_counter_stops_where_64_bits_end() -> None:
    """And does not fall."""
    books = busy_site().settler.books
    labels = ("chat", "m", "succeeded")
    books.committed["unitcost_requests_total", labels] = MAX_TOTAL - 5
    books.count_units("unitcost_requests_total", labels, 3)
    books.count_units("unitcost_requests_total", labels, 3)
    books.count_units("unitcost_requests_total", labels, 2)
    assert books.pending.counters["unitcost_requests_total", labels] == 5
