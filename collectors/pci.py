"""Accelerators on the PCI bus: there whether or not a driver shows them."""

import os

_VENDOR, _DISPLAY = "0x10de", "0x03"
"""NVIDIA's PCI vendor, and how the class of a GPU begins: its sound device has another one."""
_MAX_DEVICES = 4096


def gpu_drivers(sysfs: str) -> list[str]:
    """The kernel driver of each GPU of NVIDIA's, empty where it has none (linux Documentation/PCI).

    Empty where there is no PCI bus, or it may not be seen.
    """
    devices = os.path.join(sysfs, "bus/pci/devices")
    try:
        names = sorted(os.listdir(devices))[:_MAX_DEVICES]
    except OSError:
        return []
    places = (os.path.join(devices, name) for name in names)
    return [_driver(place) for place in places if _is_gpu(place)]


def _is_gpu(place: str) -> bool:
    return _text(f"{place}/vendor") == _VENDOR and _text(f"{place}/class").startswith(_DISPLAY)


def bus_is_seen(sysfs: str) -> bool:
    """Whether anything is seen on a PCI bus: else nobody knows whether there are GPUs on one."""
    try:
        with os.scandir(os.path.join(sysfs, "bus/pci/devices")) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _driver(place: str) -> str:
    try:
        return os.path.basename(os.readlink(f"{place}/driver"))
    except OSError:
        return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(64).strip()
    except OSError:
        return ""
