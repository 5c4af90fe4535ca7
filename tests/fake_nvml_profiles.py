"""GPUs to pretend: what each model supports, and the values it has while nothing runs on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

MIB = 1 << 20

PASCAL, VOLTA, TURING, AMPERE, ADA, HOPPER = 4, 5, 6, 7, 8, 9
VGPU_GUEST = 2


@dataclass(frozen=True)
class MigProfile:
    """A way to cut out an instance: its share of the slices, of the SMs, and its memory."""

    name: str
    slices: int
    multiprocessors: int
    memory_mib: int


def _mig_profiles(*rows: tuple[str, int, int, int]) -> Mapping[str, MigProfile]:
    return {row[0]: MigProfile(*row) for row in rows}


A100_MIG = _mig_profiles(
    ("1g.10gb", 1, 14, 9728),
    ("1g.20gb", 1, 14, 19968),
    ("2g.20gb", 2, 28, 19968),
    ("3g.40gb", 3, 42, 40192),
    ("4g.40gb", 4, 56, 40192),
    ("7g.80gb", 7, 98, 81050),
)
H100_MIG = _mig_profiles(
    ("1g.10gb", 1, 16, 9984),
    ("1g.20gb", 1, 26, 20096),
    ("2g.20gb", 2, 32, 20096),
    ("3g.40gb", 3, 60, 40448),
    ("4g.40gb", 4, 64, 40448),
    ("7g.80gb", 7, 132, 81153),
)
H200_MIG = _mig_profiles(
    ("1g.18gb", 1, 16, 16384),
    ("2g.35gb", 2, 32, 33280),
    ("3g.71gb", 3, 60, 71424),
    ("4g.71gb", 4, 64, 71424),
    ("7g.141gb", 7, 132, 143104),
)
A30_MIG = _mig_profiles(
    ("1g.6gb", 1, 14, 5952),
    ("2g.12gb", 2, 28, 12032),
    ("4g.24gb", 4, 56, 24194),
)


@dataclass(frozen=True, kw_only=True)
class GpuModel:
    """One model. None or False: NVML says NotSupported."""

    name: str
    architecture: int
    memory_mib: int | None
    pci_device: int
    reserved_mib: int = 512
    idle_watts: float | None = None
    limit_watts: float | None = None
    least_limit_watts: float = 100.0
    module_idle_watts: float | None = None
    has_energy_counter: bool = True
    has_power_fields: bool = True
    """Whether fields 185 and 186 are there, the mean and the present power."""
    has_utilization: bool = True
    has_process_samples: bool = True
    has_throttle_counters: bool = True
    has_gpm: bool = False
    temperature: int | None = 33
    memory_temperature: int | None = None
    clock_mhz: int | None = 1410
    memory_clock_mhz: int | None = 1593
    has_serial: bool = True
    mig_profiles: Mapping[str, MigProfile] = field(default_factory=dict[str, MigProfile])
    mig_slices: int = 0
    mig_enabled: bool = False
    virtualization: int = 0
    has_c2c: bool = False
    """Whether a fast link to a Grace CPU is there: then module power is another thing."""


A100 = GpuModel(
    name="NVIDIA A100-SXM4-80GB",
    architecture=AMPERE,
    memory_mib=81920,
    pci_device=0x20B210DE,
    idle_watts=62.5,
    limit_watts=400.0,
    memory_temperature=35,
    mig_profiles=A100_MIG,
    mig_slices=7,
)
A30 = replace(
    A100,
    name="NVIDIA A30",
    memory_mib=24576,
    pci_device=0x20B710DE,
    idle_watts=28.0,
    limit_watts=165.0,
    mig_profiles=A30_MIG,
    mig_slices=4,
)
H100 = replace(
    A100,
    name="NVIDIA H100 80GB HBM3",
    architecture=HOPPER,
    memory_mib=81559,
    pci_device=0x233010DE,
    idle_watts=71.25,
    limit_watts=700.0,
    least_limit_watts=200.0,
    has_gpm=True,
    mig_profiles=H100_MIG,
    clock_mhz=1980,
    memory_clock_mhz=2619,
)
H200 = replace(
    H100,
    name="NVIDIA H200",
    memory_mib=143771,
    pci_device=0x233510DE,
    idle_watts=76.0,
    mig_profiles=H200_MIG,
    memory_clock_mhz=3201,
)
GH200 = replace(
    H100,
    name="NVIDIA GH200 480GB",
    memory_mib=97871,
    pci_device=0x234210DE,
    idle_watts=94.0,
    limit_watts=900.0,
    module_idle_watts=180.0,
    mig_profiles={},
    has_c2c=True,
)
T4 = GpuModel(
    name="Tesla T4",
    architecture=TURING,
    memory_mib=15360,
    pci_device=0x1EB810DE,
    idle_watts=9.5,
    limit_watts=70.0,
    least_limit_watts=60.0,
    clock_mhz=1590,
    memory_clock_mhz=5001,
    has_power_fields=False,
)
L4 = replace(
    T4,
    name="NVIDIA L4",
    architecture=ADA,
    memory_mib=23034,
    pci_device=0x27B810DE,
    idle_watts=16.5,
    limit_watts=72.0,
    least_limit_watts=40.0,
    has_power_fields=True,
)
A10 = replace(
    L4,
    name="NVIDIA A10",
    architecture=AMPERE,
    memory_mib=23028,
    pci_device=0x223610DE,
    idle_watts=20.5,
    limit_watts=150.0,
    least_limit_watts=100.0,
)
V100 = replace(
    T4,
    name="Tesla V100-SXM2-16GB",
    architecture=VOLTA,
    memory_mib=16384,
    pci_device=0x1DB110DE,
    idle_watts=41.0,
    limit_watts=300.0,
    least_limit_watts=150.0,
    memory_temperature=36,
)
P100 = replace(
    V100,
    name="Tesla P100-PCIE-16GB",
    architecture=PASCAL,
    pci_device=0x15F810DE,
    idle_watts=26.0,
    limit_watts=250.0,
    least_limit_watts=125.0,
    has_energy_counter=False,
)
VGPU = GpuModel(
    name="GRID A100-10C",
    architecture=AMPERE,
    memory_mib=10240,
    pci_device=0x20B510DE,
    has_energy_counter=False,
    has_power_fields=False,
    has_throttle_counters=False,
    temperature=None,
    clock_mhz=None,
    memory_clock_mhz=None,
    has_serial=False,
    virtualization=VGPU_GUEST,
)


def gpus(model: GpuModel, count: int = 1) -> tuple[GpuModel, ...]:
    """That many of the same model."""
    return (model,) * count


def with_mig(model: GpuModel) -> GpuModel:
    """The model with MIG switched on, and no instance yet."""
    return replace(model, mig_enabled=True)


PROFILES: Mapping[str, Callable[[], tuple[GpuModel, ...]]] = {
    "a100_mig": lambda: gpus(with_mig(A100)),
    "a100": lambda: gpus(A100),
    "a30_mig": lambda: gpus(with_mig(A30)),
    "h100": lambda: gpus(H100),
    "h100_mig": lambda: gpus(with_mig(H100)),
    "h200": lambda: gpus(H200, 8),
    "gh200": lambda: gpus(GH200),
    "t4": lambda: gpus(T4),
    "l4": lambda: gpus(L4),
    "a10": lambda: gpus(A10),
    "v100": lambda: gpus(V100),
    "p100": lambda: gpus(P100),
    "vgpu": lambda: gpus(VGPU),
}
"""Whole hosts by name."""


def profile(name: str) -> tuple[GpuModel, ...]:
    """The GPUs of a host by name. Raises KeyError for a name that is not in PROFILES."""
    return PROFILES[name]()
