"""Keeps a ledger in PostgreSQL open: what a file's keeper does, but for what is a file's own."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from unitcost.exporter.ledger.engines import (
    Database,
    LedgerConflict,
    LedgerCorrupt,
    LedgerError,
    Place,
    ledger_error,
    postgresql_engine,
)
from unitcost.exporter.ledger.keeper import CARE_SECONDS, Keeper
from unitcost.exporter.settling.batch import Opening
from unitcost.exporter.settling.state import State

LOCK_KEY = 9841
"""Of the advisory lock that keeps a second exporter out of the database."""


class DatabaseKeeper(Keeper):
    """As `Keeper`; the lock is the database's own, and nothing is ever set aside.

    Where the connection that holds the lock is lost, so is the lock: then the sequence number of
    each commit still tells that somebody else has written.
    """

    def __init__(
        self,
        database: Database,
        host: str,
        scope: str,
        retention_days: int,
        care_seconds: float = CARE_SECONDS,
    ) -> None:
        super().__init__(Path(), host, scope, retention_days, care_seconds)
        self._database = database
        self._locks = postgresql_engine(database)
        self._holding: Connection | None = None

    def lock(self) -> None:
        """Take the ledger for this process alone; the lock dies with its connection."""
        if self._holding is not None:
            return
        try:
            connection = self._locks.connect().execution_options(isolation_level="AUTOCOMMIT")
            taken = connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK_KEY})"))
        except DBAPIError as error:
            self._failed("lock", ledger_error(self._database, error.orig or error))
            return
        if not taken:
            connection.close()
            raise LedgerConflict(f"{self._database}: another unitcost uses this ledger")
        self._holding = connection

    def _unlock(self) -> None:
        if self._holding is not None:
            # The server ends a session some time after its client has gone; the lock goes now.
            with suppress(DBAPIError):  # lost already, and the lock with it
                self._holding.scalar(text(f"SELECT pg_advisory_unlock({LOCK_KEY})"))
            self._holding.invalidate()
            self._holding.close()
            self._holding = None
        self._locks.dispose()

    def size_bytes(self) -> int:
        """Not ours to say: the database has its own figures."""
        return 0

    def _opened(self, now_ns: int) -> tuple[Opening, State]:
        try:
            return self._open_file(now_ns)
        except LedgerCorrupt as error:
            raise LedgerError(str(error)) from error

    def _place(self) -> Place:
        return self._database

    def _note_place(self) -> None:
        """Nothing: a database is where it is."""

    def _vanished(self) -> bool:
        return False
