"""Where a test's ledger lies, a file or a database, and a hand in it that is not ours."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from tests.postgres import Server
from unitcost.exporter.ledger.database_keeper import DatabaseKeeper
from unitcost.exporter.ledger.engines import Database, Place
from unitcost.exporter.ledger.keeper import CARE_SECONDS, Keeper


class Where:
    """One place; SQL goes to it beside whoever else uses it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._engine = _engine(place)

    def keeper(
        self, retention_days: int = 400, care_seconds: float = CARE_SECONDS, host: str = "host"
    ) -> Keeper:
        """A keeper of the ledger."""
        if isinstance(self.place, Database):
            return DatabaseKeeper(self.place, host, "host", retention_days, care_seconds)
        return Keeper(self.place, host, "host", retention_days, care_seconds)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds, sums as whole numbers."""
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql(query).fetchall()
        return [tuple(_plain(value) for value in row) for row in found]

    def change(self, statement: str) -> None:
        """Change something."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(statement)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else can read or write it meanwhile."""
        with self._engine.connect() as connection:
            if isinstance(self.place, Database):
                names = ", ".join(inspect(connection).get_table_names())
                connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            else:
                connection.exec_driver_sql("BEGIN EXCLUSIVE")
            yield
            connection.rollback()


class Places(Protocol):
    """Where places come from."""

    def new(self) -> Where:
        """An empty one."""
        ...

    def copy(self, of: Where) -> Where:
        """One that is as that is, which nobody uses now."""
        ...


class Files:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    def new(self) -> Where:
        """No file yet, in a folder of its own."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return Where(folder / "ledger.db")

    def copy(self, of: Where) -> Where:
        """A copy of the file."""
        made = self.new()
        assert isinstance(of.place, Path)
        assert isinstance(made.place, Path)
        shutil.copy(of.place, made.place)
        return made


class Databases:
    """Databases of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def new(self) -> Where:
        """An empty database."""
        return Where(self._server.database())

    def copy(self, of: Where) -> Where:
        """A database made after another one."""
        assert isinstance(of.place, Database)
        return Where(self._server.database(template=make_url(of.place.url).database or ""))


def _engine(place: Place) -> Engine:
    if isinstance(place, Database):
        url = make_url(place.url).set(drivername="postgresql+psycopg")
        return create_engine(url, poolclass=NullPool)
    return create_engine(f"sqlite:///{place}", poolclass=NullPool)


def _plain(value: Any) -> Any:
    return int(value) if type(value).__name__ == "Decimal" else value
