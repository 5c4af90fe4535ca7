"""From the points of each tick to what is wrong, with what must be remembered for that."""

from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

import msgspec

from unitcost.dashboards.settings import Settings
from unitcost.exporter.notify.alerts import Alert, Points, Seen
from unitcost.exporter.notify.book import Allowed, Document
from unitcost.exporter.notify.happened import Happened, look
from unitcost.exporter.notify.latch import Latches
from unitcost.exporter.notify.past import Past
from unitcost.exporter.notify.told.all_told import all_told
from unitcost.exporter.notify.told.runs import allowed_now
from unitcost.pricing.sample import NS_PER_SECOND


@dataclass(slots=True)
class Watch:
    """Looks at each tick's points. `news`: what is to be remembered has changed."""

    zone: ZoneInfo
    limits: Settings
    past: Past = field(init=False)
    latches: Latches = field(default_factory=Latches)
    happened: Happened = field(default_factory=Happened)
    allowed: dict[tuple[str, ...], float] = field(default_factory=dict)
    news: bool = False

    def __post_init__(self) -> None:
        """The past is at the scale of the limits."""
        self.past = Past(self.limits)

    def resume(self, document: Document) -> None:
        """Go on from what the last process remembered."""
        self.past.resume(document.past)
        self.latches.resume(document.begun)
        self.happened = document.happened
        self.allowed = {(each.workload, each.run): each.usd for each in document.allowed}

    def alerts(self, points: Points, now_ns: int) -> list[Alert]:
        """All that is wrong now."""
        now = now_ns / NS_PER_SECOND
        self.past.look(points, now)
        before = self.happened, self.allowed
        self.happened = look(self.happened, points, now)
        seen = Seen(
            points,
            self.past,
            self.limits,
            now,
            zone=self.zone,
            events=self.happened.events,
            allowed=self.allowed,
            began=self.latches.since,
        )
        self.allowed = allowed_now(seen)
        seen = replace(seen, allowed=self.allowed)
        found = self.latches.alerts(all_told(), seen)
        changed = self.happened is not before[0] or self.allowed != before[1]
        self.news = self.news or changed or self.past.news or self.latches.news
        return found

    def remember(self, document: Document) -> Document:
        """The document with all that the next process goes on from."""
        self.news = False
        return msgspec.structs.replace(
            document,
            begun=self.latches.begun(),
            allowed=tuple(
                Allowed(run[0], run[1], usd) for run, usd in sorted(self.allowed.items())
            ),
            past=self.past.remembered(),
            happened=self.happened,
        )
