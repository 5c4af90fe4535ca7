"""What types cannot say about whom this exporter tells."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from unitcost.exporter.config.decode import Mistake
from unitcost.exporter.config.settings import Notify

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def notify_mistakes(notify: Notify) -> Iterator[Mistake]:
    """Nobody to tell, an hour that is none, a link that leads nowhere."""
    if not (notify.slack_webhook_url_file or notify.webhook_url_file):
        yield Mistake(
            ("notify",), "nobody to tell: needs slack_webhook_url_file or webhook_url_file"
        )
    if notify.digest_at and not _TIME.fullmatch(notify.digest_at):
        yield Mistake(("notify", "digest_at"), "must be a time of day such as 09:00")
    if notify.link and not _is_link(notify.link):
        yield Mistake(("notify", "link"), "must be an http or https URL")
    if not notify.runbook_url or not _is_plain(notify.runbook_url):
        yield Mistake(("notify", "runbook_url"), "must be a folder or a URL")


def _is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return _is_plain(text) and parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_plain(text: str) -> bool:
    return not any(sign in text for sign in "<>| \n")
