"""Traces of NVIDIA GPUs that are there though the driver's library tells nothing: /proc, /sys."""

from dataclasses import dataclass
from pathlib import Path

from unitcost.collectors.pci import gpu_drivers
from unitcost.exporter.doctor.ask import Scene

LIBRARY = "libnvidia-ml.so.1"
# Where installers of drivers put the library on hosts, as a container may see them.
_FOLDERS = (
    "run/nvidia/driver/usr/lib64",
    "run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "run/nvidia/driver/usr/lib/aarch64-linux-gnu",
    "usr/local/nvidia/lib64",
    "home/kubernetes/bin/nvidia/lib64",
)


@dataclass(frozen=True, slots=True)
class Traces:
    """`kernel_driver`: the version of the loaded NVIDIA driver, empty without. `gpus`: how many
    are on the PCI bus, and `taken` by which other driver how many of them. `folder`: where the
    library lies without being found.
    """

    kernel_driver: str = ""
    gpus: int = 0
    taken: tuple[tuple[str, int], ...] = ()
    folder: str = ""

    @property
    def ours(self) -> int:
        """GPUs that no other driver has."""
        return self.gpus - sum(count for _, count in self.taken)

    @property
    def any(self) -> bool:
        """Whether there is a GPU that NVML could tell about."""
        return bool(self.kernel_driver or self.gpus)


def traces_of(scene: Scene) -> Traces:
    """Look for them; what cannot be read is not there."""
    drivers = gpu_drivers(str(scene.sysfs))
    others = sorted({name for name in drivers if name not in ("", "nvidia")})
    return Traces(
        _kernel_driver(scene.proc),
        len(drivers),
        tuple((name, drivers.count(name)) for name in others),
        next((f"/{name}" for name in _FOLDERS if (scene.root / name / LIBRARY).exists()), ""),
    )


def _kernel_driver(proc: Path) -> str:
    """Its version; ``of unknown version`` where the file is not as it was."""
    try:
        with open(proc / "driver/nvidia/version", encoding="ascii", errors="replace") as file:
            words = file.read(1024).split()
    except OSError:
        return ""
    dotted = [word for word in words if word.replace(".", "").isdigit() and "." in word]
    return dotted[0] if dotted else "of unknown version"
