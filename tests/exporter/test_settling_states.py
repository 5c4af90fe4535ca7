"""Settling states: who held what, and whether it was loading, busy or idle."""

from decimal import Decimal

from tests.sites import CHAT, MINUTE, Site, near, rules
from unitcost.pricing.allocate import State
from unitcost.pricing.resource import CPU, MEMORY
from unitcost.pricing.workload import SYSTEM, WorkloadKind

REQUEST = "unitcost_request_cost_usd"


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


def test_the_seconds_of_a_tick_without_an_answer_are_counted_once() -> None:
    """What the next answer says of both is active less what was taken for active already."""
    site = Site(rules(workloads=(CHAT,)))
    server = site.host.serve("chat", 8000, cores=0.5, gibs=4.0)
    site.settle()
    server.work(3, seconds=2.0)
    active = site.usd("chat", site.tick(), resource=MEMORY, state=State.ACTIVE)
    server.up = False
    silent = site.usd("chat", site.tick(), resource=MEMORY, state=State.ACTIVE)
    server.up = True
    server.work(6, seconds=5.0)
    both = silent + site.usd("chat", site.tick(), resource=MEMORY, state=State.ACTIVE)
    assert near(both * 2, active * 5)
    server.work(3, seconds=2.0)
    assert near(site.usd("chat", site.tick(), resource=MEMORY, state=State.ACTIVE), active)


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
