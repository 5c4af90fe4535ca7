"""Gaps of the host itself: reboots, suspends, and what is left after them."""

from decimal import Decimal

from tests.sites import CHAT, HOUR, MINUTE, Site, hourly, near, owned, rented, rules, serving
from unitcost.pricing.allocate import Method, State
from unitcost.pricing.price import Component
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import UNALLOCATED, UNMETERED

REMAINDER = str(Method.REMAINDER)


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
