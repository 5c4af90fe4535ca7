"""Puts telling together: at each tick from what is served to what is posted."""

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.settings import Notify
from unitcost.exporter.notify.alerts import Points, alerts_of
from unitcost.exporter.notify.book import Manners, NotifyBook, Post
from unitcost.exporter.notify.digest import COST, WASTE, digest, due, since, totals
from unitcost.exporter.notify.sender import Sender, channels_of


class Notifier:
    """Tells what is wrong. `tick` never waits for a channel, and never raises for one.

    `document` is what is to be committed, so that the next process goes on from it.
    """

    def __init__(self, loaded: Loaded, notify: Notify, document: str) -> None:
        settings = loaded.settings
        folder = Path(loaded.source).absolute().parent
        files = {"slack": notify.slack_webhook_url_file, "webhook": notify.webhook_url_file}
        channels = channels_of(files, folder, settings.host.name, notify.link)
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
        self._sender = Sender(channels, scale)
        self._sender.offer(self._book.document.waiting)
        self.document = document

    def tick(self, points: Points, now_ns: int) -> None:
        """Take in what is served now."""
        self._book.done(self._sender.sent())
        alerts = alerts_of(points, self._zone)
        self._book.update(alerts, now_ns)
        self._daily(points, now_ns)
        if self._book.changed:
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
