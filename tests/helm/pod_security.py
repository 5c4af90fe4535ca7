"""The rules of Kubernetes' Pod Security Standard *restricted*, as its documentation states them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ (baseline and restricted, for
pods of Linux). Each fault is a line.
"""

from collections.abc import Iterator
from typing import Any

VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SECCOMP = ("RuntimeDefault", "Localhost")
SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SYSCTLS = frozenset({"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range"})


def restricted(pod: dict[str, Any]) -> list[str]:
    """Why a pod is not admitted."""
    return [*_pod(pod), *(fault for each in _containers(pod) for fault in _container(each, pod))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [each for kind in kinds for each in pod.get(kind, [])]


def _pod(pod: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"{key} is set"
    for volume in pod.get("volumes", []):
        if kinds := volume.keys() - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {', '.join(kinds)}"
    context = pod.get("securityContext", {})
    yield from _selinux("the pod", context)
    for each in context.get("sysctls", []):
        if each["name"] not in SYSCTLS:
            yield f"sysctl {each['name']}"


def _selinux(who: str, context: dict[str, Any]) -> Iterator[str]:
    options = context.get("seLinuxOptions", {})
    if options.get("type", "") not in SELINUX or options.get("user") or options.get("role"):
        yield f"{who}: seLinuxOptions"


def _container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    name, own = container["name"], container.get("securityContext", {})
    context = {**pod.get("securityContext", {}), **own}
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        yield f"{name}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation is not false"
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name}: capabilities are not dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities are added"
    if context.get("runAsNonRoot") is not True:
        yield f"{name}: may run as root"
    if context.get("runAsUser") == 0:
        yield f"{name}: runs as root"
    if context.get("seccompProfile", {}).get("type") not in SECCOMP:
        yield f"{name}: no seccomp profile"
    if own.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    if any(each.get("hostPort") for each in container.get("ports", [])):
        yield f"{name}: hostPort"
    yield from _selinux(name, own)
