"""What `unitcost doctor` says where the driver shows no GPU or too few: why, and the mend."""

from pathlib import Path

import pytest

from tests.exporter.test_doctor_devices import told
from unitcost.collectors.base import NoData, Problem, Reading
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.devices import explain_nvml, grouped
from unitcost.pricing.device import Device, Instance

LIBRARY_MISSING = NoData("NVML cannot be used: library_not_found")
NOT_LOADED = NoData("NVML cannot be used: driver_not_loaded")


def scene(folder: Path, **environ: str) -> Scene:
    """A host below a folder, without anything of NVIDIA's."""
    return Scene(folder / "proc", folder / "sys", folder / "root", environ)


def pci(folder: Path, slot: int, driver: str = "", kind: str = "0x030200") -> None:
    """A PCI device of NVIDIA's, by default a GPU."""
    device = folder / f"sys/bus/pci/devices/0000:0{slot}:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text(f"{kind}\n")
    if driver:
        (device / "driver").symlink_to(f"../../drivers/{driver}")


def kernel_driver(folder: Path) -> None:
    """The module is loaded."""
    file = folder / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31\nGCC\n")


def explained(folder: Path, result: Reading | NoData | str, **environ: str) -> list[str]:
    """What the doctor makes of an answer of the collector."""
    return told(explain_nvml("read nvml", result, scene(folder, **environ)))


def test_a_host_without_gpus_is_ok(tmp_path: Path) -> None:
    """Nor does the sound device of a GPU that was passed on make it a GPU host."""
    pci(tmp_path, 1, kind="0x040300")
    assert explained(tmp_path, LIBRARY_MISSING) == ["ok: nothing to read: no NVIDIA driver here"]
    assert explained(tmp_path, NOT_LOADED)[0].startswith("ok: nothing to read: NVML cannot be used")
    (none,) = explained(tmp_path, Reading(devices=()))
    assert none == "ok: nothing to read: the driver is here, a GPU is not"


def test_gpus_without_a_driver_are_noticed(tmp_path: Path) -> None:
    """On the PCI bus; those that were given to virtual machines are nobody's loss."""
    pci(tmp_path, 1, driver="vfio-pci")
    (line,) = explained(tmp_path, LIBRARY_MISSING)
    assert line == "ok: nothing to read: other drivers have all 1 GPUs (vfio-pci has 1)"
    pci(tmp_path, 2)
    (line,) = explained(tmp_path, LIBRARY_MISSING)
    assert line.startswith("warn: nothing is read of NVIDIA GPUs (NVML cannot be used: ")
    assert "yet there is 1 GPUs on the PCI bus" in line
    assert "modprobe nvidia" in line


def test_a_container_without_the_driver_s_library_is_told_how_to_get_it(tmp_path: Path) -> None:
    """The kernel's driver is seen in it. Where a driver container put the library is looked up."""
    kernel_driver(tmp_path)
    (line,) = explained(tmp_path, LIBRARY_MISSING)
    assert "yet there is the kernel's driver 550.90.07" in line
    assert "runtime class nvidia (docker: --gpus all), NVIDIA_VISIBLE_DEVICES=all" in line
    folder = tmp_path / "root/run/nvidia/driver/usr/lib64"
    folder.mkdir(parents=True)
    (folder / "libnvidia-ml.so.1").touch()
    (line,) = explained(tmp_path, LIBRARY_MISSING)
    assert line.endswith("set LD_LIBRARY_PATH=/run/nvidia/driver/usr/lib64")
    (line,) = explained(tmp_path, NoData("nvidia-ml-py is not installed"))
    assert line.endswith("pip install --force-reinstall nvidia-ml-py")


@pytest.mark.parametrize(
    ("problem", "mend"),
    [
        (Problem("wrong_module", "import pynvml: not that"), "pip uninstall pynvml"),
        (Problem("no_permission", "nvmlInit: no_permission"), "let this user open /dev/nvidiactl"),
        (Problem("unknown", "nvmlInit: unknown"), "make the container anew"),
        (Problem("irq_issue", "nvmlInit: irq_issue"), "see the kernel's log"),
    ],
)
def test_a_library_that_fails_has_a_mend(tmp_path: Path, problem: Problem, mend: str) -> None:
    """Whatever it says."""
    kernel_driver(tmp_path)
    (line,) = explained(tmp_path, Reading(problems=(problem,)))
    assert line.startswith(f"warn: no GPU can be read: {problem.kind}: ")
    assert "(the kernel's driver is 550.90.07)" in line
    assert mend in line


def test_fewer_gpus_than_on_the_bus_are_noticed(tmp_path: Path) -> None:
    """A container that was given some of them would charge these with the whole host's price."""
    for slot in range(3):
        pci(tmp_path, slot, driver="nvidia")
    seen = Reading(devices=(Device("gpu:GPU-1", "L4", index=0),))
    line = explained(tmp_path, seen, NVIDIA_VISIBLE_DEVICES="0")[-1]
    assert line.startswith("warn: the driver shows 1 of 3 GPUs on the PCI bus (NVIDIA_VISIBLE_DEV")
    assert "is '0')" in line
    (nothing,) = explained(tmp_path, Reading(devices=()), NVIDIA_VISIBLE_DEVICES="void")
    assert "shows 0 of 3 GPUs" in nothing


def test_gpus_of_which_nothing_is_known_are_warnings(tmp_path: Path) -> None:
    """Lost, or silent; and a GPU without instances."""
    slices = (Instance("MIG-1", 1, 0, 2, busy=0.5),)
    devices = (
        Device("gpu:GPU-1", "L4", index=0, lost=True),
        Device("gpu:GPU-2", "L4", index=1),
        Device("gpu:GPU-3", "A100", slices=7, instances=slices),
    )
    summary, lost, silent, _ = explained(tmp_path, Reading(devices=devices))
    assert summary == "ok: 3 GPUs"
    assert lost.startswith("warn: L4 GPU-1: it fell off the bus; its cost is carried")
    assert silent.startswith("warn: L4 GPU-2: nothing can be read of it")


def test_an_error_of_the_collector_fails(tmp_path: Path) -> None:
    """With the way to switch it off."""
    (line,) = explained(tmp_path, "RuntimeError: boom")
    assert line == "fail: RuntimeError: boom; mend it or set collectors.nvml.enabled: false"


def test_problems_that_gpus_share_are_one() -> None:
    """Others stay as they are."""
    problems = (Problem("a", "GPU 0: x"), Problem("a", "GPU 12: x"), Problem("b", "GPU 1: y"))
    found = grouped((*problems, Problem("c", "z")))
    assert [each.detail for each in found] == ["GPUs 0, 12: x", "GPU 1: y", "z"]
