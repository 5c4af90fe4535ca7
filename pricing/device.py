"""Accelerators as collectors see them: what one is, how it is partitioned, who uses it how much."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instance:
    """One MIG compute instance of a device.

    `slices`: compute slices of the parent that it has. `busy`: part of the time since the last
    reading in which it worked, 0 to 1; None where nothing tells (`busy_signal` names what did).
    """

    id: str
    gpu_instance: int
    compute_instance: int
    slices: int
    profile: str = ""
    busy: float | None = None
    busy_signal: str = ""


@dataclass(frozen=True, slots=True)
class DeviceProcess:
    """A process with a context on a device. `memory_bytes` is None where the driver hides it.

    `instance` is the MIG instance's id, empty for the whole device. `graphics`: it only draws (a
    display server), which makes nobody a holder.
    """

    pid: int
    memory_bytes: int | None = None
    instance: str = ""
    graphics: bool = False


@dataclass(frozen=True, slots=True)
class SmSample:
    """One sample of how much of a device's SM time a process used: `percent`, 0 to 100.

    `at_us` is the driver's own clock, in microseconds.
    """

    pid: int
    at_us: int
    percent: int


@dataclass(frozen=True, slots=True)
class Device:
    """One physical accelerator at one instant.

    `id` names the resource, ``gpu:<UUID>``. `slices` is the number of compute slices it can be
    cut into while it is partitioned (MIG is on), else 0. `processes` is None where they cannot be
    read. `samples`: per-process SM samples since the last reading; None where the driver gives none
    (unsupported, denied), empty where it had none. `busy` is the part of the time since the last
    reading in which the device worked, by `busy_signal`; None is unknown. `lost`: it fell off the
    bus; all else is then unknown. `index` is the driver's order, `minor` the number in
    ``/dev/nvidia<minor>``.
    """

    id: str
    product: str
    vendor: str = "nvidia"
    index: int | None = None
    minor: int | None = None
    slices: int = 0
    instances: tuple[Instance, ...] = ()
    processes: tuple[DeviceProcess, ...] | None = None
    samples: tuple[SmSample, ...] | None = None
    busy: float | None = None
    busy_signal: str = ""
    lost: bool = False

    @property
    def uuid(self) -> str:
        """The vendor's own id."""
        return self.id.removeprefix("gpu:")
