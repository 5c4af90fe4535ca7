"""What an operator does with a ledger, even while it is in use: copy it, check it, purge it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from unitcost.exporter.ledger.checks import ITEMS, has_items, reading
from unitcost.exporter.ledger.checks import check as check
from unitcost.exporter.ledger.checks import read_only as _read_only
from unitcost.exporter.ledger.engines import Database, LedgerError, Place
from unitcost.exporter.ledger.store import Ledger
from unitcost.pricing.items import Booked, ItemKey, ItemType
from unitcost.pricing.timeline import NS_PER_HOUR


def backup(place: str | Place, destination: str | Path) -> None:
    """Copy a ledger to a new file by SQLite's online backup; a whole one, even while it is written.

    Raises FileExistsError if the destination is there, LedgerError if it cannot be read.
    """
    if isinstance(place, Database):
        raise LedgerError("a database is copied by its own tools: pg_dump")
    target = Path(destination)
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    with (
        _told(),
        closing(_read_only(place)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def purge(place: str | Place, older_than_days: int) -> int:
    """Delete charges and accruals older than so many days; returns how many charges went.

    Counters, runs and epoch marks stay. Raises `LedgerError` if the ledger cannot be written.
    """
    ledger = Ledger(place if isinstance(place, Database) else Path(place), "", "")
    try:
        hour = time.time_ns() // NS_PER_HOUR
        return ledger.purge(hour - older_than_days * 24)
    finally:
        ledger.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise LedgerError(" ".join(str(getattr(error, "orig", error)).split())) from error


def booked_items(place: str | Place) -> dict[ItemKey, Booked]:
    """What is booked of every item that a ledger knows. Raises LedgerError, or ValueError."""
    with _told(), reading(place) as connection:
        if not has_items(connection):
            return {}
        return {
            ItemKey(name, workload, model, run, ItemType(kind), per): Booked(
                int(booked), int(due), units
            )
            for name, workload, model, run, kind, per, booked, due, units in (
                connection.exec_driver_sql(ITEMS)
            )
        }
