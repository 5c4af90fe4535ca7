"""Looks up this host's price beside the ticks, and keeps what it found when a source fails.

Nothing of it holds up a tick: a thread of its own asks, and `PriceLookup.current` gives what is
known now. Until the host knows what it is, and a source has a quote of exactly that, there is no
price.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock, Thread

from unitcost.collectors.price_contract import PriceSource
from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.prices.asking import SOURCE_SECONDS, asked_of, patience
from unitcost.exporter.prices.background import Every, make_scheduler
from unitcost.exporter.prices.book import spot_above_on_demand
from unitcost.exporter.prices.exchange import Exchange
from unitcost.exporter.prices.looked import Looked, SourceState, rate_problem
from unitcost.pricing.currency import Rate
from unitcost.pricing.discount import Discount, after_discounts
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Offered, Rank, Resolution, resolve
from unitcost.pricing.sibling import Sibling

_log = logging.getLogger(__name__)

IDENTIFY_AGAIN_SECONDS = 300.0
"""How often a host that does not know what it is asks again."""
IDENTITY, EXCHANGE = "what this host is", "exchange rates"
"""What their jobs are called; no source's name has a space."""


Identified = tuple[HostIdentity, tuple[str, ...]]
"""What the host is, and what contradicted itself there, in words."""
SiblingOf = Callable[[HostIdentity], Sibling | None]
Question = tuple[str, Callable[[], None], float]
"""What is asked, how, and the seconds that may take."""


def no_sibling(_: HostIdentity) -> Sibling | None:
    """Where a price is split by weights alone."""
    return None


class PriceLookup:
    """Asks who the host is and what it costs. `current` may be called from any thread."""

    def __init__(
        self,
        identify: Callable[[], Identified],
        sources: Sequence[PriceSource],
        wall_ns: Callable[[], int] = time.time_ns,
        exchange: Exchange | None = None,
        sibling_of: SiblingOf = no_sibling,
        discounts: Sequence[Discount] = (),
    ) -> None:
        self._identify = identify
        self._sibling_of = sibling_of
        self._discounts = tuple(discounts)
        self._sources = {source.name: source for source in sources}
        self._wall_ns = wall_ns
        self._exchange = exchange or Exchange()
        self._lock = Lock()
        self._asking = {source.name: Lock() for source in sources}
        self._asked: dict[str, HostIdentity] = {}
        self._waiting: set[str] = set()
        states = tuple(SourceState(source.name, source.rank) for source in sources)
        self._looked = Looked(sources=states)
        self._snapshot: tuple[Quote, ...] = ()
        self._sibling_snapshot: tuple[Quote, ...] = ()
        self._said = OncePer()
        self._quiet = False
        self._resolve()
        self._scheduler = make_scheduler()

    def current(self) -> Looked:
        """What is known now."""
        return self._looked

    def start(self) -> None:
        """Begin to ask, in a thread of its own. Not to be called twice."""
        self._job(self.identify, IDENTIFY_AGAIN_SECONDS, IDENTITY)
        for name, source in self._sources.items():
            self._job(partial(self.refresh, name), source.refresh_seconds, name)
        if (rates := self._exchange.source) is not None:
            self._job(self.refresh_rates, rates.refresh_seconds, EXCHANGE)
        self._scheduler.start()

    def close(self) -> None:
        """Ask no more; what is asked just now ends with the process."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def remember(
        self,
        quotes: Sequence[Quote],
        rates: Sequence[Rate] = (),
        sibling_quotes: Sequence[Quote] = (),
    ) -> None:
        """What was believed before the last restart: used where no better source has a quote."""
        self._exchange.remember(rates)
        with self._lock:
            self._snapshot = tuple(quotes)
            self._sibling_snapshot = tuple(sibling_quotes)
            self._resolve()

    def ask_all(self) -> Looked:
        """Ask everybody once, in this thread, and give what came of it: nothing is logged."""
        for _, ask, _ in self.questions():
            ask()
        return self._looked

    def questions(self) -> list[Question]:
        """All there is to ask, in order, by hand.

        From now on nothing is logged: who asks by hand says itself what came of it.
        """
        self._quiet = self._exchange.quiet = True
        found: list[Question] = [(IDENTITY, self.identify, SOURCE_SECONDS)]
        if self._exchange.source is not None:
            found.append((EXCHANGE, self.refresh_rates, SOURCE_SECONDS))
        return found + [
            (name, partial(self.refresh, name), 2 * patience(source))
            for name, source in self._sources.items()
        ]

    def ask_within(self, seconds: float) -> tuple[Looked, tuple[str, ...]]:
        """Ask once what the host is, then all sources side by side; who has not answered in time.

        One that may take longer than that is not asked at all. What is late ends with the process.
        """
        self._quiet = self._exchange.quiet = True
        self.identify()
        asked = {
            name: Thread(target=self.refresh, args=(name,), name=f"ask-{name}", daemon=True)
            for name, source in self._sources.items()
            if getattr(source, "patience_seconds", 0.0) <= seconds
        }
        asked[EXCHANGE] = Thread(target=self.refresh_rates, name="ask-rates", daemon=True)
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
        known = self._looked
        if known.identified and (identity, notes) == (known.identity, known.notes):
            return
        sibling = self._sibling_of(identity)
        with self._lock:
            self._looked = replace(
                self._looked,
                identity=identity,
                notes=notes,
                sibling=sibling,
                identified=True,
            )
            self._resolve()
        for note in notes:
            if not self._quiet and self._said.first(IDENTITY, note):
                _log.warning("what this host is: %s", note)
        for name in self._sources:
            # Not by the job that asks now and then: it would be left out while it runs.
            if self._scheduler.running and name not in self._waiting:
                self._waiting.add(name)
                Thread(target=self._refresh_of_new, args=(name,), daemon=True).start()

    def refresh_rates(self) -> None:
        """Read the exchange rates again."""
        self._exchange.refresh()
        with self._lock:
            self._resolve()

    def refresh(self, name: str) -> None:
        """Ask one source; its failure keeps what it said last, with its date."""
        with self._asking[name]:
            self._refresh(name)

    def _refresh_of_new(self, name: str) -> None:
        """Ask one source, unless it was asked of this host as it is known by now."""
        with self._asking[name]:
            self._waiting.discard(name)
            if self._asked.get(name) != self._looked.identity:
                self._refresh(name)

    def _refresh(self, name: str) -> None:
        looked, now_ns = self._looked, self._wall_ns()
        self._asked[name] = looked.identity
        if not looked.identity.provider:
            return
        before = next(each for each in looked.sources if each.name == name)
        source = self._sources[name]
        after = asked_of(source, before, looked.identity, looked.sibling_identity, now_ns)
        if after.errors > before.errors:
            self._tell("price source failed", name, after.error)
        if after.sibling_error:
            self._tell("price source failed for the sibling", name, after.sibling_error)
        with self._lock:
            states = tuple(after if each.name == name else each for each in self._looked.sources)
            self._looked = replace(self._looked, sources=states)
            self._resolve()
        self._tell_of_spot(now_ns)

    def _tell(self, what: str, source: str, why: str) -> None:
        if not self._quiet and self._said.first(what, f"{source}: {why}"):
            _log.warning(what, extra=fields(source=source, detail=why))

    def _tell_of_spot(self, now_ns: int) -> None:
        """Log a Spot price above the one on demand, once; nothing is corrected by it."""
        dear = None if self._quiet else spot_above_on_demand(self._looked, now_ns)
        if dear is not None and self._said.first("spot", "above on demand"):
            spot, on_demand = dear
            detail = fields(
                spot=spot.usd_per_hour, on_demand=on_demand.usd_per_hour, source=on_demand.source
            )
            _log.warning("Spot costs more than the same host on demand", extra=detail)

    def _resolve(self) -> None:
        """What follows from all that was said, and from what was remembered."""
        looked, other = self._looked, self._looked.sibling_identity
        rates, now_ns = self._exchange.rates, self._wall_ns()
        known = rates.currencies(now_ns)
        offers = [Offered(each.rank, each.quotes) for each in looked.sources]
        offers.append(Offered(Rank.SNAPSHOT, self._snapshot))
        resolution = resolve(looked.identity, offers, known)
        on_demand = sibling = Resolution()
        if looked.identity.model not in (None, PriceModel.ON_DEMAND):
            asked = replace(looked.identity, model=PriceModel.ON_DEMAND)
            on_demand = resolve(asked, offers, known)
        if other is not None:
            offers = [Offered(each.rank, each.sibling_quotes) for each in looked.sources]
            offers.append(Offered(Rank.SNAPSHOT, self._sibling_snapshot))
            sibling = resolve(other, offers, known)
        self._looked = replace(
            looked,
            resolution=resolution,
            rates=rates,
            exchange=self._exchange.state,
            paid=after_discounts(resolution, self._discounts),
            on_demand=after_discounts(on_demand, self._discounts),
            sibling_resolution=sibling,
            sibling_paid=after_discounts(sibling, self._discounts),
        )
        self._tell_of_rate(self._looked, now_ns)

    def _tell_of_rate(self, looked: Looked, now_ns: int) -> None:
        """Log, once, where the price in use has no exchange rate, or one that is stale."""
        if self._quiet or looked.exchange.pending:
            return
        problem = rate_problem(looked, now_ns)
        if not problem:
            self._said.clear(EXCHANGE)
        elif self._said.first(EXCHANGE, problem):
            _log.warning(problem)

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
