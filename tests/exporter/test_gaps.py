"""Gaps: what becomes of time in which nobody metered, one case for each rule."""

from decimal import Decimal

import pytest

from tests.sites import CHAT, HOUR, MINUTE, Site, hourly, near, rules, serving
from tests.worlds import Host
from unitcost.pricing.allocate import Method, State
from unitcost.pricing.resource import CPU, MEMORY
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, UNMETERED

CARRIED = str(Method.CARRIED)
REMAINDER = str(Method.REMAINDER)


@pytest.mark.parametrize("seconds", [1.0, 20 * MINUTE, 80 * HOUR])
def test_the_same_holder_is_carried_whatever_the_length(seconds: float) -> None:
    """The exporter was away, the server's process is the same: it held what it held."""
    site = serving()
    before = {r: site.usd("chat", site.tick(), resource=r) for r in (CPU, MEMORY)}
    site.away(seconds)
    gap = site.settle()
    for resource, usd in before.items():
        carried = site.usd("chat", gap, resource=resource, method=Method.CARRIED)
        assert near(carried / Decimal(seconds), usd / 5)
    assert set(site.charged(gap)) == {
        ("chat", CARRIED),
        (UNALLOCATED, CARRIED),
    }
    assert near(site.total(gap), hourly(site, seconds))
    assert site.counter("unitcost_gap_seconds_total", "carried") == round(seconds * 10**6)


def test_a_holder_that_is_gone_leaves_the_gap_unmetered() -> None:
    """Nobody knows when it went; what was nobody's stays nobody's."""
    site = serving()
    last = site.tick()
    share = site.usd("chat", last) / site.total(last)
    site.host.kill(site.host.servers[8000].proc)
    site.away(HOUR)
    gap = site.settle()
    assert set(site.charged(gap)) == {(UNMETERED, REMAINDER), (UNALLOCATED, CARRIED)}
    assert near(site.usd(UNMETERED, gap), share * hourly(site, HOUR))
    assert site.counter("unitcost_gap_seconds_total", "unmetered") == 3600 * 10**6


def test_a_restarted_process_is_another_holder() -> None:
    """The same workload, the same port, even the same pid: the start tells them apart."""
    site = serving()
    old = site.host.servers[8000].proc
    assert old is not None
    site.host.kill(old)
    site.host.run(1.0)
    site.host.next_pid = old.pid - 1
    new = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    assert new.proc is not None
    assert new.proc.pid == old.pid
    site.restart()
    gap = site.settle()
    assert site.usd("chat", gap) == 0
    assert site.usd(UNMETERED, gap) > 0


def test_half_of_the_replicas_gone_carries_half() -> None:
    """Two processes of one workload; one is still there."""
    site = Site(rules(workloads=(CHAT,)), match={"chat": "replica"})
    one, _ = (site.host.spawn(1.0, 2.0, "replica") for _ in range(2))
    site.settle()
    last = site.tick(3)
    site.host.kill(one)
    site.away(5.0)
    gap = site.settle()
    assert near(site.usd("chat", gap) * 2, site.usd("chat", last))
    assert near(site.usd(UNMETERED, gap), site.usd("chat", gap))


def test_half_of_a_workload_gone_leaves_the_gap_out_of_its_unit_costs() -> None:
    """Half of the cost is not on it: the requests would look cheaper than they were."""
    site = Site(rules(workloads=(CHAT,)), match={"chat": "replica"})
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    other = site.host.spawn(1.0, 2.0, "replica")
    site.settle()
    server.work(1)
    site.tick()
    site.host.kill(other)
    server.work(50)
    site.away(MINUTE)
    site.settle()
    assert site.usd("chat", site.settle()) == 0
    window = site.settler.tally.windows["chat", "m"]
    assert window.coverage == 0
    assert site.units("chat") == 51


def test_what_the_system_used_is_not_carried() -> None:
    """Nobody can say which of its processes were there."""
    site = serving()
    site.host.spawn(0.5, 1.0, "cron")
    site.tick(2)
    site.away(MINUTE)
    gap = site.settle()
    assert site.usd(SYSTEM, gap) == 0
    assert site.usd(UNMETERED, gap) > 0


def test_surviving_counters_bill_the_whole_gap() -> None:
    """Requests that were answered while nobody looked are counted, and priced with the gap."""
    site = serving()
    counted = site.units("chat")
    server = site.host.servers[8000]
    server.work(500, seconds=60.0)
    site.away(4 * MINUTE)
    site.settle()
    assert site.units("chat") == counted + 500
    window = site.settler.tally.windows["chat", "m"]
    assert window.coverage == 1
    assert site.point("unitcost_request_cost_usd", "chat", "m", "allocated") is not None


def test_a_partly_unmetered_workload_leaves_the_gap_out_of_its_unit_costs() -> None:
    """Cost and units alike; both are in the totals."""
    site = serving()
    site.tick(2)
    site.host.run(1.0)
    site.host.restart_server(8000)
    site.host.servers[8000].work(700)
    site.away(MINUTE)
    gap = site.settle()
    assert gap.posting.charges
    assert site.units("chat") == 120 + 700
    assert site.point("unitcost_request_cost_usd", "chat", "m", "allocated") is None
    assert site.point("unitcost_unit_coverage_ratio", "chat") == 0
    site.host.servers[8000].work(10)
    last = site.tick()
    cost = site.point("unitcost_request_cost_usd", "chat", "m", "allocated")
    assert cost == pytest.approx(float(site.usd("chat", last)) / 10)
    assert site.point("unitcost_unit_coverage_ratio", "chat") == pytest.approx(10 / 710)


def test_no_epoch_that_touches_a_partly_unmetered_gap_has_a_cost() -> None:
    """Two epochs end inside the gap: neither the one nor the other, nor the one after."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    worker = site.host.spawn(cores=1.0, command="worker", parent=job.proc.pid)
    other = site.host.train("job", "r1", cores=1.0)
    assert worker.pid != other.proc.pid
    site.settle()
    site.tick(3)
    for _ in range(2):
        site.host.run(MINUTE)
        job.end_epoch(site.host.clock.wall_ns)
    site.host.kill(other.proc)
    site.away(MINUTE)
    site.settle()
    assert [row.epoch for row in site.ledger.epochs] == [1, 2]
    assert site.ledger.runs["job", "r1"].epoch_cost is None
    site.tick(2)
    job.end_epoch(site.host.clock.wall_ns)
    site.tick()
    assert site.ledger.runs["job", "r1"].epoch_cost is None
    site.tick(2)
    job.end_epoch(site.host.clock.wall_ns)
    site.tick()
    assert site.ledger.runs["job", "r1"].epoch_cost is not None


def test_an_epoch_that_ended_before_the_gap_keeps_its_cost() -> None:
    """Its mark was written just before the exporter was stopped, and is read after."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    site.tick(3)
    job.end_epoch(site.host.clock.wall_ns)
    site.host.kill(job.proc)
    site.away(MINUTE)
    site.settle()
    run = site.ledger.runs["job", "r1"]
    assert run.epoch_cost is not None
    assert run.epoch_cost == run.total


def test_a_carried_run_has_its_epochs_in_the_gap_priced() -> None:
    """Carried time counts as metered."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    site.tick(3)
    site.host.run(MINUTE)
    job.end_epoch(site.host.clock.wall_ns)
    site.away(MINUTE)
    site.settle()
    run = site.ledger.runs["job", "r1"]
    assert run.epoch_cost is not None
    assert run.epoch_cost.pico is not None
    ratio = (run.total.pico or 0) / run.epoch_cost.pico
    assert ratio == pytest.approx((15 + 120) / (15 + 60))


def test_after_a_gap_the_gone_are_not_charged_though_the_host_cannot_be_read_yet() -> None:
    """The shares that go on are those of the gap, not those of before it."""
    site = serving()
    site.host.kill(site.host.servers[8000].proc)
    site.away(MINUTE)
    site.settle()
    for host in (False, False, True):
        last = site.tick(host=host)
        assert site.usd("chat", last) == 0
    assert site.usd(SYSTEM, last) + site.usd(UNALLOCATED, last) == site.total(last)


def test_a_host_that_could_never_be_read_is_unmetered() -> None:
    """That nobody held it is more than anybody knows."""
    site = Site()
    site.settle(host=False)
    last = site.tick(host=False)
    assert set(site.charged(last)) == {(UNMETERED, REMAINDER)}
    assert site.total(last) == hourly(site, 5.0).quantize(Decimal("1e-12"))


def test_a_host_that_cannot_be_read_for_a_while_carries_its_shares() -> None:
    """The exporter was there, and charges at once; what was used meanwhile is not known."""
    site = serving()
    before = site.tick()
    last = site.tick(host=False)
    assert site.charged(last) == {
        ("chat", CARRIED): sum(p for (n, _), p in site.charged(before).items() if n == "chat"),
        (UNALLOCATED, CARRIED): site.charged(before)[UNALLOCATED, REMAINDER],
    }
    states = {key.state for key in last.posting.charges if key.account.workload == "chat"}
    assert states == {State.ACTIVE, State.IDLE}


def test_no_clock_step_opens_a_gap() -> None:
    """An hour forward, an hour back: what passed is five seconds."""
    site = serving()
    for step in (3600, -3600, 7200, -7200):
        site.host.clock.set_wall(site.host.clock.wall_ns + step * NS_PER_SECOND)
        last = site.tick()
        assert near(site.total(last), hourly(site, 5.0))
    assert site.counter("unitcost_gap_seconds_total") == 0
    assert site.settler.clock_steps == 4
    assert [event.kind for event in site.ledger.events] == ["clock_step"] * 4


def test_a_birth_from_before_the_clock_was_set_proves_nothing() -> None:
    """A server with a history looks as if it had been born since: it is billed nothing of it."""
    host = Host()
    server = host.serve("chat", 8000)
    server.work(1000)
    server.up = False
    site = Site(host=host)
    site.settle()
    site.tick(2)
    host.clock.set_wall(host.clock.wall_ns + 3600 * NS_PER_SECOND)
    server.born_wall_ns += 3600 * NS_PER_SECOND  # worked out from the host's boot time
    site.tick()
    server.up = True
    site.tick()
    assert site.units("chat") == 0
