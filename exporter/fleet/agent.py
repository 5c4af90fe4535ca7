"""Has this host's charges sent to the fleet's ledger, where that is configured."""

import hashlib
import logging
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.settings import Host
from unitcost.exporter.ledger.engines import LedgerError
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.batch import Sent

if TYPE_CHECKING:
    from unitcost.exporter.fleet.sender import Sender

_log = logging.getLogger(__name__)


class FleetAgent:
    """Follows the configuration. Its methods are for one thread; none of them waits."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._sender: Sender | None = None
        self._used: object = None
        self._opened: int | None = None
        self._session = uuid4().hex

    def use(self, loaded: Loaded) -> None:
        """Take over a configuration; what is under way goes on where nothing changed."""
        self._loaded = loaded
        settings = loaded.settings
        wanted = (settings.central, settings.ledger, settings.host, settings.time_scale)
        if wanted != self._used:
            self.close()
            self._used = wanted
            self._begin()

    def opened(self, seq: int) -> None:
        """The ledger was opened: this process goes on from that commit. Later ones do not count."""
        if self._opened is None:
            self._opened = seq
            self._begin()

    def _begin(self) -> None:
        settings = self._loaded.settings if self._loaded is not None else None
        if settings is None or settings.central is None or self._opened is None:
            return
        # Imported where it is used: most hosts send nothing.
        from unitcost.exporter.fleet.outbox import Outbox, Whose
        from unitcost.exporter.fleet.post import Central
        from unitcost.exporter.fleet.sender import Sender
        from unitcost.exporter.ledger.places import place_of

        central, host, scale = settings.central, settings.host, settings.time_scale
        try:
            place = place_of(settings.ledger)
        except LedgerError as error:
            _log.error("nothing is sent to the fleet's ledger: %s", error)
            return
        sent_as = scope_of(host)
        whose = Whose(host.name, host.scope, sent_as, self._session, version("unitcost"))
        where = Central(central.url, Path(central.token_file), central.ca_file)
        name, interval = f"{host.name}|{sent_as}", central.interval_seconds
        outbox = Outbox(place, whose)
        self._sender = Sender(outbox, where, name, interval, self._opened, scale)
        self._sender.start()

    def acknowledged(self) -> list[Sent]:
        """What the fleet's ledger has, since this was last asked."""
        return self._sender.acknowledged() if self._sender is not None else []

    def points(self) -> Points:
        """How sending is going; nothing where nothing is sent."""
        if self._sender is None:
            return {}
        progress = self._sender.progress
        errors = self._sender.errors.items()
        points: Points = {
            "unitcost_central_errors_total": [
                ((kind.value,), float(count)) for kind, count in errors
            ]
        }
        if progress.unsent is not None:
            points["unitcost_central_unsent_deliveries"] = [((), float(progress.unsent))]
        if progress.last_success is not None:
            name = "unitcost_central_last_success_timestamp_seconds"
            points[name] = [((), progress.last_success)]
        return points

    def close(self) -> None:
        """Send no more."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def scope_of(host: Host) -> str:
    """The scope that is sent: of a pod's agent with the pod, since a host may have many."""
    pod = host.pod
    if host.scope == "host" or pod is None:
        return host.scope
    which = (pod.uid or f"{pod.namespace}/{pod.name}").encode()
    return f"{host.scope}:{hashlib.blake2b(which, digest_size=8).hexdigest()}"
