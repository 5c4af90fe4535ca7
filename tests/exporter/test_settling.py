"""Settling, case by case: what is counted and charged, on whom, and what a scrape sees of it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.sites import HOUR, MINUTE, Site, hourly, owned, price_now, rented, rules, workload_rule
from tests.worlds import Host
from unitcost.pricing.allocate import State
from unitcost.pricing.price import PriceBook
from unitcost.pricing.resource import CPU, MEMORY, MICRO
from unitcost.pricing.sample import NS_PER_SECOND, Quantity, TokenType
from unitcost.pricing.workload import OVERFLOW, SYSTEM, UNALLOCATED, WorkloadKind

REQUEST = "unitcost_request_cost_usd"
CHAT = workload_rule("chat", cores="2", gibs=4, endpoint=True)


def near(found: Decimal, expected: Decimal) -> bool:
    """Equal but for a pico-dollar of rounding in each of a few rows."""
    return abs(found - expected) < Decimal("1e-9")


# --- First sight, birth, reset -----------------------------------------------------------


def test_first_sight_of_a_server_with_a_history_bills_nothing() -> None:
    """Neither then nor later; what it does from now on counts."""
    host = Host()
    server = host.serve("chat", 8000, cores=1.0)
    server.work(1_000_000)
    host.run(MINUTE)
    site = Site(host=host)
    site.settle()
    site.tick(3)
    assert site.units("chat") == 0
    assert site.point(REQUEST, "chat", "m", "allocated") is None
    server.work(4)
    site.tick()
    assert site.units("chat") == 4


def test_a_server_born_in_metered_time_counts_from_zero() -> None:
    """Its first requests were answered before it was first read."""
    site = Site()
    site.settle()
    site.tick()
    site.host.run(2.0)
    site.host.serve("chat", 8000, cores=1.0).work(9)
    site.tick(seconds=3.0)
    assert site.units("chat") == 9


def test_a_server_born_while_the_exporter_was_away_does_not() -> None:
    """That time was not metered."""
    site = Site()
    site.settle()
    site.host.run(MINUTE)
    site.host.serve("chat", 8000, cores=1.0).work(9)
    site.away(MINUTE)
    site.settle()
    assert site.units("chat") == 0


@pytest.mark.parametrize("says_birth", [True, False])
def test_a_counter_reset_makes_no_spike(says_birth: bool) -> None:
    """The server was restarted between two ticks: what it shows since is what is new."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    server.says_birth = says_birth
    site.settle()
    server.work(5000)
    site.tick()
    site.host.run(2.0)
    site.host.restart_server(8000)
    site.host.servers[8000].work(3)
    site.tick(seconds=3.0)
    assert site.units("chat") == 5003


def test_a_server_restarted_just_before_the_host_slept_is_a_new_one() -> None:
    """It was born after the last reading, though that was longer ago than the clock has ticked."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(5)
    site.tick()
    site.host.run(2.0)
    site.host.restart_server(8000)
    site.host.clock.suspend(MINUTE)
    site.host.servers[8000].work(7)
    site.tick(seconds=1.0)
    assert site.units("chat") == 12


def test_a_server_of_a_restarted_exporter_is_not_counted_again() -> None:
    """Though its start is worked out a little differently this time."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(5000)
    site.tick()
    server.born_wall_ns += NS_PER_SECOND
    server.work(7)
    site.away(3.0)
    site.settle()
    assert site.units("chat") == 5007


def test_a_server_that_was_forgotten_is_not_billed_its_history_again() -> None:
    """It answers again after three days; it was born in metered time, and was counted then."""
    site = Site()
    site.settle()
    site.host.run(1.0)
    server = site.host.serve("chat", 8000, cores=1.0)
    server.work(100)
    site.tick()
    assert site.units("chat") == 100
    kept = site.host.servers.pop(8000)
    site.tick(75, seconds=HOUR)
    site.host.servers[8000] = kept
    server.work(3)
    site.tick()
    assert site.units("chat") == 100
    server.work(4)
    site.tick()
    assert site.units("chat") == 104


# --- Zero requests, states, models -------------------------------------------------------


def test_without_requests_there_is_no_cost_per_request_and_the_cost_is_idle() -> None:
    """A reservation that nobody uses."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, gibs=2.0)
    server.work(1)
    site.host.run(MINUTE)
    site.settle()
    last = site.tick(3)
    assert site.units("chat") == 0
    assert REQUEST not in site.points()
    assert {key.state for key in last.posting.charges} == {State.IDLE}
    hour = Decimal("0.0632") * 2 + Decimal("0.0084") * 4
    assert near(site.usd("chat", last), hour * 5 / 3600)
    assert site.point("unitcost_requests_total", "chat", "m", "succeeded") == 0


def test_a_busy_server_is_active_for_as_long_as_its_requests_ran() -> None:
    """Memory by request time, CPU by CPU time."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=0.5, gibs=4.0)
    site.settle()
    server.work(3, seconds=2.0)
    last = site.tick()
    memory, cpu = (
        {s: site.usd("chat", last, resource=r, state=s) for s in State} for r in (MEMORY, CPU)
    )
    assert near(memory[State.ACTIVE] * 5, (memory[State.ACTIVE] + memory[State.IDLE]) * 2)
    assert near(cpu[State.ACTIVE] * 3, cpu[State.IDLE])


def test_a_server_that_does_not_answer_for_once_is_as_busy_as_before() -> None:
    """That nothing is known of a tick does not make it idle, nor busy throughout."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=0.5, gibs=4.0)
    site.settle()
    server.work(3, seconds=2.0)
    before = site.usd("chat", site.tick(), resource=MEMORY, state=State.ACTIVE)
    server.up = False
    last = site.tick()
    assert site.usd("chat", last, resource=MEMORY, state=State.ACTIVE) == before > 0
    assert site.point("unitcost_workload_allocation_info", "chat", MEMORY) == 1


def test_work_under_way_at_both_ends_of_a_tick_fills_it() -> None:
    """Whatever ended in between took a second."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=0.5, gibs=4.0)
    server.running = True
    site.settle()
    server.work(1, seconds=1.0)
    idle = [site.usd("chat", site.tick(), resource=MEMORY, state=State.IDLE)]
    server.running = False
    server.work(1, seconds=1.0)
    idle.append(site.usd("chat", site.tick(), resource=MEMORY, state=State.IDLE))
    server.running = True
    server.work(1, seconds=1.0)
    idle.append(site.usd("chat", site.tick(), resource=MEMORY, state=State.IDLE))
    assert [bool(usd) for usd in idle] == [False, True, True]


def test_accounts_of_one_workload_share_its_reservation() -> None:
    """A server and a run of the same name: two cores, not twice two."""
    site = Site(rules(workloads=(CHAT,)))
    site.host.serve("chat", 8000, gibs=1.0)
    site.host.train("chat", "r1", gibs=1.0)
    site.settle()
    last = site.tick()
    assert near(site.usd("chat", last, resource=CPU), Decimal("0.0632") * 2 * 5 / 3600)
    assert near(site.usd("chat", last, resource=MEMORY), Decimal("0.0084") * 4 * 5 / 3600)


def test_a_window_without_units_has_no_coverage() -> None:
    """It would be 0 of 0."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(3)
    site.tick()
    assert site.point("unitcost_unit_coverage_ratio", "chat") == 1
    site.tick(70)
    assert site.point("unitcost_unit_coverage_ratio", "chat") is None


def test_an_idle_server_s_cost_is_its_model_s() -> None:
    """Before its first request, while it is idle, and after: never on no model."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=0.5, gibs=2.0)
    server.work(0)
    site.settle()
    for work in (0, 0, 5, *[0] * 70, 5):
        server.work(work)
        last = site.tick()
        assert site.usd("chat", last) == site.usd("chat", last, model="m")


def test_two_models_share_what_their_server_holds() -> None:
    """Each has a cost per request, and together they cost what the server does."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    ticks = []
    for _ in range(10):
        server.work(1, "big", seconds=3.0)
        server.work(3, "small", seconds=1.0)
        ticks.append(site.tick())
    costs = {m: site.point(REQUEST, "chat", m, "allocated") for m in ("big", "small")}
    requests = {"big": 10, "small": 30}
    total = sum((costs[m] or 0) * n for m, n in requests.items())
    assert total == pytest.approx(float(site.usd("chat")))
    assert site.usd("chat", ticks[-1], model="") == 0


def test_loading_ends_once_and_that_survives_a_restart() -> None:
    """At the first unit, for this process; a new process loads anew."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    server.ready = False
    site.settle()
    assert states(site) == {State.LOADING}
    server.work(1)
    assert states(site) == {State.ACTIVE, State.IDLE}
    site.away(3.0)
    site.settle()
    assert states(site) == {State.ACTIVE, State.IDLE}
    site.host.run(1.0)
    site.host.restart_server(8000)
    assert states(site) == {State.LOADING}


def states(site: Site) -> set[State]:
    """What the server was doing in the next tick."""
    last = site.tick()
    return {key.state for key in last.posting.charges if key.account.workload == "chat"}


def test_a_loading_server_costs_its_holder() -> None:
    """Loading is allocated cost, and no used cost."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    server.ready = False
    site.settle()
    last = site.tick()
    assert site.usd("chat", last) == site.usd("chat", last, state=State.LOADING) > 0


# --- Prices ------------------------------------------------------------------------------


def test_a_price_change_inside_a_tick_charges_each_part_at_its_own_price() -> None:
    """Two seconds at one dollar an hour and three at ten."""
    host = Host()
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    site = Site(rules(rented((change, "10"), usd="1")), host)
    site.settle()
    last = site.tick()
    assert near(site.total(last), (Decimal(2) * 1 + Decimal(3) * 10) / 3600)
    assert len({key.price for key in last.posting.accruals}) == 4  # two resources, two prices


def test_a_price_that_ends_leaves_the_rest_of_the_tick_unpriced() -> None:
    """Time and use go on; the dollars are unknown, not zero."""
    host = Host()
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    site = Site(rules(rented((change, None), usd="1")), host)
    server = host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(3)
    last = site.tick()
    assert near(site.total(last), Decimal(2) / 3600)
    rows = {(row.elapsed_ns // NS_PER_SECOND, row.pico) for row in last.posting.accruals.values()}
    assert {elapsed for elapsed, pico in rows if pico is None} == {3}
    assert site.point(REQUEST, "chat", "m", "allocated") is None
    assert site.point("unitcost_unit_coverage_ratio", "chat") == 0


def test_an_unpriced_host_counts_seconds_and_units_and_no_cost() -> None:
    """No cost series at all, of any kind."""
    site = Site(rules(PriceBook(rented().components), workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    for _ in range(3):
        server.work(5, seconds=1.0)
        job.steps += 2
        site.tick()
    job.end_epoch(site.host.clock.wall_ns)
    site.tick()
    points = site.points()
    costs = [name for name, found in points.items() if "_usd" in name and found]
    assert costs == []
    assert site.point("unitcost_resource_unpriced", CPU, "rent") == 1
    assert site.units("chat") == 15
    assert site.units("job", "unitcost_steps_total") == 6
    held = site.counter("unitcost_held_seconds_total") / MICRO
    assert held == pytest.approx((4 + 16) * 20.0)
    assert all(row.pico is None for row in site.ledger.posting.accruals.values())


def test_one_unpriced_component_leaves_no_unit_cost() -> None:
    """Amortisation is known, electricity is not: a request costs more than the one."""
    site = Site(rules(owned(electricity=None), workloads=(CHAT,), owned=True))
    server = site.host.serve("chat", 8000, cores=1.0)
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    server.work(5)
    job.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    last = site.tick()
    assert near(site.total(last), Decimal("0.20") * 5 / 3600)
    assert REQUEST not in site.points()
    assert "unitcost_run_cost_usd" not in site.points()
    assert "unitcost_price_usd_per_hour" not in site.points()
    assert site.points().get("unitcost_epoch_cost_usd", []) == []


def test_a_reload_prices_from_then_on() -> None:
    """What was charged stays as it was charged."""
    site = Site()
    site.settle()
    site.tick()
    price_now(site, "36")
    before = site.total()
    last = site.tick()
    assert near(site.total(last), Decimal("0.05"))
    assert site.total() == before + site.total(last)


# --- Workloads that come and go ----------------------------------------------------------


def test_a_workload_that_is_gone_retires_and_its_totals_go_on_when_it_returns() -> None:
    """15 minutes after its last charge it leaves the exposition, not the ledger."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    server.work(5)
    site.tick(2)
    site.host.kill(server.proc)
    del site.host.servers[8000]
    site.tick(14, seconds=MINUTE)
    assert site.point("unitcost_requests_total", "chat", "m", "succeeded") == 5
    site.tick(2, seconds=MINUTE)
    for metric, found in site.points().items():
        assert not [labels for labels, _ in found if "chat" in labels], metric
    cost = site.counter("unitcost_cost_usd_total", "chat")
    assert cost > 0
    site.host.run(1.0)
    again = site.host.serve("chat", 8000, cores=1.0)
    again.work(2)
    site.tick()
    assert site.point("unitcost_requests_total", "chat", "m", "succeeded") == 7
    assert site.counter("unitcost_cost_usd_total", "chat") > cost


def test_a_workload_that_holds_nothing_here_stays_while_it_answers() -> None:
    """A server on another host, or an agent that only counts units: never charged, yet there."""
    site = Site(replace(rules(PriceBook(())), scope="units"))
    server = site.host.serve("chat", 8000)
    site.settle()
    server.work(5)
    site.tick(20, seconds=MINUTE)
    assert site.point("unitcost_requests_total", "chat", "m", "succeeded") == 5
    server.up = False
    site.tick(20, seconds=MINUTE)
    assert site.point("unitcost_requests_total", "chat", "m", "succeeded") is None


def test_a_training_run_that_is_over_retires_though_its_file_is_still_there() -> None:
    """A state file outlives its process by a day."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    job.steps = 3
    site.tick()
    site.host.kill(job.proc)
    site.tick(10, seconds=MINUTE)
    assert site.point("unitcost_run_cost_usd", "job", "r1") is not None
    site.tick(10, seconds=MINUTE)
    assert site.point("unitcost_steps_total", "job", "") is None
    assert site.point("unitcost_run_cost_usd", "job", "r1") is None


def test_over_the_cap_workloads_are_booked_on_other_and_stay_there() -> None:
    """Their models and runs with them, or nothing would be capped."""
    site = Site(replace(rules(), max_workloads=2))
    site.settle()
    for port in range(4):
        site.host.serve(f"chat-{port}", port + 1, cores=0.5).work(1, model=f"m-{port}")
        site.host.train(f"job-{port}", f"run-{port}", cores=0.1)
        site.tick()
    site.tick(3)
    names = {key.account.workload for key in site.ledger.posting.charges}
    assert names == {"chat-0", "job-0", OVERFLOW, UNALLOCATED}
    others = {key.account for key in site.ledger.posting.charges if key.account.reserved}
    assert {(account.model, account.run) for account in others} == {("", "")}
    labels = [own for (_, own) in site.ledger.counters if own[0] == OVERFLOW]
    assert not [own for own in labels if {"m-1", "m-2", "m-3"} & set(own)]
    assert site.units(OVERFLOW) == 3
    assert set(site.ledger.runs) == {("job-0", "run-0")}
    for server in list(site.host.servers.values())[:1]:
        site.host.kill(server.proc)
        del site.host.servers[server.port]
    site.tick(20, seconds=MINUTE)
    before = site.usd(OVERFLOW)
    last = site.tick()
    assert site.usd("chat-3", last) == 0
    assert site.usd(OVERFLOW) > before


def test_configured_workloads_over_the_cap_are_booked_on_other_too() -> None:
    """A rule that matches is not yet a place among the first 256."""
    configured = tuple(workload_rule(f"w{n}", cores="0.1") for n in range(4))
    match = {f"w{n}": f"program-{n}" for n in range(4)}
    site = Site(replace(rules(workloads=configured), max_workloads=2), match=match)
    for n in range(4):
        site.host.spawn(0.2, 0.5, f"program-{n}")
    site.settle()
    last = site.tick()
    names = {key.account.workload for key in last.posting.charges}
    assert len(names & {f"w{n}" for n in range(4)}) == 2
    used = Decimal("0.0632") * Decimal("0.4") * 5 / 3600
    assert near(site.usd(OVERFLOW, last, resource=CPU), used)


def test_a_new_owner_in_the_configuration_is_shown() -> None:
    """The workload is the same, and so are its totals."""
    site = Site(rules(workloads=(replace(CHAT, owner="team-a"),)))
    site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    site.tick()
    assert site.point("unitcost_workload_info", "chat", "inference", "team-a") == 1
    site.rules = rules(workloads=(replace(CHAT, owner="team-b"),))
    site.settler.follow(site.rules, site.matcher)
    site.tick()
    assert site.point("unitcost_workload_info", "chat") == 1
    assert site.point("unitcost_workload_info", "chat", "inference", "team-b") == 1


# --- Runs --------------------------------------------------------------------------------


def test_an_epoch_costs_what_was_charged_between_its_marks() -> None:
    """The marks lie inside of ticks; the tick is cut there."""
    site = Site()
    job = site.host.train("job", "r1", cores=2.0)
    site.settle()
    start = site.host.clock.wall_ns
    for seconds in (12, 31):
        job.end_epoch(start + seconds * NS_PER_SECOND)
        job.steps += 1
    site.tick(8)
    cost = site.point("unitcost_epoch_cost_usd", "job", "", "allocated")
    assert cost == pytest.approx(float(site.usd("job")) / 40 * 19, rel=1e-6)
    first, second = site.ledger.epochs
    assert (first.total.pico or 0) / 12 == pytest.approx((second.total.pico or 0) / 31)


def test_epochs_that_end_together_share_their_cost_equally() -> None:
    """The client was silent for one of them."""
    site = Site()
    job = site.host.train("job", "r1", cores=2.0)
    site.settle()
    job.epochs += 1
    job.end_epoch(site.host.clock.wall_ns + 5 * NS_PER_SECOND)
    site.tick()
    half = pytest.approx(float(site.usd("job")) / 2, rel=1e-9)
    assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") == half
    assert site.point("unitcost_epoch_cost_part_usd", "job", "r1") == half
    assert site.point("unitcost_epoch_last", "job", "r1") == 2


def test_the_first_epoch_of_a_run_with_a_history_has_no_cost() -> None:
    """Part of it was before our time; the second one is whole."""
    site = Site()
    job = site.host.train("job", "r1", cores=2.0)
    site.host.run(HOUR)
    site.settle()
    for known in (False, True):
        site.tick(3)
        job.end_epoch(site.host.clock.wall_ns)
        site.tick()
        found = site.point("unitcost_epoch_cost_usd", "job", "", "allocated")
        assert (found is not None) == known


def test_marks_of_an_attempt_that_is_over_are_not_those_of_the_next() -> None:
    """It had got to epoch 2 and was resumed at 1: its file is still there."""
    site = Site()
    first = site.host.train("job", "r1", 0, cores=1.0)
    site.settle()
    for _ in range(2):
        site.tick()
        first.end_epoch(site.host.clock.wall_ns)
    site.host.kill(first.proc)
    second = site.host.train("job", "r1", 1, cores=1.0, resumed=1.0)
    site.tick(3)
    assert site.point("unitcost_epoch_last", "job", "r1") == 1
    second.end_epoch(site.host.clock.wall_ns)
    site.tick()
    assert site.point("unitcost_epoch_last", "job", "r1") == 2
    run = site.ledger.runs["job", "r1"]
    assert run.epoch_cost is not None
    assert 0 < (run.epoch_cost.pico or 0) < (run.total.pico or 0)


def test_an_epoch_with_a_silent_tick_has_no_used_cost() -> None:
    """The exporter was restarted and could not read the state file at first."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    job.steps = 1
    site.settle()
    site.tick(2)
    site.away(1.0)
    site.host.silent.add(job.id)
    site.settle()
    site.host.silent.clear()
    job.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    site.tick()
    assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is not None
    assert site.point("unitcost_epoch_cost_usd", "job", "", "used") is None


def test_two_runs_of_a_workload_are_one_series_of_hosts() -> None:
    """The last run was on two hosts, this one is on one: its epochs have a cost here."""
    site = Site()
    first = site.host.train("job", "r1", cores=1.0)
    first.hosts = 2
    site.settle()
    first.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    first.steps = 5
    site.tick(2)
    assert site.point("unitcost_workload_hosts", "job") == 2
    assert site.point("unitcost_step_cost_usd", "job", "", "allocated") is None
    assert site.points().get("unitcost_epoch_cost_usd", []) == []
    site.host.kill(first.proc)
    second = site.host.train("job", "r2", cores=1.0)
    site.tick(12, seconds=2 * MINUTE)
    second.end_epoch(site.host.clock.wall_ns + NS_PER_SECOND)
    second.steps = 5
    site.tick()
    assert site.point("unitcost_workload_hosts", "job") == 1
    assert site.point("unitcost_step_cost_usd", "job", "", "allocated") is not None
    assert site.point("unitcost_epoch_cost_usd", "job", "", "allocated") is not None


def test_no_two_points_of_a_scrape_are_the_same_series() -> None:
    """Prometheus would refuse the whole of it."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0)
    for number in range(3):
        site.host.train("job", f"r{number}", number, cores=0.1, resumed=float(number))
        site.host.train("job", "r0", number, cores=0.1)
    site.settle()
    for model in ("a", "b"):
        server.work(3, model, seconds=2)
        server.add(Quantity.TOKENS, 7, TokenType.OUTPUT, model)
        server.gauges[Quantity.REQUESTS_RUNNING, "", model] = 1
    site.tick(3)
    for metric, found in site.points().items():
        labels = [own for own, _ in found]
        assert len(set(labels)) == len(labels), metric


# --- Windows, totals, the host's own counters --------------------------------------------


def test_a_window_is_as_long_after_the_clock_was_set_back() -> None:
    """It follows the time that passed, not the wall clock."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    for step in (0, -3600, 3600, 0):
        site.host.clock.set_wall(site.host.clock.wall_ns + step * NS_PER_SECOND)
        for _ in range(70):
            server.work(1)
            site.tick()
        window = site.settler.tally.windows["chat", "m"]
        assert len(window.slices) == 60


def test_windows_of_workloads_that_are_gone_are_dropped() -> None:
    """Else every job that ever ran would be kept and moved on at each tick."""
    site = Site()
    job = site.host.train("job", "r1", cores=1.0)
    site.settle()
    job.steps = 5
    site.tick()
    assert site.settler.tally.windows
    site.host.kill(job.proc)
    site.host.jobs.clear()
    site.tick(70)
    assert site.settler.tally.windows == {}


def test_a_host_s_cpu_counter_that_starts_anew_is_not_the_system_s_use() -> None:
    """In a container lxcfs may do so: hours of CPU time in five seconds."""
    site = Site()
    site.host.busy_ns = 10**15
    site.host.serve("chat", 8000, cores=2.0)
    site.settle()
    before = site.usd("chat", site.tick(), resource=CPU)
    site.host.busy_ns = 9 * 10**14
    last = site.tick()
    assert near(site.usd("chat", last, resource=CPU), before)
    assert site.usd(SYSTEM, last, resource=CPU) == 0


def test_a_broken_server_s_figures_do_not_break_the_ledger() -> None:
    """Its totals stay within what 64 bits hold, and everybody else is settled as ever."""
    site = Site()
    broken, chat = site.host.serve("broken", 1), site.host.serve("chat", 2, cores=1.0)
    broken.says_birth = False
    site.settle()
    for _ in range(20):
        broken.counters.clear()
        site.tick()
        broken.work(9 * 10**11)
        chat.work(1)
        site.tick()
    assert site.units("chat") == 20
    assert 0 < site.counter("unitcost_requests_total", "broken") < 2**63
    assert all(0 <= value < 2**63 for value in site.ledger.counters.values())


def test_every_state_is_there_at_zero_from_first_sight_on() -> None:
    """A counter that appears with its first dollar would hide it from `increase()`."""
    site = Site()
    site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    site.tick()
    for metric, kind in (
        ("unitcost_cost_usd_total", ("chat", str(WorkloadKind.INFERENCE))),
        ("unitcost_held_seconds_total", ("chat",)),
    ):
        found = {own[-1] for own, _ in site.points()[metric] if own[: len(kind)] == kind}
        assert found == {str(state) for state in State}


def test_the_hour_is_charged_whole_however_often_it_is_interrupted() -> None:
    """Restarts, a failing collector, ticks of odd lengths: 38.72 cents."""
    site = Site(rules(workloads=(CHAT,)))
    site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    passed, odd = 0.0, (0.7, 5.0, 13.37, 61.1)
    number = 0
    while passed < HOUR:
        seconds = min(odd[number % 4], HOUR - passed)
        passed += seconds
        number += 1
        site.host.run(seconds)
        if number % 3 == 0:
            site.restart()
        site.settle(host=number % 5 != 0)
    assert abs(site.total() - hourly(site, HOUR)) <= Decimal("4e-12")


def test_a_tick_without_a_busy_signal_leaves_no_used_basis_while_it_is_in_the_window() -> None:
    """For once the server's page had nothing that tells busy from idle."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    found = []
    for number in range(64):
        server.work(3)
        whole = server.counters
        server.counters = {} if number == 2 else whole
        site.tick()
        server.counters = whole
        found.append(site.point(REQUEST, "chat", "m", "used") is not None)
        assert site.point(REQUEST, "chat", "m", "allocated") is not None
    assert found == [True] * 2 + [False] * 60 + [True] * 2


def test_a_scrape_says_how_long_requests_took() -> None:
    """Seconds of the requests timed over how many those were, in the window."""
    site = Site()
    server = site.host.serve("chat", 8000, cores=1.0)
    site.settle()
    for _ in range(3):
        server.work(4, seconds=6.0)
        server.add(Quantity.REQUESTS_TIMED, 4)
        site.tick()
    assert site.point("unitcost_request_latency_seconds", "chat", "m") == 1.5


def test_a_scrape_says_what_each_resource_costs_now() -> None:
    """The parts sum to the host's price, before and after a change."""
    host = Host()
    change = host.clock.wall_ns + 7 * NS_PER_SECOND
    site = Site(rules(rented((change, "10"), usd="1")), host)
    site.settle()
    for expected in (1, 10):
        site.tick()
        prices = site.points()["unitcost_price_usd_per_hour"]
        assert sum(value for _, value in prices) == pytest.approx(expected)
        assert {labels[0] for labels, _ in prices} == {CPU, MEMORY}
