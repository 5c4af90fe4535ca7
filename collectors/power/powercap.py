"""The kernel's powercap tree: which RAPL domains there are, and what each of them measures."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unitcost.collectors import procfs
from unitcost.collectors.base import NoData, Problem
from unitcost.pricing.energy import Path, Scope
from unitcost.pricing.resource import CPU, MEMORY

MAX_DOMAINS = 1024
NONE = "no powercap: a virtual machine, or no RAPL"
MASKED = Problem(
    "masked",
    "the links of class/powercap lead nowhere: a container runtime masks them, or only a part of "
    "/sys is mounted; mount the host's whole /sys elsewhere and set `sysfs` to that place",
)
_ZONE = re.compile(r"(intel-rapl|intel-rapl-mmio):(\d+)(:\d+)?", re.ASCII)
# With several dies: package-0-die-1 (rapl_common's names); psys has a number where several have it.
_NAME = re.compile(r"(?:package-(\d+(?:-die-\d+)?)|psys(?:-\d+)?|core|uncore|dram)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Domain:
    """One RAPL domain: its directory, and the meter's id, scope, place and resource."""

    directory: str
    id: str
    scope: Scope
    path: Path
    resource: str = ""


@dataclass(frozen=True, slots=True)
class _Zone:
    """A directory of the tree: ``intel-rapl:0`` is a `top`, ``intel-rapl:0:1`` lies in it."""

    driver: str
    top: int
    sub: int
    directory: str
    name: str

    @property
    def parent(self) -> tuple[str, int]:
        return self.driver, self.top


def domains(sysfs: str) -> tuple[list[Domain], list[Problem]]:
    """The domains that measure something no other does, the outer ones first.

    Raises NoData where there is none, OSError where the tree cannot be listed.
    """
    folder = f"{sysfs}/class/powercap"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        raise NoData(NONE) from None
    matches = [match for match in map(_ZONE.fullmatch, sorted(names)) if match]
    if not matches:
        raise NoData(NONE)
    zones, problems = _named(folder, matches[:MAX_DOMAINS])
    if not zones and not problems:
        return [], [MASKED]
    return _described(_without_mirrors(zones)), problems


def _named(folder: str, matches: Sequence[re.Match[str]]) -> tuple[list[_Zone], list[Problem]]:
    """The zones whose names can be read; one whose link leads nowhere is left out."""
    zones, problems = [], []
    for match in matches:
        directory = f"{folder}/{match[0]}"
        try:
            name = procfs.read(f"{directory}/name", 64).decode("ascii", "replace").strip()
        except procfs.Gone:
            continue
        except OSError as error:
            problems.append(Problem("unreadable", f"{directory}/name: {error.strerror}"))
            continue
        sub = int(match[3][1:]) if match[3] else -1
        zones.append(_Zone(match[1], int(match[2]), sub, directory, name))
    zones.sort(key=lambda zone: (zone.driver, zone.sub >= 0, zone.top, zone.sub))
    return zones, problems


def _without_mirrors(zones: Sequence[_Zone]) -> list[_Zone]:
    """Without those of the memory-mapped interface that the registers' interface has as well."""
    known = {zone.name for zone in zones if zone.driver == "intel-rapl" and zone.sub < 0}
    tops = {zone.parent: zone.name for zone in zones if zone.sub < 0}
    return [
        zone
        for zone in zones
        if zone.driver == "intel-rapl" or tops.get(zone.parent, "") not in known
    ]


def _described(zones: Iterable[_Zone]) -> list[Domain]:
    """What each zone measures. One with a name that is not known, or seen before, is left out."""
    zones = list(zones)
    tops = {zone.parent: zone.name for zone in zones if zone.sub < 0}
    outside: Path = ("psys",) if any(_is_psys(name) for name in tops.values()) else ()
    found: dict[str, Domain] = {}
    for zone in zones:
        top = _NAME.fullmatch(tops.get(zone.parent, ""))
        if top and _NAME.fullmatch(zone.name):
            domain = _domain(zone, top[1] or "", outside)
            found.setdefault(domain.id, domain)
    return list(found.values())


def _is_psys(name: str) -> bool:
    return name.startswith("psys")


def _domain(zone: _Zone, package: str, outside: Path) -> Domain:
    """`package` is the number of the package the zone is or lies in, `outside` where that lies."""
    path = (*outside, f"package-{package}")
    if _is_psys(zone.name):
        # All at one place: of several nobody knows which package is in which.
        return Domain(zone.directory, f"rapl:{zone.name}", Scope.PSYS, ("psys",))
    if zone.name == "dram":
        name = f"dram-{package}"
        return Domain(zone.directory, f"rapl:{name}", Scope.DRAM, (*outside, name), MEMORY)
    if zone.sub < 0:
        return Domain(zone.directory, f"rapl:{zone.name}", Scope.PACKAGE, path, CPU)
    scope = Scope.CORE if zone.name == "core" else Scope.UNCORE
    return Domain(
        zone.directory, f"rapl:{zone.name}-{package}", scope, (*path, f"{zone.name}-{package}")
    )
