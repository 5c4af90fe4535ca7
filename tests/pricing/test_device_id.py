"""Ids of devices as device plug-ins write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.device_id import DeviceId, parse

GPU = "GPU-5a1b2c3d-0f0f-4a4a-8b8b-00112233aabb"
MIG = "MIG-0e2f4c1a-9b7d-5c3e-a1f0-ffeeddccbbaa"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (GPU, DeviceId(GPU, uuid=GPU)),
        (f"{GPU}::3", DeviceId(GPU, "::3", uuid=GPU)),
        (MIG, DeviceId(MIG, uuid=MIG)),
        (f"{MIG}::0", DeviceId(MIG, "::0", uuid=MIG)),
        (
            f"MIG-{GPU}/7/0",
            DeviceId(f"MIG-{GPU}/7/0", uuid=GPU, gpu_instance=7, compute_instance=0),
        ),
        (
            f"MIG-{GPU}/13/1::2",
            DeviceId(f"MIG-{GPU}/13/1", "::2", uuid=GPU, gpu_instance=13, compute_instance=1),
        ),
        ("nvidia0", DeviceId("nvidia0", minor=0)),
        ("nvidia12/gi3", DeviceId("nvidia12/gi3", minor=12, gpu_instance=3)),
        (
            "nvidia0/gi3/vgpu1",
            DeviceId("nvidia0/gi3", "/vgpu1", minor=0, gpu_instance=3),
        ),
        ("nvidia0/vgpu2", DeviceId("nvidia0", "/vgpu2", minor=0)),
    ],
)
def test_a_known_form_is_taken_apart(device: str, expected: DeviceId) -> None:
    """UUIDs, MIG instances, replicas, and what GKE writes."""
    assert parse(device) == expected


@pytest.mark.parametrize(
    "device",
    [
        "",
        "0",
        "GPU-",
        "MIG-",
        f"MIG-{GPU}",
        f"MIG-{GPU}/1",
        f"{GPU}/1/2",
        f"{GPU} ",
        "nvidia",
        "nvidia-0",
        "nvidia0/gi",
        "nvidia0/3",
        "nvidia٣",
        "0000:19:00.0",
        "amdgpu_xcp_30",
        "gpu.nvidia.com/node-a/gpu-0",
        "nvidia" + "9" * 5000,
        "::1",
        "/vgpu1",
        "a::",
        "a::b",
    ],
)
def test_anything_else_is_opaque(device: str) -> None:
    """It names nothing we know, and stays as it is."""
    assert parse(device) == DeviceId(device)


def test_an_opaque_id_may_have_a_replica() -> None:
    """Time slicing shares devices whose ids are indices, too."""
    assert parse("0::3") == DeviceId("0", "::3")


PARTS = st.sampled_from(
    ["GPU-", "MIG-", "nvidia", "/gi", "/vgpu", "::", "/", "-", "0", "7", "a1", "12", "é", "\n"]
)


@given(st.text() | st.lists(PARTS).map("".join))
def test_no_text_raises_and_none_of_it_is_lost(device: str) -> None:
    """Base and replica are the id, and a base has no replica of the same kind in it twice over."""
    found = parse(device)
    assert found.base + found.replica == device
    assert parse(found.base).uuid == found.uuid
    assert found.uuid == "" or found.minor is None


@given(st.uuids(), st.integers(0, 10**9 - 1), st.sampled_from(["GPU", "MIG"]))
def test_replicas_of_one_device_have_one_base(uuid: object, replica: int, what: str) -> None:
    """So shares of a device are found to be of the same one."""
    device = f"{what}-{uuid}"
    assert parse(f"{device}::{replica}") == DeviceId(device, f"::{replica}", uuid=device)
