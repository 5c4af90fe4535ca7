"""The parts of Kubernetes' objects that we read, by their names in JSON; the rest is left out."""

from typing import Generic, TypeVar

import msgspec


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Fields that are absent have their defaults; those that are not of their type are an error."""


class Owner(_Part, frozen=True):
    """An owner reference."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class Metadata(_Part, frozen=True):
    """Of a pod, or of a list (`continue_`: where the next page begins)."""

    uid: str = ""
    namespace: str = ""
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None
    continue_: str | None = msgspec.field(default=None, name="continue")


class Resources(_Part, frozen=True):
    """What a container asks for, in Kubernetes' quantities."""

    requests: dict[str, str | int | float] | None = None


class Container(_Part, frozen=True):
    """A container as it was asked for."""

    name: str = ""
    resources: Resources | None = None
    restart_policy: str | None = None


class PodSpec(_Part, frozen=True):
    """A pod as it was asked for."""

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None


class ContainerStatus(_Part, frozen=True):
    """A container as it is; its id is ``containerd://<id>``."""

    name: str = ""
    ready: bool | None = None
    container_id: str | None = msgspec.field(default=None, name="containerID")


class PodStatus(_Part, frozen=True):
    """A pod as it is."""

    phase: str = ""
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


class PodObject(_Part, frozen=True):
    """A pod."""

    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def says(self, name: str) -> str:
        """The annotation of this name, else the label, else nothing."""
        annotations, labels = self.metadata.annotations or {}, self.metadata.labels or {}
        return annotations.get(name) or labels.get(name) or ""


class Attribute(_Part, frozen=True):
    """An attribute of a device; others than texts are left out."""

    string: str | None = None


class Basic(_Part, frozen=True):
    """Where v1beta1 has the attributes."""

    attributes: dict[str, Attribute] | None = None


class SliceDevice(_Part, frozen=True):
    """A device that a DRA driver offers."""

    name: str = ""
    attributes: dict[str, Attribute] | None = None
    basic: Basic | None = None


class SlicePool(_Part, frozen=True):
    """The pool it is in; only slices of a pool's highest generation count."""

    name: str = ""
    generation: int = 0


class SliceSpec(_Part, frozen=True):
    """What a slice offers."""

    driver: str = ""
    pool: SlicePool = SlicePool()
    devices: tuple[SliceDevice, ...] | None = None


class ResourceSlice(_Part, frozen=True):
    """Some of the devices of a pool."""

    spec: SliceSpec = SliceSpec()


Item = TypeVar("Item")


class Page(_Part, Generic[Item], frozen=True):
    """A list, or a part of one."""

    metadata: Metadata = Metadata()
    items: tuple[Item, ...] | None = None
