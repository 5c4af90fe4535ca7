"""What an exporter believes of prices, read from its ledger without disturbing it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from unitcost.pricing.currency import Rate
from unitcost.pricing.quote import Quote

BUSY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Remembered:
    """Quotes and rates, by the names that the ledger's state has them under.

    `problem` says why there are none, if so. `sibling_quotes` are of the host's sibling without
    GPUs.
    """

    quotes: tuple[Quote, ...] = ()
    rates: tuple[Rate, ...] = ()
    problem: str = ""
    sibling_quotes: tuple[Quote, ...] = ()


def remembered(path: str | Path) -> Remembered:
    """What a ledger remembers of prices. Writes nothing, holds up nobody, leaves no file behind."""
    file = Path(path)
    if not file.is_file():
        return Remembered(problem=f"there is no ledger at {file} yet")
    try:
        with closing(_connection(file)) as connection:
            row = connection.execute("SELECT document FROM state WHERE id = 1").fetchone()
    except sqlite3.Error as error:
        return Remembered(problem=f"the ledger {file} cannot be read: {error}")
    if not row or not row[0]:
        return Remembered()
    try:  # of the state it is written in, what is not about prices is passed over
        return msgspec.json.decode(str(row[0]), type=Remembered)
    except ValueError:
        return Remembered(problem=f"the ledger {file} is of a version that cannot be read")


def _connection(file: Path) -> sqlite3.Connection:
    """For reading alone.

    Where nobody has the ledger open there is no log beside it, and SQLite would make one, which
    the exporter's own user may then not be able to open: `immutable` keeps it from that.
    """
    log = file.with_name(f"{file.name}-wal")
    how = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    uri = f"{file.absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
