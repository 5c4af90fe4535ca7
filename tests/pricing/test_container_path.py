"""Paths of control groups as kubelets and container runtimes make them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.container_path import container_of

UID = "12345678-9abc-def0-1234-56789abcdef0"
UID_ = UID.replace("-", "_")
STATIC = "0123456789abcdef0123456789abcdef"
ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4

IN_A_POD = [
    # systemd driver, each quality of service and each runtime
    f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/"
    f"cri-containerd-{ID}.scope",
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope",
    f"/kubepods.slice/kubepods-pod{UID_}.slice/docker-{ID}.scope",
    f"/kubepods.slice/kubepods-pod{UID_}.slice/libpod-{ID}.scope",
    f"kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
    # cgroupfs driver
    f"/kubepods/burstable/pod{UID}/{ID}",
    f"/kubepods/pod{UID}/{ID}",
    f"/kubepods/besteffort/pod{UID}/crio-{ID}",
    # containerd that was told of the other driver
    f"/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{ID}",
    # a process that has left, and groups that a container makes in its own
    f"/kubepods/burstable/pod{UID}/{ID} (deleted)",
    f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope/container",
    f"/kubepods/pod{UID}/{ID}/init.scope",
    # a node that is itself a container (kind), or has its kubelet below another group
    f"/docker/{OTHER}/kubelet/kubepods/burstable/pod{UID}/{ID}",
    f"/docker/{OTHER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
    f"kubelet-kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
    f"/kubepods/pod{UID[::-1]}/{OTHER}/kubelet/kubepods/pod{UID}/{ID}",
    # a pod that runs containers of its own
    f"/kubepods/pod{UID}/{ID}/docker/{OTHER}",
    # seen from another cgroup namespace
    f"/../../kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
]


@pytest.mark.parametrize("path", IN_A_POD)
def test_a_container_of_a_pod_is_found(path: str) -> None:
    """Whatever the driver, the runtime and the nesting."""
    assert container_of(path) == (UID, ID)


def test_the_uid_of_a_static_pod_is_a_hash() -> None:
    """The kubelet makes it from the file the pod is described in."""
    path = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice"
    assert container_of(f"{path}/cri-containerd-{ID}.scope") == (STATIC, ID)
    assert container_of(f"/kubepods/burstable/pod{STATIC}/{ID}") == (STATIC, ID)


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/machine.slice/libpod-{ID}.scope/container",
        f"/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope",
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
        f"/default/{ID}",
        f"/docker/{OTHER}/docker/{ID}",
        f"/docker/{ID}/init.scope (deleted)",
    ],
)
def test_a_container_without_a_pod_has_no_uid(path: str) -> None:
    """Docker and podman; of nested ones the deepest."""
    assert container_of(path) == ("", ID)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/init.scope",
        "/user.slice/user-1000.slice/session-3.scope",
        "/system.slice/kubelet.service",
        "/kubepods.slice",
        f"/kubepods.slice/kubepods-pod{UID_}.slice",
        f"/kubepods/burstable/pod{UID}",
        f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-conmon-{ID}.scope",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/docker/{ID[:-1]}",
        f"/docker/{ID}0",
        f"/docker/{ID.upper()}",
    ],
)
def test_what_is_no_container_is_none(path: str) -> None:
    """Services, sessions, pods as a whole, and the processes that watch over containers."""
    assert container_of(path) is None


PIECES = st.sampled_from(
    ["/", "-", ":", "pod", UID, UID_, STATIC, ID, "docker-", "crio-", ".slice", ".scope", " "]
)


@given(st.text() | st.lists(PIECES).map("".join))
def test_no_text_raises(path: str) -> None:
    """Paths are what somebody made of names; a container found has an id and a tidy UID."""
    found = container_of(path)
    assert found is None or (len(found[1]) == 64 and "_" not in found[0])
