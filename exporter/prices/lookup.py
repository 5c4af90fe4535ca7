"""Looks up this host's price beside the ticks, and keeps what it found when a source fails.

Nothing of it holds up a tick: a thread of its own asks, and `PriceLookup.current` gives what is
known now. Until the host knows what it is, and a source has a quote of exactly that, there is no
price.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock, Thread

from unitcost.collectors.price_contract import NotHere, PriceSource, PriceSourceError
from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.prices.background import Every, make_scheduler
from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Offered, Rank, Resolution, resolve

_log = logging.getLogger(__name__)

IDENTIFY_AGAIN_SECONDS = 300.0
"""How often a host that does not know what it is asks again."""
REMEMBER_NS = 48 * 3600 * 10**9
"""How long a price that has ended is remembered; Spot prices end by the minute."""
SOURCE_SECONDS = 60.0
"""How long one source may take that does not say so itself."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing. `last_success_ns` is None before the first; `error` is its last one.

    `not_here`: it knows no hosts of this provider. `dropped`: how many rows it left out, by reason.
    """

    name: str
    rank: Rank
    quotes: tuple[Quote, ...] = ()
    last_success_ns: int | None = None
    errors: int = 0
    error: str = ""
    not_here: bool = False
    dropped: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """All that is known of this host's price; another object whenever anything changed."""

    identity: HostIdentity = field(default_factory=HostIdentity)
    notes: tuple[str, ...] = ()
    resolution: Resolution = field(default_factory=Resolution)
    sources: tuple[SourceState, ...] = ()


Identified = tuple[HostIdentity, tuple[str, ...]]
"""What the host is, and what contradicted itself there, in words."""


class PriceLookup:
    """Asks who the host is and what it costs. `current` may be called from any thread."""

    def __init__(
        self,
        identify: Callable[[], Identified],
        sources: Sequence[PriceSource],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._identify = identify
        self._sources = {source.name: source for source in sources}
        self._wall_ns = wall_ns
        self._lock = Lock()
        states = tuple(SourceState(source.name, source.rank) for source in sources)
        self._looked = Looked(sources=states)
        self._snapshot: tuple[Quote, ...] = ()
        self._resolve()
        self._said = OncePer()
        self._quiet = False
        self._scheduler = make_scheduler()

    def current(self) -> Looked:
        """What is known now."""
        return self._looked

    def start(self) -> None:
        """Begin to ask, in a thread of its own. Not to be called twice."""
        self._job(self.identify, IDENTIFY_AGAIN_SECONDS, "identify")
        for name, source in self._sources.items():
            self._job(partial(self.refresh, name), source.refresh_seconds, name)
        self._scheduler.start()

    def close(self) -> None:
        """Ask no more; what is asked just now ends with the process."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def remember(self, quotes: Sequence[Quote]) -> None:
        """What was believed before the last restart: used where no better source has a quote."""
        with self._lock:
            self._snapshot = tuple(quotes)
            self._resolve()

    def ask_all(self) -> Looked:
        """Ask everybody once, in this thread, and give what came of it: nothing is logged."""
        self._quiet = True
        self.identify()
        for name in self._sources:
            self.refresh(name)
        return self._looked

    def ask_within(self, seconds: float) -> tuple[Looked, tuple[str, ...]]:
        """Ask once what the host is, then all sources side by side; who has not answered in time.

        One that may take longer than that is not asked at all. What is late ends with the process.
        """
        self._quiet = True
        self.identify()
        asked = {
            name: Thread(target=self.refresh, args=(name,), name=f"ask-{name}", daemon=True)
            for name, source in self._sources.items()
            if getattr(source, "patience_seconds", 0.0) <= seconds
        }
        for thread in asked.values():
            thread.start()
        deadline = time.monotonic() + seconds
        for thread in asked.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        late = tuple(name for name in self._sources if name not in asked or asked[name].is_alive())
        return self._looked, late

    def identify(self) -> None:
        """Ask what the host is, unless that is known."""
        identity, notes = self._identify()
        if (identity, notes) == (self._looked.identity, self._looked.notes):
            return
        with self._lock:
            self._looked = replace(self._looked, identity=identity, notes=notes)
            self._resolve()
        for note in notes:
            if not self._quiet and self._said.first("identity", note):
                _log.warning("what this host is: %s", note)
        for name in self._sources:
            if self._scheduler.running:
                self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def refresh(self, name: str) -> None:
        """Ask one source; its failure keeps what it said last, with its date."""
        source, identity = self._sources[name], self._looked.identity
        if not identity.provider:
            return
        before = next(each for each in self._looked.sources if each.name == name)
        try:
            patience = getattr(source, "patience_seconds", SOURCE_SECONDS)
            found = tuple(source.quotes(identity, time.monotonic() + patience))
            after = replace(
                before,
                quotes=found,
                last_success_ns=self._wall_ns(),
                error="",
                not_here=False,
                dropped=tuple(sorted(getattr(source, "dropped", {}).items())),
            )
        except NotHere:
            after = replace(before, quotes=(), not_here=True, error="")
        except PriceSourceError as error:
            after = self._failed(before, str(error))
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
            after = self._failed(before, type(error).__name__)
        with self._lock:
            states = tuple(after if each.name == name else each for each in self._looked.sources)
            self._looked = replace(self._looked, sources=states)
            self._resolve()

    def _failed(self, before: SourceState, why: str) -> SourceState:
        if not self._quiet and self._said.first("source", f"{before.name}: {why}"):
            _log.warning("price source failed", extra=fields(source=before.name, detail=why))
        return replace(before, errors=before.errors + 1, error=why)

    def _resolve(self) -> None:
        offers = [Offered(each.rank, each.quotes) for each in self._looked.sources]
        offers.append(Offered(Rank.SNAPSHOT, self._snapshot))
        resolution = resolve(self._looked.identity, offers)
        self._looked = replace(self._looked, resolution=resolution)

    def _job(self, work: Callable[[], None], seconds: float, name: str) -> None:
        self._scheduler.add_job(
            work,
            Every(seconds),
            id=name,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )


def believed(looked: Looked, now_ns: int) -> tuple[Quote, ...] | None:
    """The quotes to be remembered: those that are this host's price, from a live source.

    None while the host does not know what it is: what was remembered stays. Those that ended
    `REMEMBER_NS` ago are of no use any more.
    """
    if looked.resolution.missing:
        return None
    kept = (Rank.LIVE, Rank.SNAPSHOT)
    since = now_ns - REMEMBER_NS
    return tuple(
        each.quote
        for each in looked.resolution.chosen
        if each.rank in kept and (each.quote.valid_to_ns is None or each.quote.valid_to_ns > since)
    )
