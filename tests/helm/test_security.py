"""What the agent may do on a node, beside a server, and in the cluster: no more than it must."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.helm.charts import (
    NAMESPACE,
    Charts,
    Manifest,
    agent_of,
    leaves,
    merged,
    of_kind,
    pod_of,
    the,
)
from tests.helm.options import DAEMONSET, DEPLOYMENT, FLEET, SIDECAR, WEB, Values
from tests.helm.pod_security import restricted
from unitcost.collectors.kube import apiserver
from unitcost.collectors.kube.apiserver import ApiServer
from unitcost.collectors.kube.train_jobs import JobSet
from unitcost.exporter import cli

pytestmark = pytest.mark.real

PATH = "/v1/charges"


def daemon(charts: Charts, values: Values | None = None) -> Manifest:
    """The pod of the node's agent."""
    return pod_of(the(charts.render(values or {}), "DaemonSet"))


def test_the_node_s_agent_has_no_capability_unless_a_feature_names_it(charts: Charts) -> None:
    """User 0 without any of root's rights over other users' files and processes."""
    agent = agent_of(daemon(charts))
    assert agent["securityContext"] == {
        "runAsUser": 0,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize(
    ("values", "capability"),
    [
        ({"nvidia": {"profiling": True}}, "SYS_ADMIN"),
        ({"security": {"sysPtrace": True}}, "SYS_PTRACE"),
        ({"security": {"dacReadSearch": True}}, "DAC_READ_SEARCH"),
    ],
)
def test_each_capability_comes_with_its_feature(
    charts: Charts, values: Values, capability: str
) -> None:
    """That one alone."""
    context = agent_of(daemon(charts, values))["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": [capability]}


def test_as_it_comes_it_sees_little_of_the_host(charts: Charts) -> None:
    """Neither its processes nor its network; three folders, and all but the ledger read-only."""
    pod = daemon(charts)
    assert not pod["hostPID"]
    assert not pod["hostNetwork"]
    paths = {
        each["name"]: each["hostPath"]["path"] for each in pod["volumes"] if "hostPath" in each
    }
    assert set(paths.values()) == {
        "/var/lib/kubelet/pod-resources",
        "/sys/fs/cgroup",
        "/var/lib/unitcost",
    }
    writable = {
        each["name"] for each in agent_of(pod)["volumeMounts"] if not each.get("readOnly", False)
    }
    assert writable == {"tmp", "ledger"}


def test_with_everything_on_the_host_s_folders_stay_read_only(charts: Charts) -> None:
    """But the ledger, and the folder to which the init container gives its mode."""
    values: Values = {}
    for name in ("api", "host", "training", "a driver on the host"):
        values = merged(values, DAEMONSET[name])
    pod = daemon(charts, values)
    host = {each["name"] for each in pod["volumes"] if "hostPath" in each}
    mounts = agent_of(pod)["volumeMounts"]
    assert len(host) == 7
    assert host <= {each["name"] for each in mounts}
    assert {
        each["name"] for each in mounts if each["name"] in host and not each.get("readOnly")
    } == {"ledger"}


@pytest.mark.parametrize("name", [*SIDECAR, "web", "as it comes"])
@pytest.mark.parametrize("version", ["1.28", "1.29"])
def test_the_sidecar_passes_the_restricted_profile(beside: Charts, name: str, version: str) -> None:
    """So a namespace that enforces it admits a pod with the agent in it."""
    values = {"unitcost": WEB if name == "web" else SIDECAR.get(name, {})}
    pod = pod_of(the(beside.render(values, version), "Deployment"))
    assert restricted(pod) == []


@pytest.mark.parametrize("name", DEPLOYMENT)
def test_the_fleet_s_ledger_passes_the_restricted_profile(charts: Charts, name: str) -> None:
    """It has neither a token nor a role, and reads its secrets as its own group."""
    manifests = charts.render(merged(FLEET, DEPLOYMENT[name]))
    pod = pod_of(the(manifests, "Deployment"))
    assert restricted(pod) == []
    assert pod["automountServiceAccountToken"] is False
    assert _rules(manifests) == set()
    secrets = [each["secret"] for each in pod["volumes"] if "secret" in each]
    assert {each["secretName"] for each in secrets} - {"fleet-web"} == {"database", "tokens"}
    assert {each["defaultMode"] for each in secrets} == {0o440}
    assert pod["securityContext"]["fsGroup"] == 65532


@pytest.mark.parametrize("name", ["reported", "by TLS of its own"])
def test_the_report_is_a_pod_of_the_same_kind(charts: Charts, name: str) -> None:
    """Neither the service nor the budget takes it for the ledger; its command is one there is."""
    manifests = charts.render(merged(FLEET, DEPLOYMENT[name]))
    template = the(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]
    assert restricted(template["spec"]) == []
    assert template["spec"]["automountServiceAccountToken"] is False
    selector = the(manifests, "Service")["spec"]["selector"]
    assert not selector.items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    file = cli._parser(container["args"]).parse_args(container["args"]).database
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert str(Path(file).parent) in mounts
    given = [
        each["secret"]["secretName"] for each in template["spec"]["volumes"] if "secret" in each
    ]
    assert given == ["database"]


def test_from_outside_the_fleet_s_ledger_takes_deliveries_and_nothing_else(
    charts: Charts,
) -> None:
    """Over TLS; the budget lets nodes be drained."""
    manifests = charts.render(merged(FLEET, DEPLOYMENT["reached from outside"]))
    ingress = the(manifests, "Ingress")["spec"]
    (rule,) = ingress["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == (PATH, "Exact")
    assert ingress["tls"] == [{"hosts": [rule["host"]], "secretName": "costs-tls"}]
    service = the(manifests, "Service")
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    selector = the(manifests, "PodDisruptionBudget")["spec"]["selector"]
    assert selector == the(manifests, "Deployment")["spec"]["selector"]
    assert the(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_restricted_profile_is_not_passed_by_just_anybody(charts: Charts) -> None:
    """The node's agent does not: it is root and mounts the host's folders."""
    told = " ".join(restricted(daemon(charts, DAEMONSET["host"])))
    for fault in ("hostPath", "hostPID", "hostNetwork", "root"):
        assert fault in told


def test_the_sidecar_has_no_token(beside: Charts) -> None:
    """Nor anything in the cluster that it might use one for; a token of the server's is hidden."""
    manifests = beside.render()
    pod = pod_of(the(manifests, "Deployment"))
    assert pod["automountServiceAccountToken"] is False
    kinds = {each["kind"] for each in manifests}
    assert kinds == {"Deployment", "ConfigMap"}
    pod = pod_of(the(beside.render({"token": True}), "Deployment"))
    assert pod["automountServiceAccountToken"] is True
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    (mount,) = [each for each in agent_of(pod)["volumeMounts"] if each["mountPath"] == place]
    assert {"name": mount["name"], "emptyDir": {}} in pod["volumes"]


def test_the_sidecar_leaves_the_pod_as_it_is(beside: Charts) -> None:
    """It neither makes the server wait for it nor keeps it out of its service."""
    agents = {}
    for version in ("1.28", "1.29"):
        pod = pod_of(the(beside.render({}, version), "Deployment"))
        agent = agents[version] = agent_of(pod)
        assert "readinessProbe" not in agent
        assert "startupProbe" not in agent
        (server,) = [each for each in pod["containers"] if each["name"] == "vllm"]
        assert server["resources"]["limits"] == {"nvidia.com/gpu": 1}
        assert ("restartPolicy" in agent) == (version == "1.29")
        assert (agent in pod.get("initContainers", [])) == (version == "1.29")
    assert agents["1.29"] == {**agents["1.28"], "restartPolicy": "Always"}


def test_no_secret_is_rendered(charts: Charts, beside: Charts) -> None:
    """Secrets are named; there is no Secret among the objects, and no value to give one by."""
    for name in ("secrets", "pods"):
        assert of_kind(charts.render(DAEMONSET[name]), "Secret") == []
    manifests = [*charts.render(DAEMONSET["secrets"]), *charts.render(WEB), *beside.render()]
    manifests += charts.render(FLEET)
    assert of_kind(manifests, "Secret") == []
    told = [path for each in manifests for path, _ in leaves(each)]
    assert [path for path in told if re.search(r"(?i)password$|token$", path)] == [
        path for path in told if path.endswith("automountServiceAccountToken")
    ]


def _rules(manifests: list[Manifest]) -> set[tuple[str, str, str]]:
    """Verb, group and resource of all that is allowed."""
    return {
        (verb, group, resource)
        for role in [*of_kind(manifests, "ClusterRole"), *of_kind(manifests, "Role")]
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths for which the API server is asked."""
    paths: list[str] = []

    def fetch(url: str, **_: Any) -> bytes:
        paths.append(url.partition("://api")[2])
        return b'{"metadata": {}, "items": []}'

    monkeypatch.setattr(apiserver, "fetch", fetch)
    monkeypatch.setattr(ApiServer, "_token", lambda _: "token")
    return paths


def _right(path: str) -> tuple[str, str, str]:
    """What a path takes: verb, group and resource."""
    parts = path.partition("?")[0].strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[0] == "namespaces":
        rest = rest[2:]
    return ("get" if len(rest) > 1 else "list", group, rest[0])


QUESTIONS: dict[str, set[tuple[str, str, str]]] = {
    "apiServer": {("list", "", "pods")},
    "dra": {("list", "resource.k8s.io", "resourceslices")},
    "nodeIdentity": {("get", "", "nodes")},
    "trainJobs": {("get", "trainer.kubeflow.org", "trainjobs")},
}


def test_what_is_asked_is_what_is_allowed(charts: Charts, asked: list[str]) -> None:
    """Every question of the collectors has its right, and there is no right without a question."""
    server = ApiServer("https://api", "/nowhere", "node-7", 1.0)
    server.pods()
    server.slices()
    server.object("/api/v1/nodes/node-7", bytes)
    server.object(JobSet("default", "tune", "w", True).path, bytes)
    every = set().union(*QUESTIONS.values())
    assert {_right(path) for path in asked} == every
    assert _rules(charts.render(DAEMONSET["api"])) == every
    for name, rights in QUESTIONS.items():
        alone = {"kubernetes": {**dict.fromkeys(QUESTIONS, False), name: True}}
        assert _rules(charts.render(alone)) == rights


def test_there_are_no_other_questions(root: Any) -> None:
    """Whatever names a path of the API server is above, or this fails."""
    code = [*(root / "collectors").rglob("*.py"), *(root / "exporter").rglob("*.py")]
    lines = {
        f"{path.relative_to(root)}: {found}"
        for path in code
        for found in re.findall(r'f?"(/apis?/[^"]*)"', path.read_text(encoding="utf-8"))
    }
    assert lines == {
        "collectors/identity/node_labels.py: /api/v1/nodes/{name}",
        "collectors/kube/apiserver.py: /api/v1/pods",
        "collectors/kube/apiserver.py: /apis/resource.k8s.io/{version}/resourceslices",
        "collectors/kube/train_jobs.py: "
        "/apis/{GROUP}/namespaces/{self.namespace}/trainjobs/{self.name}",
        "collectors/mlflow.py: /api/2.0/mlflow",
        "exporter/serving/pages.py: /api/v1/live",
    }


def test_without_questions_there_is_no_token_and_no_role(charts: Charts) -> None:
    """And the binding is to our own account alone."""
    manifests = charts.render({"kubernetes": {"apiServer": False}})
    assert _rules(manifests) == set()
    assert pod_of(the(manifests, "DaemonSet"))["automountServiceAccountToken"] is False
    manifests = charts.render()
    assert pod_of(the(manifests, "DaemonSet"))["automountServiceAccountToken"] is True
    binding = the(manifests, "ClusterRoleBinding")
    account = {"kind": "ServiceAccount", "name": "u-unitcost", "namespace": NAMESPACE}
    assert binding["subjects"] == [account]
    assert the(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
