"""Pods as the API server writes them become pods in our words; and what names alone tell."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.fake_apiserver import owner, pod
from unitcost.collectors.kube.api_types import Page, PodObject, ResourceSlice
from unitcost.collectors.kube.known import KnownPods
from unitcost.collectors.kube.names import logged_pods, stem
from unitcost.collectors.kube.pods import Labels, rows
from unitcost.collectors.kube.quantity import cpu_milli, size_bytes
from unitcost.collectors.kube.slices import uuids
from unitcost.pricing.container import Pod, PodContainer
from unitcost.pricing.workload import WorkloadKind

LABELS = Labels(owner=("unitcost.io/owner", "team"), group=("unitcost.io/group",))
LWS = "leaderworkerset.sigs.k8s.io"


def read(*pods: dict[str, Any]) -> tuple[Pod, ...]:
    """The pods as the collector tells of them."""
    body = msgspec.json.encode({"items": pods})
    return rows(msgspec.json.decode(body, type=Page[PodObject]).items or (), LABELS)


def labelled(labels: dict[str, str], **more: Any) -> dict[str, Any]:
    """Metadata with labels."""
    return {"labels": labels, **more}


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("1500m", 1500),
        ("0.5", 500),
        ("2", 2000),
        ("1e3", 1_000_000),
        ("1E-1", 100),
        ("1u", 1),
        ("100n", 1),
        (".5", 500),
        ("2.", 2000),
        ("0", 0),
        ("+1", 1000),
        ("1k", 1_000_000),
        ("1Ki", 1_024_000),
    ],
)
def test_a_quantity_of_cpu_is_exact_and_rounded_up(text: str, milli: int) -> None:
    """To thousandths, as Kubernetes does."""
    assert cpu_milli(text) == milli


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2Gi", 2 * 1024**3),
        ("128974848", 128974848),
        ("129e6", 129_000_000),
        ("1.5M", 1_500_000),
        ("123Mi", 123 * 1024**2),
        ("1500m", 2),
        ("7Ei", 7 * 1024**6),
        ("1E", 10**18),
    ],
)
def test_a_quantity_of_memory_is_exact(text: str, size: int) -> None:
    """With binary and decimal suffixes and exponents."""
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "-1", "1e999", "9Ei", "1 Gi", "Gi", "1e", "1.5.5", "0x10", "NaN", "1mi", "\u0661"]
)
def test_what_is_no_quantity_is_unknown(text: str) -> None:
    """Never a zero."""
    assert (cpu_milli(text), size_bytes(text)) == (None, None)


@given(st.text(alphabet="0123456789.eEmkKGi+-", max_size=30))
def test_no_quantity_raises(text: str) -> None:
    """Whatever is written."""
    found = size_bytes(text)
    assert found is None or 0 <= found < 2**63


@pytest.mark.parametrize(
    ("metadata", "controller", "kind"),
    [
        ({}, "Pod/p", WorkloadKind.OTHER),
        (owner("StatefulSet", "db"), "StatefulSet/db", WorkloadKind.OTHER),
        (
            labelled({"pod-template-hash": "6d4b75cb6d"}, **owner("ReplicaSet", "llm-6d4b75cb6d")),
            "Deployment/llm",
            WorkloadKind.OTHER,
        ),
        (
            labelled({"pod-template-hash": "other"}, **owner("ReplicaSet", "llm-6d4b75cb6d")),
            "ReplicaSet/llm-6d4b75cb6d",
            WorkloadKind.OTHER,
        ),
        (
            labelled({"rollouts-pod-template-hash": "abc"}, **owner("ReplicaSet", "llm-abc")),
            "Rollout/llm",
            WorkloadKind.OTHER,
        ),
        (owner("ReplicaSet", "-x"), "ReplicaSet/-x", WorkloadKind.OTHER),
        (owner("Job", "train"), "Job/train", WorkloadKind.TRAINING),
        (owner("Job", "nightly-28374650"), "CronJob/nightly", WorkloadKind.TRAINING),
        (owner("Job", "run-2024"), "Job/run-2024", WorkloadKind.TRAINING),
        (owner("PyTorchJob", "bert"), "PyTorchJob/bert", WorkloadKind.TRAINING),
        (owner("RayJob", "tune"), "RayJob/tune", WorkloadKind.TRAINING),
        (
            labelled({"jobset.sigs.k8s.io/jobset-name": "big"}, **owner("Job", "big-workers-0")),
            "JobSet/big",
            WorkloadKind.TRAINING,
        ),
        (
            {"ownerReferences": [{"kind": "ReplicaSet", "name": "x"}]},
            "Pod/p",
            WorkloadKind.OTHER,
        ),
    ],
)
def test_the_top_controller_outlives_a_pod(
    metadata: dict[str, Any], controller: str, kind: WorkloadKind
) -> None:
    """Found from the owner and, where that has one, from its name."""
    (found,) = read(pod("p", metadata=metadata))
    assert (found.controller, found.kind) == (f"default/{controller}", kind)


def test_containers_have_their_ids_and_requests_and_sidecars_are_among_them() -> None:
    """A sidecar is an init container that is always restarted; others have ended."""
    requests = {"requests": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": 1}}
    containers = [{"name": "main", "resources": requests}, {"name": "waits"}]
    init = [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}]
    states = [
        {"name": "main", "ready": True, "containerID": "containerd://abc"},
        {"name": "waits", "ready": False, "containerID": ""},
    ]
    sidecar = [{"name": "proxy", "ready": True, "containerID": "cri-o://def"}]
    status = {"containerStatuses": states, "initContainerStatuses": sidecar}
    (found,) = read(
        pod("p", spec={"containers": containers, "initContainers": init}, status=status)
    )
    assert found.containers == (
        PodContainer("main", "abc", True, 1500, 2 * 1024**3),
        PodContainer("waits", "", False),
        PodContainer("proxy", "def", True),
    )


def test_owner_and_group_come_from_labels_or_annotations() -> None:
    """The first label that is there counts; names are cleaned."""
    labels = {"team": "research", "unitcost.io/group": "llama\n405b"}
    plain, owned, hostile = read(
        pod("a", metadata=labelled(labels)),
        pod("b", metadata=labelled({"team": "x"}, annotations={"unitcost.io/owner": "ml"})),
        pod("c", metadata=labelled({"team": "__unallocated__", "unitcost.io/group": "x" * 9999})),
    )
    assert (plain.owner, plain.group, plain.workload) == (
        "research",
        "llama_405b",
        "default/group/llama_405b",
    )
    assert (owned.owner, owned.group) == ("ml", "")
    assert hostile.owner == "___unallocated__"
    assert len(hostile.group) == 128


def worker(index: int, group: int = 0, size: str = "4", **parts: Any) -> dict[str, Any]:
    """A pod of a LeaderWorkerSet."""
    labels = {f"{LWS}/name": "llm", f"{LWS}/group-index": str(group)}
    metadata = {"annotations": {f"{LWS}/size": size}, **owner("StatefulSet", f"llm-{group}")}
    return pod(f"llm-{group}-{index}", metadata=labelled(labels, **metadata), **parts)


def test_a_leader_worker_set_is_one_workload_for_each_group() -> None:
    """On one host if all its pods are here; else each pod elsewhere counts as a host."""
    here = read(*(worker(n, 0) for n in range(4)), worker(0, 1), worker(1, 1))
    assert {(each.group, each.hosts) for each in here} == {("llm-0", 1), ("llm-1", 3)}
    assert {each.controller for each in here} == {"default/LeaderWorkerSet/llm"}
    ended = worker(1, status={"phase": "Succeeded"})
    assert {each.hosts for each in read(worker(0), ended)} == {4}


@pytest.mark.parametrize(
    ("text", "hosts"), [("2", 2), ("0", 1), ("-1", 1), ("x", 1), ("9" * 30, 1), ("200000", 1)]
)
def test_the_number_of_hosts_can_be_said(text: str, hosts: int) -> None:
    """What is no number of hosts says nothing."""
    (found,) = read(pod("p", metadata={"annotations": {"unitcost.io/hosts": text}}))
    assert found.hosts == hosts


def test_a_static_pod_has_the_uid_it_has_on_the_node() -> None:
    """The API server knows its mirror, which has another."""
    mirror = {"annotations": {"kubernetes.io/config.mirror": "0123456789abcdef0123456789abcdef"}}
    (found,) = read(pod("kube-proxy", metadata=mirror))
    assert found.uid == "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("llm-6d4b75cb6d-x7k2p", "llm"),
        ("my-llm-7f8c9d-x7k2p", "my-llm"),
        ("exporter-x7k2p", "exporter"),
        ("nightly-28374650-x7k2p", "nightly"),
        ("train-0", "train-0"),
        ("train", "train"),
        ("x7k2p", "x7k2p"),
        ("-x7k2p", "-x7k2p"),
        ("llm-server", "llm-server"),
        ("", ""),
    ],
)
def test_a_name_tells_the_controller_where_it_was_generated(name: str, base: str) -> None:
    """Deployments, DaemonSets and Jobs, CronJobs; others keep their names."""
    assert stem(name) == base


def test_folders_of_logs_tell_uids(tmp_path: Path) -> None:
    """The newest of several by one name; and nothing where there are none."""
    assert logged_pods(str(tmp_path / "none")) == {}
    old, new = "a" * 32, "12345678-9abc-def0-1234-56789abcdef0"
    (tmp_path / f"ns_p_{old}").mkdir()
    (tmp_path / "ns_other").mkdir()
    assert logged_pods(str(tmp_path)) == {("ns", "p"): old}
    newer = tmp_path / f"ns_p_{new}"
    while not newer.exists() or newer.stat().st_ctime <= (tmp_path / f"ns_p_{old}").stat().st_ctime:
        newer.mkdir(exist_ok=True)
        newer.touch()
    assert logged_pods(str(tmp_path)) == {("ns", "p"): new}


def test_a_pod_that_is_gone_is_told_of_twice_more_and_named_like_its_siblings() -> None:
    """Its last grant is read after it is gone."""
    known = KnownPods()
    first = Pod("1", "ns", "llm-7f8c9d-x7k2p", "ns/Deployment/llm", owner="ml")
    second = Pod("2", "ns", "llm-7f8c9d-bbbbb", "ns/Deployment/llm", owner="ml")
    known.update([first, second])
    known.update([second])
    assert known.take([], dict) == (first, second)
    assert known.take([], dict) == (first, second)
    assert known.take([], dict) == (second,)
    brief = "llm-7f8c9d-ccccc"
    assert known.take([("ns", brief)], lambda: {("ns", brief): "3"}) == (
        second,
        Pod("3", "ns", brief, "ns/Deployment/llm", owner="ml"),
    )


def test_pods_that_come_and_go_do_not_pile_up() -> None:
    """Where nobody asks, the oldest are forgotten."""
    known = KnownPods()
    for n in range(10_000):
        known.update([Pod(str(n), "ns", f"p{n}", f"ns/Pod/p{n}")])
    assert len(known.take([], dict)) == 4_097
    known.take([], dict)
    assert len(known.take([], dict)) == 1


def device(name: str, uuid: str | None, nested: bool = False) -> dict[str, Any]:
    """A device of a slice, in the shape of v1 or of v1beta1."""
    attributes: dict[str, Any] = {"type": {"string": "gpu"}, "minor": {"int": 0}}
    if uuid is not None:
        attributes["uuid"] = {"string": uuid}
    found = {"attributes": attributes}
    return {"name": name, "basic": found} if nested else {"name": name, **found}


def a_slice(generation: int, *devices: dict[str, Any], pool: str = "node-a") -> dict[str, Any]:
    """A slice of the NVIDIA driver."""
    pool_said = {"name": pool, "generation": generation, "resourceSliceCount": 1}
    return {"spec": {"driver": "gpu.nvidia.com", "pool": pool_said, "devices": devices}}


def test_slices_tell_the_uuid_of_a_device() -> None:
    """In both shapes; of a pool's slices those of the highest generation."""
    slices = [
        a_slice(1, device("gpu-0", "GPU-old"), device("gpu-7", "GPU-gone")),
        a_slice(2, device("gpu-0", "GPU-a"), device("gpu-1", "GPU-b", nested=True)),
        a_slice(2, device("gpu-0-mig-1", None), device("gpu-2", "GPU-\n")),
        a_slice(1, device("gpu-0", "GPU-c"), pool="node-b"),
    ]
    body = msgspec.json.encode({"items": slices})
    assert uuids(msgspec.json.decode(body, type=Page[ResourceSlice]).items or ()) == {
        "gpu.nvidia.com/node-a/gpu-0": "GPU-a",
        "gpu.nvidia.com/node-a/gpu-1": "GPU-b",
        "gpu.nvidia.com/node-b/gpu-0": "GPU-c",
    }


def test_an_attribute_may_be_written_with_its_domain() -> None:
    """Both are the same to Kubernetes."""
    said = {"name": "gpu-0", "attributes": {"gpu.nvidia.com/uuid": {"string": "MIG-x"}}}
    body = msgspec.json.encode({"items": [a_slice(1, said)]})
    found = uuids(msgspec.json.decode(body, type=Page[ResourceSlice]).items or ())
    assert found == {"gpu.nvidia.com/node-a/gpu-0": "MIG-x"}
