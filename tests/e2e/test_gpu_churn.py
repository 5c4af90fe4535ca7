"""Pods that come and go faster than the exporter ticks, through the real exporter: each controller
is billed for what its pods held, and nothing grows."""

import os
import random
import signal
import time
from collections import deque
from pathlib import Path

import pytest

from tests.collectors.fake_apiserver import owner, pod
from tests.gpu_node import GpuNode, gpu_node
from tests.harness import Exporter

pytest.importorskip("grpc")
pytest.importorskip("pynvml")

SECONDS = 60 if os.environ.get("UNITCOST_LONG") == "1" else 12
PODS_A_SECOND, LIFE_SECONDS, CONTROLLERS = 5, 1.5, 12
POLL_SECONDS = 0.1
RANDOM = "bcdfghjklmnpqrstvwxz2456789"
"""The characters of the names that Kubernetes makes."""
REPLICAS = 16


class Churn:
    """Starts and ends pods, and knows how long each controller's held a replica."""

    def __init__(self, node: GpuNode) -> None:
        self.node = node
        self.free = deque(node.share(0, REPLICAS))
        self.living: deque[tuple[float, str, str, str]] = deque()
        self.held: dict[str, float] = {}
        self.random = random.Random(7)

    def start(self) -> None:
        """One more pod."""
        device = self.free.popleft()
        controller = f"job{self.random.randrange(CONTROLLERS)}"
        name = f"{controller}-{''.join(self.random.choices(RANDOM, k=5))}"
        item = pod(name, metadata=owner("Job", controller))
        self.node.api.pods = [*self.node.api.pods, item]
        self.node.kubelet.give("default", name, device)
        self.living.append((time.monotonic(), name, controller, device))

    def end(self) -> None:
        """The oldest pod ends."""
        began, name, controller, device = self.living.popleft()
        self.node.kubelet.remove("default", name)
        self.held[controller] = self.held.get(controller, 0.0) + time.monotonic() - began
        kept = [each for each in self.node.api.pods if each["metadata"]["name"] != name]
        self.node.api.pods = kept
        self.free.append(device)

    def run(self, seconds: float) -> None:
        """Five pods a second come, each lives a second and a half."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.start()
            while time.monotonic() - self.living[0][0] >= LIFE_SECONDS:
                self.end()
            time.sleep(1 / PODS_A_SECOND)
        while self.living:
            self.end()


def threads(exporter: Exporter) -> int:
    """How many it has."""
    assert exporter.process is not None
    return len(os.listdir(f"/proc/{exporter.process.pid}/task"))


def test_five_pods_a_second_are_each_billed_for_what_they_held(tmp_path: Path) -> None:
    """To within a poll at each end, and all together to what was held; no thread is left."""
    with gpu_node(tmp_path / "node", "h100") as node:
        collectors = node.collectors
        collectors["kubernetes"] |= {"poll": POLL_SECONDS, "cgroups": str(tmp_path / "none")}
        settings = {
            "price": {"usd_per_hour": "36"},
            "period": 1.0,
            "gather_deadline": 0.9,
            "collectors": collectors,
        }
        running = Exporter(tmp_path, settings, node.environment)
        try:
            churn = Churn(node)
            running.start().wait_tick(2)
            churn.run(2)
            before = threads(running)
            churn.run(SECONDS)
            after = running.wait_tick(3)
            found: dict[str, float] = {}
            for labels, value in after.each("unitcost_held_seconds_total").items():
                known = dict(labels)
                if known["resource"].startswith("gpu:"):
                    name = known["workload"].rpartition("/")[2]
                    found[name] = found.get(name, 0.0) + value * REPLICAS
            assert set(found) - {"__unallocated__", "__unmetered__"} == set(churn.held)
            for controller, seconds in churn.held.items():
                pods = seconds / LIFE_SECONDS
                assert found[controller] == pytest.approx(seconds, abs=2.5 * POLL_SECONDS * pods)
            billed = sum(found[name] for name in churn.held)
            assert billed == pytest.approx(sum(churn.held.values()), rel=0.08)
            assert threads(running) <= before + 1
            named = {dict(labels)["workload"] for labels in after.each("unitcost_workload_info")}
            guessed = {name for name in named if "/pod/" in name}
            assert len(guessed) <= 2
        finally:
            running.stop(signal.SIGKILL)
