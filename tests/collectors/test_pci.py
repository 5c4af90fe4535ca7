"""GPUs on the PCI bus, seen without any driver."""

from pathlib import Path

from unitcost.collectors.base import Context
from unitcost.collectors.host import HostCollector, Options
from unitcost.collectors.pci import gpu_drivers
from unitcost.pricing.sample import Quantity


def device(sysfs: Path, name: str, vendor: str, kind: str, driver: str = "") -> None:
    """A device as the kernel shows it."""
    place = sysfs / "bus/pci/devices" / name
    place.mkdir(parents=True)
    (place / "vendor").write_text(f"{vendor}\n")
    (place / "class").write_text(f"{kind}\n")
    if driver:
        (place / "driver").symlink_to(f"../../drivers/{driver}")


def test_only_gpus_of_nvidia_count_whatever_driver_has_them(tmp_path: Path) -> None:
    """Neither their sound devices, nor switches, nor GPUs of others."""
    device(tmp_path, "0000:00:02.0", "0x8086", "0x030000", "i915")
    device(tmp_path, "0000:07:00.0", "0x10de", "0x030200", "nvidia")
    device(tmp_path, "0000:07:00.1", "0x10de", "0x040300", "snd_hda_intel")
    device(tmp_path, "0000:08:00.0", "0x10de", "0x068000", "nvidia-nvswitch")
    device(tmp_path, "0000:09:00.0", "0x10de", "0x030000", "vfio-pci")
    device(tmp_path, "0000:0a:00.0", "0x10de", "0x030200")
    assert gpu_drivers(str(tmp_path)) == ["nvidia", "vfio-pci", ""]
    assert gpu_drivers(str(tmp_path / "nowhere")) == []


def test_the_host_tells_how_many_there_are_and_looks_once_a_minute(tmp_path: Path) -> None:
    """Where nothing is on the bus it tells nothing: that may be hidden; else none is a 0."""
    now = [10**9]
    collector = HostCollector(Options(sysfs=str(tmp_path)), Context(), lambda: now[0])

    def present() -> list[float]:
        samples = collector.collect(0.0).samples
        return [each.value for each in samples if each.quantity is Quantity.DEVICES_PRESENT]

    assert present() == []
    device(tmp_path, "0000:05:00.0", "0x1af4", "0x020000", "virtio-pci")
    assert present() == []
    now[0] += 60 * 10**9
    assert present() == [0.0]
    device(tmp_path, "0000:07:00.0", "0x10de", "0x030200")
    now[0] += 60 * 10**9
    assert present() == [1.0]
