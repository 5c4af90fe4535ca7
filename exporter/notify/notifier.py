"""Puts telling together: at each tick from what is served to what is posted."""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from unitcost.dashboards.settings import Settings as Limits
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.settings import Notify
from unitcost.exporter.notify.alerts import Points
from unitcost.exporter.notify.book import Manners, NotifyBook, Post
from unitcost.exporter.notify.digest import WASTE, digest, due, since, totals
from unitcost.exporter.notify.past import COST
from unitcost.exporter.notify.sender import Sender, channels_of
from unitcost.exporter.notify.watch import Watch


class Notifier:
    """Tells what is wrong. `tick` never waits for a channel, and never raises for one.

    `document` is what is to be committed, so that the next process goes on from it.
    """

    def __init__(self, loaded: Loaded, notify: Notify, document: str) -> None:
        settings = loaded.settings
        folder = Path(loaded.source).absolute().parent
        files = {"slack": notify.slack_webhook_url_file, "webhook": notify.webhook_url_file}
        link, runbooks = notify.link, notify.runbook_url
        channels = channels_of(files, folder, settings.host.name, link, runbooks)
        scale = settings.time_scale
        usual = Manners()
        manners = replace(
            usual,
            patience_ns=round(usual.patience_ns / scale),
            group_ns=round(usual.group_ns / scale),
            again_ns=round(usual.again_ns / scale),
        )
        self._zone = ZoneInfo(settings.timezone)
        self._digest_at = notify.digest_at
        self._book = NotifyBook([each.name for each in channels], manners)
        self._book.resume(document)
        self._watch = Watch(self._zone, Limits(time_scale=scale))
        self._watch.resume(self._book.document)
        self._sender = Sender(channels, scale)
        self._sender.offer(self._book.document.waiting)
        self.document = document

    def tick(self, points: Points, now_ns: int) -> None:
        """Take in what is served now."""
        self._book.done(self._sender.sent())
        self._book.update(self._watch.alerts(points, now_ns), now_ns)
        self._daily(points, now_ns)
        if self._book.changed or self._watch.news:
            self._book.document = self._watch.remember(self._book.document)
            self._book.changed = False
            self.document = self._book.encode()
            self._sender.offer(self._book.document.waiting)

    def points(self) -> dict[str, list[tuple[tuple[str, ...], float]]]:
        """How telling is going, by channel."""
        waiting = self._book.document.waiting
        return {
            "unitcost_notifications_total": [
                *((labels, float(count)) for labels, count in sorted(self._sender.counts.items())),
                *(((name, "dropped"), float(self._book.dropped)) for name in sorted(waiting)),
            ],
            "unitcost_notifications_waiting": [
                ((name,), float(len(posts))) for name, posts in sorted(waiting.items())
            ],
        }

    def close(self) -> None:
        """Send no more; what waits is in the document."""
        self._sender.close()

    def _daily(self, points: Points, now_ns: int) -> None:
        """Once a day at its hour; the first one only says from when on it counts."""
        book, document = self._book, self._book.document
        if not self._digest_at or not due(self._digest_at, document.digest_ns, now_ns, self._zone):
            return
        costs, wasted = totals(points, COST), totals(points, WASTE)
        book.document = msgspec.structs.replace(
            document, digest_ns=now_ns, costs=costs, wasted=wasted
        )
        book.changed = True
        if document.digest_ns:
            gained = since(document.costs, costs), since(document.wasted, wasted)
            text = digest(*gained, [each.alert for each in document.active if each.told_ns])
            book.post(Post(document.next_id, now_ns, text=text))
