"""Containers and pods: who they are, which devices they were given, what they use."""

from dataclasses import dataclass

from unitcost.pricing.workload import WorkloadKind


@dataclass(frozen=True, slots=True)
class PodContainer:
    """One container of a pod as the cluster knows it; requests are None where there are none.

    `id` is the runtime's id without its scheme, empty until it was started.
    """

    name: str
    id: str = ""
    ready: bool | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Scrape:
    """Where a pod's metrics page is, as its annotations or labels say. Untrusted, but bounded."""

    port: int
    path: str = "/metrics"
    server: str = "auto"
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of this host.

    `controller` outlives it: ``namespace/kind/name`` of its top controller. `group` names pods of
    several controllers that are one workload together (tensor or pipeline parallel), `hosts` on how
    many hosts that workload runs. `address` is its own IP address, empty where it has none (yet) or
    shares the host's. `scrape`: what it says of its metrics page, None where it says nothing.
    `counts_itself`: it says that a sidecar of its own counts its units.
    """

    uid: str
    namespace: str
    name: str
    controller: str
    kind: WorkloadKind = WorkloadKind.OTHER
    owner: str = ""
    group: str = ""
    hosts: int = 1
    containers: tuple[PodContainer, ...] = ()
    address: str = ""
    scrape: Scrape | None = None
    counts_itself: bool = False

    @property
    def workload(self) -> str:
        """The workload it is part of: its group, else its controller."""
        return f"{self.namespace}/group/{self.group}" if self.group else self.controller


@dataclass(frozen=True, slots=True)
class Grant:
    """A device that the kubelet gave to a container.

    `device` is the id as the device plug-in or the DRA driver named it; `resource` its resource
    name (``nvidia.com/gpu``) or DRA driver. `held_ns`: for how much of the view's span.
    """

    namespace: str
    pod: str
    container: str
    resource: str
    device: str
    held_ns: int


@dataclass(frozen=True, slots=True)
class Allocatable:
    """A device id that the kubelet could give out, given or not."""

    resource: str
    device: str


@dataclass(frozen=True, slots=True)
class Kubelet:
    """What the kubelet gave to whom over the `span_ns` up to `mono_ns` (monotonic clock).

    `allocatable` is None where it cannot be asked.
    """

    mono_ns: int
    span_ns: int
    grants: tuple[Grant, ...] = ()
    allocatable: tuple[Allocatable, ...] | None = None


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """What one container used, by its control group.

    `pod_uid` is empty for a container without a pod. `cpu_ns` is a counter that begins at 0 with
    the container; `memory_bytes` its working set. `cpu_request_milli` is what its CPU weight says
    of its request; None where the weight is the default.
    """

    id: str
    pod_uid: str
    cpu_ns: int
    memory_bytes: int
    mono_ns: int
    cpu_request_milli: int | None = None
