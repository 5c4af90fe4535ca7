"""What was told and what waits to be: each alert once, its end once, again after a day.

The state is one document that the ledger commits with everything else, so nothing that was to be
told is lost by a crash; what was posted but not yet crossed off is posted again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from unitcost.exporter.notify.alerts import Alert
from unitcost.exporter.notify.happened import Happened
from unitcost.exporter.notify.latch import Begun
from unitcost.exporter.notify.past import Remembered
from unitcost.pricing.sample import NS_PER_SECOND

MAX_WAITING = 200
"""Posts that wait for a channel that is away; the oldest go first."""
MAX_IN_POST = 20
"""Alerts in one post; how many more there are is said."""


class Telling(msgspec.Struct, frozen=True):
    """An alert that began, or is over."""

    alert: Alert
    resolved: bool = False
    again: bool = False


class Post(msgspec.Struct, frozen=True):
    """What goes to each channel that has not got it yet. `text`: a digest, without alerts."""

    id: int
    at_ns: int
    tellings: tuple[Telling, ...] = ()
    more: int = 0
    text: str = ""


class Active(msgspec.Struct, frozen=True):
    """An alert that is there: since when, when it was seen and told last (0: not yet)."""

    alert: Alert
    first_ns: int
    last_ns: int
    told_ns: int = 0


class Allowed(msgspec.Struct, frozen=True):
    """US dollars that a training run may cost: what was first projected for it, at the high end."""

    workload: str
    run: str
    usd: float


class Document(msgspec.Struct, frozen=True):
    """All that is kept. `waiting` by channel; `costs` and `wasted` as at the last digest.

    `begun`, `allowed`, `past`, `happened`: what those who look for alerts go on from.
    """

    active: tuple[Active, ...] = ()
    waiting: dict[str, tuple[Post, ...]] = {}
    untold: tuple[Telling, ...] = ()
    posted_ns: int = 0
    next_id: int = 1
    digest_ns: int = 0
    costs: dict[str, float] = {}
    wasted: dict[str, float] = {}
    begun: tuple[Begun, ...] = ()
    allowed: tuple[Allowed, ...] = ()
    past: Remembered = Remembered()
    happened: Happened = Happened()


@dataclass(frozen=True, slots=True)
class Manners:
    """How much is said. Nanoseconds.

    `patience_ns`: how long something must be wrong, or right again, before it is told.
    `group_ns`: at least so long from one post to the next; what comes meanwhile goes together.
    """

    patience_ns: int = 60 * NS_PER_SECOND
    group_ns: int = 30 * NS_PER_SECOND
    again_ns: int = 24 * 3600 * NS_PER_SECOND


@dataclass(slots=True)
class NotifyBook:
    """Turns what is wrong at each tick into posts. `changed`: the document is to be written.

    `resumed`: nothing was looked at since the document was read; what is not there at once may
    only not be known yet.
    """

    channels: Sequence[str]
    manners: Manners = field(default_factory=Manners)
    document: Document = field(default_factory=Document)
    changed: bool = False
    dropped: int = 0
    resumed: bool = False

    def resume(self, text: str) -> None:
        """Go on from a document; one that cannot be read is begun anew."""
        try:
            found = msgspec.json.decode(text, type=Document) if text else Document()
        except msgspec.MsgspecError:
            found = Document()
        kept = {name: found.waiting.get(name, ()) for name in self.channels}
        self.document = msgspec.structs.replace(found, waiting=kept)
        self.resumed = True

    def encode(self) -> str:
        """The document as JSON."""
        return msgspec.json.encode(self.document).decode()

    def update(self, alerts: Iterable[Alert], now_ns: int) -> None:
        """Take in what is wrong now; new posts wait in the document."""
        before = {each.alert.key: each for each in self.document.active}
        after: list[Active] = []
        told: list[Telling] = list(self.document.untold)
        for alert in alerts:
            known = before.pop(alert.key, None) or Active(alert, now_ns, now_ns)
            first_ns = min(known.first_ns, now_ns)
            active = Active(alert, first_ns, now_ns, known.told_ns)
            if now_ns - first_ns >= self.manners.patience_ns and self._due(active, now_ns):
                told.append(Telling(alert, again=active.told_ns > 0))
                active = msgspec.structs.replace(active, told_ns=now_ns)
            after.append(active)
        for gone in before.values():
            if self.resumed:
                gone = msgspec.structs.replace(gone, last_ns=now_ns)
            if 0 <= now_ns - gone.last_ns < self.manners.patience_ns:
                after.append(gone)
            elif gone.told_ns:
                told.append(Telling(gone.alert, resolved=True))
        self.resumed = False
        self._keep(after, told, now_ns)

    def _due(self, active: Active, now_ns: int) -> bool:
        return not active.told_ns or now_ns - active.told_ns >= self.manners.again_ns

    def _keep(self, active: Sequence[Active], told: Sequence[Telling], now_ns: int) -> None:
        """Post what is to be told, if the last post is long enough ago."""
        document = self.document
        news = {(each.alert.key, each.told_ns) for each in active} != {
            (each.alert.key, each.told_ns) for each in document.active
        }
        held_back = 0 <= now_ns - document.posted_ns < self.manners.group_ns
        self.document = msgspec.structs.replace(
            document, active=tuple(active), untold=tuple(told) if held_back else ()
        )
        self.changed = self.changed or news or len(told) != len(document.untold)
        if told and not held_back:
            more = max(0, len(told) - MAX_IN_POST)
            self.post(Post(document.next_id, now_ns, tuple(told[:MAX_IN_POST]), more))

    def post(self, post: Post) -> None:
        """Put a post into every channel's queue."""
        waiting = {}
        for name in self.channels:
            queue = (*self.document.waiting.get(name, ()), post)
            self.dropped += max(0, len(queue) - MAX_WAITING)
            waiting[name] = queue[-MAX_WAITING:]
        self.document = msgspec.structs.replace(
            self.document, waiting=waiting, next_id=post.id + 1, posted_ns=post.at_ns
        )
        self.changed = True

    def done(self, posted: Iterable[tuple[str, int]]) -> None:
        """Cross off what a channel has got."""
        crossed = set(posted)
        if not crossed:
            return
        waiting = {
            name: tuple(post for post in posts if (name, post.id) not in crossed)
            for name, posts in self.document.waiting.items()
        }
        self.document = msgspec.structs.replace(self.document, waiting=waiting)
        self.changed = True
