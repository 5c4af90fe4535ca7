"""Power sensors of the whole host and, on NVIDIA Grace, of its modules and their parts.

Both are ACPI power meters, which the kernel's acpi_power_meter shows under class/hwmon.
"""

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from unitcost.collectors import procfs
from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.power.integral import MAX_GAP_NS, PowerIntegral
from unitcost.pricing.energy import Meter, Path, Scope
from unitcost.pricing.resource import CPU
from unitcost.pricing.sample import Source

NODE = "hwmon:acpi"
MAX_SENSORS = 256
MAX_WATTS = 100_000.0
"""More than any host takes: a meter that knows no power says 4.3 MW."""
_DRIVERS = frozenset({"power_meter", "acpi_power_meter"})
_SOCKET = re.compile(r"(Module|Grace|CPU|SysIO) Power Socket (\d{1,4})", re.ASCII)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the host's /sys is, and which of its power meters to use.

    `acpi`: ACPI devices (``ACPI000D:00``) which together measure the whole host, each another part
    of it; without any, the first one there is.
    """

    sysfs: str = "/sys"
    acpi: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """A sensor: its directory, its ACPI device, and what its firmware calls it."""

    directory: str
    device: str
    label: str


class _Sensor:
    """One sensor: its last power in watts, and its energy since we first read it."""

    def __init__(self, directory: str) -> None:
        self.interval_ns = _interval_ns(directory)
        self.watts = 0.0
        self.joules = 0.0
        self.read_ns: int | None = None
        self._integral = PowerIntegral(max(MAX_GAP_NS, 2 * self.interval_ns))

    def read(self, directory: str, now_ns: Callable[[], int]) -> None:
        """Read it, unless what it showed last is still its mean. Raises as `_watts`."""
        now = now_ns()
        if self.read_ns is None or now - self.read_ns >= self.interval_ns:
            self.watts = _watts(directory)
            self.joules = self._integral.add(self.watts, now)
            self.read_ns = now


class NodePowerCollector:
    """Remembers of each sensor what it showed, for the energy is the integral of that."""

    name = "node_power"

    def __init__(
        self,
        options: Options,
        context: Context,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._sysfs = options.sysfs
        self._allowed = options.acpi
        self._now_ns = now_ns
        # The joules begin at 0 with this collector.
        self._generation = secrets.token_hex(8)
        self._sensors: dict[str, _Sensor] = {}

    def collect(self, deadline: float) -> Reading:
        """Read all sensors. Raises NoData where there is none, OSError where /sys is broken."""
        places = _places(self._sysfs)
        if not places:
            raise NoData("no ACPI power meter")
        problems: dict[Problem, None] = {}
        meters: list[Meter | None] = []
        others = []
        for place in places:
            if match := _SOCKET.fullmatch(place.label):
                meters.append(self._socket(place, match[1].lower(), match[2], problems))
            else:
                others.append(place)
        if whole := self._chosen(others, problems):
            meters.append(self._meter(NODE, Scope.NODE, (), whole, problems))
        read = tuple(meter for meter in meters if meter)
        return Reading(meters=read, problems=tuple(problems))

    def _chosen(self, places: Sequence[_Place], problems: dict[Problem, None]) -> list[_Place]:
        """Those that together measure the whole host; none where one of them is missing."""
        if not self._allowed:
            if len(places) > 1:
                problems[_ambiguous(places)] = None
            return list(places[:1])
        found = {place.device: place for place in places}
        missing = [device for device in self._allowed if device not in found]
        if missing:
            problems[Problem("missing", f"there is no power meter {', '.join(missing)}")] = None
            return []
        return [found[device] for device in dict.fromkeys(self._allowed)]

    def _socket(
        self, place: _Place, kind: str, number: str, problems: dict[Problem, None]
    ) -> Meter | None:
        """A sensor of NVIDIA Grace: module ⊃ Grace chip ⊃ its cores, its I/O."""
        module = f"module-{number}"
        grace: Path = (module, f"grace-{number}")
        scope, path = {
            "module": (Scope.MODULE, (module,)),
            "grace": (Scope.PACKAGE, grace),
            "cpu": (Scope.PACKAGE, (*grace, f"package-{number}")),
            "sysio": (Scope.UNCORE, (*grace, f"sysio-{number}")),
        }[kind]
        resource = CPU if kind == "cpu" else ""
        return self._meter(f"hwmon:{path[-1]}", scope, path, [place], problems, resource)

    def _meter(
        self,
        id_: str,
        scope: Scope,
        path: Path,
        places: Sequence[_Place],
        problems: dict[Problem, None],
        resource: str = "",
    ) -> Meter | None:
        """The sum of some sensors as one meter; None where one of them cannot be read now."""
        sensors = []
        for place in places:
            try:
                sensors.append(self._read(place))
            except (procfs.Gone, BlockingIOError):
                return None
            except (OSError, ValueError) as error:
                problems[Problem("unreadable", f"{place.device} ({id_}): {error}")] = None
                return None
        return Meter(
            id=id_,
            scope=scope,
            path=path,
            mono_ns=min(sensor.read_ns or 0 for sensor in sensors),
            joules=sum(sensor.joules for sensor in sensors),
            watts=sum(sensor.watts for sensor in sensors),
            source=Source.SENSOR,
            resource=resource,
            generation=self._generation,
        )

    def _read(self, place: _Place) -> _Sensor:
        key = f"{place.device} {place.label}"
        sensor = self._sensors.get(key)
        if sensor is None:
            sensor = self._sensors[key] = _Sensor(place.directory)
        sensor.read(place.directory, self._now_ns)
        return sensor


def _places(sysfs: str) -> list[_Place]:
    """The power meters there are, by ACPI device. Raises OSError.

    Older kernels have the files in the ACPI device (``hwmon1/device``), not in ``hwmon1``.
    """
    folder = f"{sysfs}/class/hwmon"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = []
    for name in sorted(names)[:MAX_SENSORS]:
        for directory in (f"{folder}/{name}", f"{folder}/{name}/device"):
            if _text(f"{directory}/name") in _DRIVERS and os.path.exists(
                f"{directory}/power1_average"
            ):
                device = os.path.basename(os.path.realpath(f"{folder}/{name}/device"))
                found.append(_Place(directory, device, _text(f"{directory}/power1_oem_info")))
                break
    return sorted(found, key=lambda place: place.device)


def _text(path: str) -> str:
    """A short text; empty where there is none."""
    try:
        return procfs.read(path, 256).decode("ascii", "replace").strip()
    except (procfs.Gone, OSError):
        return ""


def _interval_ns(directory: str) -> int:
    """Over which time the sensor takes its mean; 0 where it does not say."""
    text = _text(f"{directory}/power1_average_interval")
    return int(text) * 10**6 if text.isdigit() and len(text) < 8 else 0


def _watts(directory: str) -> float:
    """The power now. Raises Gone, BlockingIOError while there is none yet, ValueError, OSError."""
    text = procfs.read(f"{directory}/power1_average", 64).strip()
    if not text:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    watts = int(text) / 10**6
    if not 0 < watts <= MAX_WATTS:
        raise ValueError(f"{watts:g} W cannot be")
    return watts


def _ambiguous(places: Sequence[_Place]) -> Problem:
    devices = ", ".join(place.device for place in places)
    return Problem(
        "ambiguous",
        f"several power meters ({devices}): only the first is used; say with `acpi` which of "
        "them together measure the whole host",
    )


def make_collector(options: Options, context: Context) -> NodePowerCollector:
    """The collector of the power sensors that `options.sysfs` shows."""
    return NodePowerCollector(options, context)
