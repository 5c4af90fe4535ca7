"""Power sensors of a host from made-up hwmon trees, and the integral of what they show."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.fake_sysfs import hwmon_link, power_meter, write
from unitcost.collectors import procfs
from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.node_power import NodePowerCollector, Options, make_collector
from unitcost.collectors.power.integral import MAX_GAP_NS, PowerIntegral
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.energy import Meter, Scope, of_resources, outermost
from unitcost.pricing.sample import NS_PER_SECOND, Source


class Host:
    """A /sys, the collector of it, and a clock that goes on by 5 s at each reading."""

    def __init__(self, sysfs: Path, *allowed: str) -> None:
        self.sysfs = sysfs
        self.now_ns = 10**12
        options = Options(sysfs=str(sysfs), acpi=allowed)
        self.collector = NodePowerCollector(options, Context(), lambda: self.now_ns)

    def read(self, seconds: float = 5.0) -> Reading:
        """One reading, later than the last."""
        self.now_ns += round(seconds * NS_PER_SECOND)
        return validate(self.collector.collect(0.0))

    def node(self, seconds: float = 5.0) -> Meter:
        """The one meter of one reading."""
        (meter,) = self.read(seconds).meters
        return meter


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host without any sensor yet."""
    return Host(tmp_path)


def show(folder: Path, watts: float) -> None:
    """What a meter shows from now on."""
    write(folder / "power1_average", round(watts * 10**6))


def test_a_power_meter_measures_the_whole_host(host: Host) -> None:
    """Watts from the sensor, joules as its integral, from 0 on."""
    power_meter(host.sysfs, 3, 412.0)
    meter = host.node()
    assert meter == Meter(
        id="hwmon:acpi",
        scope=Scope.NODE,
        path=(),
        mono_ns=host.now_ns,
        joules=0.0,
        watts=412.0,
        source=Source.SENSOR,
        power_source=Source.SENSOR,
        generation=meter.generation,
    )


def test_energy_is_the_integral_of_power(host: Host) -> None:
    """5 s from 400 W to 600 W are 2.5 kJ; 31 s that nobody saw add nothing."""
    folder = power_meter(host.sysfs, 0, 400.0)
    host.read()
    show(folder, 600.0)
    assert host.node().joules == pytest.approx(2500.0)
    assert host.node(31.0).joules == pytest.approx(2500.0)
    assert host.node(1.0).joules == pytest.approx(3100.0)


def test_each_collector_counts_from_zero(tmp_path: Path) -> None:
    """Another one, another generation: its joules are not those of the one before."""
    power_meter(tmp_path, 0, 400.0)
    assert Host(tmp_path).node().generation != Host(tmp_path).node().generation


def test_a_newer_kernel_has_the_files_in_the_hwmon_device(host: Host) -> None:
    """With no other change."""
    folder = power_meter(host.sysfs, 0, 100.0)
    hwmon = folder / "hwmon/hwmon0"
    for name in ("name", "power1_average", "power1_oem_info"):
        (folder / name).rename(hwmon / name)
    assert host.node().watts == 100.0


def test_a_mean_is_not_read_again_before_its_time(host: Host) -> None:
    """With a mean over a minute the reading in between is the old one, with its instant."""
    folder = power_meter(host.sysfs, 0, 100.0, interval=60_000)
    first = host.node()
    show(folder, 300.0)
    assert host.node(30.0) == first
    later = host.node(30.0)
    assert later.watts == 300.0
    assert later.joules == pytest.approx(12_000.0)


def test_a_sensor_that_is_not_ready_is_left_out(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EAGAIN is no fault; the integral goes on over it."""
    folder = power_meter(host.sysfs, 0, 100.0)
    host.read()

    def not_ready(path: str, size: int = 4096) -> bytes:
        if path.endswith("power1_average"):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return read(path, size)

    read = procfs.read
    with monkeypatch.context() as patch:
        patch.setattr(procfs, "read", not_ready)
        assert host.read() == Reading()
    write(folder / "power1_average", 100_000_000)
    assert host.node().joules == pytest.approx(1000.0)


@pytest.mark.parametrize("text", ["0", "-5", "junk", "4294967295000000"])
def test_what_cannot_be_a_power_is_reported(host: Host, text: str) -> None:
    """Never a zero that was not measured; a meter that knows no power says 4.3 GW."""
    folder = power_meter(host.sysfs, 0, 100.0)
    write(folder / "power1_average", text)
    reading = host.read()
    assert reading.meters == ()
    assert [problem.kind for problem in reading.problems] == ["unreadable"]


def test_of_several_meters_the_first_is_used_and_that_is_said(host: Host) -> None:
    """By ACPI device, since hwmon numbers change from boot to boot."""
    power_meter(host.sysfs, 1, 300.0, device="ACPI000D:01")
    power_meter(host.sysfs, 2, 100.0, device="ACPI000D:00")
    reading = host.read()
    assert [meter.watts for meter in reading.meters] == [100.0]
    assert [problem.kind for problem in reading.problems] == ["ambiguous"]


def test_the_meters_that_the_configuration_names_are_summed(tmp_path: Path) -> None:
    """Two power supplies are the host together; without one of them nothing is."""
    host = Host(tmp_path, "ACPI000D:00", "ACPI000D:02")
    for number, watts in enumerate((100.0, 7000.0, 300.0)):
        power_meter(tmp_path, number, watts)
    host.read()
    meter = host.node()
    assert meter.watts == 400.0
    assert meter.joules == pytest.approx(2000.0)
    (tmp_path / "class/hwmon/hwmon2").unlink()
    reading = host.read()
    assert reading.meters == ()
    assert [problem.kind for problem in reading.problems] == ["missing"]


def test_the_sensors_of_a_grace_superchip_lie_in_each_other(host: Host) -> None:
    """Module ⊃ Grace ⊃ CPU and I/O: no joule twice, and the CPUs of both sockets."""
    powers = {"Module": 300.0, "Grace": 200.0, "CPU": 150.0, "SysIO": 50.0}
    for socket in (0, 1):
        for index, (part, watts) in enumerate(powers.items()):
            number = 4 * socket + index
            power_meter(host.sysfs, number, watts, label=f"{part} Power Socket {socket}")
    meters = host.read().meters
    assert {meter.id: (meter.scope, meter.path) for meter in meters[:4]} == {
        "hwmon:module-0": (Scope.MODULE, ("module-0",)),
        "hwmon:grace-0": (Scope.PACKAGE, ("module-0", "grace-0")),
        "hwmon:package-0": (Scope.PACKAGE, ("module-0", "grace-0", "package-0")),
        "hwmon:sysio-0": (Scope.UNCORE, ("module-0", "grace-0", "sysio-0")),
    }
    assert outermost(meters).watts() == 600.0
    assert of_resources(meters).watts() == 300.0


def test_a_host_without_power_meters_has_no_data(host: Host) -> None:
    """No hwmon; or only other sensors, and meters that measure nothing."""
    with pytest.raises(NoData):
        make_collector(Options(sysfs=str(host.sysfs)), Context()).collect(0.0)
    other = host.sysfs / "devices/pci0000:00/hwmon/hwmon1"
    write(other / "name", "k10temp")
    hwmon_link(host.sysfs, other)
    folder = power_meter(host.sysfs, 2, 1.0)
    (folder / "power1_average").unlink()
    with pytest.raises(NoData):
        host.read()


@given(st.lists(st.tuples(st.floats(0, 1e5), st.integers(-(10**9), 2 * MAX_GAP_NS)), max_size=30))
def test_an_integral_never_falls_and_never_leaps(readings: list[tuple[float, int]]) -> None:
    """Whatever the clock does."""
    integral, now_ns, before = PowerIntegral(), 10**12, 0.0
    for watts, step_ns in readings:
        now_ns += step_ns
        joules = integral.add(watts, now_ns)
        assert before <= joules <= before + 1e5 * MAX_GAP_NS / NS_PER_SECOND
        before = joules
