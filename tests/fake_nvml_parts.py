"""What a pretended GPU is made of: counters that move, processes, samples, instances."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tests.fake_nvml_profiles import MigProfile

NOT_IN_MIG = 0xFFFFFFFF
NO_MEMORY_VALUE = 0xFFFFFFFFFFFFFFFF
"""What NVML says where it cannot know a process's memory; the binding makes None of it."""

FOREVER = 1e12

Clock = Callable[[], float]


class Rising:
    """A counter that grows by itself: at a rate for each second, from what it had reached."""

    def __init__(self, clock: Clock, rate: float = 0.0, base: float = 0.0) -> None:
        self._clock, self._rate = clock, rate
        self.base, self.at = base, clock()

    @property
    def rate(self) -> float:
        """Growth for each second; a change counts from now on."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self.base, self.at, self._rate = self.value, self._clock(), rate

    @property
    def value(self) -> float:
        """What it has reached now."""
        return self.base + (self._clock() - self.at) * self._rate

    def reset(self, base: float = 0.0) -> None:
        """Begin again."""
        self.base, self.at = base, self._clock()

    def __str__(self) -> str:
        return f"{self.base!r} {self.at!r} {self._rate!r}"


@dataclass
class Process:
    """A process on a GPU. `bytes` may be NO_MEMORY_VALUE; `kind` as NVML tells them apart."""

    pid: int
    bytes: int = 0
    kind: str = "compute"
    gpu_instance: int = NOT_IN_MIG
    compute_instance: int = NOT_IN_MIG


@dataclass(frozen=True)
class Sample:
    """What a process used at an instant of the clock; percentages, or the junk drivers give."""

    pid: int
    at: float
    sm: int = 0
    memory: int = 0
    encoder: int = 0
    decoder: int = 0


@dataclass
class Busy:
    """A process that leaves samples behind by itself, between two instants of the clock."""

    pid: int
    sm: int
    memory: int
    since: float
    until: float = FOREVER


@dataclass
class Mig:
    """An instance. `incarnation` tells one from its successor with the same ids."""

    name: str
    profile: MigProfile
    slot: int
    gpu_instance: int
    compute_instance: int
    compute_slices: int
    incarnation: int
    uuid: str
    used_bytes: int = 0

    @property
    def multiprocessors(self) -> int:
        """The SMs of this compute instance."""
        return self.profile.multiprocessors * self.compute_slices // self.profile.slices


def uuid_of(*parts: object) -> str:
    """A UUID that is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))
