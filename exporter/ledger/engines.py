"""Where a ledger lies: in a SQLite file, or in a PostgreSQL database; and what their errors mean.

PostgreSQL's driver is an extra (`unitcost[postgresql]`), loaded where there is such a database.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

BUSY_TIMEOUT_MS = 500
"""How long a commit waits for a lock; longer would hold up the tick."""
STATEMENT_TIMEOUT_MS = 30_000
CONNECT_SECONDS = 2
"""The shortest that libpq takes."""
CORRUPT_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class LedgerError(Exception):
    """The ledger could not be read or written now; nothing was changed."""


class LedgerCorrupt(LedgerError):
    """The file is not a whole SQLite database."""


class LedgerConflict(LedgerError):
    """Somebody else writes to this ledger, or a newer version made it."""


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database. The URL may hold a password: it is in no message and no repr.

    Raises ValueError, with nothing of the URL in it, if that is not one of PostgreSQL.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            kind = make_url(self.url).get_backend_name()
        except (ArgumentError, ValueError):
            kind = ""
        if kind not in ("postgresql", "postgres"):
            raise ValueError("expected postgresql://USER:PASSWORD@HOST/DATABASE")

    def __str__(self) -> str:
        return f"PostgreSQL database {make_url(self.url).database or ''}".strip()


Place = Path | Database


ONE_STATE = "REPEATABLE READ"
"""A transaction sees one state of the database, and fails where another one changed it."""
AFTER_LOCKS = "READ COMMITTED"
"""Each statement sees what is committed by then: for whoever takes a lock first."""


def engine_of(place: Place, connections: int = 1, isolation: str = ONE_STATE) -> Engine:
    """An engine on a ledger's place. Raises LedgerError where the driver is not installed."""
    if isinstance(place, Database):
        return postgresql_engine(place, connections, isolation)
    return sqlite_engine(place)


def sqlite_engine(path: Path) -> Engine:
    """An engine on one SQLite file: WAL, synchronous FULL, every transaction immediate."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgresql_engine(
    database: Database, connections: int = 1, isolation: str = ONE_STATE
) -> Engine:
    """An engine on PostgreSQL; whoever waits too long gives up."""
    url = make_url(database.url).set(drivername="postgresql+psycopg")
    settings = {
        "lock_timeout": BUSY_TIMEOUT_MS,
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT_MS,
        "synchronous_commit": "on",
    }
    try:
        return create_engine(
            url,
            isolation_level=isolation,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=STATEMENT_TIMEOUT_MS / 1000,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
                "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            },
        )
    except ModuleNotFoundError as error:
        raise LedgerError(f"needs {error.name}: pip install 'unitcost[postgresql]'") from None


@contextmanager
def transaction(engine: Engine, place: Place) -> Iterator[Connection]:
    """A transaction, committed if nothing is raised in it. Raises LedgerError."""
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise ledger_error(place, error.orig or error) from error
    except PoolTimeout as error:
        raise ledger_error(place, error) from error


def ledger_error(place: Place, error: BaseException) -> LedgerError:
    """What an error of a database says about the ledger; on one line."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    kind = LedgerCorrupt if primary in CORRUPT_CODES else LedgerError
    return kind(f"{place}: {' '.join(str(error).split())}")
