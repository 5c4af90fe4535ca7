"""The configuration's sections for an exporter in a pod, beside the workload it charges."""

from decimal import Decimal
from typing import Annotated, Literal

from unitcost.exporter.config.section import Section, between

Cores = Annotated[Decimal, between("0", "100000")]
Gib = Annotated[Decimal, between("0", "10000000")]
Gpus = Annotated[int, between("0", "1000")]


class Pod(Section, frozen=True):
    """The pod we are in; what is left out is taken from the environment (`pod.py`).

    `cpu` and `memory_gib` are the requests of all its containers together, None where nobody says.
    """

    workload: str = ""
    """What it is charged as: ``namespace/kind/name`` of its top controller."""
    kind: Literal["inference", "training", "other"] = "inference"
    namespace: str = ""
    name: str = ""
    uid: str = ""
    cpu: Cores | None = None
    memory_gib: Gib | None = None
    gpus: Gpus | None = None
    """How many GPUs it was given, seen by us or not."""
    gpu_replicas: Annotated[int, between("1", "1000")] = 1
    """In how many replicas each of them is shared (time-slicing, MPS); the pod has one."""


class HostSize(Section, frozen=True):
    """What the whole host has, where that cannot be seen from inside of the pod."""

    cores: Annotated[Decimal, between("0.001", "100000")] | None = None
    memory_gib: Annotated[Decimal, between("0.001", "10000000")] | None = None
    gpus: Gpus | None = None
