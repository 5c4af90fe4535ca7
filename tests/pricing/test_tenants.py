"""Containers and pods joined: by id, by uid, by name; and what each of them asked for."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.container import ContainerUse, Grant, Kubelet, Pod, PodContainer
from unitcost.pricing.sample import Process
from unitcost.pricing.tenants import (
    ContainerFinder,
    Identity,
    Request,
    Tenants,
    process_name,
    tenants_of,
)
from unitcost.pricing.workload import MAX_NAME_BYTES, Account, WorkloadKind

UID = "11111111-2222-3333-4444-555555555555"
HASH = "0123456789abcdef0123456789abcdef"
ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64
WEB = Account("shop/Deployment/web")
INIT = "/init.scope"


def process(pid: int, cgroup: str, command: str = "") -> Process:
    """A process in a control group."""
    return Process(pid, 10, 1, 0, 0, 0, command, "ada", cgroup)


def in_pod(container: str, uid: str = UID) -> str:
    """The control group of a pod's container."""
    slice_ = uid.replace("-", "_")
    return f"/kubepods.slice/kubepods-pod{slice_}.slice/cri-containerd-{container}.scope"


def pod(*containers: PodContainer, name: str = "web-1", uid: str = UID, **more: object) -> Pod:
    """A pod of the shop's web."""
    return Pod(uid, "shop", name, "shop/Deployment/web", containers=containers, **more)  # type: ignore[arg-type]


def use(container: str, uid: str = UID, milli: int | None = None) -> ContainerUse:
    """What a container used."""
    return ContainerUse(container, uid, 0, 0, 0, milli)


def joined(
    *processes: Process,
    pods: tuple[Pod, ...] = (),
    uses: tuple[ContainerUse, ...] = (),
    kubelet: Kubelet | None = None,
) -> Tenants:
    """Everything that is known, joined."""
    return tenants_of(processes, pods, uses, kubelet, ContainerFinder())


def test_a_container_that_a_pod_lists_is_the_pod_s() -> None:
    """By its id; so are its processes."""
    found = joined(process(5, in_pod(ONE)), pods=(pod(PodContainer("main", ONE)),))
    assert found.account_of_container == {ONE: WEB}
    assert found.container_of == {"5@10": ONE}
    assert found.by_process() == {"5@10": WEB}
    assert found.account_of_pod == {("shop", "web-1"): WEB}


def test_a_container_that_it_does_not_list_yet_is_its_by_the_pod_s_uid() -> None:
    """From the path of its processes, or from what it used."""
    sandbox = joined(process(5, in_pod(TWO)), pods=(pod(PodContainer("main", ONE)),))
    assert sandbox.account_of_container == {ONE: WEB, TWO: WEB}
    by_use = joined(pods=(pod(),), uses=(use(TWO),))
    assert by_use.account_of_container == {TWO: WEB}
    unstarted = joined(process(5, in_pod(TWO)), pods=(pod(PodContainer("main", "")),))
    assert unstarted.account_of_container == {TWO: WEB}


def test_a_static_pod_s_containers_are_found_by_their_ids() -> None:
    """Its uid in the cluster is another one than that of its control groups, a hash."""
    path = f"/kubepods/burstable/pod{HASH}/{ONE}"
    static = pod(PodContainer("main", ONE))
    found = joined(process(5, path), pods=(static,), uses=(use(ONE, HASH),))
    assert found.by_process() == {"5@10": WEB}


def test_a_pod_that_nobody_knows_goes_by_its_uid() -> None:
    """While the cluster cannot be asked; a pod without a uid is nobody's by that."""
    found = joined(process(5, in_pod(ONE)), pods=(pod(uid=""),), uses=(use(TWO, ""),))
    assert found.account_of_container == {
        ONE: Account(f"pod/{UID}"),
        TWO: Account(f"container/{TWO[:12]}"),
    }


def test_a_container_without_a_pod_is_a_workload_of_its_own() -> None:
    """As those of docker on a bare host."""
    found = joined(process(5, f"/docker/{ONE}"), process(6, "/user.slice/session-1.scope"))
    assert found.account_of_container == {ONE: Account(f"container/{ONE[:12]}")}
    assert found.container_of == {"5@10": ONE}


def test_names_from_outside_are_made_names() -> None:
    """Whatever a container is called, or a pod's controller."""
    odd = Pod(UID, "n", "p", "__unallocated__", containers=(PodContainer("c", ONE),))
    found = joined(pods=(odd,), uses=(use(TWO, "x" * 500), use("a\nb", "")))
    names = {container: each.workload for container, each in found.account_of_container.items()}
    assert names[ONE] == "___unallocated__"
    assert len(names[TWO]) == MAX_NAME_BYTES
    assert names["a\nb"] == "container/a_b"
    assert found.account_of_pod["n", "p"] == found.account_of_container[ONE]


def test_the_container_that_holds_all_that_we_see_is_the_host_to_us() -> None:
    """It has the process with pid 1; containers in it are containers."""
    home = f"/docker/{ONE}"
    found = joined(process(1, home), process(5, home), process(6, f"/docker/{TWO}"))
    assert found.container_of == {"6@10": TWO}
    assert found.account_of_container.keys() == {TWO}
    host = joined(process(1, INIT), process(5, home))
    assert host.container_of == {"5@10": ONE}


def test_a_path_that_does_not_show_the_pod_leaves_it_to_what_was_used() -> None:
    """Seen from inside of a pod, its own containers' paths begin below it."""
    siblings = process(5, f"/../cri-containerd-{ONE}.scope")
    found = joined(siblings, pods=(pod(),), uses=(use(ONE),))
    assert found.by_process() == {"5@10": WEB}
    unused = joined(process(5, in_pod(ONE)), pods=(pod(),), uses=(use(ONE, ""),))
    assert unused.by_process() == {"5@10": WEB}


def test_a_pod_that_only_the_kubelet_knows_goes_by_its_name() -> None:
    """It was given a device; one that the cluster knows keeps its workload."""
    grants = tuple(Grant("shop", name, "main", "r", "GPU-1", 5) for name in ("web-1", "new"))
    found = joined(pods=(pod(),), kubelet=Kubelet(9, 5, grants))
    assert found.account_of_pod == {
        ("shop", "web-1"): WEB,
        ("shop", "new"): Account("shop/pod/new"),
    }
    assert found.account_of_container == {}


def test_a_group_s_pods_are_one_workload() -> None:
    """Of whatever controllers they are."""
    one = Pod(
        "u1", "n", "a-0", "n/StatefulSet/a", group="llm", containers=(PodContainer("c", ONE),)
    )
    two = Pod(
        "u2", "n", "b-0", "n/StatefulSet/b", group="llm", containers=(PodContainer("c", TWO),)
    )
    found = joined(pods=(one, two))
    assert set(found.account_of_container.values()) == {Account("n/group/llm")}


def test_what_the_cluster_says_of_readiness_is_by_container() -> None:
    """Said to be ready, said not to be, and not said."""
    states = (PodContainer("a", ONE, True), PodContainer("b", TWO, False), PodContainer("c", THREE))
    found = joined(pods=(pod(*states, PodContainer("d", "", True)),))
    assert found.ready == {ONE}
    assert found.seen == {ONE, TWO}


def test_requests_are_the_pod_s_else_by_the_control_group_s_weight() -> None:
    """A pod that asked for nothing of CPU may have asked for memory all the same."""
    containers = (
        PodContainer("a", ONE, cpu_milli=500, memory_bytes=7),
        PodContainer("b", TWO, memory_bytes=8),
        PodContainer("c", THREE, cpu_milli=0),
        PodContainer("d", ""),
    )
    uses = (use(ONE, milli=900), use(TWO, milli=250), use(THREE, milli=3), use("x", milli=None))
    assert joined(pods=(pod(*containers),), uses=uses).requests == {
        ONE: Request(500, 7),
        TWO: Request(250, 8),
        THREE: Request(0, 0),
        "x": Request(0, 0),
    }
    assert joined(uses=(use("x", milli=40),)).requests == {"x": Request(40)}
    assert joined(pods=(pod(containers[1]),)).requests == {TWO: Request(0, 8)}
    assert Request(1, 2).plus(Request(10, 20)) == Request(11, 22)


def test_of_a_workload_the_pod_on_the_most_hosts_says_what_it_is() -> None:
    """Of containers without a pod nothing is known."""
    small = pod(name="a", owner="ann", hosts=1)
    large = pod(name="b", owner="bob", hosts=4, kind=WorkloadKind.INFERENCE)
    expected = {
        WEB.workload: Identity(WorkloadKind.INFERENCE, "bob", 4),
        f"container/{ONE[:12]}": Identity(WorkloadKind.OTHER),
    }
    alone = process(5, f"/docker/{ONE}")
    assert joined(alone, pods=(small, large)).identities == expected
    assert joined(alone, pods=(large, small)).identities == expected


BASE = joined(process(5, in_pod(ONE)), process(6, in_pod(ONE)), process(7, in_pod(TWO, HASH)))


def test_what_runs_in_a_container_says_whose_it_is() -> None:
    """One claim moves all of it; the others stay."""
    run = Account("train", run="r1")
    found = BASE.claimed({ONE: frozenset({run})})
    assert found.by_process() == {"5@10": run, "6@10": run, "7@10": Account(f"pod/{HASH}")}
    assert BASE.claimed({}) is BASE
    assert BASE.by_process()["5@10"] == Account(f"pod/{UID}")


def test_a_container_with_several_accounts_in_it_is_no_tenant() -> None:
    """Each process counts for its own."""
    found = BASE.claimed({ONE: frozenset({Account("a"), Account("b")})})
    assert found.account_of_container == {TWO: Account(f"pod/{HASH}")}
    assert found.container_of == {"7@10": TWO}


def test_all_accounts_can_be_renamed_together() -> None:
    """As for those over the cap."""
    kubelet = Kubelet(9, 5, (Grant("shop", "web-1", "main", "r", "GPU-1", 5),))
    found = joined(process(5, in_pod(ONE)), pods=(pod(),), kubelet=kubelet)
    other = Account("__other__")
    renamed = found.renamed(lambda account: other if account == WEB else account)
    assert renamed.by_process() == {"5@10": other}
    assert renamed.account_of_pod == {("shop", "web-1"): other}


def test_what_was_found_in_paths_is_remembered_and_bounded() -> None:
    """Also that nothing was."""
    finder = ContainerFinder(memory=4)
    for number in range(50):
        path = f"/docker/{number:064x}" if number % 2 else f"/user.slice/{number}"
        expected = ("", f"{number:064x}") if number % 2 else None
        assert finder.find(path) == finder.find(path) == expected
        assert len(finder._known) <= 4


@pytest.mark.parametrize(
    ("cgroup", "command", "name"),
    [
        ("/system.slice/ollama.service", "/usr/bin/ollama serve", "ollama"),
        ("/system.slice/a.service/child", "x", "a"),
        ("/user.slice/user-1.slice/user@1.service/app.slice/lab.service", "x", "lab"),
        ("/user.slice/user-1.slice/user@1.service/app.slice/app-1.scope", "/bin/x -a", "x"),
        ("/user.slice/session-1.scope", "/opt/trainer --lr 1", "trainer"),
        ("/a.services/b", "x", "x"),
        ("", "python3 /srv/finetune.py --lr 1", "finetune.py"),
        ("", "/usr/bin/python3.11 -u train.py", "train.py"),
        ("", "python -m vllm.server", "vllm.server"),
        ("", "python", "python"),
        ("", "pythonic serve", "pythonic"),
        ("", "-bash", "pid-7"),
        ("", "/ serve", "serve"),
        ("", "", "pid-7"),
        ("", "__system__", "___system__"),
    ],
    ids=itertools.count(),
)
def test_a_process_without_a_name_is_called_by_its_unit_or_program(
    cgroup: str, command: str, name: str
) -> None:
    """An interpreter by what it runs."""
    assert process_name(process(7, cgroup, command)) == name


PATHS = st.sampled_from([INIT, in_pod(ONE), in_pod(TWO, HASH), f"/docker/{THREE}", "/", ""])
IDS = st.sampled_from([ONE, TWO, THREE, "", "odd"])
PODS = st.builds(
    Pod,
    st.sampled_from([UID, HASH, "u", ""]),
    st.just("n"),
    st.sampled_from(["p", "q"]),
    st.sampled_from(["n/Deployment/d", "n/Job/j"]),
    containers=st.lists(st.builds(PodContainer, st.just("c"), IDS), max_size=3).map(tuple),
)


@given(
    st.lists(st.builds(process, st.integers(1, 9), PATHS, st.text(max_size=9)), max_size=6),
    st.lists(PODS, max_size=4),
    st.lists(st.builds(use, IDS, st.sampled_from([UID, ""])), max_size=4),
)
def test_whatever_is_joined_every_container_has_an_account_and_every_account_a_name(
    processes: list[Process], pods: list[Pod], uses: list[ContainerUse]
) -> None:
    """And all of them can be asked for."""
    found = joined(*processes, pods=tuple(pods), uses=tuple(uses))
    assert set(found.container_of.values()) <= found.account_of_container.keys()
    assert found.by_process().keys() == found.container_of.keys()
    for account in (*found.account_of_container.values(), *found.account_of_pod.values()):
        assert account.workload
        assert not account.reserved
        assert account.workload in found.identities
    assert {use.id for use in uses} <= found.requests.keys()
    assert found.ready <= found.seen
    assert all(process_name(each) for each in processes)
