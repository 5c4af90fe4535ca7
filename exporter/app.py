"""The composition root: puts the exporter together, starts it, and stops it in order."""

import logging
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType

from unitcost.exporter.clock import Clock, SystemClock
from unitcost.exporter.config.load import ConfigError, Loaded, load, needs_restart
from unitcost.exporter.config.settings import Web
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import NoLedger
from unitcost.exporter.ledger.places import keeper_of
from unitcost.exporter.ledger.store import LedgerError
from unitcost.exporter.log import fields
from unitcost.exporter.schedule import Schedule
from unitcost.exporter.serving.guard.watch import WebFile
from unitcost.exporter.serving.pages import HEALTH
from unitcost.exporter.serving.web import ListenError, WebServer

_log = logging.getLogger(__name__)
GOOD, FAILED, BAD_CONFIGURATION = 0, 1, 2
LOOK_UP_SECONDS = 1.0


def run(loaded: Loaded) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code."""
    try:
        app = App(loaded, SystemClock())
        app.listen_to_signals()
        port = app.start()
    except (ListenError, LedgerError) as error:
        _log.error("cannot start: %s", error)
        return FAILED
    except ConfigError as error:  # a file that was good a moment ago
        _log.error("cannot start: %s", error)
        return BAD_CONFIGURATION
    address = loaded.settings.web.address
    scheme = loaded.web.scheme if loaded.web else "http"
    _log.info("serving /metrics", extra=fields(scheme=scheme, address=address, port=port))
    app.wait()
    app.stop()
    return app.exit_code


def _web_server(settings: Web, file: WebFile | None, exporter: Exporter) -> WebServer:
    """The server that `settings` ask for; how it does is told by the exporter's metrics."""
    open_paths = HEALTH if settings.health_without_auth else frozenset()
    server = WebServer(settings.address, settings.port, exporter, file, open_paths=open_paths)
    exporter.count_answers(server.answered)
    exporter.watch_web(file)
    return server


def once(loaded: Loaded) -> str:
    """One gathering; its exposition. The ledger is not touched, so there are no totals in it."""
    exporter = Exporter(loaded, SystemClock(), NoLedger())
    try:
        exporter.tick()
        return exporter.exposition().body.decode()
    finally:
        exporter.close()


class App:
    """The exporter, its schedule and its web server, with the signals that steer it."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        """Put it together. Raises ConfigError for a web configuration that is bad by now."""
        settings = loaded.settings
        file = WebFile(settings.web.config_file) if settings.web.config_file else None
        self._loaded = loaded
        self._keeper = keeper_of(settings)
        self._exporter = Exporter(loaded, clock, self._keeper)
        self._schedule = Schedule(self._tick, settings.period)
        self._web = _web_server(settings.web, file, self._exporter)
        self._ended = threading.Event()
        self._reload = threading.Event()
        self._pauses: SimpleQueue[bool] = SimpleQueue()
        self.exit_code = GOOD

    def start(self) -> int:
        """Serve and tick; returns the port. Raises ListenError or LedgerConflict."""
        self._keeper.lock()
        port = self._web.start()
        self._schedule.start()
        return port

    def listen_to_signals(self) -> None:
        """SIGTERM and SIGINT end it, SIGHUP reloads, SIGUSR1 lets go of devices until SIGUSR2.

        For the main thread alone.
        """
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGTERM: lambda *_: self._ended.set(),
            signal.SIGINT: lambda *_: self._ended.set(),
            signal.SIGHUP: lambda *_: self._reload.set(),
            signal.SIGUSR1: lambda *_: self._pauses.put(True),
            signal.SIGUSR2: lambda *_: self._pauses.put(False),
        }
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def wait(self) -> None:
        """Until a signal says it is enough.

        The system may hand a signal to any thread, and Python's handlers run in this one alone:
        it looks up now and then.
        """
        while not self._ended.wait(LOOK_UP_SECONDS):
            pass

    def stop(self) -> None:
        """No more ticks but a last one, so that nothing up to now is left uncharged."""
        if self._schedule.stop():
            self._exporter.tick()
        self._web.stop()
        self._exporter.close()

    def _tick(self) -> None:
        self._exporter.tick()
        if self._reload.is_set():
            self._reload.clear()
            self._take_over()
        while not self._pauses.empty():
            paused = self._pauses.get()
            self._exporter.pause(paused)
            _log.info("devices are let go" if paused else "devices are taken up again")
        if reason := self._exporter.needs_restart():
            _log.error("a new process is needed; ending this one", extra=fields(reason=reason))
            self.exit_code = FAILED
            self._ended.set()

    def _take_over(self) -> None:
        """Reload the file: if it is good it is used from now on, else nothing changes."""
        if not self._loaded.source:
            _log.warning("no configuration file to reload")
            return
        try:
            loaded = load(self._loaded.source)
        except ConfigError as error:
            _log.error("configuration unchanged: %s", error)
            return
        for key in needs_restart(self._loaded.settings, loaded.settings):
            _log.warning("a change of %s needs a restart", key)
        self._exporter.reload(loaded)
        self._loaded = loaded
        _log.info("configuration reloaded")
