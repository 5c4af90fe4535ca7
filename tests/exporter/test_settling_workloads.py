"""Settling workloads: those that come and go, those over the cap."""

from dataclasses import replace
from decimal import Decimal

from tests.sites import CHAT, MINUTE, Site, near, rules, workload_rule
from unitcost.pricing.price import PriceBook
from unitcost.pricing.resource import CPU
from unitcost.pricing.workload import OVERFLOW, UNALLOCATED


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
