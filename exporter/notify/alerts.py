"""What an alert is, and what those who look for one are shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from unitcost.dashboards.settings import Settings
from unitcost.exporter.notify.happened import Event
from unitcost.exporter.notify.past import Past
from unitcost.exporter.serving.snapshot import Point

Points = Mapping[str, Sequence[Point]]


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong. `kind` and `subject` tell it from all others.

    `since`: seconds since 1970, where that is known; `usd_per_day`: what it costs. `name`: as the
    rules for Prometheus call the same; empty where they have no such alert.
    """

    kind: str
    subject: tuple[str, ...]
    severity: Severity
    headline: str
    detail: str = ""
    since: float | None = None
    usd_per_day: float | None = None
    name: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from all others."""
        return self.kind, *self.subject


@dataclass(frozen=True, slots=True)
class Found:
    """Something that holds now of a subject.

    `begins`: whether it is an alert by itself; where it is False it only goes on, if it was one.
    `name`: of the alert, where it is not the first one of its `Told`.
    """

    subject: tuple[str, ...]
    headline: str
    detail: str = ""
    begins: bool = True
    since: float | None = None
    usd_per_day: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is looked at: the points of now and of before, and from where on something is wrong.

    `now`: seconds since 1970. `allowed`: US dollars that each run may cost. `began`: what held at
    the last look, by kind and subject. Durations of `limits` are at the exporter's scale of time.
    """

    points: Points
    past: Past
    limits: Settings
    now: float
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    allowed: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    events: Sequence[Event] = ()
    began: Mapping[tuple[str, ...], float] = field(default_factory=dict)

    def of(self, metric: str) -> dict[tuple[str, ...], float]:
        """A metric's points by their labels; empty where there are none."""
        return dict(self.points.get(metric, ()))

    def one(self, metric: str) -> float | None:
        """The point of a metric without labels; None where it is unknown."""
        return self.of(metric).get(())


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that is told: who looks for it, and for how many seconds it must hold.

    `names`: what the rules for Prometheus call it, the usual one first.
    """

    kind: str
    names: tuple[str, ...]
    severity: Severity
    find: Callable[[Seen], Iterable[Found]]
    after: Callable[[Settings], float] = lambda _: 0.0
