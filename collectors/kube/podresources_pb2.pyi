# The types of podresources_pb2.py, by hand: those that protoc writes are not strict.

from collections.abc import Iterable

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.message import Message

DESCRIPTOR: FileDescriptor

class ListPodResourcesRequest(Message):
    def __init__(self) -> None: ...

class ListPodResourcesResponse(Message):
    pod_resources: RepeatedCompositeFieldContainer[PodResources]
    def __init__(self, pod_resources: Iterable[PodResources] = ...) -> None: ...

class AllocatableResourcesRequest(Message):
    def __init__(self) -> None: ...

class AllocatableResourcesResponse(Message):
    devices: RepeatedCompositeFieldContainer[ContainerDevices]
    def __init__(self, devices: Iterable[ContainerDevices] = ...) -> None: ...

class PodResources(Message):
    name: str
    namespace: str
    containers: RepeatedCompositeFieldContainer[ContainerResources]
    def __init__(
        self, name: str = ..., namespace: str = ..., containers: Iterable[ContainerResources] = ...
    ) -> None: ...

class ContainerResources(Message):
    name: str
    devices: RepeatedCompositeFieldContainer[ContainerDevices]
    dynamic_resources: RepeatedCompositeFieldContainer[DynamicResource]
    def __init__(
        self,
        name: str = ...,
        devices: Iterable[ContainerDevices] = ...,
        dynamic_resources: Iterable[DynamicResource] = ...,
    ) -> None: ...

class ContainerDevices(Message):
    resource_name: str
    device_ids: RepeatedScalarFieldContainer[str]
    def __init__(self, resource_name: str = ..., device_ids: Iterable[str] = ...) -> None: ...

class DynamicResource(Message):
    claim_name: str
    claim_namespace: str
    claim_resources: RepeatedCompositeFieldContainer[ClaimResource]
    def __init__(
        self,
        claim_name: str = ...,
        claim_namespace: str = ...,
        claim_resources: Iterable[ClaimResource] = ...,
    ) -> None: ...

class ClaimResource(Message):
    driver_name: str
    pool_name: str
    device_name: str
    def __init__(
        self, driver_name: str = ..., pool_name: str = ..., device_name: str = ...
    ) -> None: ...
