"""What must hold in a ledger, wherever it lies: every dollar accrued is charged, once."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from unitcost.exporter.ledger.engines import Database, LedgerError, Place, postgresql_engine
from unitcost.exporter.ledger.schema import SCHEMA_VERSION
from unitcost.pricing.charge import cost_of
from unitcost.pricing.money import PICO

OWN = ("host", "scope")
"""What tells one agent's rows from another's."""


def check(place: str | Place) -> list[str]:
    """All that is wrong with a ledger: pages, indexes, and every dollar accrued but not charged.

    An empty list means that for each resource, component, price and clock hour the charges sum
    to the accrual exactly, and the accrual, with its revisions, is its price times its elapsed time
    (or its energy). A ledger of an older version is checked as it is.
    """
    try:
        with reading(place) as connection:
            if connection.dialect.name == "sqlite":
                found = connection.exec_driver_sql("PRAGMA integrity_check")
                damage = [row[0] for row in found]
                if damage != ["ok"]:
                    return [f"damaged: {text}" for text in damage]
            version = _version(connection)
            if version > SCHEMA_VERSION:
                return [f"made by a newer version (schema {version}, we know {SCHEMA_VERSION})"]
            wrong = [*unbalanced(connection), *mispriced(connection, version)]
            return [*wrong, *_unbooked(connection)]
    except (DBAPIError, LedgerError, sqlite3.Error) as error:
        return [" ".join(str(getattr(error, "orig", error)).split())]


@contextmanager
def reading(place: str | Place) -> Iterator[Connection]:
    """A connection that sees one state and changes nothing. Raises DBAPIError, LedgerError."""
    if isinstance(place, Database):
        engine = postgresql_engine(place)
    else:
        path = place
        engine = create_engine("sqlite://", creator=lambda: read_only(path), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            if isinstance(place, Database):
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            else:
                connection.exec_driver_sql("BEGIN")
            yield connection
    finally:
        engine.dispose()


def read_only(path: str | Path) -> sqlite3.Connection:
    """A SQLite file, to be read alone.

    Whoever opens a file with a write-ahead log makes two more beside it, and only who may write
    takes them away again. Left behind, they would belong to who ran a command, and keep the
    exporter from its ledger. So where nobody has it open it is opened for writing, and not written.
    """
    file = Path(path).absolute()
    used = file.with_name(file.name + "-wal").exists()
    mode = "ro" if used or not os.access(file, os.W_OK) else "rw"
    connection = sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


_SUMS = """
SELECT hour, {own}, resource, component, price, revision,
       SUM(quantity), SUM(COALESCE(pico, 0)) FROM {table}
GROUP BY hour, {own}, resource, component, price, revision
"""


def _sums(connection: Connection, table: str, own: Sequence[str]) -> dict[Any, tuple[int, int]]:
    query = _SUMS.format(table=table, own=", ".join(own))
    return {
        tuple(key): (int(quantity), int(pico))
        for *key, quantity, pico in connection.exec_driver_sql(query)
    }


def unbalanced(connection: Connection, own: Sequence[str] = OWN) -> list[str]:
    """Hours of which more, or less, was charged than they accrued. `own`: whose rows add up."""
    accrued, charged = (_sums(connection, table, own) for table in ("accrual", "charge"))
    return [
        f"hour {key[0]}, {key[-4]} {key[-3]}: accrued {accrued.get(key)}, "
        f"charged {charged.get(key)}"
        for key in sorted(accrued.keys() | charged.keys())
        if accrued.get(key) != charged.get(key)
    ]


def _version(connection: Connection) -> int:
    """Raises DBAPIError where the place is no ledger."""
    query = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'schema_version'"
    return int(connection.exec_driver_sql(query).scalar_one())


_PRICED = """
SELECT accrual.hour, accrual.resource, accrual.component, SUM(accrual.elapsed_ns),
       SUM(accrual.pico), price.{pico}, {unit}
FROM accrual JOIN price ON price.id = accrual.price {match}
GROUP BY accrual.hour, {own}, accrual.resource, accrual.component, accrual.price,
         price.{pico}, {group}
"""


def mispriced(
    connection: Connection, version: int, own: Sequence[str] = OWN, match: Sequence[str] = ()
) -> list[str]:
    """Accruals that are not their price times their time; `match`: what a price's key has, too."""
    pico, unit = ("pico_per_hour", "'hour'") if version == 1 else ("pico_per_unit", "price.unit")
    query = _PRICED.format(
        pico=pico,
        unit=unit,
        group=unit if version > 1 else "accrual.price",
        own=", ".join(f"accrual.{name}" for name in own),
        match=" ".join(f"AND price.{name} = accrual.{name}" for name in match),
    )
    problems = []
    for hour, resource, component, amount, pico_found, per_unit, unit in connection.exec_driver_sql(
        query
    ):
        expected = None if per_unit is None else cost_of(per_unit, int(amount))
        if (None if pico_found is None else int(pico_found)) != expected:
            problems.append(
                f"hour {hour}, {resource} {component}: {pico_found} pico-dollars for {amount} "
                f"{'uJ' if unit == 'kwh' else 'ns'} at {per_unit} a {unit}, expected {expected}"
            )
    return problems


ITEMS = """
SELECT id, workload, model, run, item, per, booked_pico, due_pico, units FROM item
"""
_ITEM_SUMS = """
SELECT id, workload, model, run, item, per, revision, SUM(usd), SUM(pico), SUM(units)
FROM item_charge GROUP BY id, workload, model, run, item, per, revision
"""


def has_items(connection: Connection) -> bool:
    """Whether it is not a ledger from before there were items."""
    return {"item", "item_charge"} <= set(inspect(connection).get_table_names())


def _unbooked(connection: Connection) -> list[str]:
    """Items whose rows do not sum to what they say is booked, corrected and counted."""
    if not has_items(connection):
        return []
    rows = {
        tuple(row[:7]): [int(value) for value in row[7:]]
        for row in connection.exec_driver_sql(_ITEM_SUMS)
    }
    problems = []
    for *key, booked, due, units in connection.exec_driver_sql(ITEMS):
        sums = [rows.pop((*key, revision), [0, 0, 0]) for revision in (0, 1)]
        pico = [usd * PICO + rest for usd, rest, _ in sums]
        found = (pico[0], pico[0] + pico[1], sums[0][2] + sums[1][2])
        if found != (int(booked), int(due), units):
            said = f"{booked} booked, {due} due, {units} units"
            problems.append(f"item {key[0]}: {said}, but its rows sum to {found}")
    return [*problems, *(f"item {key[0]}: rows of an item that is not there" for key in rows)]
