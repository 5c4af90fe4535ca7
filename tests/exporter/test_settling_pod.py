"""`scope: pod`: a sidecar charges what its pod holds of the host, to the last pico-dollar."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.gpu_world import GpuHost
from tests.sites import Site, learn, near, rented, rules, workload_rule
from unitcost.exporter.settling.pod import PodRule
from unitcost.exporter.settling.rules import WorkloadRule
from unitcost.pricing.charge import residual
from unitcost.pricing.price import PriceBook
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import NS_PER_SECOND, Quantity
from unitcost.pricing.tenants import Request
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, UNMETERED, Account

CHAT = "shop/Deployment/chat"
OURS, UID = 90, "00000000-0000-0000-0000-0000000000aa"
USD = Decimal(10)
CORE, GIBI = Decimal("0.0316"), Decimal("0.0042")
GPU = USD - 4 * CORE - 16 * GIBI


def pod(**changes: object) -> PodRule:
    """A pod that asked for a core and two GiB."""
    rule = PodRule(Account(CHAT), f"pod:{UID}", uid=UID, request=Request(1000, 2 * GIB))
    return replace(rule, own_pid=OURS, **changes)  # type: ignore[arg-type]


def pod_site(
    rule: PodRule,
    *workloads: WorkloadRule,
    gpus: int = 0,
    present: int = 0,
    book: PriceBook | None = None,
) -> Site:
    """An exporter in the pod, on a host of ten dollars an hour; of its GPUs we see some."""
    host = GpuHost(gpus)
    host.present = present
    host.groups = False
    host.other_ns = 2 * 10**9
    made = replace(rules(book or rented(usd=str(USD)), workloads), scope="pod", pod=rule)
    if not present:
        made = replace(made, pod=replace(rule, size=((Quantity.DEVICES_PRESENT, 0.0),)))
    return Site(made, host)


def hours(seconds: float) -> Decimal:
    """Of so many seconds."""
    return Decimal(str(seconds)) / 3600


def scaled(core: Decimal) -> Decimal:
    """A weight on a host without GPUs, whose price is all CPU and memory."""
    return core * USD / (4 * CORE + 16 * GIBI)


def spent(site: Site, **where: str) -> dict[tuple[str, str], Decimal]:
    """Dollars by workload and resource."""
    found: dict[tuple[str, str], Decimal] = {}
    for resource in {key.resource for key in site.ledger.posting.charges}:
        for name in {key.account.workload for key in site.ledger.posting.charges}:
            usd = site.usd(name, None, resource=resource, **where)
            if usd:
                found[name, resource] = usd
    return found


def test_requests_that_nobody_uses_are_the_workloads_idle_cost() -> None:
    """Without shareProcessNamespace no process but ours is seen: requests are what is held."""
    site = pod_site(pod())
    site.settle()
    site.tick(12)
    found = spent(site, state="idle")
    assert near(found[CHAT, "cpu"], scaled(CORE) * hours(60))
    # No signal tells whether memory is busy, so all of it counts as active.
    assert near(spent(site)[CHAT, "memory"], 2 * scaled(GIBI) * hours(60))
    assert {name for name, _ in spent(site)} == {CHAT}
    assert site.counter("unitcost_resource_cost_usd_total") == sum(site.charged().values())


def test_what_is_used_beyond_the_requests_is_held_and_our_own_use_is_taken_out_of_them() -> None:
    """max(requests, used) of the whole pod; ours is `__system__`."""
    site = pod_site(pod())
    server = site.host.spawn(cores=0.5, gibs=3, command="vllm serve")
    us = site.host.spawn(cores=0.25, gibs=0.5, command="unitcost run")
    del site.host.procs[us.pid]
    us.pid, us.parent = OURS, 0
    site.host.procs[OURS] = us
    server.cgroup = "/../cri-containerd-1.scope"
    site.settle()
    site.tick(12)
    active, idle = spent(site, state="active"), spent(site, state="idle")
    assert near(active[CHAT, "cpu"], scaled(CORE) / 2 * hours(60))
    assert near(idle[CHAT, "cpu"], scaled(CORE) / 4 * hours(60))
    assert near(idle[SYSTEM, "cpu"], scaled(CORE) / 4 * hours(60))
    assert near(active[CHAT, "memory"], 3 * scaled(GIBI) * hours(60))
    assert near(idle[SYSTEM, "memory"], scaled(GIBI) / 2 * hours(60))
    server.cores = 1.5
    last = site.tick()
    cpu = sum(site.charged(last, resource="cpu").values())
    assert near(Decimal(cpu) / 10**12, scaled(CORE) * Decimal("1.75") * hours(5))


def test_other_pods_that_we_can_see_are_no_business_of_ours() -> None:
    """With hostPID, or the host's control groups, nothing more is charged."""
    site = pod_site(pod())
    host = site.host
    assert isinstance(host, GpuHost)
    host.groups = True
    host.start("other-0", cores=1.0, gibs=8.0, milli=3000)
    site.settle()
    site.tick(4)
    assert {name for name, _ in spent(site)} == {CHAT}
    assert near(spent(site)[CHAT, "cpu"], scaled(CORE) * hours(20))


def test_a_gpu_that_we_see_is_the_pods() -> None:
    """Its part of the host's price is the same whoever else has the others."""
    site = pod_site(pod(), gpus=1, present=8)
    site.settle()
    site.tick(12)
    found = spent(site)
    assert near(found[CHAT, "gpu:GPU-0"], GPU / 8 * hours(60))
    assert near(found[CHAT, "cpu"], CORE * hours(60))
    assert {resource for _, resource in found} == {"cpu", "memory", "gpu:GPU-0"}
    prices = dict(site.points()["unitcost_price_usd_per_hour"])
    by_resource = {labels[0]: usd for labels, usd in prices.items()}
    assert by_resource["cpu"] == float(CORE)
    assert by_resource["gpu:GPU-0"] == float(GPU / 8)


def test_gpus_that_we_cannot_see_are_rest() -> None:
    """Two were given to the pod, none to our container."""
    site = pod_site(pod(gpus=2), present=8)
    site.settle()
    site.tick(12)
    assert near(spent(site)[CHAT, "rest"], GPU / 4 * hours(60))


def test_every_gpu_of_the_host_in_sight_is_not_the_pods() -> None:
    """NVIDIA_VISIBLE_DEVICES=all: only processes tell whose they are."""
    site = pod_site(pod(sees_all=True), gpus=4, present=4)
    site.settle()
    site.tick(4)
    assert {resource for _, resource in spent(site)} == {"cpu", "memory"}
    host = site.host
    assert isinstance(host, GpuHost)
    host.gpus[2].use(host.spawn(command="vllm serve"), 50)
    site.tick(4)
    assert near(spent(site)[CHAT, "gpu:GPU-2"], GPU / 4 * hours(20))


def test_a_time_sliced_gpu_is_the_pods_in_one_replica() -> None:
    """And a MIG instance by its slices."""
    site = pod_site(pod(replicas=4), gpus=1, present=1)
    site.settle()
    site.tick(12)
    assert near(spent(site)[CHAT, "gpu:GPU-0"], GPU / 4 * hours(60))
    cut = pod_site(pod(), gpus=1, present=1)
    host = cut.host
    assert isinstance(host, GpuHost)
    host.gpus[0].mig(a=3)
    cut.settle()
    cut.tick(12)
    assert near(spent(cut)[CHAT, "gpu:GPU-0"], GPU * 3 / 7 * hours(60))


def test_how_many_gpus_the_host_has_is_not_guessed() -> None:
    """One is seen and no bus: GPUs are unpriced, CPU and memory are not."""
    site = pod_site(pod(), gpus=1)
    site.rules = replace(site.rules, pod=pod())
    site.settler.follow(site.rules, site.matcher)
    site.settle()
    site.tick(4)
    assert near(spent(site)[CHAT, "cpu"], CORE * hours(20))
    assert (CHAT, "gpu:GPU-0") not in spent(site)
    unpriced = dict(site.points()["unitcost_resource_unpriced"])
    assert {labels[0]: value for labels, value in unpriced.items()} == {
        "cpu": 0.0, "memory": 0.0, "gpu:GPU-0": 1.0
    }  # fmt: skip
    held = site.counter("unitcost_held_seconds_total", CHAT, "", "gpu:GPU-0")
    assert held == 20 * 10**6


def test_nothing_is_priced_where_it_is_not_known_whether_there_are_gpus() -> None:
    """Neither bus nor driver nor configuration says so."""
    site = pod_site(pod())
    site.rules = replace(site.rules, pod=pod())
    site.settler.follow(site.rules, site.matcher)
    site.settle()
    site.tick(4)
    assert spent(site) == {}


def test_a_configured_workload_has_its_reserve_and_the_pod_the_rest() -> None:
    """Requests are the pod's; who states one in the configuration has that of it."""
    site = pod_site(pod(), workload_rule("embed", cores="0.25", endpoint=True))
    site.host.serve("embed", 8000, cores=0.125)
    site.settle()
    site.tick(12)
    found = spent(site)
    assert near(found["embed", "cpu"], scaled(CORE) / 4 * hours(60))
    assert near(found[CHAT, "cpu"], scaled(CORE) * 3 / 4 * hours(60))


def test_a_sidecar_that_was_away_charges_what_the_pod_held() -> None:
    """Killed and started again in the same pod; nothing is unallocated, ever."""
    site = pod_site(pod(), gpus=1, present=8)
    site.settle()
    site.tick(2)
    site.away(600)
    site.settle()
    site.tick(2)
    found = spent(site)
    assert near(found[CHAT, "gpu:GPU-0"], GPU / 8 * hours(620))
    assert near(found[CHAT, "cpu"], CORE * hours(620))
    names = {key.account.workload for key in site.ledger.posting.charges}
    assert not names & {UNALLOCATED, UNMETERED}


def test_after_a_reboot_only_the_pods_part_is_unmetered() -> None:
    """The host was away for five minutes."""
    site = pod_site(pod(), gpus=1, present=8)
    site.settle()
    site.tick(2)
    site.host.reboot(300)
    site.restart()
    site.settle()
    site.tick(1)
    found = spent(site)
    assert near(found[UNMETERED, "cpu"], CORE * hours(300))
    assert near(found[UNMETERED, "gpu:GPU-0"], GPU / 8 * hours(300))


@pytest.mark.parametrize("minutes", [0, 7, 30])
def test_a_price_learnt_late_costs_what_one_known_in_time_costs(minutes: int) -> None:
    """In an hour in which the pod held a quarter of the CPU, and a GPU of eight."""
    start = pod_site(pod()).host.clock.wall_ns
    change = start + minutes * 60 * NS_PER_SECOND
    book = rented((change, "20"), usd="10")
    late, known = (pod_site(pod(), gpus=1, present=8, book=each) for each in (None, book))
    for site in (late, known):
        site.settle()
        site.tick(90, seconds=40.0)
    learn(late, book)
    for site in (late, known):
        site.tick(seconds=40.0)
        accrued = site.ledger.posting.accruals
        assert not residual(site.ledger.posting)
        assert sum(row.pico or 0 for row in accrued.values()) == sum(site.charged().values())
    # Of each of four rows an hour a nanosecond may stay where it was.
    assert abs(late.total() - known.total()) < Decimal("1e-10")
    assert site.total() > 0
    names = {key.account.workload for key in late.ledger.posting.charges}
    assert names == {CHAT}


def test_pods_that_hold_all_of_a_host_pay_all_of_it() -> None:
    """Four sidecars, each sees its own: together they charge the host's price."""
    sites = [pod_site(pod(request=Request(1000, 4 * GIB), gpus=2), present=8) for _ in range(4)]
    for site in sites:
        site.settle()
        site.tick(12)
    whole = sum((site.total() for site in sites), Decimal(0))
    assert near(whole, USD * hours(60))


def test_an_agent_charges_a_pod_whose_units_its_sidecar_counts() -> None:
    """A training job in it; without what the pod says its steps would be the agent's."""
    counted = {}
    for itself in (False, True):
        host = GpuHost(0)
        site = Site(rules(), host)
        tuner = host.start("tuner-0", controller="shop/Job/tuner", cores=1.0, gibs=2.0)
        tuner.pod = replace(tuner.pod, counts_itself=itself)
        job = host.train("tuner", "r1")
        host.kill(tuner.proc)
        tuner.proc, job.proc.cgroup, job.proc.cores = job.proc, tuner.proc.cgroup, 1.0
        for _ in range(4):
            site.tick()
            job.steps += 5
        site.tick()
        counted[itself] = site.counter("unitcost_steps_total")
        if itself:
            assert site.usd("shop/Job/tuner", None, resource="cpu") > 0
    assert counted[False] > 0
    assert counted[True] == 0


@pytest.mark.parametrize("scope", ["pod", "units"])
def test_a_server_that_nobody_configured_is_the_pods(scope: str) -> None:
    """Its process is in another container, where we cannot see whose it is."""
    site = pod_site(pod())
    book = site.rules.book if scope == "pod" else PriceBook(())
    site.rules = replace(site.rules, scope=scope, book=book)
    site.restart()
    server = site.host.serve("", 8000, cores=0.25)
    site.settle()
    server.work(10)
    site.tick(2)
    assert site.units(CHAT) == 10
    assert site.counter("unitcost_requests_total") == 10 * 10**6
    assert bool(site.charged()) is (scope == "pod")
    info = site.points()["unitcost_workload_info"]
    assert info == [((CHAT, "inference", ""), 1.0)]
