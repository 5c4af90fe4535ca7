"""The system's clocks, and the clock that tests hold in their hands."""

import time
from pathlib import Path

from tests.fakes import FakeClock
from unitcost.exporter.clock import Clock, SystemClock
from unitcost.pricing.timeline import Cover, advance


def test_the_clocks_are_the_kernels() -> None:
    """Each reading lies between two readings of the same clock taken around it."""
    wall, mono = time.time_ns(), time.monotonic_ns()
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    reading = SystemClock().read()
    assert mono <= reading.mono_ns <= time.monotonic_ns()
    assert boot <= reading.boot_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert abs(reading.wall_ns - wall) < 60e9  # the wall clock may be set meanwhile


def test_the_boot_id_is_the_kernels() -> None:
    """As /proc has it, without the line's end."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    assert SystemClock().read().boot_id == text.strip() != ""


def test_a_boot_id_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    """Missing, a folder, not ASCII: no boot id, and no exception."""
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, odd):
        assert SystemClock(str(path)).read().boot_id == ""


def test_the_fake_clock_tells_running_sleeping_and_rebooting_apart() -> None:
    """What the accounting of time sees of it is what the test said."""
    fake = FakeClock()
    clock: Clock = fake
    position = advance(None, clock.read(), present=True).position
    fake.advance(5)
    fake.suspend(60)
    fake.advance(1)
    step = advance(position, clock.read(), present=True)
    covers = [(i.cover, i.period.duration_ns) for i in step.intervals]
    assert covers == [(Cover.SUSPENDED, 60_000_000_000), (Cover.METERED, 6_000_000_000)]
    fake.reboot(90)
    (interval,) = advance(step.position, clock.read(), present=False).intervals
    assert (interval.cover, interval.period.duration_ns) == (Cover.REBOOTED, 90_000_000_000)


def test_setting_the_fake_wall_clock_passes_no_time() -> None:
    """Only the wall clock moves."""
    fake = FakeClock()
    before = fake.read()
    fake.set_wall(0)
    after = fake.read()
    assert (after.wall_ns, after.mono_ns, after.boot_ns) == (0, before.mono_ns, before.boot_ns)
