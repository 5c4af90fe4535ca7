"""Machine types of Google Cloud: what each is made of, which its price is put together from.

From https://cloud.google.com/compute/docs/machine-resource (2026-11). Types that are not here have
no price by the catalogue: those whose parts are not sold one by one on demand (A3 Ultra, A4), those
that share a core, and those made to measure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

SSD_GIB = 375
"""One local SSD."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is paid for: `cores`, `ram_gib`, `gpus` of a kind, `ssd_gib` that it always has.

    `core`, `ram`, `gpu` are what the catalogue calls those, before ``running in``; `committed` what
    it calls the family where it is committed to.
    """

    cores: int
    ram_gib: Decimal
    core: str
    ram: str
    committed: str
    gpus: int = 0
    gpu: str = ""
    ssd_gib: int = 0


@dataclass(frozen=True, slots=True)
class _Family:
    """Sizes of a family by class, and GiB a vCPU."""

    core: str
    ram: str
    committed: str
    classes: Mapping[str, tuple[str, tuple[int, ...]]]


def _named(family: str, maker: str = "") -> tuple[str, str, str]:
    middle = f"{maker} " if maker else ""
    return f"{family} {middle}Instance Core", f"{family} {middle}Instance Ram", family


_TO_32 = (2, 4, 8, 16, 32)
_TO_80 = (*_TO_32, 48, 64, 80)
_TO_96 = (*_TO_80, 96)
_N1 = (2, 4, 8, 16, 32, 64, 96)
_C2D = (2, 4, 8, 16, 32, 56, 112)
_C3 = (4, 8, 22, 44, 88, 176)
_C4 = (2, 4, 8, 16, 32, 48, 96, 192)

N1_CORE, N1_RAM = "N1 Predefined Instance Core", "N1 Predefined Instance Ram"
_FAMILIES: Mapping[str, _Family] = {
    "e2": _Family(
        *_named("E2"),
        {"standard": ("4", _TO_32), "highmem": ("8", _TO_32[:4]), "highcpu": ("1", _TO_32)},
    ),
    "n1": _Family(
        N1_CORE,
        N1_RAM,
        "",
        {"standard": ("3.75", (1, *_N1)), "highmem": ("6.5", _N1), "highcpu": ("0.9", _N1)},
    ),
    "n2": _Family(
        *_named("N2"),
        {"standard": ("4", (*_TO_96, 128)), "highmem": ("8", _TO_96), "highcpu": ("1", _TO_96)},
    ),
    "n2d": _Family(
        *_named("N2D", "AMD"),
        {
            "standard": ("4", (*_TO_96, 128, 224)),
            "highmem": ("8", _TO_96),
            "highcpu": ("1", (*_TO_96, 128, 224)),
        },
    ),
    "n4": _Family(
        *_named("N4"),
        {"standard": ("4", _TO_80), "highmem": ("8", _TO_80), "highcpu": ("2", _TO_80)},
    ),
    "c2": _Family(
        "Compute optimized Core",
        "Compute optimized Ram",
        "Compute optimized",
        {"standard": ("4", (4, 8, 16, 30, 60))},
    ),
    "c2d": _Family(
        *_named("C2D", "AMD"),
        {"standard": ("4", _C2D), "highmem": ("8", _C2D), "highcpu": ("2", _C2D)},
    ),
    "c3": _Family(
        *_named("C3"), {"standard": ("4", _C3), "highmem": ("8", _C3), "highcpu": ("2", _C3)}
    ),
    "c4": _Family(
        *_named("C4"), {"standard": ("3.75", _C4), "highmem": ("7.75", _C4), "highcpu": ("2", _C4)}
    ),
    "t2d": _Family(*_named("T2D", "AMD"), {"standard": ("4", (1, 2, 4, 8, 16, 32, 48, 60))}),
}

_A2, _A3, _A3_PLUS, _G2 = (_named(name) for name in ("A2", "A3", "A3Plus", "G2"))
_A100, _A100_80 = "Nvidia Tesla A100 GPU", "Nvidia Tesla A100 80GB GPU"
_H100, _H100_MEGA, _L4 = (
    "Nvidia H100 80GB GPU",
    "Nvidia H100 80GB (?:Mega|Plus) GPU",
    "Nvidia L4 GPU",
)
_L4S = {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}

_WITH_GPUS: Mapping[str, Machine] = {
    **{
        f"a2-highgpu-{count}g": Machine(12 * count, Decimal(85 * count), *_A2, count, _A100)
        for count in (1, 2, 4, 8)
    },
    "a2-megagpu-16g": Machine(96, Decimal(1360), *_A2, 16, _A100),
    **{
        f"a2-ultragpu-{count}g": Machine(
            12 * count, Decimal(170 * count), *_A2, count, _A100_80, count * SSD_GIB
        )
        for count in (1, 2, 4, 8)
    },
    **{
        f"a3-highgpu-{count}g": Machine(
            26 * count, Decimal(234 * count), *_A3, count, _H100, 2 * count * SSD_GIB
        )
        for count in (1, 2, 4, 8)
    },
    "a3-megagpu-8g": Machine(208, Decimal(1872), *_A3_PLUS, 8, _H100_MEGA, 16 * SSD_GIB),
    **{
        f"g2-standard-{cores}": Machine(cores, Decimal(4 * cores), *_G2, count, _L4)
        for cores, count in _L4S.items()
    },
}

ATTACHABLE: Mapping[str, str] = {
    "nvidia-tesla-t4": "Nvidia Tesla T4 GPU",
    "nvidia-tesla-v100": "Nvidia Tesla V100 GPU",
    "nvidia-tesla-p100": "Nvidia Tesla P100 GPU",
    "nvidia-tesla-p4": "Nvidia Tesla P4 GPU",
}
"""GPUs that are attached to an N1, which its type does not tell."""


def machine(name: str) -> Machine | None:
    """What a machine type is made of, without what is attached to it; None for an unknown one."""
    if name in _WITH_GPUS:
        return _WITH_GPUS[name]
    parts = re.fullmatch(r"([a-z0-9]+)-([a-z]+)-([1-9][0-9]{0,2})", name, re.ASCII)
    family = _FAMILIES.get(parts[1]) if parts else None
    if parts is None or family is None or parts[2] not in family.classes:
        return None
    ratio, sizes = family.classes[parts[2]]
    cores = int(parts[3])
    if cores not in sizes:
        return None
    return Machine(cores, cores * Decimal(ratio), family.core, family.ram, family.committed)
