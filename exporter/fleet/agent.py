"""Has this host's charges sent to the fleet's ledger, where that is configured."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from unitcost.exporter.config.load import Loaded
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling.batch import Sent

if TYPE_CHECKING:
    from unitcost.exporter.fleet.sender import Sender


class FleetAgent:
    """Follows the configuration. Its methods are for one thread; none of them waits."""

    def __init__(self) -> None:
        self._sender: Sender | None = None
        self._used: object = None
        self._session = uuid4().hex

    def use(self, loaded: Loaded) -> None:
        """Take over a configuration; what is under way goes on where nothing changed."""
        settings = loaded.settings
        wanted = (settings.central, settings.ledger, settings.host, settings.time_scale)
        if wanted == self._used:
            return
        self.close()
        self._used = wanted
        if settings.central is None:
            return
        # Imported where it is used: most hosts send nothing.
        from unitcost.exporter.fleet.outbox import Outbox, Whose
        from unitcost.exporter.fleet.post import Central
        from unitcost.exporter.fleet.sender import Sender
        from unitcost.exporter.ledger.places import place_of

        central, host = settings.central, settings.host
        whose = Whose(host.name, host.scope, self._session, version("unitcost"))
        where = Central(central.url, Path(central.token_file), central.ca_file)
        outbox = Outbox(place_of(settings.ledger), whose)
        name = f"{host.name}|{host.scope}"
        self._sender = Sender(outbox, where, name, central.interval_seconds, settings.time_scale)
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
            points["unitcost_central_unsent_hours"] = [((), float(progress.unsent))]
        if progress.last_success is not None:
            name = "unitcost_central_last_success_timestamp_seconds"
            points[name] = [((), progress.last_success)]
        return points

    def close(self) -> None:
        """Send no more."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
