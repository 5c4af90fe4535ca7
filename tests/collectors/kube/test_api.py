"""The collector of Kubernetes with an API server: who the pods are, and what claims mean."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.fake_apiserver import (
    NODE,
    FakeApiServer,
    owner,
    pod,
    service_account,
)
from tests.collectors.fake_kubelet import FakeKubelet
from tests.collectors.kube.reading import GPUS, MakeCollector, after_polls, collect, seconds, until
from tests.collectors.kube.test_pods import a_slice, device
from unitcost.collectors.base import Reading
from unitcost.collectors.kubernetes import KubernetesCollector
from unitcost.pricing.container import Pod, PodContainer

MakeInCluster = Callable[..., KubernetesCollector]


@pytest.fixture
def in_cluster(
    api: FakeApiServer,
    make: MakeCollector,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> MakeInCluster:
    """Makes collectors that run in a pod of the cluster."""
    host, _, port = api.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("NODE_NAME", NODE)
    account = str(service_account(tmp_path / "account", certificate[0]))

    def make_one(**options: Any) -> KubernetesCollector:
        return make(**({"service_account": account} | options))

    return make_one


def by_name(reading: Reading) -> dict[str, Pod]:
    """The pods of a reading."""
    return {each.name: each for each in reading.pods or ()}


def test_pods_are_told_of_with_all_that_the_cluster_knows(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster
) -> None:
    """Those with devices and those without, from the first reading on."""
    api.pods = [pod("train-x7k2p", metadata=owner("Job", "train")), pod("other")]
    kubelet.give("default", "train-x7k2p", GPUS[0])
    reading = collect(in_cluster())
    assert reading.problems == ()
    assert by_name(reading)["train-x7k2p"].controller == "default/Job/train"
    container = PodContainer("main", "id-other", True, 500, 1024**3)
    assert by_name(reading)["other"] == Pod(
        "uid-other", "default", "other", "default/Pod/other", containers=(container,)
    )


def test_a_long_list_comes_in_pages(api: FakeApiServer, in_cluster: MakeInCluster) -> None:
    """Without a kubelet there are pods all the same."""
    api.pods = [pod(f"p{n}") for n in range(25)]
    api.page = 10
    reading = collect(in_cluster())
    assert reading.kubelet is None
    assert sorted(by_name(reading)) == sorted(f"p{n}" for n in range(25))


def test_a_new_pod_is_known_within_a_second(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster
) -> None:
    """Not only when the list is read again, every 15 s."""
    collector = in_cluster()
    collect(collector)
    api.pods = [pod("new", metadata=owner("Job", "train"))]
    kubelet.give("default", "new", GPUS[0])
    after_polls(kubelet)
    assert by_name(collect(collector))["new"].controller == "default/Job/train"


def test_an_api_server_is_asked_once_a_second_at_most(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster
) -> None:
    """Whatever comes and goes; and a pod it never knows is sought three times."""
    collector = in_cluster()
    collect(collector)
    began, before = time.monotonic(), len(api.requests)
    for n in range(40):
        kubelet.give("default", f"p{n}", GPUS[0])
        time.sleep(0.05)
    assert len(api.requests) - before <= time.monotonic() - began + 1
    until(lambda: not collector._roster._sought)
    assert {each.controller for each in collect(collector).pods or ()} == {
        f"default/pod/p{n}" for n in range(40)
    }


def test_a_pod_that_was_gone_before_it_was_known_is_named_like_its_siblings(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster
) -> None:
    """Every grant has a pod."""
    labels = {"pod-template-hash": "7f8c9d"}
    metadata = {"labels": labels, **owner("ReplicaSet", "llm-7f8c9d")}
    api.pods = [pod("llm-7f8c9d-x7k2p", metadata=metadata)]
    kubelet.give("default", "llm-7f8c9d-x7k2p", GPUS[0])
    collector = in_cluster()
    collect(collector)
    kubelet.give("default", "llm-7f8c9d-bbbbb", GPUS[1])
    kubelet.give("default", "alone", GPUS[2])
    after_polls(kubelet)
    pods = by_name(collect(collector))
    assert pods["llm-7f8c9d-bbbbb"].controller == "default/Deployment/llm"
    assert pods["alone"].controller == "default/pod/alone"


def test_a_pod_that_has_ended_holds_nothing_though_the_kubelet_lists_it(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster
) -> None:
    """Its device is the next pod's."""
    api.pods = [pod("old", status={"phase": "Succeeded"}), pod("new")]
    kubelet.give("default", "old", GPUS[0])
    kubelet.give("default", "new", GPUS[0])
    collector = in_cluster()
    for _ in range(2):  # that it has ended is learned after the first
        collect(collector)
    time.sleep(0.2)
    reading = collect(collector)
    assert reading.kubelet is not None
    assert seconds(reading.kubelet) == {"new": reading.kubelet.span_ns / 1e9}


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1"])
def test_a_claimed_device_gets_its_uuid(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster, version: str
) -> None:
    """From the slices, in any version; a device that is in none is told of as it is."""
    api.pods = [pod("a"), pod("b")]
    named = device("gpu-0", "GPU-a", nested=version == "v1beta1")
    api.slices = {version: [a_slice(3, named)]}
    for name in "ab":
        kubelet.claimed["default", name, "main"] = [("gpu.nvidia.com", "node-a", "gpu-0")]
    kubelet.claimed["default", "c", "main"] = [("gpu.nvidia.com", "node-a", "gpu-9")]
    collector = in_cluster()
    until(lambda: not collect(collector).problems or not collector._roster._sought)
    reading = collect(collector)
    assert reading.kubelet is not None
    assert [(each.pod, each.device) for each in reading.kubelet.grants] == [
        ("a", "GPU-a"),
        ("b", "GPU-a"),
        ("c", "gpu.nvidia.com/node-a/gpu-9"),
    ]
    assert [each.kind for each in reading.problems] == ["claim"]


def test_slices_are_not_asked_for_where_nothing_is_claimed(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster
) -> None:
    """A cluster without DRA need not give us the right to."""
    kubelet.give("default", "a", GPUS[0])
    api.pods = [pod("a")]
    collect(in_cluster())
    assert all(each.startswith("/api/v1/pods?") for each in api.requests)


def test_a_token_that_was_replaced_is_used(
    kubelet: FakeKubelet,
    api: FakeApiServer,
    in_cluster: MakeInCluster,
    certificate: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    """It is valid for an hour or so."""
    collector = in_cluster()
    collect(collector)
    api.token = "another"  # noqa: S105 - of a test
    service_account(tmp_path / "account", certificate[0], "another\n")
    api.pods = [pod("new")]
    kubelet.give("default", "new", GPUS[0])
    after_polls(kubelet)
    reading = collect(collector)
    assert reading.problems == ()
    assert by_name(reading)["new"].uid == "uid-new"


def broken(api: FakeApiServer, account: Path, what: str) -> None:
    """Break something about the API server."""
    if what == "token":
        api.token = "another"  # noqa: S105 - of a test
    elif what == "forbidden":
        api.status = 403
    elif what == "junk":
        api.body = b'{"items": 3}'
    elif what == "large":
        api.body = b" " * (32 * 1024 * 1024 + 1)
    elif what == "missing":
        (account / "ca.crt").unlink()
    else:
        (account / "ca.crt").write_text("no certificate")


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("token", "HTTP 401"),
        ("forbidden", "HTTP 403"),
        ("junk", "not what Kubernetes says"),
        ("large", "larger than 33554432 bytes"),
        ("missing", "ca.crt cannot be used"),
        ("authority", "ca.crt cannot be used"),
    ],
)
def test_without_an_answer_pods_are_named_by_their_names(
    kubelet: FakeKubelet,
    api: FakeApiServer,
    in_cluster: MakeInCluster,
    tmp_path: Path,
    what: str,
    text: str,
) -> None:
    """And the problem is told; the token never is."""
    kubelet.give("default", "llm-7f8c9d-x7k2p", GPUS[0])
    collector = in_cluster()
    broken(api, tmp_path / "account", what)
    until(lambda: bool(collect(collector).problems))
    reading = collect(collector)
    (problem,) = reading.problems
    assert problem.kind == "apiserver"
    assert text in problem.detail
    assert "a-token" not in problem.detail
    assert by_name(reading)["llm-7f8c9d-x7k2p"].controller == "default/pod/llm"


def test_an_authority_that_does_not_vouch_for_the_server_is_not_believed(
    kubelet: FakeKubelet, api: FakeApiServer, in_cluster: MakeInCluster, tmp_path: Path
) -> None:
    """And the server sees no token."""
    collector = in_cluster()
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if not bundle.exists():
        pytest.skip("no other authorities here")
    (tmp_path / "account" / "ca.crt").write_bytes(bundle.read_bytes())
    until(lambda: bool(collect(collector).problems))
    assert "TLS" in collect(collector).problems[0].detail
    assert api.requests == []


def test_in_a_cluster_the_name_of_the_node_must_be_known(
    kubelet: FakeKubelet, in_cluster: MakeInCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would have to read all pods of the cluster. The configuration can say it."""
    monkeypatch.delenv("NODE_NAME")
    (problem,) = collect(in_cluster()).problems
    assert "set NODE_NAME" in problem.detail
    (problem,) = collect(in_cluster(node_name="Bad&limit=1")).problems
    assert "set NODE_NAME" in problem.detail
    assert collect(in_cluster(node_name=NODE)).problems == ()
