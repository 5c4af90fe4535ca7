"""Puts `unitcost central` together, starts it, looks after its ledger, and stops it."""

import logging
import signal
import time
from importlib.metadata import version
from pathlib import Path
from threading import Event

from unitcost.exporter.central.intake import Intake
from unitcost.exporter.central.metrics import CENTRAL_METRICS
from unitcost.exporter.central.pages import WORKERS, CentralPages
from unitcost.exporter.central.store import Agents, CentralLedger
from unitcost.exporter.central.tokens import BadTokens, Tokens
from unitcost.exporter.config.central import CentralSettings
from unitcost.exporter.ledger.engines import LedgerConflict, LedgerError, Place
from unitcost.exporter.ledger.places import database_of
from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.serving.exposition import Renderer
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.serving.web import HttpServer, ListenError, WebFile
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of

_log = logging.getLogger(__name__)
GOOD, FAILED = 0, 1
LOOK_SECONDS = 5.0
CARE_SECONDS = 3600.0
SEEN_NS, LATE_NS = 24 * NS_PER_HOUR, NS_PER_HOUR


def place_of(settings: CentralSettings) -> Place:
    """Where the fleet's ledger lies. Raises LedgerError."""
    if settings.path:
        return Path(settings.path)
    return database_of(Path(settings.database_url_file))


def run(settings: CentralSettings) -> int:
    """Take deliveries until SIGTERM or SIGINT. Returns the exit code."""
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        central = Central(settings)
        port = central.start()
    except (ListenError, LedgerError, BadTokens) as error:
        _log.error("cannot start: %s", error)
        return FAILED
    _log.info("taking charges", extra=fields(address=settings.web.address, port=port))
    try:
        while not ended.wait(LOOK_SECONDS):
            central.look_after()
    except LedgerConflict as error:
        _log.error("ended: %s", error)
        return FAILED
    finally:
        central.stop()
    return GOOD


class Central:
    """The fleet's ledger and its server. A database that is away at the start is tried again."""

    def __init__(self, settings: CentralSettings) -> None:
        self._settings = settings
        self._ledger = CentralLedger(place_of(settings), WORKERS + 1)
        self._intake = Intake(self._ledger)
        self._pages = CentralPages(Tokens(Path(settings.tokens_file)), self._intake, self)
        web = settings.web
        file = WebFile(web.config_file) if web.config_file else None
        self._server = HttpServer(web.address, web.port, self._pages, file)
        self._renderer = Renderer(CENTRAL_METRICS)
        self._said = OncePer()
        self._opened = False
        self._agents = Agents(0, 0, None)
        self._cared = time.monotonic()

    def start(self) -> int:
        """Serve; returns the port. Raises ListenError, LedgerConflict."""
        self.look_after()
        return self._server.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self._server.stop()
        self._pages.close()
        self._ledger.close()

    def look_after(self) -> None:
        """Make the tables, see who delivers, delete what is old. Raises LedgerConflict."""
        now_ns = time.time_ns()
        try:
            if not self._opened:
                self._ledger.open()
                self._opened = True
            self._agents = self._ledger.agents(now_ns, now_ns - SEEN_NS, now_ns - LATE_NS)
            if time.monotonic() - self._cared >= CARE_SECONDS:
                self._cared = time.monotonic()
                self._ledger.purge(hour_of(now_ns) - self._settings.retention_days * 24)
        except LedgerConflict:
            raise
        except LedgerError as error:
            self._intake.up = False
            if self._said.first("database", str(error)):
                _log.error("the database is away: %s", error)
            return
        self._intake.up = True
        self._said.clear("database")

    def exposition(self) -> bytes:
        """The metrics, rendered when somebody asks."""
        intake, agents = self._intake, self._agents
        points: Points = {
            "unitcost_fleet_agents": [((), float(agents.seen))],
            "unitcost_fleet_agents_late": [((), float(agents.late))],
            "unitcost_fleet_deliveries_total": [
                ((outcome.value,), float(count)) for outcome, count in intake.outcomes.items()
            ],
            "unitcost_fleet_rejected_total": [
                ((reason.value,), float(count)) for reason, count in intake.rejected.items()
            ],
            "unitcost_fleet_rows_written_total": [((), float(intake.rows))],
            "unitcost_fleet_database_up": [((), float(bool(intake.up)))],
            "unitcost_fleet_build_info": [((version("unitcost"),), 1.0)],
        }
        if agents.lag_ns is not None:
            points["unitcost_fleet_lag_seconds"] = [((), agents.lag_ns / NS_PER_SECOND)]
        return self._renderer.render(Snapshot(time.time_ns(), points))

    def ready(self) -> tuple[bool, str]:
        """Whether deliveries can be stored."""
        return (True, "") if self._intake.up else (False, "the database is away")
