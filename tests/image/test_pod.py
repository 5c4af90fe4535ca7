"""A pod as Kubernetes describes it: a model server, and unitcost beside it that charges it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_demo_server import Client
from tests.harness import Scrape, free_port, get, parse, wait_for
from tests.image.podman import Podman
from unitcost.exporter.demo.config import SERVER_TABLE

pytestmark = pytest.mark.real

WORKLOAD = "shop/Deployment/chat"
LOCKED = {
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "capabilities": {"drop": ["ALL"]},
}


def settings(server: int, web: int) -> dict[str, Any]:
    """The sidecar's configuration."""
    endpoint = {"url": f"http://127.0.0.1:{server}/metrics", "server": "demo"}
    return {
        "host": {"scope": "pod", "name": "node-1", "pod": {"workload": WORKLOAD}},
        "price": {"usd_per_hour": "1"},
        "period": 1,
        "gather_deadline": 0.9,
        "unit_costs": {"window": 3600},
        "web": {"address": "127.0.0.1", "port": web},
        "servers": {"demo": SERVER_TABLE},
        "workloads": [{"name": WORKLOAD, "endpoints": [endpoint]}],
        "collectors": {"openmetrics": {"discover": False}},
    }


def described(folder: Path, images: tuple[str, str], server: int) -> dict[str, Any]:
    """The pod. The environment says what the downward API says on a cluster."""
    serve = ["python", "-Im", "unitcost.exporter.demo.server", "--port", str(server)]
    requests = {
        "UNITCOST_POD_CPU_MILLI_SERVER": "500",
        "UNITCOST_POD_MEMORY_BYTES_SERVER": "200000000",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "chat"},
        "spec": {
            "hostNetwork": True,
            "shareProcessNamespace": True,
            "restartPolicy": "Never",
            "containers": [
                {"name": "server", "image": images[0], "command": serve, "securityContext": LOCKED},
                {
                    "name": "unitcost",
                    "image": images[1],
                    "args": ["run", "--config", "/etc/unitcost/unitcost.yaml"],
                    "env": [{"name": name, "value": value} for name, value in requests.items()],
                    "securityContext": LOCKED,
                    "resources": {"limits": {"memory": "128Mi"}},
                    "volumeMounts": [
                        {"name": "settings", "mountPath": "/etc/unitcost", "readOnly": True},
                        {"name": "ledger", "mountPath": "/var/lib/unitcost"},
                    ],
                },
            ],
            "volumes": [
                {"name": "settings", "hostPath": {"path": str(folder), "type": "Directory"}},
                {"name": "ledger", "persistentVolumeClaim": {"claimName": "chat-ledger"}},
            ],
        },
    }


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that runs, with a client of its server's."""

    podman: Podman
    port: int
    client: Client

    def scrape(self) -> Scrape:
        """What the sidecar serves; nothing while it does not."""
        try:
            return parse(get(self.port)[1])
        except OSError:
            return Scrape({})

    def succeeded(self) -> float | None:
        """Requests that the sidecar has counted."""
        wanted = {"workload": WORKLOAD, "outcome": "succeeded"}
        return self.scrape().one("unitcost_requests_total", **wanted)

    def said(self) -> str:
        """What its containers wrote."""
        names = ("chat-server", "chat-unitcost")
        return "".join(self.podman.run("logs", name, check=False).stderr for name in names)


@pytest.fixture
def pod(podman: Podman, agent: str, extended: str, tmp_path: Path) -> Iterator[Pod]:
    """The demo's model server computes with numpy."""
    server, web = free_port(), free_port()
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "unitcost.yaml").write_text(json.dumps(settings(server, web)))
    tmp_path.chmod(0o755)
    file = tmp_path / "pod.yaml"
    file.write_text(json.dumps(described(folder, (extended, agent), server)))
    podman.run("play", "kube", str(file))
    started = Pod(podman, web, Client(server))
    try:
        wait_for(lambda: started.succeeded() == 0, "the server to be seen")
        yield started
    except AssertionError as error:
        raise AssertionError(f"{error}\n{started.said()}") from error
    finally:
        podman.run("pod", "rm", "--force", "--time", "0", "chat", check=False)
        podman.run("volume", "rm", "--force", "chat-ledger", check=False)


def test_the_sidecar_says_what_a_request_costs_and_goes_on_after_kill_9(pod: Pod) -> None:
    """Its count is the client's own; totals go on from the ledger on the pod's volume."""
    for number in range(20):
        pod.client.ask(f"request number {number}")
    wait_for(lambda: pod.succeeded() == pod.client.answered, "all requests to be counted")
    cost = {"workload": WORKLOAD, "basis": "allocated"}
    wait_for(lambda: pod.scrape().one("unitcost_request_cost_usd", **cost), "dollars a request")
    before = pod.scrape()
    charged = before.total("unitcost_cost_usd_total", workload=WORKLOAD)
    assert 0 < charged <= before.total("unitcost_resource_cost_usd_total")
    assert not before.each("unitcost_cost_usd_total", workload="__unallocated__")
    pod.podman.run("kill", "--signal", "KILL", "chat-unitcost")
    pod.podman.run("wait", "chat-unitcost")
    pod.client.ask("while nobody looks")
    pod.podman.run("start", "chat-unitcost")
    wait_for(lambda: pod.succeeded() == pod.client.answered == 21, "the one in between")
    assert pod.scrape().total("unitcost_cost_usd_total", workload=WORKLOAD) > charged
