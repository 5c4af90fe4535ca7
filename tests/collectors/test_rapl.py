"""RAPL from made-up powercap trees: what is summed, what wraps, and what may not be read."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.fake_sysfs import RANGE, Powercap
from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.power.powercap import MASKED, NONE
from unitcost.collectors.rapl import (
    MAX_PART_WATTS,
    STUCK_AFTER,
    Options,
    RaplCollector,
    make_collector,
)
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.energy import Meter, Scope, of_resources, outermost
from unitcost.pricing.sample import NS_PER_SECOND, Source

PACKAGE, SECOND = "intel-rapl:0", "intel-rapl:1"
TICK_NS = 5 * NS_PER_SECOND


class Host:
    """A /sys with RAPL, the collector of it, and a clock that goes on by 5 s at each reading."""

    def __init__(self, sysfs: Path) -> None:
        self.powercap = Powercap(sysfs)
        self.now_ns = 10**12
        self.collector = RaplCollector(Options(sysfs=str(sysfs)), Context(), lambda: self.now_ns)

    def read(self, seconds: float = 5.0) -> Reading:
        """One reading, later than the last."""
        self.now_ns += round(seconds * NS_PER_SECOND)
        return validate(self.collector.collect(0.0))

    def meters(self, seconds: float = 5.0) -> dict[str, Meter]:
        """The meters of one reading."""
        return {meter.id: meter for meter in self.read(seconds).meters}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host without any domain yet."""
    return Host(tmp_path / "sys")


def kinds(reading: Reading) -> list[str]:
    """The kinds of what was reported."""
    return [problem.kind for problem in reading.problems]


def client_machine(host: Host) -> None:
    """A laptop: psys beside a package with all its parts, and the memory-mapped interface."""
    host.powercap.zone(PACKAGE, "package-0", 1_000_000)
    host.powercap.zone("intel-rapl:0:0", "core", 500_000)
    host.powercap.zone("intel-rapl:0:1", "uncore", 100_000)
    host.powercap.zone("intel-rapl:0:2", "dram", 300_000)
    host.powercap.zone("intel-rapl:1", "psys", 9_000_000)
    host.powercap.zone("intel-rapl-mmio:0", "package-0", 1_000_007)


def test_a_package_is_a_counter_of_all_cpus(host: Host) -> None:
    """Joules and range in joules; no power yet, for one reading has none."""
    host.powercap.zone(PACKAGE, "package-0", 187_654_321_098)
    assert host.read().meters == (
        Meter(
            id="rapl:package-0",
            scope=Scope.PACKAGE,
            path=("package-0",),
            mono_ns=host.now_ns,
            joules=187_654.321098,
            power_source=Source.DERIVED,
            resource="cpu",
            wraps_at=262_143.32885,
            limit_watts=MAX_PART_WATTS,
        ),
    )


def test_power_is_the_mean_since_the_last_reading(host: Host) -> None:
    """215 J in 2.5 s are 86 W."""
    host.powercap.zone(PACKAGE, "package-0", 10**9)
    host.read()
    host.powercap.energy(PACKAGE, 10**9 + 215_000_000)
    assert host.meters(2.5)["rapl:package-0"].watts == pytest.approx(86.0)


def test_a_counter_that_wraps_goes_on(host: Host) -> None:
    """The power is of the way over the end of the range."""
    host.powercap.zone(PACKAGE, "package-0", RANGE - 200_000_000)
    host.read()
    host.powercap.energy(PACKAGE, 300_000_000)
    assert host.meters()["rapl:package-0"].watts == pytest.approx(100.0)


def test_a_counter_that_was_reset_has_no_power(host: Host) -> None:
    """Taken for a wrap it would be 25 kW; the next reading has a power again."""
    host.powercap.zone(PACKAGE, "package-0", RANGE // 2)
    host.read()
    host.powercap.energy(PACKAGE, 0)
    assert host.meters()["rapl:package-0"].watts is None
    host.powercap.energy(PACKAGE, 500_000_000)
    assert host.meters()["rapl:package-0"].watts == pytest.approx(100.0)


@pytest.mark.parametrize("seconds", [60.0, 0.0])
def test_there_is_no_power_over_a_long_time_or_none(host: Host, seconds: float) -> None:
    """After a minute the mean is no power of now."""
    host.powercap.zone(PACKAGE, "package-0", 10**9)
    host.read()
    host.powercap.energy(PACKAGE, 2 * 10**9)
    assert host.meters(seconds)["rapl:package-0"].watts is None


@given(
    readings=st.lists(
        st.tuples(st.integers(0, RANGE), st.integers(1, 120 * NS_PER_SECOND)), max_size=20
    )
)
def test_no_history_of_a_counter_has_an_impossible_power(readings: list[tuple[int, int]]) -> None:
    """Never negative, never more than a package can take."""
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder) / "sys")
        host.powercap.zone(PACKAGE, "package-0", 0)
        for energy, elapsed_ns in readings:
            host.powercap.energy(PACKAGE, energy)
            for meter in host.meters(elapsed_ns / NS_PER_SECOND).values():
                assert meter.watts is None or 0 < meter.watts <= MAX_PART_WATTS
                assert meter.joules == energy / 10**6


def test_no_joule_is_summed_twice(host: Host) -> None:
    """Everything is in psys; the CPUs are the package, the memory lies beside it."""
    client_machine(host)
    meters = host.read().meters
    assert {meter.id: meter.path for meter in meters} == {
        "rapl:psys": ("psys",),
        "rapl:package-0": ("psys", "package-0"),
        "rapl:core-0": ("psys", "package-0", "core-0"),
        "rapl:uncore-0": ("psys", "package-0", "uncore-0"),
        "rapl:dram-0": ("psys", "dram-0"),
    }
    assert [meter.id for meter in outermost(meters)] == ["rapl:psys"]
    resources = {meter.id: meter.resource for meter in of_resources(meters)}
    assert resources == {"rapl:package-0": "cpu", "rapl:dram-0": "memory"}


def test_two_sockets_lie_side_by_side(host: Host) -> None:
    """Both are the CPUs, each has its own memory; dies of one package are told apart."""
    for socket in ("0", "1-die-1"):
        zone = f"intel-rapl:{socket[0]}"
        host.powercap.zone(zone, f"package-{socket}", 5 + int(socket[0]))
        host.powercap.zone(f"{zone}:0", "dram", 3)
    meters = host.read().meters
    paths = [("package-0",), ("package-1-die-1",), ("dram-0",), ("dram-1-die-1",)]
    assert [meter.path for meter in outermost(meters)] == paths
    assert len({meter.id for meter in meters}) == 4


def test_several_psys_are_one_place(host: Host) -> None:
    """Nobody knows which package is in which, so only one of them is ever summed."""
    host.powercap.zone(PACKAGE, "package-0", 1)
    host.powercap.zone(SECOND, "psys", 2)
    host.powercap.zone("intel-rapl:2", "psys-1", 3)
    meters = host.read().meters
    assert [meter.id for meter in outermost(meters)] == ["rapl:psys"]


def test_the_memory_mapped_interface_counts_where_there_is_no_other(host: Host) -> None:
    """Without the driver of the registers it is all there is."""
    host.powercap.zone("intel-rapl-mmio:0", "package-0", 5_000_000)
    assert host.meters()["rapl:package-0"].joules == 5.0


def test_packages_that_show_one_counter_are_one(host: Host) -> None:
    """Some AMD processors show it once for each die; it counts once, from the first reading.

    Its parts are left out with it, for in a sum they would stand for it.
    """
    for index, zone in enumerate((PACKAGE, SECOND)):
        host.powercap.zone(zone, f"package-{index}", 10**9)
    host.powercap.zone(f"{SECOND}:0", "core", 10**8)
    assert list(host.meters()) == ["rapl:package-0"]
    for energy in (10**9 + 5, 10**9 + 5, 10**9 + 9):
        host.powercap.energy(PACKAGE, energy)
        host.powercap.energy(SECOND, energy)
        reading = host.read()
        assert [meter.id for meter in reading.meters] == ["rapl:package-0"]
        assert kinds(reading) == ["mirrored"]


def test_packages_that_happen_to_be_equal_once_are_two(host: Host) -> None:
    """What differs at the next reading was no mirror; a later coincidence is not taken for one."""
    readings = ((10**9, 10**9), (2 * 10**9, 3 * 10**9), (4 * 10**9, 4 * 10**9), (5 * 10**9, 6))
    seen = []
    for first, second in readings:
        host.powercap.zone(PACKAGE, "package-0", first)
        host.powercap.zone(SECOND, "package-1", second)
        seen.append(len(host.meters()))
    assert seen == [1, 2, 2, 2]


def test_a_range_that_cannot_be_read_leaves_out_that_domain(host: Host) -> None:
    """A wrap could not be told from a reset; the others are not touched."""
    host.powercap.zone(PACKAGE, "package-0", 1)
    host.powercap.zone(SECOND, "package-1", 2, wraps_at=0)
    host.powercap.zone("intel-rapl:1:0", "dram", 2)
    host.powercap.zone("intel-rapl:1:1", "core", 2, wraps_at=None)
    (host.powercap.directory("intel-rapl:1:0") / "max_energy_range_uj").write_text("junk\n")
    reading = host.read()
    assert [meter.id for meter in reading.meters] == ["rapl:package-0"]
    assert kinds(reading) == ["unreadable"] * 3


def test_a_counter_that_never_moves_is_none(host: Host) -> None:
    """Reported and left out while it stands still, and back when it moves."""
    host.powercap.zone(PACKAGE, "package-0", 10**9)
    for _ in range(STUCK_AFTER):
        assert host.meters()["rapl:package-0"].watts is None
    reading = host.read()
    assert (reading.meters, kinds(reading)) == ((), ["stuck"])
    host.powercap.energy(PACKAGE, 10**9 + 10**8)
    reading = host.read()
    assert (len(reading.meters), kinds(reading)) == (1, [])


def test_a_domain_that_disappears_breaks_only_itself(host: Host) -> None:
    """And begins anew when it comes back."""
    client_machine(host)
    host.read()
    host.powercap.remove("intel-rapl:0:2")
    assert "rapl:dram-0" not in host.meters()
    host.powercap.zone("intel-rapl:0:2", "dram", 700_000)
    assert host.meters()["rapl:dram-0"].watts is None


def test_a_link_that_leads_nowhere_among_others_is_left_out(host: Host) -> None:
    """A domain that is being unregistered."""
    client_machine(host)
    shutil.rmtree(host.powercap.directory(SECOND))
    assert "rapl:package-0" in host.meters()


def test_a_masked_tree_is_told_from_none(host: Host) -> None:
    """Container runtimes hide the directories, not the links to them."""
    client_machine(host)
    host.powercap.mask()
    assert host.read() == Reading(problems=(MASKED,))


def test_a_virtual_machine_has_no_rapl(host: Host, tmp_path: Path) -> None:
    """No powercap, an empty one, and one with something else in it."""
    with pytest.raises(NoData, match=NONE):
        host.read()
    host.powercap.zone("dtpm:0", "dtpm", 1)
    with pytest.raises(NoData, match=NONE):
        host.read()
    with pytest.raises(NoData, match=NONE):
        make_collector(Options(sysfs=str(tmp_path / "none")), Context()).collect(0.0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - another user reads it
        yield Path(folder)


READ_AS_NOBODY = """
import json, os, sys
from unitcost.collectors.base import Context
from unitcost.collectors.rapl import Options, make_collector
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
reading = make_collector(Options(sysfs=sys.argv[1]), Context()).collect(0.0)
print(json.dumps([len(reading.meters), [problem.detail for problem in reading.problems]]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_without_permission_it_says_what_helps(open_folder: Path) -> None:
    """The counters are the owner's alone, since they tell what others compute."""
    client_machine(Host(open_folder / "sys"))
    command = [sys.executable, "-c", READ_AS_NOBODY, str(open_folder / "sys")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    count, details = json.loads(run.stdout)
    assert count == 0
    assert len(details) == 1
    assert "uid 0" in details[0]
    assert "CAP_DAC_READ_SEARCH" in details[0]
