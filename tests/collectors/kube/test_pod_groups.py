"""The kubelet is asked at once when a pod comes or goes, and seldom while none does."""

import time
from pathlib import Path

import pytest

from tests.collectors.fake_kubelet import FakeKubelet
from tests.collectors.kube.reading import POLL, MakeCollector
from unitcost.collectors.kube.pod_groups import PodGroups


@pytest.mark.parametrize(
    "place",
    [
        "kubepods.slice/kubepods-burstable.slice",
        "kubepods.slice",
        "kubepods/besteffort",
        "cpu,cpuacct/kubepods/burstable",
        "systemd/kubepods.slice/kubepods-besteffort.slice",
    ],
)
def test_pods_are_seen_in_every_kind_of_tree(tmp_path: Path, place: str) -> None:
    """Both drivers, both versions."""
    (tmp_path / place).mkdir(parents=True)
    groups = PodGroups(str(tmp_path))
    before = groups.names()
    (tmp_path / place / "pod1").mkdir()
    assert groups.names() == (before or frozenset()) | {"pod1"}
    (tmp_path / place / "pod1").rmdir()
    assert groups.names() == before


def test_a_class_that_comes_later_is_looked_into(tmp_path: Path) -> None:
    """It is made with its first pod."""
    (tmp_path / "kubepods").mkdir()
    groups = PodGroups(str(tmp_path))
    assert groups.names() == frozenset()
    (tmp_path / "kubepods/burstable/pod1").mkdir(parents=True)
    assert groups.names() == frozenset({"burstable", "pod1"})
    (tmp_path / "kubepods/burstable/pod2").mkdir()
    assert groups.names() == frozenset({"burstable", "pod1", "pod2"})


def test_where_none_can_be_seen_nothing_is_told(tmp_path: Path) -> None:
    """None is not the same as no pods."""
    assert PodGroups(str(tmp_path)).names() is None
    assert PodGroups(str(tmp_path / "missing")).names() is None


def test_while_no_pod_comes_or_goes_the_kubelet_is_asked_seldom(
    kubelet: FakeKubelet, make: MakeCollector, tmp_path: Path
) -> None:
    """One that comes is seen as soon as ever."""
    pods = tmp_path / "cgroup" / "kubepods" / "burstable"
    pods.mkdir(parents=True)
    kubelet.give("default", "old", "GPU-1")
    collector = make()
    collector.collect(time.monotonic() + 5)
    time.sleep(5 * POLL)
    before = kubelet.lists
    time.sleep(20 * POLL)
    assert kubelet.lists - before <= 20 / 5 + 2
    kubelet.give("default", "new", "GPU-2")
    (pods / "pod-new").mkdir()
    time.sleep(4 * POLL)
    reading = collector.collect(time.monotonic() + 5)
    assert reading.kubelet is not None
    assert {grant.pod for grant in reading.kubelet.grants} == {"old", "new"}


def test_a_kubelet_that_failed_is_asked_every_time(
    kubelet: FakeKubelet, make: MakeCollector, tmp_path: Path
) -> None:
    """So that its return is seen at once."""
    (tmp_path / "cgroup" / "kubepods").mkdir(parents=True)
    collector = make()
    collector.collect(time.monotonic() + 5)
    time.sleep(6 * POLL)
    kubelet.stop()
    time.sleep(8 * POLL)
    kubelet.start()
    before = kubelet.lists
    time.sleep(4 * POLL)
    assert kubelet.lists > before
