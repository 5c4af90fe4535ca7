"""The only place where the exporter reads clocks that charges depend on."""

import time
from pathlib import Path
from typing import Protocol

from unitcost.pricing.timeline import ClockReading


class Clock(Protocol):
    """Something that knows the time."""

    def read(self) -> ClockReading:
        """All clocks at one instant."""
        ...


class SystemClock:
    """The kernel's clocks. The boot id is read once: it cannot change while we run.

    Without a boot id (`boot_id_path` cannot be read) it is "", the same for every boot.
    """

    def __init__(self, boot_id_path: str = "/proc/sys/kernel/random/boot_id") -> None:
        try:
            self._boot_id = Path(boot_id_path).read_text(encoding="ascii").strip()[:64]
        except (OSError, ValueError):
            self._boot_id = ""

    def read(self) -> ClockReading:
        """All clocks now; a few hundred nanoseconds lie between them."""
        return ClockReading(
            wall_ns=time.time_ns(),
            mono_ns=time.monotonic_ns(),
            boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
            boot_id=self._boot_id,
        )
