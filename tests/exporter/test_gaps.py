"""Gaps: what becomes of time in which nobody metered, one case for each rule."""

from decimal import Decimal

import pytest

from tests.sites import HOUR, MINUTE, Site, hourly, owned, rented, rules, workload_rule
from tests.worlds import Host
from unitcost.exporter.settling.rules import Rules
from unitcost.pricing.allocate import Method, State
from unitcost.pricing.price import Component
from unitcost.pricing.resource import CPU, MEMORY
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, UNMETERED

CARRIED, REMAINDER = str(Method.CARRIED), str(Method.REMAINDER)
CHAT = workload_rule("chat", cores="2", gibs=4, endpoint=True)


def serving(its_rules: Rules | None = None) -> Site:
    """A rented host with one server that holds half of it; metered for a minute."""
    site = Site(its_rules or rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    for _ in range(12):
        server.work(10, seconds=2.0)
        site.tick()
    return site


def near(found: Decimal, expected: Decimal) -> bool:
    """Equal but for a pico-dollar of rounding in each of a few rows."""
    return abs(found - expected) < Decimal("1e-9")


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


def test_an_owned_host_that_was_off_goes_on_amortising() -> None:
    """Whatever the length; no electricity was used, and nobody held anything."""
    site = serving(rules(owned(), workloads=(CHAT,), owned=True))
    site.host.reboot(30 * HOUR)
    site.restart()
    gap = site.settle()
    assert set(site.charged(gap)) == {(UNALLOCATED, REMAINDER)}
    assert near(site.total(gap), Decimal("0.20") * 30)
    assert {key.component for key in gap.posting.accruals} == {Component.AMORTISATION}
    assert site.counter("unitcost_gap_seconds_total", "down") == 30 * 3600 * 10**6


def test_a_short_reboot_of_a_rented_host_is_unmetered() -> None:
    """It is paid for, and nobody could use it."""
    site = serving()
    site.host.reboot(15 * MINUTE)
    site.restart()
    gap = site.settle()
    assert set(site.charged(gap)) == {(UNMETERED, REMAINDER)}
    assert near(site.total(gap), hourly(site, 15 * MINUTE))


def test_a_long_absence_of_a_rented_host_is_unknown_and_not_charged() -> None:
    """It may have been stopped, and then it cost nothing: no figure is better than a wrong one."""
    site = serving()
    before = site.total()
    site.host.reboot(15 * MINUTE + 1)
    site.restart()
    gap = site.settle()
    assert gap.posting.charges == {}
    assert site.counter("unitcost_gap_seconds_total", "unknown") == (15 * 60 + 1) * 10**6
    assert [event.kind for event in site.ledger.events] == ["gap_unknown"]
    after = site.tick()
    assert site.total() == before + site.total(after)
    assert near(site.total(after), hourly(site, 5.0))


def test_a_suspend_is_as_a_reboot() -> None:
    """The exporter slept with the host; what ran in that tick is metered as ever."""
    for its_rules, seconds, account in (
        (rules(workloads=(CHAT,)), 10 * MINUTE, UNMETERED),
        (rules(workloads=(CHAT,)), HOUR, None),
        (rules(owned(), workloads=(CHAT,), owned=True), 20 * HOUR, UNALLOCATED),
    ):
        site = serving(its_rules)
        chat = site.usd("chat", site.tick())
        site.host.clock.suspend(seconds)
        gap = site.tick()
        assert near(site.usd("chat", gap), chat)
        slept = {name for name, method in site.charged(gap) if method == REMAINDER}
        assert (account in slept) == (account is not None)
        if account is None:
            assert near(site.total(gap), hourly(site, 5.0))
        elif account == UNMETERED:
            assert near(site.total(gap), hourly(site, seconds + 5))
        else:
            amortised = Decimal("0.20") * Decimal(seconds) / 3600
            assert near(site.total(gap), amortised + hourly(site, 5.0))


def test_an_epoch_with_an_unknown_gap_in_it_has_no_cost() -> None:
    """The run went on from its checkpoint under the same attempt; nobody knows what was paid."""
    for its_rules in (rules(), rules(rented(usd="1"))):
        site = Site(its_rules)
        job = site.host.train("job", "r1", cores=1.0)
        site.settle()
        site.tick(3)
        job.end_epoch(site.host.clock.wall_ns)
        site.tick(2)
        assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is not None
        site.host.clock.suspend(2 * HOUR)
        site.tick()
        job.end_epoch(site.host.clock.wall_ns)
        site.tick()
        assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is None
        site.tick(2)
        job.end_epoch(site.host.clock.wall_ns)
        site.tick()
        assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is not None


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


def test_counters_go_on_after_a_reboot() -> None:
    """Though the monotonic clock says that all readings before were later."""
    site = serving()
    server = site.host.servers[8000]
    counted = site.units("chat")
    site.host.reboot(MINUTE)
    site.host.run(20.0)
    new = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    new.work(7)
    site.host.run(3.0)
    site.restart()
    site.settle()
    assert site.units("chat") == counted + 7
    new.work(5)
    site.tick()
    assert site.units("chat") == counted + 12
    assert server is not new


def test_after_a_reboot_the_same_pid_and_start_are_another_process() -> None:
    """Both are counted from the boot on: the new one loads anew, and carries nothing."""
    site = serving()
    old = site.host.servers[8000].proc
    assert old is not None
    site.host.reboot(MINUTE)
    site.host.next_pid = old.pid - 1
    new = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    new.ready = False
    assert new.proc is not None
    new.proc.started = old.started
    site.restart()
    site.settle(host=False)
    site.away(5.0)
    assert site.usd("chat", site.settle()) == 0
    last = site.tick()
    assert site.usd("chat", last) == site.usd("chat", last, state=State.LOADING) > 0


def test_a_state_file_that_outlived_a_reboot_is_not_counted_again() -> None:
    """Its steps were counted, and nothing has been added to them."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    job.steps = 40
    site.tick()
    assert site.units("job", "unitcost_steps_total") == 40
    site.host.reboot(MINUTE)
    site.restart()
    site.settle()
    site.tick(2)
    assert site.units("job", "unitcost_steps_total") == 40


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


def test_after_a_reboot_nobody_of_before_is_charged_though_the_host_cannot_be_read_yet() -> None:
    """The time is paid for and was not metered."""
    for its_rules in (rules(workloads=(CHAT,)), rules(owned(), workloads=(CHAT,), owned=True)):
        site = serving(its_rules)
        site.host.reboot(MINUTE)
        site.restart()
        site.settle(host=False)
        last = site.tick(host=False)
        assert set(site.charged(last)) == {(UNMETERED, REMAINDER)}
        assert near(site.total(last), hourly(site, 5.0))


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


def test_a_reboot_after_which_the_clock_is_wrong_ends_all_holdings_too() -> None:
    """A host without a battery for its clock: the gap has no length, and nobody is left."""
    site = serving()
    job = site.host.train("job", "r1", cores=1.0)
    site.tick(2)
    job.end_epoch(site.host.clock.wall_ns)
    site.tick(2)
    site.host.reboot(-HOUR)
    site.restart()
    assert site.settle(host=False).posting.charges == {}
    last = site.tick(host=False)
    assert set(site.charged(last)) == {(UNMETERED, REMAINDER)}
    assert [event.kind for event in site.ledger.events] == ["clock_step"]
    site.host.clock.set_wall(site.host.clock.wall_ns + 2 * 3600 * NS_PER_SECOND)
    site.tick()
    job.end_epoch(site.host.clock.wall_ns)
    site.tick()
    run = site.ledger.runs["job", "r1"]
    assert (run.last_epoch, run.epoch_cost) == (2, None)


def test_a_run_goes_on_after_a_reboot_that_wiped_its_state_files() -> None:
    """Its attempts are counted from 0 again; its epochs have a cost all the same."""
    site = Site()
    site.host.train("job", "r1", 0, cores=1.0)
    site.settle()
    site.tick()
    site.host.train("job", "r1", 2, cores=1.0, resumed=2.0)
    site.tick(2)
    site.host.jobs.clear()
    site.host.reboot(MINUTE)
    job = site.host.train("job", "r1", 0, cores=1.0, resumed=3.0)
    site.host.run(10.0)
    site.restart()
    site.settle()
    for _ in range(2):
        site.tick(2)
        job.end_epoch(site.host.clock.wall_ns)
        site.tick()
    run = site.ledger.runs["job", "r1"]
    assert (run.attempt, run.last_epoch) == (0, 5.0)
    assert run.epoch_cost is not None
