"""Pods that come and go between readings: each is billed for as long as it held its device."""

import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

import psutil

from tests.collectors.fake_kubelet import FakeKubelet
from tests.collectors.kube.reading import GPUS, MakeCollector, after_polls, collect
from unitcost.collectors.base import Reading

SECONDS = 60.0 if os.environ.get("UNITCOST_LONG") else 12.0
PER_SECOND = 5
POLL = 0.1


@dataclass
class Churn:
    """Gives a device to a new pod `PER_SECOND` times a second, each for 0.3 to 1.3 s."""

    kubelet: FakeKubelet
    ends: dict[str, float] = field(default_factory=dict)
    lived: dict[str, float] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)

    def step(self, number: int) -> None:
        """One pod comes; those whose time is over go."""
        now = time.monotonic()
        pod = f"job-{number}"
        self.kubelet.give("ns", pod, GPUS[number % 8])
        self._began[pod] = now
        self.ends[pod] = now + 0.3 + number % 11 / 10
        self.end_those_due(now)

    def end_those_due(self, now: float) -> None:
        """End the pods whose time is over."""
        for pod in [pod for pod, end in self.ends.items() if end <= now]:
            del self.ends[pod]
            self.kubelet.remove("ns", pod)
            self.lived[pod] = time.monotonic() - self._began[pod]


def add_up(held: dict[str, float], reading: Reading) -> None:
    """Add what each pod held, in seconds; a device is held by one at a time."""
    assert reading.kubelet is not None
    by_device: dict[str, int] = defaultdict(int)
    for grant in reading.kubelet.grants:
        held[grant.pod] += grant.held_ns / 1e9
        by_device[grant.device] += grant.held_ns
    assert max(by_device.values(), default=0) <= reading.kubelet.span_ns
    assert {grant.pod for grant in reading.kubelet.grants} <= {
        pod.name for pod in reading.pods or ()
    }


def test_pods_that_come_and_go_are_billed_for_the_time_they_were_there(
    kubelet: FakeKubelet, make: MakeCollector
) -> None:
    """Each within a poll or two of its life, all of them together closely; and nothing leaks."""
    collector = make(poll=POLL)
    collect(collector)
    churn = Churn(kubelet)
    held: dict[str, float] = defaultdict(float)
    usage: list[tuple[int, int]] = []
    number, began = 0, time.monotonic()
    while time.monotonic() < began + SECONDS:
        churn.step(number)
        number += 1
        if number % (2 * PER_SECOND) == 0:
            reading = collect(collector)
            add_up(held, reading)
            assert len(reading.pods or ()) <= 8 * PER_SECOND
            usage.append((psutil.Process().num_fds(), threading.active_count()))
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
    churn.end_those_due(float("inf"))
    after_polls(kubelet, 3)
    add_up(held, collect(collector))
    assert held.keys() == churn.lived.keys()
    errors = {pod: held[pod] - lived for pod, lived in churn.lived.items()}
    tolerance = 0.5  # a poll, and what a loaded machine adds to it
    assert {pod: error for pod, error in errors.items() if abs(error) > tolerance} == {}
    assert abs(sum(errors.values())) < 0.1 * sum(churn.lived.values())
    assert max(usage) <= (usage[0][0] + 3, usage[0][1] + 4)
