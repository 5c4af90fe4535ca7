"""From the configuration to the place where the ledger lies."""

from pathlib import Path

from unitcost.exporter.config.settings import Ledger, Settings
from unitcost.exporter.ledger.engines import Database, LedgerError, Place
from unitcost.exporter.ledger.keeper import CARE_SECONDS, Keeper

MAX_URL = 4096


def place_of(ledger: Ledger) -> Place:
    """Where it lies. Raises LedgerError where the file with a database's URL is of no use."""
    if not ledger.database_url_file:
        return Path(ledger.path)
    return database_of(Path(ledger.database_url_file))


def database_of(file: Path) -> Database:
    """The database whose URL is in a file. Raises LedgerError, with nothing of the URL in it."""
    try:
        with file.open(encoding="utf-8") as opened:
            return Database(opened.read(MAX_URL).strip())
    except OSError as error:
        raise LedgerError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        why = "it is no text" if isinstance(error, UnicodeError) else error
        raise LedgerError(f"{file}: {why}") from None


def keeper_of(settings: Settings) -> Keeper:
    """What keeps the ledger that the configuration names. Raises LedgerError as `place_of`."""
    host, scope = settings.host.name, settings.host.scope
    days, care = settings.ledger.retention_days, CARE_SECONDS / settings.time_scale
    place = place_of(settings.ledger)
    if isinstance(place, Database):
        from unitcost.exporter.ledger.database_keeper import DatabaseKeeper

        return DatabaseKeeper(place, host, scope, days, care)
    return Keeper(place, host, scope, days, care)
