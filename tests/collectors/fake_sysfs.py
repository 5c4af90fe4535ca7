"""Trees as the kernel makes them: powercap, hwmon and control groups, links included."""

import os
import shutil
from pathlib import Path

RANGE = 262_143_328_850
"""The range of most package counters, in microjoules."""


def write(path: Path, text: str | int) -> None:
    """One file, its folder made if need be; the kernel ends each with a line end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="ascii")


class Powercap:
    """RAPL below a /sys: directories in devices/virtual, relative links to them in class."""

    def __init__(self, sysfs: Path) -> None:
        self.sysfs = sysfs
        self.links = sysfs / "class/powercap"
        self.links.mkdir(parents=True)

    def directory(self, zone: str) -> Path:
        """Where a zone really is: ``intel-rapl:0:1`` lies in ``intel-rapl:0``."""
        control, *numbers = zone.split(":")
        names = [":".join([control, *numbers[: n + 1]]) for n in range(len(numbers))]
        return self.sysfs.joinpath("devices/virtual/powercap", control, *names)

    def zone(self, zone: str, name: str, energy: int, wraps_at: int | None = RANGE) -> None:
        """One zone with its link, and the link of its control type."""
        folder = self.directory(zone)
        write(folder / "name", name)
        write(folder / "enabled", 1)
        self.energy(zone, energy)
        if wraps_at is not None:
            write(folder / "max_energy_range_uj", wraps_at)
        for target in (self.directory(zone.split(":")[0]), folder):
            link = self.links / target.name
            if not link.is_symlink():
                link.symlink_to(os.path.relpath(target, self.links))

    def energy(self, zone: str, energy: int) -> None:
        """What the counter shows now."""
        path = self.directory(zone) / "energy_uj"
        write(path, energy)
        path.chmod(0o400)

    def remove(self, zone: str) -> None:
        """The zone is unregistered."""
        shutil.rmtree(self.directory(zone))
        (self.links / zone).unlink()

    def mask(self) -> None:
        """As container runtimes do: an empty directory lies over the real one."""
        shutil.rmtree(self.sysfs / "devices/virtual/powercap")
        (self.sysfs / "devices/virtual/powercap").mkdir()


def power_meter(
    sysfs: Path, number: int, watts: float, *, label: str = "", device: str = "", interval: int = 0
) -> Path:
    """An ACPI power meter: its files are in the ACPI device, hwmonN only links to it."""
    device = device or f"ACPI000D:{number:02}"
    folder = sysfs / "devices/LNXSYSTM:00/LNXSYBUS:00" / device
    write(folder / "name", "power_meter")
    write(folder / "power1_average", round(watts * 10**6))
    write(folder / "power1_oem_info", label)
    write(folder / "power1_model_number", "")
    if interval:
        write(folder / "power1_average_interval", interval)
    hwmon = folder / f"hwmon/hwmon{number}"
    hwmon.mkdir(parents=True)
    (hwmon / "device").symlink_to("../..")
    hwmon_link(sysfs, hwmon)
    return folder


def hwmon_link(sysfs: Path, hwmon: Path) -> None:
    """The link of a hwmon device in its class."""
    links = sysfs / "class/hwmon"
    links.mkdir(parents=True, exist_ok=True)
    (links / hwmon.name).symlink_to(os.path.relpath(hwmon, links))


class Unified:
    """A version 2 control group tree."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write(root / "cgroup.controllers", "cpu memory pids")
        self.group("/init.scope")
        self.group("/system.slice/cron.service")

    def group(
        self, path: str, *, cpu_us: int = 0, memory: int = 0, inactive: int = 0, weight: int = 100
    ) -> None:
        """One group, with the files that are read and some that are not."""
        folder = self.root / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for above in (folder, *folder.parents):
            if above == self.root:
                break
            if not (above / "cpu.weight").exists() or above == folder:
                self._files(above, cpu_us, memory, inactive, weight if above == folder else 100)

    def _files(self, folder: Path, cpu_us: int, memory: int, inactive: int, weight: int) -> None:
        write(folder / "cpu.stat", f"usage_usec {cpu_us}\nuser_usec {cpu_us}\nsystem_usec 0")
        write(folder / "memory.current", memory)
        write(folder / "memory.stat", f"anon 4096\nfile 0\ninactive_file {inactive}\nslab 1")
        write(folder / "cpu.weight", weight)
        write(folder / "cgroup.events", "populated 1\nfrozen 0")
        write(folder / "cgroup.procs", "")

    def remove(self, path: str) -> None:
        """The group and those below it are gone."""
        shutil.rmtree(self.root / path.lstrip("/"))


class Split:
    """Version 1: a tree for each controller; `hybrid` adds an empty version 2 tree."""

    def __init__(self, root: Path, *, hybrid: bool = False, joined: bool = True) -> None:
        self.root = root
        self.cpu = root / ("cpu,cpuacct" if joined else "cpu")
        self.usage = self.cpu if joined else root / "cpuacct"
        self.memory = root / "memory"
        if joined:
            root.mkdir()
            (root / "cpu").symlink_to("cpu,cpuacct")
            (root / "cpuacct").symlink_to("cpu,cpuacct")
        self.group("")
        for folder in {self.cpu, self.usage, self.memory}:
            write(folder / "release_agent", "")
        if hybrid:
            write(root / "unified/cgroup.controllers", "")

    def group(
        self, path: str, *, cpu_ns: int = 0, memory: int = 0, inactive: int = 0, shares: int = 1024
    ) -> None:
        """One group, in all trees."""
        below = path.lstrip("/")
        write(self.usage / below / "cpuacct.usage", cpu_ns)
        write(self.cpu / below / "cpu.shares", shares)
        write(self.memory / below / "memory.usage_in_bytes", memory)
        stat = (
            f"cache 0\ninactive_file 7\nhierarchical_memory_limit 9\ntotal_inactive_file {inactive}"
        )
        write(self.memory / below / "memory.stat", stat)


def container_id(number: int) -> str:
    """The id of a made-up container."""
    return f"{number:064x}"


def pod_uid(number: int) -> str:
    """The UID of a made-up pod."""
    return f"{number:08x}-1111-4222-8333-444455556666"


def systemd_path(pod: int, container: int, qos: str = "burstable", prefix: str = "") -> str:
    """Where the systemd driver puts a container; `prefix` is kind's ``kubelet-``."""
    name = f"{prefix}kubepods"
    steps = [f"{name}.slice"]
    if qos:
        name = f"{name}-{qos}"
        steps.append(f"{name}.slice")
    steps.append(f"{name}-pod{pod_uid(pod).replace('-', '_')}.slice")
    return "/" + "/".join([*steps, f"cri-containerd-{container_id(container)}.scope"])


def cgroupfs_path(pod: int, container: int, qos: str = "burstable") -> str:
    """Where the cgroupfs driver puts a container."""
    middle = f"/{qos}" if qos else ""
    return f"/kubepods{middle}/pod{pod_uid(pod)}/{container_id(container)}"
