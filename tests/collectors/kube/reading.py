"""Readings of the collector of Kubernetes, and waiting for what happens between them."""

import time
from collections.abc import Callable

from tests.collectors.fake_kubelet import FakeKubelet
from unitcost.collectors.base import Reading
from unitcost.collectors.kubernetes import KubernetesCollector
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.container import Kubelet

POLL = 0.05
GPUS = [f"GPU-0000000{n}-1111-2222-3333-444444444444" for n in range(8)]
MakeCollector = Callable[..., KubernetesCollector]


def collect(collector: KubernetesCollector) -> Reading:
    """A reading that the exporter would accept."""
    return validate(collector.collect(time.monotonic() + 30))


def view(collector: KubernetesCollector) -> Kubelet:
    """The kubelet's part of a reading."""
    kubelet = collect(collector).kubelet
    assert kubelet is not None
    return kubelet


def until(check: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 30
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def after_polls(kubelet: FakeKubelet, count: int = 2) -> None:
    """Wait until the kubelet was asked a few more times."""
    before = kubelet.lists
    until(lambda: kubelet.lists >= before + count)


def seconds(kubelet: Kubelet) -> dict[str, float]:
    """For how long each pod held something, summed over its devices."""
    times: dict[str, float] = {}
    for grant in kubelet.grants:
        times[grant.pod] = times.get(grant.pod, 0.0) + grant.held_ns / 1e9
    return times
