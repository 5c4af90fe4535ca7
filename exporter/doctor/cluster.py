"""What `unitcost doctor` says of Kubernetes (kubelet, API server, pods) and of control groups."""

import os
from collections.abc import Iterator

from unitcost.collectors.base import NoData, Problem, Reading
from unitcost.collectors.cgroup.files import Unified, hierarchy
from unitcost.collectors.kube.names import logged_pods
from unitcost.exporter.doctor.ask import Result, Scene, explain, problem_findings, unread
from unitcost.exporter.doctor.host import Finding, ok, warn
from unitcost.pricing.container import Kubelet

SOCKET = "/var/lib/kubelet/pod-resources/kubelet.sock"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
POD_LOGS = "/var/log/pods"
HOST_PID = (
    "hostPID: true (docker: --pid=host), or mount the host's /proc and set collectors.host.procfs"
)
_MOUNT = "mount the host's /var/lib/kubelet/pod-resources (the folder, read-only)"
_ALLOW = "let our service account list"
# A fragment of what was said, and the mend; the first that is in it counts.
_KUBELET_MENDS = (
    ("permission denied", "run as user 0"),
    ("did not answer within", "raise collectors.kubernetes.timeout, see the kubelet's log"),
    ("the kubelet is down", f"start it; in a pod: {_MOUNT}, for it makes its socket anew"),
    ("no PodResources API", "it takes a kubelet of Kubernetes 1.20 or newer"),
)
_API_MENDS = (
    ("resourceslices: HTTP 403", f"{_ALLOW} resourceslices (resource.k8s.io, a ClusterRole)"),
    ("pods: HTTP 403", f"{_ALLOW} pods (a ClusterRole)"),
    ("HTTP 401", "the cluster does not know the token: see that it is mounted, not copied"),
    ("token cannot be read", "run as user 0, or set fsGroup, so that the token can be read"),
    ("TLS", "see that ca.crt in the service account's folder is the cluster's"),
    ("cannot connect", "see that network policies let us reach the API server"),
    ("no whole answer in time", "see that network policies let us reach the API server"),
)


def explain_kubernetes(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """The kubelet's state, then whether pods have names: from the API server, or from logs."""
    if isinstance(result, str):
        yield unread(subject, result, _mend(result, _KUBELET_MENDS))
        return
    if isinstance(result, NoData):
        yield _no_kubelet(subject, str(result), scene)
        return
    if result.kubelet is not None:
        yield ok(subject, _kubelet(result.kubelet))
    elif not any(each.kind == "kubelet" for each in result.problems):
        yield _no_kubelet(subject, "no kubelet here", scene)
    yield from problem_findings(subject, result.problems, _problem_mend)
    yield from _pods(result, scene)


def _problem_mend(problem: Problem) -> str:
    return _mend(problem.detail, _API_MENDS) if problem.kind == "apiserver" else ""


def _mend(text: str, mends: tuple[tuple[str, str], ...]) -> str:
    return next((mend for fragment, mend in mends if fragment in text), "")


def _in_cluster(scene: Scene) -> bool:
    return bool(scene.environ.get("KUBERNETES_SERVICE_HOST"))


def _no_kubelet(subject: str, why: str, scene: Scene) -> Finding:
    if not _in_cluster(scene):
        return ok(subject, f"nothing to read: {why}")
    socket = scene.option("kubernetes", "socket", SOCKET)
    return warn(subject, f"we are in a pod, but there is no {socket}", _MOUNT)


def _kubelet(kubelet: Kubelet) -> str:
    pods = {(grant.namespace, grant.pod) for grant in kubelet.grants}
    devices = {grant.device for grant in kubelet.grants}
    given = f"the kubelet gave {len(devices)} devices to {len(pods)} pods"
    if kubelet.allocatable is None:
        return f"{given}; it cannot say how many it has"
    return f"{given}, of {len(kubelet.allocatable)} it has"


def _pods(reading: Reading, scene: Scene) -> Iterator[Finding]:
    """Where pods have their names from. What is wrong with the API server is told already."""
    token = os.path.join(scene.option("kubernetes", "service_account", ACCOUNT), "token")
    if not _in_cluster(scene):
        yield _from_logs(scene, "not in a cluster's pod")
    elif not os.path.exists(token):
        mend = f"set automountServiceAccountToken, and {_ALLOW} pods (a ClusterRole)"
        yield warn("api server", f"we are in a pod, but there is no {token}", mend)
        yield _from_logs(scene, "no API server")
    elif any(problem.kind == "apiserver" for problem in reading.problems):
        yield _from_logs(scene, "no API server")
    else:
        yield ok("api server", f"{len(reading.pods or ())} pods of this node, with their owners")


def _from_logs(scene: Scene, why: str) -> Finding:
    """Without an API server pods have UIDs from their logs' folders, else only their names."""
    folder = scene.option("kubernetes", "pod_logs", POD_LOGS)
    if os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        return ok("pod names", f"{why}: {len(logged_pods(folder))} pods by {folder}")
    mend = f"mount the host's {POD_LOGS} read-only, and read it as user 0"
    return warn("pod names", f"{why}, and {folder} cannot be read: names are guessed", mend)


def explain_host(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """What any collector answers; and in a pod, whether the host's processes are seen."""
    yield from explain(subject, result, scene)
    if not isinstance(result, Reading) or not _in_cluster(scene):
        return
    if len({process.cgroup for process in result.processes}) == 1:
        text = f"all processes in {scene.proc} are of our own container: no other's is seen"
        yield warn(subject, text, HOST_PID)


def explain_cgroups(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """Which containers are seen, and by which version; or that only our own are."""
    if isinstance(result, Reading):
        root = scene.option("cgroups", "root", "/sys/fs/cgroup")
        version = 2 if isinstance(hierarchy(root), Unified) else 1
        used = result.containers or ()
        pods = {use.pod_uid for use in used if use.pod_uid}
        yield ok(subject, f"{len(used)} containers in {len(pods)} pods (version {version})")
        yield from problem_findings(subject, result.problems)
    elif isinstance(result, NoData) and "own control group" in str(result):
        yield warn(subject, *str(result).partition(": ")[::2])
    else:
        yield unread(subject, result)
