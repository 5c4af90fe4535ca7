"""The code that protoc made of our description of the kubelet's API, and the bytes it reads."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from unitcost.collectors.kube import podresources_pb2 as pb
from unitcost.collectors.kube.grants import allocatable, holdings
from unitcost.collectors.kube.presence import Holding
from unitcost.pricing.container import Allocatable


def test_the_code_is_what_protoc_makes_of_the_description(root: Path, tmp_path: Path) -> None:
    """To make it anew, with grpcio-tools 1.62 (protoc 25), in collectors/kube:

    ``python -m grpc_tools.protoc -I. --python_out=. podresources.proto``
    """
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools is not installed")
    made = tmp_path / "made"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root / 'collectors/kube'}"]
    subprocess.run([*command, f"-o{made}", "podresources.proto"], check=True)
    (described,) = FileDescriptorSet.FromString(made.read_bytes()).file
    for message in described.message_type:
        for each in message.field:
            each.ClearField("json_name")  # which code has no need of
    ours = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(ours)
    assert ours == described


def field(number: int, value: bytes | str | int) -> bytes:
    """A field on the wire, written without any library."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    raw = value.encode() if isinstance(value, str) else value
    assert len(raw) < 1 << 14
    size = bytes([len(raw) & 0x7F | 0x80, len(raw) >> 7])
    return bytes([number << 3 | 2]) + size + raw


def test_the_kubelet_s_bytes_are_read_and_unknown_fields_are_passed_over() -> None:
    """All that a current kubelet sends: topology, CPUs, memory and CDI names included."""
    topology = field(1, field(1, 1))
    devices = (
        field(1, "nvidia.com/gpu") + field(2, "GPU-a") + field(2, "GPU-b") + field(3, topology)
    )
    cdi = field(1, field(1, "k8s.gpu.nvidia.com/claim=x"))
    claimed = (
        cdi + field(2, "gpu.nvidia.com") + field(3, "pool") + field(4, "gpu-0") + field(5, "s")
    )
    claim = field(2, "claim") + field(3, "ns") + field(4, claimed)
    memory = field(1, "memory") + field(2, 7) + field(3, topology)
    container = field(1, "main") + field(2, devices) + field(3, 5) + field(4, memory)
    pod = field(1, "pod") + field(2, "ns") + field(3, container + field(5, claim)) + field(4, 5)
    wanted = ("nvidia.com/*", "gpu.nvidia.com")
    assert holdings(field(1, pod + field(5, memory)), wanted) == {
        Holding("ns", "pod", "main", "nvidia.com/gpu", "GPU-a"),
        Holding("ns", "pod", "main", "nvidia.com/gpu", "GPU-b"),
        Holding("ns", "pod", "main", "gpu.nvidia.com", "gpu.nvidia.com/pool/gpu-0", claimed=True),
    }
    assert allocatable(field(1, devices) + field(2, 3) + field(3, memory), wanted) == (
        Allocatable("nvidia.com/gpu", "GPU-a"),
        Allocatable("nvidia.com/gpu", "GPU-b"),
    )


def test_the_code_runs_without_warnings_on_the_protobuf_that_is_installed() -> None:
    """Also where the fast implementation is missing."""
    code = "import unitcost.collectors.kube.podresources_pb2 as pb; pb.PodResources(name='a')"
    for implementation in ("upb", "python"):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation},
            check=True,
        )
