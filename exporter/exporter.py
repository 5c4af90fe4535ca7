"""The exporter proper: one tick reads, settles, commits and renders; a scrape gets the bytes."""

import logging
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from unitcost.exporter.clock import Clock
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.fleet.agent import FleetAgent
from unitcost.exporter.gathering.gather import Gathered, Gatherer
from unitcost.exporter.gathering.sources import make_sources
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.log import OncePer
from unitcost.exporter.observe import Kept, kept_after, observed_of
from unitcost.exporter.prices.book import book_of, unchanged
from unitcost.exporter.prices.looked import Looked, Remember, to_remember
from unitcost.exporter.prices.lookup import PriceLookup
from unitcost.exporter.prices.make import make_lookup
from unitcost.exporter.prices.unpriced import UnpricedNews
from unitcost.exporter.serving.exposition import Exposition, Renderer
from unitcost.exporter.serving.guard.watch import WebFile
from unitcost.exporter.serving.live.history import History
from unitcost.exporter.serving.live.view import About, View
from unitcost.exporter.serving.publish import Points, ledger_points
from unitcost.exporter.serving.publish_prices import lookup_points
from unitcost.exporter.serving.publish_self import (
    Progress,
    ledger_health_points,
    progress_points,
    web_file_points,
)
from unitcost.exporter.serving.selfmetrics import Answered, SelfMetrics
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.rules import Rules, matcher_of, rules_of
from unitcost.exporter.settling.settle import Settler
from unitcost.exporter.stated_items import StatedItems
from unitcost.exporter.telling import Teller
from unitcost.pricing.timeline import ClockReading

_log = logging.getLogger(__name__)


class Exporter:
    """Everything but the thread that ticks and the server that answers.

    `tick` is for one thread; `exposition`, `healthy` and `ready` may be called from any other:
    they only read what the last tick left.
    """

    def __init__(self, loaded: Loaded, clock: Clock, keeper: Keeper) -> None:
        self._clock = clock
        self._keeper = keeper
        self._settler: Settler | None = None
        self._points: Points = {}
        self._progress = Progress()
        self._said = OncePer()
        self._renderer = Renderer()
        self._self_metrics = SelfMetrics()
        self._paused = False
        self._gatherer = Gatherer((), clock)
        self._lookup: PriceLookup | None = None
        self._looked: Looked | None = None
        self._unpriced = UnpricedNews()
        self._first = loaded.settings
        self._history = History(loaded.settings.time_scale)
        self._started_ns = clock.read().wall_ns
        self._version = version("unitcost")
        self._items = StatedItems()
        self._teller = Teller()
        self._fleet = FleetAgent()
        self._use(loaded)
        self._web_file: WebFile | None = None
        self._show(self._own_points())

    def _use(self, loaded: Loaded) -> None:
        self._settings = loaded.settings
        self._teller.use(loaded)
        self._fleet.use(loaded)
        self._keeper.sends = loaded.settings.central is not None
        self._rules: Rules = rules_of(loaded.settings, loaded.carbon)
        self._matcher = matcher_of(loaded.settings)
        options, running = loaded.collector_options, self._gatherer.free()
        sources = make_sources(loaded.collectors, options, loaded.context, running)
        self._gatherer.close(staying=[each.collector for each in sources if each.collector])
        self._gatherer = Gatherer(sources, self._clock)
        if self._paused:
            self._gatherer.pause(True)
        self._kept = Kept()
        self._look_up(loaded)
        self._items.use(loaded.settings.items_file)
        self._take_items()

    def _take_items(self) -> None:
        """From this tick on book what the items file says."""
        planning = self._items.taken(self._rules.planning)
        if planning is None:
            return
        self._rules = replace(self._rules, planning=planning)
        if self._settler is not None:
            self._settler.plan(planning)

    def _look_up(self, loaded: Loaded) -> None:
        """Have the price looked up, if it is to be, and go on from what is known of it."""
        settler = self._settler
        known: Remember = ((), (), ())
        if settler is not None:
            known = (settler.quotes, settler.rates, settler.sibling_quotes)
        if self._lookup is not None:
            self._lookup.close()
        self._lookup, self._looked = None, None
        price = loaded.settings.price
        if price.lookup is not None and loaded.settings.host.scope != "units":
            folder = Path(loaded.source).absolute().parent
            self._lookup = make_lookup(price, loaded.price_sources, folder)
            self._lookup.remember(*known)
            self._lookup.start()

    def _take_prices(self) -> None:
        """From this tick on charge by what was found."""
        if self._lookup is None or self._lookup.current() is self._looked:
            return
        self._looked = self._lookup.current()
        book = unchanged(book_of(self._looked), self._rules.book)
        self._rules = replace(self._rules, book=book)
        if self._settler is not None:
            self._settler.price(self._rules)
            found = to_remember(self._looked, self._clock.read().wall_ns)
            if found is not None:
                settler = self._settler
                settler.quotes, settler.rates, settler.sibling_quotes = found

    def reload(self, loaded: Loaded) -> None:
        """Take over a new configuration; call it between two ticks, so prices change then."""
        self._use(loaded)
        if self._settler is not None:
            self._settler.follow(self._rules, self._matcher)

    def pause(self, paused: bool) -> None:
        """Let go of the devices, so that they can be reset, or take them up again."""
        self._paused = paused
        self._gatherer.pause(paused)

    def needs_restart(self) -> str:
        """Why only a new process can go on reading everything; empty if this one can."""
        states = self._progress.states or {}
        return next((each.needs_restart for each in states.values() if each.needs_restart), "")

    def count_answers(self, answered: Answered) -> None:
        """From the next tick on, also serve what the web server has answered."""
        self._self_metrics.answered = answered

    def watch_web(self, file: WebFile | None) -> None:
        """From the next tick on, also serve how the web configuration file is doing."""
        self._web_file = file

    def tick(self) -> None:
        """One round. What fails in it leaves the last committed figures standing."""
        started = time.monotonic()
        # Charged up to the instant before reading: what is read lies then, or in the next tick.
        clock = self._clock.read()
        gathered = self._gatherer.gather(self._settings.gather_deadline)
        try:
            self._settle(gathered, clock)
        except Exception as error:  # noqa: BLE001 - logged; /metrics is served whatever happens
            # A defect of ours: forget what is not committed, and go on from the ledger.
            self._progress.failed += 1
            self._settler = None
            if self._said.first("settle", repr(error)):
                _log.exception("settling failed; going on from what the ledger holds")
        self._progress.ticks += 1
        self._progress.states = gathered.states
        self._progress.seconds = time.monotonic() - started
        now_ns = self._clock.read().wall_ns
        points = self._points | self._own_points()
        self._teller.tick(self._settler, points, now_ns)
        self._show(points | self._teller.points())

    def close(self) -> None:
        """Close the ledger and end the collectors' threads."""
        self._teller.close()
        self._fleet.close()
        if self._lookup is not None:
            self._lookup.close()
        self._items.close()
        self._gatherer.close()
        self._keeper.close()

    def exposition(self) -> Exposition:
        """What a scrape is answered with."""
        return self._exposition

    def live(self) -> View:
        """What the live page is made from."""
        return self._view

    def healthy(self) -> bool:
        """Whether the process works, whatever its collectors and its ledger do."""
        return True

    def ready(self) -> tuple[bool, str]:
        """Whether what is served has a commit behind it."""
        return self._ready

    def _readiness(self) -> tuple[bool, str]:
        if self._progress.ticks == 0:
            return False, "the first tick is not over"
        if self._keeper.health.last_commit_ns is None:
            return False, "nothing could be committed to the ledger yet"
        return True, "ready"

    def _settle(self, gathered: Gathered, clock: ClockReading) -> None:
        settler = self._settler or self._start(clock)
        if settler is None:
            return
        self._take_prices()
        self._take_items()
        self._kept = kept_after(self._kept, gathered)
        observed, marks = observed_of(gathered.readings, self._kept)
        settler.tick(observed, marks, clock)
        settler.books.pending.sent += self._fleet.acknowledged()
        if self._keeper.commit(settler.books, clock.wall_ns):
            self._points = ledger_points(settler, observed)
            self._remember(settler)
        unpriced = self._points.get("unitcost_resource_unpriced", ())
        self._unpriced.look(unpriced, self._rules.book, self._looked, clock)

    def _start(self, clock: ClockReading) -> Settler | None:
        """Go on from the ledger; None while it cannot be opened."""
        found = self._keeper.open(clock.wall_ns)
        if found is None:
            return None
        books, state = found
        if self._keeper.seq is not None:
            self._fleet.opened(self._keeper.seq)
        self._history.resume(books.moments)
        if self._lookup is not None:
            self._lookup.remember(state.quotes, state.rates, state.sibling_quotes)
            self._looked = None
        self._settler = Settler(self._rules, books, state, HostMeter(self._matcher))
        return self._settler

    def _remember(self, settler: Settler) -> None:
        """Keep what the live page shows of the last hour; its trouble is the page's alone."""
        if settler.state.position is None:
            return
        try:
            at_ns = settler.state.position.at_ns
            moment = self._history.note(at_ns, settler.books.committed, self._points)
            if moment is not None:
                settler.books.pending.moments.append(moment)
        except Exception as error:  # noqa: BLE001 - logged; what was charged is committed
            if self._said.first("history", repr(error)):
                _log.exception("the last hour cannot be kept for the live page")

    def _show(self, points: Points) -> None:
        """Render what this tick left, and keep what the live page is made from on demand."""
        snapshot = Snapshot(self._clock.read().wall_ns, points)
        body = self._renderer.render(snapshot, extra=self._self_metrics.text())
        self._exposition = Exposition(body)
        self._ready = self._readiness()
        past, ticks = self._history.past(), self._progress.ticks
        self._view = View(ticks, self._started_ns, snapshot, past, self._about())

    def _about(self) -> About:
        # What a reload cannot change is as it was at the start (config.load.NEEDS_RESTART).
        first, settings, (ready, reason) = self._first, self._settings, self._ready
        return About(
            name=first.host.name,
            scope=first.host.scope,
            version=self._version,
            period_seconds=first.period,
            time_scale=first.time_scale,
            minimum_units=settings.unit_costs.minimum_units,
            price=settings.price,
            looked=self._looked,
            ready=ready,
            reason="" if ready else reason,
        )

    def _own_points(self) -> Points:
        """Points about the exporter itself, which never stand still."""
        looked = self._lookup.current() if self._lookup is not None else None
        first = self._first.host
        points = progress_points(self._progress, self._version, (first.name, first.scope))
        points |= ledger_health_points(self._keeper.health, self._keeper.size_bytes())
        points |= lookup_points(looked, self._clock.read().wall_ns)
        points |= self._items.points(self._rules.planning, self._settler)
        points |= web_file_points(self._web_file)
        points |= self._fleet.points()
        if self._settler is not None:
            points["unitcost_clock_steps_total"] = [((), float(self._settler.clock_steps))]
        return points
