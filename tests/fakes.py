"""Stand-ins for what a test must hold in its hands: the clock."""

from unitcost.pricing.timeline import ClockReading

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


class FakeClock:
    """Time that passes when told to. Its clocks go wrong in the ways real ones do."""

    def __init__(self, wall_ns: int = START_NS, boot_id: str = "boot-1") -> None:
        self.wall_ns = wall_ns
        self.mono_ns = 1_000_000_000
        self.boot_ns = 1_000_000_000
        self.boot_id = boot_id
        self._boots = 1

    def read(self) -> ClockReading:
        """All clocks now."""
        return ClockReading(self.wall_ns, self.mono_ns, self.boot_ns, self.boot_id)

    def advance(self, seconds: float) -> None:
        """Time passes while the host runs."""
        self.suspend(seconds)
        self.mono_ns += round(seconds * 1e9)

    def suspend(self, seconds: float) -> None:
        """Time passes while the host sleeps."""
        self.wall_ns += round(seconds * 1e9)
        self.boot_ns += round(seconds * 1e9)

    def set_wall(self, wall_ns: int) -> None:
        """Somebody sets the wall clock; no time passes."""
        self.wall_ns = wall_ns

    def reboot(self, down_seconds: float) -> None:
        """The host goes down and comes back: a new boot id, and clocks that start anew."""
        self._boots += 1
        self.boot_id = f"boot-{self._boots}"
        self.wall_ns += round(down_seconds * 1e9)
        self.mono_ns = self.boot_ns = 1_000_000_000
