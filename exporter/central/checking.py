"""What must hold in the fleet's ledger: `unitcost central --check` says what does not."""

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from unitcost.exporter.ledger.checks import mispriced, reading, unbalanced
from unitcost.exporter.ledger.engines import LedgerError, Place
from unitcost.exporter.ledger.schema import SCHEMA_VERSION

OWN = ("host", "scope", "ledger")


def check_central(place: Place) -> list[str]:
    """All that is wrong: every dollar that an agent's hour accrued and did not charge."""
    try:
        with reading(str(place) if isinstance(place, Path) else place) as connection:
            wrong = unbalanced(connection, OWN)
            return [*wrong, *mispriced(connection, SCHEMA_VERSION, OWN, OWN)]
    except (DBAPIError, LedgerError) as error:
        return [" ".join(str(getattr(error, "orig", error)).split())]
