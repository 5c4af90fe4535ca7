"""From what holds now to what is told: for long enough, and without fluttering at its limit."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.notify.alerts import Alert, Found, Seen, Told
from unitcost.exporter.notify.words import time_of

_log = logging.getLogger(__name__)
Key = tuple[str, ...]


class Begun(msgspec.Struct, frozen=True):
    """Something that holds, since so many seconds after 1970."""

    key: tuple[str, ...]
    since: float


@dataclass(slots=True)
class Latches:
    """Since when each thing has held. `news`: that has changed.

    For some minutes after a restart what is not seen again is remembered all the same: not all
    points are there at once.
    """

    since: dict[Key, float] = field(default_factory=dict)
    news: bool = False
    resumed: bool = False
    patient_until: float = 0.0
    said: OncePer = field(default_factory=OncePer)

    def alerts(self, told: Iterable[Told], seen: Seen) -> list[Alert]:
        """All that is wrong: what has begun, goes on, and has held for as long as it must."""
        if self.resumed:
            self.resumed = False
            self.patient_until = seen.now + seen.limits.scaled(seen.limits.rate_window)
        before, self.since = self.since, {}
        found: list[Alert] = []
        for each in told:
            try:
                found += list(self._of(each, seen, before))
            except Exception as error:  # noqa: BLE001 - logged; the others are told
                self.since |= {key: at for key, at in before.items() if key[0] == each.kind}
                if self.said.first(each.kind, repr(error)):
                    _log.exception("an alert cannot be judged", extra=fields(kind=each.kind))
        if seen.now < self.patient_until:
            self.since = before | self.since
        self.news = self.news or self.since.keys() != before.keys()
        return found

    def _of(self, told: Told, seen: Seen, before: Mapping[Key, float]) -> Iterator[Alert]:
        after = told.after(seen.limits)
        for found in told.find(seen):
            key = (told.kind, *found.subject)
            since = before.get(key, seen.now if found.begins else None)
            if since is None:
                continue
            self.since[key] = min(since, seen.now)
            if seen.now - self.since[key] >= seen.limits.scaled(after):
                yield _alert(told, found, seen, self.since[key] if after else None)

    def begun(self) -> tuple[Begun, ...]:
        """What is to be remembered."""
        self.news = False
        return tuple(Begun(key, since) for key, since in sorted(self.since.items()))

    def resume(self, begun: Iterable[Begun]) -> None:
        """Go on from what was remembered."""
        self.since = {each.key: each.since for each in begun}
        self.resumed = True


def _alert(told: Told, found: Found, seen: Seen, since: float | None) -> Alert:
    headline = found.headline
    if since is not None:
        headline += f", since {time_of(since, seen.zone)}"
    return Alert(
        told.kind,
        found.subject,
        told.severity,
        headline,
        found.detail,
        found.since if found.since is not None else since,
        found.usd_per_day,
        found.name or next(iter(told.names), ""),
    )
