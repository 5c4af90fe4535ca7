"""A watch that is shown made-up points, minute by minute."""

from collections.abc import Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from unitcost.dashboards.settings import Settings
from unitcost.exporter.notify.alerts import Alert, Points
from unitcost.exporter.notify.book import Document
from unitcost.exporter.notify.watch import Watch

UTC = ZoneInfo("UTC")
START = 1_767_225_600
"""The first of January 2026, 00:00."""
MINUTE = 60


@dataclass
class Looking:
    """`minute` is where it is; the points of each minute are made from that."""

    zone: ZoneInfo = UTC
    limits: Settings = field(default_factory=Settings)
    minute: float = 0.0
    found: list[Alert] = field(default_factory=list)
    history: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    watch: Watch = field(init=False)
    document: Document = field(default_factory=Document)

    def __post_init__(self) -> None:
        """Begin with nothing remembered."""
        self.watch = Watch(self.zone, self.limits)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return START + self.minute * MINUTE

    def at(self, points: Points) -> list[Alert]:
        """What is wrong by these points, now."""
        self.found = self.watch.alerts(points, round(self.now * 10**9))
        if self.watch.news:
            self.document = self.watch.remember(self.document)
        self.history.append((self.minute, tuple(each.name for each in self.found)))
        return self.found

    def go(self, minutes: float, points: Callable[[float], Points], step: float = 1.0) -> None:
        """So many minutes; `points` are made from the minute."""
        end = self.minute + minutes
        while self.minute < end:
            self.at(points(self.minute))
            self.minute += step

    def restart(self) -> None:
        """Another process, with what was last remembered."""
        self.watch = Watch(self.zone, self.limits)
        self.watch.resume(self.document)

    def names(self) -> list[str]:
        """What is told now."""
        return [each.name for each in self.found]

    def began(self, name: str) -> float:
        """The first minute at which it was told. Raises StopIteration if it never was."""
        return next(minute for minute, names in self.history if name in names)
