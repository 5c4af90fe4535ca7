"""The collector of Kubernetes with a kubelet that speaks the real protocol, and no API server."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.collectors.fake_kubelet import FakeKubelet
from tests.collectors.kube.reading import (
    GPUS,
    POLL,
    MakeCollector,
    after_polls,
    collect,
    seconds,
    until,
    view,
)
from unitcost.collectors.base import Context
from unitcost.collectors.kubernetes import Options, make_collector
from unitcost.pricing.container import Allocatable


@pytest.mark.parametrize(
    ("resource", "device"),
    [
        ("nvidia.com/gpu", GPUS[0]),
        ("nvidia.com/gpu.shared", f"{GPUS[0]}::3"),
        ("nvidia.com/mig-1g.10gb", "MIG-0e2f4c1a-9b7d-5c3e-a1f0-ffeeddccbbaa"),
        ("nvidia.com/gpu", f"MIG-{GPUS[0]}/7/0"),
        ("nvidia.com/gpu", "nvidia0/gi3/vgpu1"),
        ("nvidia.com/gpu", "0"),
    ],
)
def test_a_grant_is_as_the_kubelet_says(
    kubelet: FakeKubelet, make: MakeCollector, resource: str, device: str
) -> None:
    """Whole GPUs, MIG instances, shares, ids of GKE, plain numbers."""
    kubelet.give("ns", "pod", device, resource)
    kubelet.allocatable = {resource: [device], "example.com/nic": ["x"]}
    seen = view(make())
    (grant,) = seen.grants
    where = (grant.namespace, grant.pod, grant.container)
    assert where == ("ns", "pod", "main")
    assert (grant.resource, grant.device) == (resource, device)
    assert seen.allocatable == (Allocatable(resource, device),)


def test_resources_that_are_no_devices_are_left_out(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """Network cards and the like; the configuration says which are devices."""
    kubelet.give("ns", "a", "x", "example.com/nic")
    kubelet.give("ns", "b", "y", "example.com/accelerator")
    kubelet.claimed["ns", "c", "main"] = [("nic.example.com", "node", "nic-0")]
    assert view(make()).grants == ()
    (grant,) = view(make(resources=("*/accel*",))).grants
    assert grant.device == "y"


def test_a_claimed_device_without_an_api_server_is_told_as_it_is(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """Both who share it are told of, and that its UUID is not known."""
    for pod in "ab":
        kubelet.claimed["ns", pod, "main"] = [("gpu.nvidia.com", "node-a", "gpu-0")]
    reading = collect(make())
    assert reading.kubelet is not None
    found = [(each.pod, each.resource, each.device) for each in reading.kubelet.grants]
    device = "gpu.nvidia.com/node-a/gpu-0"
    assert found == [("a", "gpu.nvidia.com", device), ("b", "gpu.nvidia.com", device)]
    assert [each.kind for each in reading.problems] == ["claim"]


def test_time_is_counted_between_readings(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """Of pods that stay, that come, that go, and that were there only between two readings."""
    kubelet.give("ns", "stays", GPUS[0])
    kubelet.give("ns", "goes", GPUS[1])
    collector = make()
    first = view(collector)
    time.sleep(0.3)
    kubelet.remove("ns", "goes")
    kubelet.give("ns", "brief", GPUS[1])
    time.sleep(0.3)
    kubelet.remove("ns", "brief")
    kubelet.give("ns", "comes", GPUS[1])
    time.sleep(0.3)
    second = view(collector)
    assert second.mono_ns - second.span_ns == pytest.approx(first.mono_ns, abs=1)
    held = seconds(second)
    span = second.span_ns / 1e9
    assert held["stays"] == pytest.approx(span, abs=1e-6)
    others = [held[pod] for pod in ("goes", "brief", "comes")]
    assert min(others) > 0.1
    assert sum(others) == pytest.approx(span, abs=1e-6)
    after_polls(kubelet)
    assert set(seconds(view(collector))) == {"stays", "comes"}


def test_pods_are_named_by_what_their_names_tell(
    kubelet: FakeKubelet, make: MakeCollector, tmp_path: Path
) -> None:
    """Without an API server; UIDs come from the folders of their logs."""
    uid = "12345678-9abc-def0-1234-56789abcdef0"
    (tmp_path / "logs" / f"ns_llm-6d4b75cb6d-x7k2p_{uid}").mkdir(parents=True)
    (tmp_path / "logs" / "ns_no-gpu_0123456789abcdef0123456789abcdef").mkdir()
    (tmp_path / "logs" / "junk").mkdir()
    kubelet.give("ns", "llm-6d4b75cb6d-x7k2p", GPUS[0])
    kubelet.give("ns", "unlogged", GPUS[1])
    pods = collect(make()).pods
    assert pods is not None
    assert [(pod.uid, pod.name, pod.controller) for pod in pods] == [
        (uid, "llm-6d4b75cb6d-x7k2p", "ns/pod/llm"),
        ("0123456789abcdef0123456789abcdef", "no-gpu", "ns/pod/no-gpu"),
        ("", "unlogged", "ns/pod/unlogged"),
    ]


def test_what_can_be_given_out_is_asked_again_when_the_kubelet_was_restarted(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """A device plug-in may offer other devices then; otherwise once a minute is enough."""
    kubelet.allocatable = {"nvidia.com/gpu": GPUS[:1]}
    collector = make()
    assert view(collector).allocatable == (Allocatable("nvidia.com/gpu", GPUS[0]),)
    after_polls(kubelet, 5)
    assert kubelet.allocatables == 1
    kubelet.stop()
    kubelet.allocatable = {"nvidia.com/gpu": GPUS[1:2]}
    kubelet.start()
    until(lambda: kubelet.allocatables == 2)
    after_polls(kubelet)
    assert view(collector).allocatable == (Allocatable("nvidia.com/gpu", GPUS[1]),)


def test_closing_ends_the_thread(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """So does dropping the collector without closing it."""

    def running() -> int:
        return sum(thread.name == "kubelet-poll" for thread in threading.enumerate())

    before = running()
    collector = make()
    collect(collector)
    assert running() == before + 1
    collector.close(timeout=10)
    assert running() == before
    dropped = make_collector(Options(socket=str(kubelet.socket), poll=POLL), Context())
    collect(dropped)
    assert running() == before + 1
    del dropped
    until(lambda: running() == before)


def test_a_node_full_of_pods(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """110 pods on 8 GPUs, whole, cut by MIG and time-sliced, all told of every time."""
    for n in range(110):
        kubelet.give("ns", f"sliced-{n}", f"{GPUS[n % 4]}::{n // 4}", "nvidia.com/gpu.shared")
        for part in range(7):
            mig = f"MIG-{n:08d}-0000-0000-0000-00000000000{part}"
            kubelet.give("ns", f"sliced-{n}", mig, "nvidia.com/mig-1g.10gb")
    collector = make()
    assert len(view(collector).grants) == 110 * 8
    after_polls(kubelet, 3)
    again = view(collector)
    assert len(again.grants) == 110 * 8
    assert {grant.held_ns for grant in again.grants} == {again.span_ns}


def test_an_answer_of_more_than_4_mib_is_read(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """gRPC's own limit, which a large node is over."""
    for n in range(9_000):
        kubelet.give("ns", f"{'p' * 500}-{n}", f"GPU-{n}")
    assert len(kubelet._list()) > 4 * 1024 * 1024
    assert len(view(make(poll=5.0, timeout=30.0)).grants) == 9_000


def test_nothing_grows_while_nothing_changes(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """Threads and open files stay as they are, whoever comes and goes."""
    collector = make()
    collect(collector)
    process = psutil.Process()
    after_polls(kubelet, 5)
    before = process.num_fds(), threading.active_count()
    for n in range(50):
        kubelet.give("ns", f"p{n}", GPUS[0])
        after_polls(kubelet, 1)
        collect(collector)
        kubelet.remove("ns", f"p{n}")
    assert process.num_fds() <= before[0] + 2
    assert threading.active_count() <= before[1] + 4  # the fake's own
