"""Posts what waits, in a thread of its own: a channel that is away or slow holds up nothing."""

import http.client
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from urllib.parse import urlsplit

from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.notify.book import Post
from unitcost.exporter.notify.messages import Json, slack, webhook
from unitcost.exporter.queues import drained

_log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10
FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0
MAX_ANSWER = 64 * 1024
MAX_URL = 4096
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Sent = tuple[str, int]
"""A channel and the id of the post that it has got."""


class NotSent(Exception):
    """A post did not get there. `after`: seconds that the other side asks us to wait."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


@dataclass(frozen=True, slots=True)
class Channel:
    """Where posts go. `url_file` holds the address, which is a secret: it is in no log."""

    name: str
    url_file: Path
    compose: Callable[[Post], Json]


def channels_of(
    files: Mapping[str, str], folder: Path, host: str, link: str, runbooks: str = ""
) -> list[Channel]:
    """The channels that are configured: the file with the address of each, by its name."""
    return [
        Channel(
            name,
            folder / files[name],
            partial(compose, host=host, link=link, runbooks=runbooks),
        )
        for name, compose in (("slack", slack), ("webhook", webhook))
        if files.get(name)
    ]


@dataclass(slots=True)
class _Queue:
    """One channel's posts that are to be sent, and when it may be tried again."""

    channel: Channel
    posts: dict[int, Post] = field(default_factory=dict)
    wait: float = FIRST_WAIT
    next_try: float = 0.0


class Sender:
    """`offer` and `sent` are called by the tick; neither waits."""

    def __init__(self, channels: Sequence[Channel], time_scale: float = 1.0) -> None:
        self._queues = {each.name: _Queue(each) for each in channels}
        self._offers: SimpleQueue[Mapping[str, Sequence[Post]] | None] = SimpleQueue()
        self._sent: SimpleQueue[Sent] = SimpleQueue()
        self._scale = time_scale
        self._said = OncePer()
        self._ended = Event()
        self.counts: dict[tuple[str, str], int] = {
            (each.name, outcome): 0 for each in channels for outcome in ("sent", "failed")
        }
        self._thread = Thread(target=self._run, name="notify", daemon=True)
        self._thread.start()

    def offer(self, waiting: Mapping[str, Sequence[Post]]) -> None:
        """All that waits now; what is known already is not taken twice."""
        self._offers.put(waiting)

    def sent(self) -> list[Sent]:
        """What got there since this was last asked."""
        return drained(self._sent)

    def close(self) -> None:
        """Send no more; a post that is under way ends with the process."""
        self._ended.set()
        self._offers.put(None)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                offered = self._offers.get(timeout=self._until_next())
            except Empty:
                offered = {}
            if offered is None:
                return
            for name, posts in offered.items():
                queue = self._queues[name]
                queue.posts = {post.id: post for post in posts}
            for queue in self._queues.values():
                self._try(queue)

    def _until_next(self) -> float | None:
        now = time.monotonic()
        waits = [each.next_try - now for each in self._queues.values() if each.posts]
        return max(0.01, min(waits)) if waits else None

    def _try(self, queue: _Queue) -> None:
        """Send a channel's posts in order, until one does not get there."""
        name = queue.channel.name
        while queue.posts and time.monotonic() >= queue.next_try and not self._ended.is_set():
            number = min(queue.posts)
            try:
                _send(queue.channel, queue.posts[number])
            except NotSent as error:
                self._failed(queue, error)
                return
            del queue.posts[number]
            queue.wait, queue.next_try = FIRST_WAIT, 0.0
            self.counts[name, "sent"] += 1
            self._said.clear(name)
            self._sent.put((name, number))

    def _failed(self, queue: _Queue, error: NotSent) -> None:
        name = queue.channel.name
        self.counts[name, "failed"] += 1
        queue.next_try = time.monotonic() + max(queue.wait / self._scale, error.after)
        queue.wait = min(queue.wait * 2, LONGEST_WAIT)
        if self._said.first(name, str(error)):
            _log.warning("notification waits", extra=fields(channel=name, detail=str(error)))


def _send(channel: Channel, post: Post) -> None:
    """Raises NotSent, whatever happens, with nothing of the address in it."""
    try:
        url = _address(channel.url_file)
        message = channel.compose(post)
        if channel.name == "slack":
            _to_slack(url, message)
        else:
            _to_webhook(url, message)
    except NotSent:
        raise
    except Exception as error:  # noqa: BLE001 - its text may hold the address
        raise NotSent(type(error).__name__) from None


def _address(file: Path) -> str:
    """The URL in a file. Raises NotSent unless it is https, or http on this host."""
    try:
        with file.open(encoding="utf-8") as opened:
            url = opened.read(MAX_URL).strip()
        parts = urlsplit(url)
        host = parts.hostname or ""
    except (OSError, ValueError) as error:
        raise NotSent(f"its address cannot be read: {type(error).__name__}") from None
    if (parts.scheme == "https" and host) or (parts.scheme == "http" and host in LOOPBACK):
        return url
    raise NotSent("its address must be https")


def _to_slack(url: str, message: Json) -> None:
    # Imported where it is used: an extra of its own.
    try:
        from slack_sdk.webhook import WebhookClient
    except ImportError:
        raise NotSent("slack-sdk is not installed: unitcost[slack] brings it") from None
    answer = WebhookClient(url, timeout=TIMEOUT_SECONDS).send_dict(dict(message))
    if answer.status_code != 200:
        after = {name.lower(): value for name, value in answer.headers.items()}.get("retry-after")
        raise NotSent(f"status {answer.status_code}", _seconds(after))


def _to_webhook(url: str, message: Json) -> None:
    """POST JSON; no redirect is followed."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        body = json.dumps(message).encode()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read(MAX_ANSWER)
        if not 200 <= answer.status < 300:
            raise NotSent(f"status {answer.status}", _seconds(answer.headers.get("Retry-After")))
    finally:
        connection.close()


def _seconds(text: object) -> float:
    """A Retry-After in seconds, an hour at most; 0 where it is none or a date."""
    value = text[0] if isinstance(text, list) and text else text
    digits = str(value or "")
    return min(float(digits), 3600.0) if digits.isdecimal() else 0.0
