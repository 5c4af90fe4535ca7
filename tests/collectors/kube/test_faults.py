"""The collector of Kubernetes where the kubelet is not as it should be."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.collectors.fake_kubelet import FakeKubelet
from tests.collectors.kube.reading import (
    GPUS,
    MakeCollector,
    after_polls,
    collect,
    seconds,
    until,
    view,
)
from unitcost.collectors.base import NoData
from unitcost.collectors.kube.kubelet import KubeletError
from unitcost.collectors.kubernetes import KubernetesCollector

ANY_USER = 65534


def failure(collector: KubernetesCollector) -> str:
    """What the collector says as soon as it says that it cannot read."""
    raised: list[str] = []

    def fails() -> bool:
        try:
            collect(collector)
        except KubeletError as error:
            raised.append(str(error))
        return bool(raised)

    until(fails)
    return raised[0]


def test_without_a_socket_there_is_no_kubelet(make: MakeCollector, tmp_path: Path) -> None:
    """Which is no error: most hosts have none."""
    collector = make(socket=str(tmp_path / "no" / "kubelet.sock"))
    for _ in range(2):
        with pytest.raises(NoData, match="no kubelet here"):
            collect(collector)


def test_a_kubelet_that_comes_later_is_found(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """The exporter may start before it."""
    kubelet.stop()
    collector = make()
    with pytest.raises(NoData):
        collect(collector)
    kubelet.give("ns", "a", GPUS[0])
    kubelet.start()
    assert set(seconds(view(collector))) == {"a"}


def test_a_restart_between_two_readings_loses_nothing(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """What was seen last counts until the kubelet is back."""
    kubelet.give("ns", "stays", GPUS[0])
    kubelet.give("ns", "goes", GPUS[1])
    collector = make()
    collect(collector)
    after_polls(kubelet)
    kubelet.stop()
    kubelet.remove("ns", "goes")
    time.sleep(0.3)
    kubelet.start()
    after_polls(kubelet)
    found = view(collector)
    held = seconds(found)
    assert held["stays"] == pytest.approx(found.span_ns / 1e9, abs=1e-6)
    assert 0.3 < held["goes"] < held["stays"]


def test_a_kubelet_that_is_down_is_an_error_and_nobody_is_told_to_hold_anything(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """Until it is back; the time in between is not told of then."""
    kubelet.give("ns", "a", GPUS[0])
    collector = make()
    collect(collector)
    kubelet.stop()
    assert "the kubelet is down" in failure(collector)
    time.sleep(0.3)
    with pytest.raises(KubeletError, match="the kubelet is down"):
        collect(collector)
    back = time.monotonic_ns()
    kubelet.start()
    after_polls(kubelet)
    found = view(collector)
    assert found.mono_ns - found.span_ns <= back
    assert found.span_ns < time.monotonic_ns() - back + 200_000_000
    assert set(seconds(found)) == {"a"}


def test_a_socket_that_nobody_listens_on_is_a_kubelet_that_is_down(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """It was killed; its socket is still there."""
    kubelet.stop()
    kubelet.socket.touch()
    assert "the kubelet is down" in failure(make())
    kubelet.give("ns", "a", GPUS[0])


def test_a_slow_kubelet_is_an_error_that_says_so(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """And it is read as soon as it is quick again."""
    kubelet.give("ns", "a", GPUS[0])
    kubelet.delay = 0.6
    collector = make(timeout=0.2)
    assert failure(collector) == "the kubelet did not answer within 0.2 s"
    kubelet.delay = 0.0
    after_polls(kubelet, 3)
    assert set(seconds(view(collector))) == {"a"}


def test_an_old_kubelet_does_not_tell_what_could_be_given_out(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """It is unknown then, not nothing, and not asked for again."""
    kubelet.give("ns", "a", GPUS[0])
    kubelet.unimplemented = {"GetAllocatableResources"}
    collector = make()
    seen = view(collector)
    assert seen.allocatable is None
    assert len(seen.grants) == 1
    kubelet.unimplemented = set()
    after_polls(kubelet, 3)
    assert view(collector).allocatable is None
    assert kubelet.allocatables == 0


def test_a_kubelet_without_this_api_is_an_error(kubelet: FakeKubelet, make: MakeCollector) -> None:
    """Older than 1.20, or with the feature off."""
    kubelet.unimplemented = {"List"}
    assert failure(make()) == "this kubelet has no PodResources API of version 1"


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"\xff\xff\xff", "answer is none"), (b"\n" * (17 * 1024 * 1024), "refused")],
)
def test_an_answer_that_is_none_is_an_error(
    kubelet: FakeKubelet, make: MakeCollector, raw: bytes, text: str
) -> None:
    """Junk, or more than anybody needs."""
    kubelet.raw = raw
    assert text in failure(make(timeout=30.0))


def test_more_devices_than_there_can_be_are_an_error(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """Something is out of order."""
    kubelet.given["ns", "a", "main"] = {"nvidia.com/gpu": [f"GPU-{n}" for n in range(10_001)]}
    assert "10001 devices" in failure(make(timeout=30.0))


AS_ANOTHER_USER = """
import os, sys, time
from unitcost.collectors.base import Context
from unitcost.collectors.kubernetes import Options, make_collector
collector = make_collector(Options(socket=sys.argv[1], poll=0.05), Context())
import grpc, google.protobuf.message, unitcost.collectors.kube.podresources_pb2
os.setgid(65534)
os.setuid(65534)
try:
    collector.collect(time.monotonic() + 30)
except Exception as error:
    print(type(error).__name__, error)
collector.close(10)
"""


def as_another_user(socket: Path) -> str:
    """What the collector says to a user who is not root."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    command = [sys.executable, "-c", AS_ANOTHER_USER, str(socket)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("mode", [0o600, 0o444])
def test_who_may_not_ask_the_kubelet_is_told_so(kubelet: FakeKubelet, mode: int) -> None:
    """The socket is root's."""
    for folder in (kubelet.socket.parent, *kubelet.socket.parent.parents[:2]):
        folder.chmod(0o755)
    kubelet.socket.chmod(mode)
    assert as_another_user(kubelet.socket).startswith("KubeletError permission denied: ")


def test_who_may_not_see_the_socket_is_told_so(kubelet: FakeKubelet) -> None:
    """Its folder may be closed, too: that is not the same as no kubelet."""
    kubelet.socket.parent.chmod(0o700)
    assert as_another_user(kubelet.socket).startswith("KubeletError permission denied: ")


WITHOUT_THE_EXTRA = """
import sys, time
sys.modules[sys.argv[2]] = None
from unitcost.collectors.base import Context
from unitcost.collectors.kubernetes import Options, make_collector
collector = make_collector(Options(socket=sys.argv[1]), Context())
reading = collector.collect(time.monotonic() + 30)
print(reading.kubelet, *reading.problems)
collector.close(10)
"""


@pytest.mark.parametrize("package", ["grpc", "google.protobuf.message"])
def test_without_the_extra_it_says_which_one(kubelet: FakeKubelet, package: str) -> None:
    """There is a kubelet, but not what it takes to ask it."""
    command = [sys.executable, "-c", WITHOUT_THE_EXTRA, str(kubelet.socket), package]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("None Problem(kind='kubelet'")
    assert "unitcost[kubernetes]" in run.stdout
