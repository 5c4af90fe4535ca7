"""A whole GPU node for the real exporter: real processes in real control groups, and around them a
pretended driver, a kubelet and an API server that speak the real protocols.

    with gpu_node(tmp_path, "h200") as node:
        node.pod("chat-abc", [node.gpu(0).uuid], sm=40)
        with exporter(tmp_path, collectors=node.collectors, environment=node.environment) ...
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.fake_apiserver import (
    NODE,
    FakeApiServer,
    Json,
    fake_apiserver,
    make_certificate,
    owner,
    pod,
    service_account,
)
from tests.collectors.fake_kubelet import FakeKubelet, fake_kubelet
from tests.fake_nvml import FakeNvml, pretend
from tests.fake_nvml_gpu import FakeGpu

CGROUPS = Path("/sys/fs/cgroup")
GPU_RESOURCE = "nvidia.com/gpu"
_SLEEP = "import sys; sys.stdin.read()"
_BURN = "import threading\nwhile True: pass"


@dataclass
class NodePod:
    """A pod on the node: one container, one process."""

    name: str
    process: subprocess.Popen[bytes]
    container: str
    groups: tuple[Path, ...]
    gpus: tuple[int, ...]
    item: Json


@dataclass
class GpuNode:
    """The node; change it while the exporter runs."""

    folder: Path
    driver: FakeNvml
    kubelet: FakeKubelet
    api: FakeApiServer
    pods: dict[str, NodePod] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the exporter has to have in its environment."""
        port = self.api.url.rpartition(":")[2]
        cluster = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
        return {**self.driver.environment, **cluster, "NODE_NAME": NODE}

    @property
    def collectors(self) -> dict[str, Any]:
        """The exporter's `collectors` section."""
        return {
            "kubernetes": {
                "socket": str(self.kubelet.socket),
                "service_account": str(self.folder / "account"),
                "pod_logs": str(self.folder / "logs"),
                "poll": 0.2,
            },
            "training": {"directories": [str(self.folder / "train")]},
        }

    def gpu(self, index: int) -> FakeGpu:
        """One GPU."""
        return self.driver.gpu(index)

    def share(self, index: int, replicas: int) -> list[str]:
        """Advertise a GPU as replicas; returns their ids."""
        names = [f"{self.gpu(index).uuid}::{n}" for n in range(replicas)]
        self.advertise(names)
        return names

    def advertise(self, devices: Sequence[str]) -> None:
        """The device plug-in has these ids."""
        known = self.kubelet.allocatable.setdefault(GPU_RESOURCE, [])
        known.extend(each for each in devices if each not in known)

    def pod(
        self,
        name: str,
        devices: Sequence[str] = (),
        *,
        gpu: int | None = None,
        sm: int = 0,
        burn: bool = False,
        kind: str = "StatefulSet",
        controller: str = "",
        labels: dict[str, str] | None = None,
        ready: bool = True,
        processes: int = 1,
    ) -> NodePod:
        """Start one: its process, its control group, its devices; on `gpu` it computes."""
        uid, container = str(uuid.uuid4()), uuid.uuid4().hex * 2
        command = [sys.executable, "-c", _BURN if burn else _SLEEP]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        groups = tuple(_group(each, uid, container) for each in ("cpu", "cpuacct", "memory"))
        for group in groups:
            (group / "cgroup.procs").write_text(str(process.pid))
        metadata = {"labels": labels or {}, **owner(kind, controller or name.rpartition("-")[0])}
        state = {"name": "main", "ready": ready, "containerID": f"containerd://{container}"}
        item = pod(name, uid=uid, metadata=metadata, status={"containerStatuses": [state]})
        self.api.pods = [*self.api.pods, item]
        found = NodePod(name, process, container, groups, () if gpu is None else (gpu,), item)
        self.pods[name] = found
        for device in devices:
            self.kubelet.give("default", name, device)
        if gpu is not None:
            self.gpu(gpu).run(process.pid, memory=1 << 30, sm=sm)
            for number in range(1, processes):
                self.gpu(gpu).run(process.pid + 100_000 * number, memory=1 << 28)
            self.driver.write()
        return found

    def compute(self, name: str, gpu: int, sm: int) -> None:
        """From now on a pod's process uses so much of the SM time."""
        pid = self.pods[name].process.pid
        self.gpu(gpu).stop(pid)
        self.gpu(gpu).run(pid, memory=1 << 30, sm=sm)
        self.driver.write()

    def end(self, name: str) -> None:
        """The pod ends, and is deleted."""
        gone = self.pods.pop(name)
        self.kubelet.remove("default", name)
        self.api.pods = [each for each in self.api.pods if each is not gone.item]
        for gpu in gone.gpus:
            self.gpu(gpu).stop(gone.process.pid)
        self.driver.write()
        _remove(gone)


def _group(controller: str, uid: str, container: str) -> Path:
    path = CGROUPS / controller / "kubepods" / "burstable" / f"pod{uid}" / container
    path.mkdir(parents=True)
    return path


def _remove(gone: NodePod) -> None:
    gone.process.kill()
    gone.process.communicate()
    for group in gone.groups:
        for folder in (group, group.parent, group.parent.parent, group.parent.parent.parent):
            with suppress(OSError):
                folder.rmdir()


def real_groups() -> None:
    """Skip the test where no control group of version 1 can be made."""
    probe = CGROUPS / "cpuacct" / f"unitcost-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        pytest.skip(f"control groups (version 1) cannot be made here: {error.strerror}")


@contextmanager
def gpu_node(folder: Path, profile: str = "h200") -> Iterator[GpuNode]:
    """A node with the GPUs of a profile (`tests/fake_nvml_profiles.py`) and no pods yet."""
    folder.mkdir(exist_ok=True)
    made, key = make_certificate(folder)
    service_account(folder / "account", made)
    with ExitStack() as stack:
        kubelet = stack.enter_context(fake_kubelet(folder))
        api = stack.enter_context(fake_apiserver(made, key))
        node = GpuNode(folder, pretend(folder, profile), kubelet, api)
        kubelet.allocatable[GPU_RESOURCE] = []
        try:
            yield node
        finally:
            for name in list(node.pods):
                node.end(name)
