"""What `unitcost doctor` says of kubelets, API servers, names of pods and control groups."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.fake_kubelet import fake_kubelet
from tests.collectors.fake_sysfs import Split, Unified, systemd_path
from tests.exporter.test_doctor_devices import told
from unitcost.collectors import cgroups, kubernetes
from unitcost.collectors.base import Context, Found, Problem, Reading
from unitcost.exporter.doctor.ask import Scene, ask
from unitcost.exporter.doctor.cluster import explain_cgroups, explain_host, explain_kubernetes
from unitcost.pricing.container import Kubelet
from unitcost.pricing.sample import Process

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
MOUNT = "mount the host's /var/lib/kubelet/pod-resources (the folder, read-only)"
Say = Callable[..., list[str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """What is found on a node whose files are in `tmp_path`; names set the environment."""

    def findings(**environ: str) -> list[str]:
        for name in ("KUBERNETES_SERVICE_HOST", "NODE_NAME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        options = kubernetes.Options(
            socket=str(tmp_path / "kubelet.sock"),
            service_account=str(tmp_path / "account"),
            pod_logs=str(tmp_path / "logs"),
            timeout=1.0,
        )
        chosen = {"kubernetes": options}
        result = ask(Found("kubernetes", kubernetes, None), chosen, Context())
        scene = Scene(environ=os.environ, options=chosen)
        return told(explain_kubernetes("read kubernetes", result, scene))

    return findings


def logs(folder: Path, *pods: str) -> None:
    """Folders of pods' logs."""
    for number, pod in enumerate(pods):
        (folder / f"logs/ns_{pod}_{number:032x}").mkdir(parents=True)


def token(folder: Path) -> None:
    """A service account's."""
    (folder / "account").mkdir()
    (folder / "account/token").write_text("a-token")


def test_no_kubelet_is_ok_on_a_host_and_not_in_a_pod(say: Say) -> None:
    """There its socket was not mounted."""
    (line,) = say()
    assert line.startswith("ok: nothing to read: no kubelet here: there is no ")
    (line,) = say(**IN_CLUSTER)
    assert line.startswith("warn: we are in a pod, but there is no ")
    assert line.endswith(MOUNT)


def test_a_kubelet_that_answers_outside_of_a_cluster(say: Say, tmp_path: Path) -> None:
    """How much it gave out, and how pods get their names."""
    with fake_kubelet(tmp_path) as kubelet:
        kubelet.give("ns", "a", "GPU-1")
        kubelet.give("ns", "a", "GPU-2")
        kubelet.give("ns", "b", "GPU-1")
        kubelet.allocatable = {"nvidia.com/gpu": ["GPU-1", "GPU-2", "GPU-3"]}
        logs(tmp_path, "a", "b")
        answer, names = say()
        assert answer == "ok: the kubelet gave 2 devices to 2 pods, of 3 it has"
        assert names == f"ok: not in a cluster's pod: 2 pods by {tmp_path}/logs"
        kubelet.unimplemented.add("GetAllocatableResources")
        assert say()[0].endswith("to 2 pods; it cannot say how many it has")
        (tmp_path / "logs").rename(tmp_path / "elsewhere")
        assert say()[1].startswith("warn: not in a cluster's pod, and ")
        assert "mount the host's /var/log/pods read-only" in say()[1]


def test_a_kubelet_that_is_down_fails_with_a_mend(say: Say, tmp_path: Path) -> None:
    """Its socket is there, but nobody listens."""
    (tmp_path / "kubelet.sock").touch()
    (line,) = say()
    assert line.startswith("fail: KubeletError: the kubelet is down: ")
    assert MOUNT in line
    assert line.endswith("or set collectors.kubernetes.enabled: false")


def test_a_kubelet_that_is_too_slow_fails_with_a_mend(say: Say, tmp_path: Path) -> None:
    """After the collector's own time-out."""
    with fake_kubelet(tmp_path) as kubelet:
        kubelet.delay = 3.0
        (line,) = say()
    assert "did not answer within 1 s; raise collectors.kubernetes.timeout" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up being root")
def test_only_root_may_ask_the_kubelet(say: Say, tmp_path: Path) -> None:
    """The mend is to be it."""
    with fake_kubelet(tmp_path) as kubelet:
        kubelet.socket.chmod(0o700)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        os.seteuid(65534)
        try:
            (line,) = say()
        finally:
            os.seteuid(0)
    assert line.startswith("fail: KubeletError: permission denied: ")
    assert "(runAsUser: 0); run as user 0, or set" in line


def test_without_its_packages_a_kubelet_cannot_be_asked(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    (tmp_path / "kubelet.sock").touch()
    (line, _) = say()
    assert line.endswith("pip install 'unitcost[kubernetes]'")


def test_in_a_pod_without_a_token_names_come_from_logs(say: Say, tmp_path: Path) -> None:
    """Or are guessed."""
    logs(tmp_path, "a")
    with fake_kubelet(tmp_path):
        _, account, names = say(**IN_CLUSTER)
    assert account.startswith("warn: we are in a pod, but there is no ")
    assert "set automountServiceAccountToken" in account
    assert names.startswith("ok: no API server: 1 pods by ")


def test_in_a_pod_that_does_not_know_its_node(say: Say, tmp_path: Path) -> None:
    """What to set is named."""
    token(tmp_path)
    with fake_kubelet(tmp_path):
        _, node, names = say(**IN_CLUSTER)
    assert node.endswith("set NODE_NAME (spec.nodeName)")
    assert names.startswith("warn: no API server, and ")


@pytest.mark.parametrize(
    ("detail", "mend"),
    [
        ("/api/v1/pods: HTTP 403 Forbidden: a bearer", "list pods (a ClusterRole)"),
        ("/apis/resource.k8s.io/v1/resourceslices: HTTP 403 F", "list resourceslices"),
        ("/api/v1/pods: HTTP 401 Unauthorized", "does not know the token"),
        ("/x/token cannot be read: PermissionError", "run as user 0, or set fsGroup"),
        ("/api/v1/pods: cannot connect: refused", "network policies"),
        ("/api/v1/pods: TLS: self-signed", "ca.crt"),
    ],
)
def test_what_the_api_server_refuses_has_a_mend(tmp_path: Path, detail: str, mend: str) -> None:
    """As it comes from the collector."""
    token(tmp_path)
    options = kubernetes.Options(service_account=str(tmp_path / "account"))
    reading = Reading(kubelet=Kubelet(1, 1), pods=(), problems=(Problem("apiserver", detail),))
    scene = Scene(environ=IN_CLUSTER, options={"kubernetes": options})
    _, line, _ = told(explain_kubernetes("read kubernetes", reading, scene))
    assert line.startswith(f"warn: apiserver: {detail}; ")
    assert mend in line
    good = Reading(kubelet=Kubelet(1, 1), pods=())
    last = told(explain_kubernetes("read kubernetes", good, scene))[-1]
    assert last == "ok: 0 pods of this node, with their owners"


def control_groups(root: Path) -> list[str]:
    """What is said of a tree."""
    chosen: dict[str, Any] = {"cgroups": cgroups.Options(root=str(root))}
    result = ask(Found("cgroups", cgroups, None), chosen, Context())
    return told(explain_cgroups("read cgroups", result, Scene(options=chosen)))


def test_containers_are_counted(tmp_path: Path) -> None:
    """In both versions; none is ok."""
    second, first = Unified(tmp_path / "2"), Split(tmp_path / "1")
    assert control_groups(second.root)[0].startswith("ok: nothing to read: no container in ")
    for tree in (second, first):
        for container in range(3):
            tree.group(systemd_path(container // 2, container))
    assert control_groups(second.root) == ["ok: 3 containers in 2 pods (version 2)"]
    assert control_groups(first.root) == ["ok: 3 containers in 2 pods (version 1)"]


def test_a_private_control_group_namespace_is_a_warning(tmp_path: Path) -> None:
    """The container sees nothing but itself: its root has files that the host's has not."""
    tree = Unified(tmp_path / "own")
    (tree.root / "cgroup.events").write_text("populated 1\n")
    (line,) = control_groups(tree.root)
    assert line.startswith("warn: only this container's own control group is seen in ")
    assert "; mount the host's /sys/fs/cgroup elsewhere and set `root`" in line


def test_a_pod_that_sees_only_its_own_processes(tmp_path: Path) -> None:
    """Lacks hostPID; elsewhere that is as it should be."""
    processes = tuple(Process(pid, 1, 0, 0, 0, 0, cgroup="/") for pid in (1, 7))
    reading = Reading(processes=processes)
    _, line = told(explain_host("read host", reading, Scene(environ=IN_CLUSTER)))
    assert line.startswith("warn: all processes in /proc are of our own container")
    assert "hostPID: true" in line
    others = Reading(processes=(*processes, Process(9, 1, 0, 0, 0, 0, cgroup="/../b")))
    assert len(told(explain_host("read host", others, Scene(environ=IN_CLUSTER)))) == 1
    assert len(told(explain_host("read host", reading, Scene()))) == 1
