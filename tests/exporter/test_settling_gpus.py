"""GPUs in the books: alone, shared by processes, replicas and MIG instances, and out of sight."""

from decimal import Decimal

import pytest

from tests.gpu_world import BUSY_WATTS, IDLE_WATTS, GpuHost
from tests.sites import Site, beside, near, rented, rules, workload_rule
from unitcost.exporter.settling.rules import Reservation, WorkloadRule
from unitcost.pricing.money import to_usd
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, UNMETERED, WorkloadKind

GPU = "gpu:GPU-0"
USD = Decimal("10")
SPLIT = 4 * Decimal("0.0316") + 16 * Decimal("0.0042")


def gpu_site(gpus: int = 1, *workloads: WorkloadRule) -> Site:
    """A rented host with GPUs, at ten dollars an hour."""
    return Site(rules(rented(usd=str(USD)), workloads), GpuHost(gpus))


def host_of(site: Site) -> GpuHost:
    """The site's host."""
    assert isinstance(site.host, GpuHost)
    return site.host


def gpu_usd(seconds: float, gpus: int = 1) -> Decimal:
    """What one of the GPUs costs in so many seconds."""
    return (USD - SPLIT) / gpus * Decimal(str(seconds)) / 3600


def spent(site: Site, workload: str, state: str | None = None, resource: str = GPU) -> Decimal:
    """Dollars a workload was charged for a GPU so far."""
    if state is None:
        return site.usd(workload, resource=resource)
    return site.usd(workload, resource=resource, state=state)


def methods(site: Site, workload: str) -> set[str]:
    """By which methods a workload's part of GPUs was found."""
    keys = site.ledger.posting.charges
    return {
        str(key.method)
        for key in keys
        if key.account.workload == workload and key.resource.startswith("gpu:")
    }


def test_a_gpu_is_its_process_s_and_busy_as_long_as_it_computes() -> None:
    """On a bare host, by process; the program's name is the workload's."""
    site = gpu_site()
    proc = host_of(site).spawn(command="python3 /srv/finetune.py --lr 1")
    host_of(site).gpus[0].use(proc, 25)
    site.settle()
    site.tick(12)
    assert near(spent(site, "finetune.py", "active"), gpu_usd(60) / 4)
    assert near(spent(site, "finetune.py", "idle"), gpu_usd(60) * 3 / 4)
    assert methods(site, "finetune.py") == {"exclusive"}
    info = site.points()["unitcost_workload_allocation_info"]
    assert (("finetune.py", GPU, "exclusive", "gpu_utilization"), 1.0) in info


def test_the_split_follows_the_sibling_s_price_in_the_middle_of_a_tick() -> None:
    """By weights for two seconds, by the sibling for three; each charge names its rule."""
    host = GpuHost(2)
    change = host.clock.wall_ns + 2 * NS_PER_SECOND
    book = beside(rented(usd="10"), (change, "4"), usd=None)
    site = Site(rules(book), host)
    site.settle()
    last = site.tick()
    assert near(site.total(last), Decimal(10) * 5 / 3600)
    by_rule: dict[str, Decimal] = {}
    for key, row in last.posting.accruals.items():
        if key.resource.startswith("gpu:") and row.pico is not None:
            rule = site.ledger.prices[key.price].rule
            by_rule[rule] = by_rule.get(rule, Decimal(0)) + to_usd(row.pico)
    assert by_rule.keys() == {"default_weights", "sibling:cpu-only"}
    assert near(by_rule["default_weights"], (USD - SPLIT) * 2 / 3600)
    assert near(by_rule["sibling:cpu-only"], Decimal(6) * 3 / 3600)
    assert site.points()["unitcost_price_split_info"] == [(("sibling:cpu-only",), 1.0)]


def test_nobody_s_gpu_is_unallocated() -> None:
    """It costs all the same."""
    site = gpu_site()
    site.settle()
    site.tick(12)
    assert near(spent(site, UNALLOCATED), gpu_usd(60))


def test_four_time_sliced_pods_of_which_one_works_half_the_time() -> None:
    """Half of the cost is its active time; the other half is idle, a quarter each."""
    site = gpu_site()
    host = host_of(site)
    host.gpus[0].replicas = 4
    pods = [host.start(f"pod{n}-x", f"GPU-0::{n}") for n in range(4)]
    for pod in pods:
        host.gpus[0].use(pod.proc)
    host.gpus[0].use(pods[2].proc, 50)
    site.settle()
    site.tick(12)
    assert near(spent(site, "team/Deployment/pod2", "active"), gpu_usd(60) / 2)
    for n in range(4):
        assert near(spent(site, f"team/Deployment/pod{n}", "idle"), gpu_usd(60) / 8)
        assert methods(site, f"team/Deployment/pod{n}") == {"process_sm_time"}
    assert spent(site, UNALLOCATED) == 0


def test_without_samples_they_share_equally_and_it_says_so() -> None:
    """The device's busy time, too."""
    site = gpu_site()
    host = host_of(site)
    host.gpus[0].replicas, host.gpus[0].samples = 4, False
    pods = [host.start(f"pod{n}-x", f"GPU-0::{n}") for n in range(4)]
    host.gpus[0].use(pods[2].proc, 50)
    site.settle()
    site.tick(12)
    for n in range(4):
        name = f"team/Deployment/pod{n}"
        assert near(spent(site, name, "active"), gpu_usd(60) / 8)
        assert near(spent(site, name, "idle"), gpu_usd(60) / 8)
        assert methods(site, name) == {"equal_split"}


def test_replicas_that_nobody_holds_are_unallocated() -> None:
    """One pod of four possible ones, always idle."""
    site = gpu_site()
    host = host_of(site)
    host.gpus[0].replicas = 4
    host.start("only-x", "GPU-0::3")
    site.settle()
    site.tick(12)
    assert near(spent(site, "team/Deployment/only", "idle"), gpu_usd(60) / 4)
    assert near(spent(site, UNALLOCATED), gpu_usd(60) * 3 / 4)


def test_mig_instances_cost_their_slices_and_stranded_ones_are_nobody_s() -> None:
    """3g + 2g + 1g of seven: 3/7, 2/7, 1/7, and 1/7 unallocated."""
    site = gpu_site()
    host = host_of(site)
    for name, instance in zip("abc", host.gpus[0].mig(a=3, b=2, c=1), strict=True):
        host.start(f"{name}-x", instance)
    site.settle()
    site.tick(12)
    for name, slices in (("a", 3), ("b", 2), ("c", 1)):
        assert near(spent(site, f"team/Deployment/{name}"), gpu_usd(60) * slices / 7)
        assert methods(site, f"team/Deployment/{name}") == {"mig_slice"}
    assert near(spent(site, UNALLOCATED), gpu_usd(60) / 7)


def test_a_group_of_two_pods_has_one_cost_for_each_request() -> None:
    """Two controllers, two GPUs, one server that answers: costs are summed, units counted once."""
    site = gpu_site(2)
    host = host_of(site)
    lead = host.start("lead-x", "GPU-0", controller="team/StatefulSet/lead", group="llm")
    host.start("worker-x", "GPU-1", controller="team/StatefulSet/worker", group="llm")
    server = host.serve("team/group/llm", 8000)
    server.proc = lead.proc
    site.settle()
    for _ in range(12):
        server.work(10, seconds=2.0)
        site.tick()
    cost = spent(site, "team/group/llm") + spent(site, "team/group/llm", resource="gpu:GPU-1")
    assert near(cost, gpu_usd(60))
    assert site.units("team/group/llm") == 120
    points = site.points()["unitcost_request_cost_usd"]
    ((labels, usd),) = [point for point in points if point[0][2] == "allocated"]
    assert labels[0] == "team/group/llm"
    whole = float(site.usd("team/group/llm"))
    assert usd == pytest.approx(whole / 120, rel=1e-6)


def test_a_group_over_several_hosts_has_no_unit_cost_here() -> None:
    """Its part is exported, and on how many hosts it is."""
    site = gpu_site()
    host = host_of(site)
    lead = host.start("lead-x", "GPU-0", group="llm", hosts=2)
    server = host.serve("team/group/llm", 8000)
    server.proc = lead.proc
    site.settle()
    server.work(10, seconds=2.0)
    site.tick()
    assert site.point("unitcost_workload_hosts", "team/group/llm") == 2
    assert "unitcost_request_cost_usd" not in site.points()
    assert site.point("unitcost_requests_total", "team/group/llm", "m", "succeeded") == 10


def test_a_pod_that_ends_is_billed_to_its_last_moment_and_the_next_from_its_first() -> None:
    """Two seconds of the five are the first one's, one is nobody's, two are the next one's."""
    site = gpu_site()
    host = host_of(site)
    host.start("first-x", "GPU-0")
    site.settle()
    host.run(2)
    host.stop("first-x")
    host.run(1)
    host.start("next-x", "GPU-0")
    host.run(2)
    site.settle()
    assert near(spent(site, "team/Deployment/first"), gpu_usd(2))
    assert near(spent(site, UNALLOCATED), gpu_usd(1))
    assert near(spent(site, "team/Deployment/next"), gpu_usd(2))
    site.tick()
    assert near(spent(site, "team/Deployment/first"), gpu_usd(2))


def test_scaling_down_moves_nobody_else_s_total() -> None:
    """Two replicas of one workload; one goes. No counter falls, none jumps."""
    site = gpu_site(2)
    host = host_of(site)
    host.start("chat-a", "GPU-0")
    host.start("chat-b", "GPU-1")
    host.start("other-a", controller="team/Deployment/other", cores=1.0)
    site.settle()
    site.tick(4)
    before = dict(site.ledger.counters)
    host.stop("chat-b")
    batch = site.tick()
    assert all(site.ledger.counters[key] >= value for key, value in before.items())
    held = site.usd("team/Deployment/chat", batch, resource="gpu:GPU-0")
    assert near(held, gpu_usd(5, 2))
    lost = site.usd(UNALLOCATED, site.tick(), resource="gpu:GPU-1")
    assert near(lost, gpu_usd(5, 2))


def test_while_the_driver_is_away_the_gpus_go_on_costing_and_are_carried() -> None:
    """They are known from the ledger; so they are after a restart."""
    site = gpu_site()
    host = host_of(site)
    host.gpus[0].use(host.spawn(command="train.py"), 100)
    site.settle()
    site.tick(4)
    host.driver = False
    site.tick(4)
    assert near(spent(site, "train.py"), gpu_usd(40))
    assert methods(site, "train.py") == {"exclusive", "carried"}
    site.away(10)
    site.settle()
    site.tick(4)
    host.driver = True
    site.tick(4)
    assert near(spent(site, "train.py"), gpu_usd(90))
    assert spent(site, UNMETERED) == 0


def test_a_lost_gpu_is_carried_and_its_sibling_goes_on() -> None:
    """It fell off the bus; whoever held it holds it still."""
    site = gpu_site(2)
    host = host_of(site)
    for number, name in enumerate(("left.py", "right.py")):
        host.gpus[number].use(host.spawn(command=name), 100)
    site.settle()
    site.tick(2)
    host.gpus[1].lost = True
    site.tick(2)
    assert near(spent(site, "left.py"), gpu_usd(20, 2))
    assert near(spent(site, "right.py", resource="gpu:GPU-1"), gpu_usd(20, 2))
    assert methods(site, "left.py") == {"exclusive"}
    assert methods(site, "right.py") == {"exclusive", "carried"}
    assert site.point("unitcost_device_up", "gpu:GPU-1") == 0
    assert site.point("unitcost_device_up", "gpu:GPU-0") == 1


def test_a_gpu_that_is_gone_for_good_is_given_up() -> None:
    """After a quarter of an hour in which the others were seen; its cost is then the others'."""
    site = gpu_site(2)
    host = host_of(site)
    site.settle()
    site.tick(2)
    del host.gpus[1]
    site.tick(178)
    assert near(site.usd(UNALLOCATED, site.tick(), resource="gpu:GPU-1"), gpu_usd(5, 2))
    batch = site.tick(2)
    assert site.charged(batch, resource="gpu:GPU-1") == {}
    assert near(site.usd(UNALLOCATED, batch, resource=GPU), gpu_usd(5))


def test_while_the_kubelet_is_silent_its_last_word_holds_and_is_carried() -> None:
    """Restarted, it is asked again."""
    site = gpu_site()
    host = host_of(site)
    host.start("chat-a", "GPU-0")
    site.settle()
    site.tick(2)
    host.kubelet_fails = True
    site.tick(2)
    assert methods(site, "team/Deployment/chat") == {"exclusive", "carried"}
    host.kubelet_fails = False
    site.tick(2)
    assert near(spent(site, "team/Deployment/chat"), gpu_usd(30))


def test_a_gap_is_carried_by_the_containers_that_are_still_there() -> None:
    """One pod went while the exporter was away: its part is unmetered."""
    site = gpu_site(2)
    host = host_of(site)
    host.start("stays-x", "GPU-0")
    host.start("goes-x", "GPU-1")
    site.settle()
    site.tick(2)
    host.stop("goes-x")
    site.away(60)
    site.settle()
    assert near(spent(site, "team/Deployment/stays"), gpu_usd(70, 2))
    assert near(spent(site, "team/Deployment/goes", resource="gpu:GPU-1"), gpu_usd(10, 2))
    assert near(spent(site, UNMETERED, resource="gpu:GPU-1"), gpu_usd(60, 2))


def test_loading_lasts_until_a_pod_is_ready_and_a_second_pod_s_is_its_own() -> None:
    """The older one answers while the newer one still reads its weights."""
    site = gpu_site(2)
    host = host_of(site)
    host.start("chat-a", "GPU-0", ready=False)
    site.settle()
    site.tick(2)
    assert near(spent(site, "team/Deployment/chat", "loading"), gpu_usd(10, 2))
    host.set_ready("chat-a", True)
    host.start("chat-b", "GPU-1", ready=False)
    site.tick(2)
    assert near(spent(site, "team/Deployment/chat", "loading"), gpu_usd(10, 2))
    loading = spent(site, "team/Deployment/chat", "loading", "gpu:GPU-1")
    assert near(loading, gpu_usd(10, 2))
    host.set_ready("chat-b", True)
    host.set_ready("chat-a", False)
    site.tick(2)
    assert spent(site, "team/Deployment/chat", "loading", "gpu:GPU-1") == loading


def test_pids_of_another_namespace_are_no_samples() -> None:
    """Without the host's pids nothing tells whose they are: equal parts, not the system's."""
    site = gpu_site()
    host = host_of(site)
    host.gpus[0].replicas = 2
    host.start("a-x", "GPU-0::0")
    host.start("b-x", "GPU-0::1")
    host.gpus[0].users[999_999] = 80
    host.gpus[0].places[999_999] = ""
    site.settle()
    site.tick(2)
    assert near(spent(site, "team/Deployment/a", "active"), gpu_usd(10) * 4 / 10)
    assert methods(site, "team/Deployment/a") == {"equal_split"}
    assert spent(site, SYSTEM) == 0


def test_a_reserved_gpu_is_its_workload_s_while_it_runs() -> None:
    """Where no process on it can be seen."""
    rule = WorkloadRule("chat", WorkloadKind.INFERENCE, "", Reservation(gpus=("0",)), False)
    site = Site(rules(rented(usd=str(USD)), (rule,)), GpuHost(2), {"chat": "serve"})
    proc = site.host.spawn(command="serve --port 1")
    site.settle()
    site.tick(2)
    assert near(spent(site, "chat"), gpu_usd(10, 2))
    assert methods(site, "chat") == {"configured"}
    assert near(spent(site, UNALLOCATED, resource="gpu:GPU-1"), gpu_usd(10, 2))
    site.host.kill(proc)
    assert near(site.usd(UNALLOCATED, site.tick(), resource=GPU), gpu_usd(5, 2))


def test_energy_is_each_one_s_by_hold_and_work_and_sums_to_what_was_used() -> None:
    """The floor is the least seen while nobody worked; what is above it is the worker's."""
    site = gpu_site()
    host = host_of(site)
    host.gpus[0].replicas = 2
    pods = [host.start(f"{name}-x", f"GPU-0::{n}") for n, name in enumerate("ab")]
    for pod in pods:
        host.gpus[0].use(pod.proc)
    site.settle()
    site.tick(12)
    idle = IDLE_WATTS * 60
    assert site.counter("unitcost_energy_joules_total") == idle * 10**6
    assert site.counter("unitcost_energy_joules_total", "team/Deployment/a") == idle / 2 * 10**6
    host.gpus[0].use(pods[0].proc, 100)
    site.tick(12)
    used = BUSY_WATTS * 60
    own = site.counter("unitcost_energy_joules_total", "team/Deployment/a") / 10**6
    assert own == pytest.approx(idle / 2 + used)
    whole = site.counter("unitcost_energy_joules_total")
    assert whole == site.counter("unitcost_device_energy_joules_total") == (idle + used) * 10**6


def test_energy_of_a_driver_that_was_loaded_anew_is_not_made_up() -> None:
    """What its counter shows then may be from before; what it adds is counted again."""
    site = gpu_site()
    host = host_of(site)
    site.settle()
    site.tick(2)
    host.gpus[0].joules = 5.0
    site.tick()
    before = site.counter("unitcost_energy_joules_total")
    site.tick()
    assert site.counter("unitcost_energy_joules_total") - before == IDLE_WATTS * 5 * 10**6
    site.away(60)
    site.settle()
    gained = site.counter("unitcost_energy_joules_total") - before
    assert gained == IDLE_WATTS * 65 * 10**6


def test_a_container_s_cpu_and_memory_are_its_pod_s() -> None:
    """By control group where it is read, with what the pod asked for as its reservation."""
    site = gpu_site()
    host = host_of(site)
    host.start("web-x", cores=0.5, gibs=2, milli=2000)
    site.settle()
    site.tick(12)
    with_groups = site.usd("team/Deployment/web", resource="cpu")
    cpu = 2 * Decimal("0.0316") * 60 / 3600
    assert near(with_groups, cpu)
    assert near(site.usd("team/Deployment/web", resource="cpu", state="active"), cpu / 4)
    assert near(
        site.usd("team/Deployment/web", resource="memory"), 2 * Decimal("0.0042") * 60 / 3600
    )
    host.groups = False
    site.tick(12)
    assert near(site.usd("team/Deployment/web", resource="cpu"), 2 * with_groups)


def test_every_dollar_is_charged_whatever_the_gpus_do() -> None:
    """The sum over all workloads and resources is the host's price."""
    site = gpu_site(3, workload_rule("chat", cores="1", gibs=1))
    host = host_of(site)
    host.gpus[1].mig(a=4, b=2)
    host.start("a-x", "MIG-1-a", gibs=3)
    host.start("b-x", "GPU-9", cores=2.0)
    host.gpus[2].use(host.spawn(command="bare.py", gibs=1), 33)
    site.settle()
    site.tick(60)
    assert near(site.total(), USD * 300 / 3600)
    assert site.point("unitcost_unresolved_grants") == 1
    assert to_usd(site.counter("unitcost_cost_usd_total")) == site.total()
    assert host.procs[1].memory < GIB


def test_gpus_that_no_driver_has_shown_yet_are_the_rest_and_not_the_cpu_s() -> None:
    """A node that boots: its driver comes minutes after the exporter. The rest is nobody's."""
    site = gpu_site(2)
    host = host_of(site)
    host.driver, host.present = False, 2
    host.start("web-x", cores=1.0)
    site.settle()
    site.tick(12)
    cpu = 4 * Decimal("0.0316") * 60 / 3600
    assert near(to_usd(sum(site.charged(resource="cpu").values())), cpu)
    assert near(spent(site, UNALLOCATED, resource="rest"), gpu_usd(60))
    host.driver = True
    site.tick(12)
    assert near(spent(site, UNALLOCATED), gpu_usd(60, 2))
    assert near(spent(site, UNALLOCATED, resource="rest"), gpu_usd(60))
    host.present = 3
    batch = site.tick()
    assert near(site.usd(UNALLOCATED, batch, resource="rest"), gpu_usd(5, 3))
    assert near(site.total(), USD * 125 / 3600)


def test_nothing_is_remembered_of_pods_that_are_gone() -> None:
    """Hundreds of controllers, one after the other; what the next tick needs stays small."""
    site = gpu_site()
    host = host_of(site)
    for number in range(300):
        host.start(f"job{number}-x", "GPU-0", cores=0.1)
        site.tick(seconds=1.0)
        host.stop(f"job{number}-x")
    site.tick(2)
    meter = site.settler.host
    assert meter.devices.signals == {}
    assert meter.usage.container_ns == {}
    assert meter.owners is not None
    assert meter.owners.tenants.account_of_container == {}
    assert near(site.total(), USD * 309 / 3600)
