"""What the kubelet's answers say: which devices there are, and which container was given which."""

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING

from unitcost.collectors.kube.kubelet import KubeletError
from unitcost.collectors.kube.presence import MAX_HOLDINGS, Holding
from unitcost.pricing.container import Allocatable

if TYPE_CHECKING:
    from unitcost.collectors.kube import podresources_pb2 as pb

Patterns = tuple[str, ...]
"""Names of resources and DRA drivers that are devices, with wildcards as for file names."""


def holdings(answer: bytes, patterns: Patterns) -> frozenset[Holding]:
    """Who was given what. A claimed device is ``driver/pool/device``. Raises KubeletError."""
    from google.protobuf.message import DecodeError

    from unitcost.collectors.kube import podresources_pb2 as pb

    try:
        said = pb.ListPodResourcesResponse.FromString(answer)
    except DecodeError:
        raise KubeletError("the kubelet's answer is none") from None
    found = frozenset(
        holding
        for pod in said.pod_resources
        for container in pod.containers
        for holding in _of_container(pod, container, patterns)
    )
    if len(found) > MAX_HOLDINGS:
        raise KubeletError(f"the kubelet lists {len(found)} devices: more than {MAX_HOLDINGS}")
    return found


def _of_container(
    pod: "pb.PodResources", container: "pb.ContainerResources", patterns: Patterns
) -> Iterator[Holding]:
    where = (pod.namespace, pod.name, container.name)
    for devices in container.devices:
        resource = devices.resource_name
        if is_device(resource, patterns):
            yield from (Holding(*where, resource, device) for device in devices.device_ids)
    for claim in container.dynamic_resources:
        for part in claim.claim_resources:
            if is_device(part.driver_name, patterns):
                device = f"{part.driver_name}/{part.pool_name}/{part.device_name}"
                yield Holding(*where, part.driver_name, device, claimed=True)


def allocatable(answer: bytes, patterns: Patterns) -> tuple[Allocatable, ...]:
    """What could be given out. Raises KubeletError."""
    from google.protobuf.message import DecodeError

    from unitcost.collectors.kube import podresources_pb2 as pb

    try:
        said = pb.AllocatableResourcesResponse.FromString(answer)
    except DecodeError:
        raise KubeletError("the kubelet's answer is none") from None
    found = {
        Allocatable(devices.resource_name, device)
        for devices in said.devices
        if is_device(devices.resource_name, patterns)
        for device in devices.device_ids
    }
    if len(found) > MAX_HOLDINGS:
        raise KubeletError(f"the kubelet has {len(found)} devices: more than {MAX_HOLDINGS}")
    return tuple(sorted(found, key=lambda each: (each.resource, each.device)))


def is_device(name: str, patterns: Patterns) -> bool:
    """Whether a resource or a driver of this name is one we know."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
