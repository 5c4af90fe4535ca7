"""Which container a control group belongs to: what container runtimes put into its path."""

import re

# The monitors of CRI-O and podman (crio-conmon-<id>.scope) are not the container.
_PART = re.compile(
    r"(?:^|[/-])pod([0-9a-f]{8}(?:[_-]?[0-9a-f]{4}){3}[_-]?[0-9a-f]{12})(?=\.slice|[/: ]|$)"
    r"|(?:^|[/:])(?:(?:cri-containerd|crio|docker|libpod|nerdctl)-)?([0-9a-f]{64})"
    r"(?=\.scope|[/ ]|$)"
)


def container_of(cgroup_path: str) -> tuple[str, str] | None:
    """The pod's UID (empty without a pod) and the container's id; None where it is in none.

    Understands both cgroup drivers and versions. Of nested pods (kind) the deepest counts; below a
    pod's container nothing does, for what runs in containers of its own belongs to the pod. A
    static pod's UID is a hash without dashes.
    """
    uid = container = ""
    for match in _PART.finditer(cgroup_path):
        if match[1]:
            uid, container = match[1], ""
        elif not (uid and container):
            container = match[2]
    return (uid.replace("_", "-"), container) if container else None
