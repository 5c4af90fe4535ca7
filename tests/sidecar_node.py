"""A made-up GPU node with a model server in each pod, for exporters beside them and on the node.

Made-up are the host (/proc, control groups, PCI bus) and the driver; the kubelet, the API server
and the model servers speak their real protocols.

    with sidecar_node(tmp_path) as node:
        pod = node.start("chat-0", gpu=0)
        node.daemon()  # settings and environment of an exporter on the node
        node.sidecar(pod, "pod")  # and of one in the pod
"""

import http.server
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from tests.fake_nvml import FakeNvml, library, pretend
from tests.fake_nvml_profiles import profile
from tests.harness import free_port, get

CORES, GIBS, GPUS = 32, 256, 8
USD = "98.32"
GIB = 1 << 30
QUICK: dict[str, Any] = {"period": 1.0, "gather_deadline": 0.95}
TABLE = {"widget": {"requests_succeeded": [{"metric": "widget_requests_total"}]}}
_PAGE = "# TYPE widget_requests_total counter\nwidget_requests_total {}\n"
_STAT = "cpu  100 0 30 4000 0 0 0 0 0 0\n" + "".join(
    f"cpu{number} 1 0 1 1 0 0 0 0 0 0\n" for number in range(CORES)
)


class ModelServer:
    """Answers requests, and says on its metrics page how many."""

    def __init__(self) -> None:
        self.requests = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/work":
                    server.requests += 1
                body = _PAGE.format(server.requests).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):  # whoever asked was killed
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        # On all addresses: an agent on the node would read it by the pod's own.
        self._server = http.server.ThreadingHTTPServer(("", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def ask(self, count: int) -> int:
        """So many requests by a client, which counts the answers."""
        return sum(get(self.port, "/work")[0] == 200 for _ in range(count))

    def close(self) -> None:
        """It ends."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class ServingPod:
    """A pod with one container: its process, its control group, its GPU, its server."""

    name: str
    uid: str
    container: str
    pid: int
    gpu: int | None
    server: ModelServer
    item: Json

    @property
    def workload(self) -> str:
        """As the cluster calls it."""
        return f"default/StatefulSet/{self.name.rpartition('-')[0]}"


def own_address() -> str:
    """An address of this machine that is not loopback, empty if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return "" if address.startswith("127.") else address
    return ""


@dataclass
class SidecarNode:
    """The node; change it while exporters run."""

    folder: Path
    driver: FakeNvml
    stub: Path
    kubelet: FakeKubelet
    api: FakeApiServer
    pods: dict[str, ServingPod] = field(default_factory=dict)
    next_pid: int = 1000

    def start(self, name: str, gpu: int | None = None, **annotations: str) -> ServingPod:
        """A pod starts, with a GPU of its own and what it says about itself (unitcost.io/…)."""
        uid, container, server = str(uuid.uuid4()), uuid.uuid4().hex * 2, ModelServer()
        said = {"scrape": "true", "port": str(server.port), "server": "widget"} | annotations
        metadata = {
            "annotations": {f"unitcost.io/{key}": value for key, value in said.items()},
            **owner("StatefulSet", name.rpartition("-")[0]),
        }
        state = {"name": "main", "ready": True, "containerID": f"containerd://{container}"}
        status = {"containerStatuses": [state], "podIP": own_address() or None}
        item = pod(name, uid=uid, metadata=metadata, status=status)
        self.next_pid += 1
        found = ServingPod(name, uid, container, self.next_pid, gpu, server, item)
        self._process(self.folder / "proc", found)
        self._group(found)
        self.pods[name], self.api.pods = found, [*self.api.pods, item]
        if gpu is not None:
            self.kubelet.give("default", name, self.driver.gpu(gpu).uuid)
            self.driver.gpu(gpu).run(found.pid, memory=GIB, sm=50)
            self.driver.write()
        return found

    def end(self, name: str) -> None:
        """The pod ends, and is deleted."""
        gone = self.pods.pop(name)
        self.kubelet.remove("default", name)
        self.api.pods = [each for each in self.api.pods if each is not gone.item]
        if gone.gpu is not None:
            self.driver.gpu(gone.gpu).stop(gone.pid)
            self.driver.write()
        shutil.rmtree(self.folder / "proc" / str(gone.pid))
        shutil.rmtree(self.folder / "cgroup/kubepods/burstable" / f"pod{gone.uid}")
        gone.server.close()

    def daemon(self, **settings: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings and environment of the exporter on the node."""
        collectors = {
            "host": {"procfs": str(self.folder / "proc"), "sysfs": str(self.folder / "sys")},
            "cgroups": {"root": str(self.folder / "cgroup")},
            "kubernetes": {
                "socket": str(self.kubelet.socket),
                "service_account": str(self.folder / "account"),
                "pod_logs": str(self.folder / "logs"),
                "cgroups": str(self.folder / "cgroup"),
                "poll": 0.2,
            },
            **self._quiet(),
        }
        port = self.api.url.rpartition(":")[2]
        cluster = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
        made = {"price": {"usd_per_hour": USD}, "collectors": collectors, "servers": TABLE}
        return {**QUICK, **made, **settings}, {
            **self.driver.environment,
            **cluster,
            "NODE_NAME": NODE,
        }

    def sidecar(self, beside: ServingPod, scope: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings and environment of an exporter in a pod, as docs/sidecar.md has them."""
        folder = self.folder / beside.name
        folder.mkdir()
        self._host(folder / "proc")
        self._process(folder / "proc", beside)
        driver = FakeNvml(self.stub, folder, profile("h200")[:1])
        if beside.gpu is not None:
            driver.gpu(0).uuid = self.driver.gpu(beside.gpu).uuid
            driver.gpu(0).run(beside.pid, memory=GIB, sm=50)
        driver.write()
        settings = {
            **QUICK,
            "host": {"scope": scope},
            "servers": TABLE,
            "workloads": [
                {
                    "name": beside.workload,
                    "endpoints": [
                        {
                            "url": f"http://127.0.0.1:{beside.server.port}/metrics",
                            "server": "widget",
                        }
                    ],
                }
            ],
            "collectors": {
                "host": {"procfs": str(folder / "proc"), "sysfs": str(self.folder / "sys")},
                "cgroups": {"root": str(folder / "nothing")},
                **self._quiet(),
            },
        }
        if scope == "pod":
            settings["price"] = {"usd_per_hour": USD}
        return settings, {
            **driver.environment,
            "NODE_NAME": NODE,
            "POD_NAMESPACE": "default",
            "POD_NAME": beside.name,
            "POD_UID": beside.uid,
            "UNITCOST_POD_WORKLOAD": beside.workload,
            "UNITCOST_POD_CPU_MILLI_MAIN": "500",
            "UNITCOST_POD_MEMORY_BYTES_MAIN": str(GIB),
        }

    def _quiet(self) -> dict[str, Any]:
        """Nothing of the machine that the test runs on."""
        hidden = {"sysfs": str(self.folder / "nothing")}
        training = {"directories": [str(self.folder / "train")]}
        return {
            "rapl": hidden,
            "node_power": hidden,
            "training": training,
            "openmetrics": {"discover": False},
        }

    def make_host(self) -> None:
        """Files of a host without pods."""
        self._host(self.folder / "proc")
        (self.folder / "cgroup").mkdir()
        (self.folder / "cgroup/cgroup.controllers").write_text("cpu memory\n")
        for number in range(GPUS):
            place = self.folder / f"sys/bus/pci/devices/0000:{number:02x}:00.0"
            place.mkdir(parents=True)
            (place / "vendor").write_text("0x10de\n")
            (place / "class").write_text("0x030200\n")

    def _host(self, root: Path) -> None:
        root.mkdir()
        (root / "stat").write_text(f"{_STAT}intr 1\nctxt 4\nbtime 5\n")
        kib = GIBS << 20
        (root / "meminfo").write_text(f"MemTotal: {kib} kB\nMemAvailable: {kib // 2} kB\n")
        (root / "net").mkdir()
        (root / "net/tcp").write_text("  sl  local_address rem_address   st\n")
        _write_process(root, 1, "pause", "/")

    def _process(self, root: Path, of: ServingPod) -> None:
        group = f"/kubepods/burstable/pod{of.uid}/{of.container}"
        _write_process(root, of.pid, f"serve-{of.name}", group)

    def _group(self, of: ServingPod) -> None:
        folder = self.folder / "cgroup/kubepods/burstable" / f"pod{of.uid}" / of.container
        folder.mkdir(parents=True)
        (folder / "cpu.stat").write_text("usage_usec 1000000\n")
        (folder / "memory.current").write_text(f"{GIB // 4}\n")
        (folder / "memory.stat").write_text("inactive_file 0\n")
        (folder / "cpu.weight").write_text("20\n")


def _write_process(root: Path, pid: int, command: str, group: str) -> None:
    folder = root / str(pid)
    folder.mkdir()
    rest = "S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 10 0 65536"
    (folder / "stat").write_text(f"{pid} ({command}) {rest} 18446744073709551615 1 1\n")
    (folder / "statm").write_text("99999 65536 0 0 0 0 0\n")
    (folder / "cmdline").write_text(f"/usr/bin/{command}\0")
    (folder / "cgroup").write_text(f"0::{group}\n")


@contextmanager
def sidecar_node(folder: Path) -> Iterator[SidecarNode]:
    """A node with eight GPUs and no pods yet."""
    folder.mkdir(exist_ok=True)
    made, key = make_certificate(folder)
    service_account(folder / "account", made)
    with ExitStack() as stack:
        kubelet = stack.enter_context(fake_kubelet(folder))
        api = stack.enter_context(fake_apiserver(made, key))
        driver = pretend(folder, "h200")
        node = SidecarNode(folder, driver, library(), kubelet, api)
        kubelet.allocatable["nvidia.com/gpu"] = [each.uuid for each in driver.gpus]
        node.make_host()
        try:
            yield node
        finally:
            for name in list(node.pods):
                node.end(name)


__all__ = ["ModelServer", "ServingPod", "SidecarNode", "free_port", "sidecar_node"]
