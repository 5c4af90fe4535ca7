"""What `unitcost doctor` says of RAPL, of the host's own power meters, and of their sum."""

from pathlib import Path

import pytest

from tests.collectors.fake_sysfs import Powercap, power_meter
from tests.exporter.test_doctor_devices import told
from unitcost.collectors import node_power, rapl
from unitcost.collectors.base import Context, Found, NoData, Reading
from unitcost.exporter.doctor import ask as asking
from unitcost.exporter.doctor.ask import Result, Scene, ask
from unitcost.exporter.doctor.power import explain_node_power, explain_rapl, power_findings
from unitcost.pricing.energy import Meter, Scope


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reading comes at once."""
    monkeypatch.setattr(asking, "APART_SECONDS", 0.05)


def read_rapl(folder: Path) -> Result:
    """What the collector answers."""
    options = {"rapl": rapl.Options(sysfs=str(folder))}
    return ask(Found("rapl", rapl, None), options, Context())


def said(folder: Path, result: Result, flags: str = "fpu hypervisor sse") -> list[str]:
    """What is made of it, on a processor with some flags."""
    (folder / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    return told(explain_rapl("read rapl", result, Scene(folder)))


def two_packages(folder: Path) -> Powercap:
    """A server's RAPL."""
    tree = Powercap(folder)
    for number in range(2):
        tree.zone(f"intel-rapl:{number}", f"package-{number}", 10**9 + number)
        tree.zone(f"intel-rapl:{number}:0", "dram", 10**8 + number)
    return tree


def test_counters_that_are_read_are_counted(tmp_path: Path) -> None:
    """Packages and memory; they did not move, so there is no power yet."""
    two_packages(tmp_path / "sys")
    assert said(tmp_path, read_rapl(tmp_path / "sys")) == ["ok: energy counters: 2 package, 2 dram"]


def test_a_virtual_machine_has_none(tmp_path: Path) -> None:
    """Which is ok; a processor without a hypervisor lacks only its module."""
    nothing = read_rapl(tmp_path / "sys")
    assert isinstance(nothing, NoData)
    virtual = "ok: nothing to read: no powercap: a virtual machine, or no RAPL"
    assert said(tmp_path, nothing) == [virtual]
    (line,) = said(tmp_path, nothing, flags="fpu sse")
    assert line.startswith("warn: no energy of CPUs: there is no powercap; modprobe intel_rapl_msr")
    (tmp_path / "cpuinfo").write_text("Features\t: fp asimd\n")
    assert told(explain_rapl("read rapl", nothing, Scene(tmp_path))) == [virtual]
    assert told(explain_rapl("read rapl", nothing, Scene(tmp_path / "none"))) == [virtual]


def test_a_container_that_masks_it_is_told_what_to_mount(tmp_path: Path) -> None:
    """One line, with the mend."""
    two_packages(tmp_path / "sys").mask()
    (line,) = said(tmp_path, read_rapl(tmp_path / "sys"))
    assert line.startswith("warn: masked: ")
    assert "mount the host's whole /sys elsewhere and set `sysfs`" in line


def test_counters_for_root_alone_say_who_may_read_them(tmp_path: Path) -> None:
    """One line for all of them."""
    (line,) = said(tmp_path, Reading(problems=(rapl.PERMISSION,)))
    assert line.startswith("warn: permission: ")
    assert "run as uid 0, or with CAP_DAC_READ_SEARCH" in line


def test_power_meters_of_the_host_are_told(tmp_path: Path) -> None:
    """With what they show now, and what is doubtful about them."""

    def answer() -> list[str]:
        options = {"node_power": node_power.Options(sysfs=str(tmp_path))}
        result = ask(Found("node_power", node_power, None), options, Context())
        return told(explain_node_power("read node_power", result, Scene()))

    assert answer() == ["ok: nothing to read: no ACPI power meter"]
    power_meter(tmp_path, 0, 420.0)
    assert answer() == ["ok: power meters: 1 node; 420 W now"]
    power_meter(tmp_path, 1, 100.0)
    assert answer()[1].startswith("warn: ambiguous: several power meters")


def meter(id_: str, scope: Scope, watts: float | None, *path: str) -> Meter:
    """A meter somewhere."""
    return Meter(id_, scope, path, 0, watts=watts)


def test_what_all_draw_is_summed_without_counting_twice() -> None:
    """The whole host's meter is enough; without it something is always missing."""
    package = meter("p", Scope.PACKAGE, 100.0, "package-0")
    core = meter("c", Scope.CORE, 60.0, "package-0", "core-0")
    gpu = meter("g", Scope.GPU, 300.0, "gpu:1")
    readings = {"rapl": Reading(meters=(package, core)), "nvml": Reading(meters=(gpu,))}
    parts = "ok: 400 W by 1 gpu, 1 package: without fans, disks and losses"
    assert told(power_findings(readings)) == [parts]
    whole = Reading(meters=(meter("n", Scope.NODE, 550.0),))
    assert told(power_findings({**readings, "node_power": whole})) == ["ok: 550 W by 1 node"]
    unknown = Reading(meters=(meter("p", Scope.PACKAGE, None, "package-0"),))
    assert told(power_findings({"rapl": unknown}))[0].startswith("ok: not known yet by 1 package")
    assert told(power_findings({})) == []
