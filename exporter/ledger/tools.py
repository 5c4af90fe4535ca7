"""What an operator does with a ledger, even while it is in use: copy it, check it, purge it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from unitcost.exporter.ledger.schema import SCHEMA_VERSION
from unitcost.exporter.ledger.store import Ledger
from unitcost.pricing.charge import cost_of
from unitcost.pricing.items import Booked, ItemKey, ItemType
from unitcost.pricing.money import PICO
from unitcost.pricing.timeline import NS_PER_HOUR


def backup(path: str | Path, destination: str | Path) -> None:
    """Copy a ledger to a new file by SQLite's online backup; a whole one, even while it is written.

    Raises FileExistsError if the destination is there, sqlite3.Error if it cannot be read.
    """
    target = Path(destination)
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    with closing(_read_only(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def check(path: str | Path) -> list[str]:
    """All that is wrong with a ledger: pages, indexes, and every dollar accrued but not charged.

    An empty list means that for each resource, component, price and clock hour the charges sum
    to the accrual exactly, and the accrual, with its revisions, is its price times its elapsed time
    (or its energy). A ledger of an older version is checked as it is.
    """
    try:
        with closing(_read_only(path)) as connection:
            damage = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            if damage != ["ok"]:
                return [f"damaged: {text}" for text in damage]
            version = _version(connection)
            if version > SCHEMA_VERSION:
                return [f"made by a newer version (schema {version}, we know {SCHEMA_VERSION})"]
            found = [*_unbalanced(connection), *_mispriced(connection, version)]
            return [*found, *_unbooked(connection)]
    except sqlite3.Error as error:
        return [str(error)]


def purge(path: str | Path, older_than_days: int) -> int:
    """Delete charges and accruals older than so many days; returns how many charges went.

    Counters, runs and epoch marks stay. Raises `LedgerError` if the ledger cannot be written.
    """
    ledger = Ledger(Path(path), "", "")
    try:
        hour = time.time_ns() // NS_PER_HOUR
        return ledger.purge(hour - older_than_days * 24)
    finally:
        ledger.close()


def _read_only(path: str | Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)


_SUMS = """
SELECT hour, host, scope, resource, component, price, revision,
       SUM(quantity), SUM(COALESCE(pico, 0)) FROM {table}
GROUP BY hour, host, scope, resource, component, price, revision
"""


def _unbalanced(connection: sqlite3.Connection) -> list[str]:
    accrued = {row[:7]: row[7:] for row in connection.execute(_SUMS.format(table="accrual"))}
    charged = {row[:7]: row[7:] for row in connection.execute(_SUMS.format(table="charge"))}
    return [
        f"hour {key[0]}, {key[3]} {key[4]}: accrued {accrued.get(key)}, charged {charged.get(key)}"
        for key in sorted(accrued.keys() | charged.keys())
        if accrued.get(key) != charged.get(key)
    ]


def _version(connection: sqlite3.Connection) -> int:
    """Raises sqlite3.Error where the file is no ledger."""
    query = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'schema_version'"
    return int(connection.execute(query).fetchone()[0])


_PRICED = """
SELECT accrual.hour, accrual.resource, accrual.component, SUM(accrual.elapsed_ns),
       SUM(accrual.pico), price.{pico}, {unit}
FROM accrual JOIN price ON price.id = accrual.price
GROUP BY accrual.hour, accrual.host, accrual.scope, accrual.resource, accrual.component,
         accrual.price
"""


def _mispriced(connection: sqlite3.Connection, version: int) -> list[str]:
    columns = ("pico_per_hour", "'hour'") if version == 1 else ("pico_per_unit", "price.unit")
    rows = connection.execute(_PRICED.format(pico=columns[0], unit=columns[1]))
    problems = []
    for hour, resource, component, amount, pico, per_unit, unit in rows:
        expected = None if per_unit is None else cost_of(per_unit, amount)
        if pico != expected:
            problems.append(
                f"hour {hour}, {resource} {component}: {pico} pico-dollars for {amount} "
                f"{'uJ' if unit == 'kwh' else 'ns'} at {per_unit} a {unit}, expected {expected}"
            )
    return problems


_ITEMS = """
SELECT id, workload, model, run, item, per, booked_pico, due_pico, units FROM item
"""
_ITEM_SUMS = """
SELECT id, workload, model, run, item, per, revision, SUM(usd), SUM(pico), SUM(units)
FROM item_charge GROUP BY id, workload, model, run, item, per, revision
"""


def booked_items(path: str | Path) -> dict[ItemKey, Booked]:
    """What is booked of every item that a ledger knows. Raises sqlite3.Error, or ValueError."""
    with closing(_read_only(path)) as connection:
        if not _has_items(connection):
            return {}
        return {
            ItemKey(name, workload, model, run, ItemType(kind), per): Booked(
                int(booked), int(due), units
            )
            for name, workload, model, run, kind, per, booked, due, units in connection.execute(
                _ITEMS
            )
        }


def _has_items(connection: sqlite3.Connection) -> bool:
    """Whether it is not a ledger from before there were items."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    return {"item", "item_charge"} <= tables


def _unbooked(connection: sqlite3.Connection) -> list[str]:
    """Items whose rows do not sum to what they say is booked, corrected and counted."""
    if not _has_items(connection):
        return []
    rows = {tuple(row[:7]): row[7:] for row in connection.execute(_ITEM_SUMS)}
    problems = []
    for *key, booked, due, units in connection.execute(_ITEMS):
        sums = [rows.pop((*key, revision), (0, 0, 0)) for revision in (0, 1)]
        pico = [usd * PICO + rest for usd, rest, _ in sums]
        found = (pico[0], pico[0] + pico[1], sums[0][2] + sums[1][2])
        if found != (int(booked), int(due), units):
            said = f"{booked} booked, {due} due, {units} units"
            problems.append(f"item {key[0]}: {said}, but its rows sum to {found}")
    return [*problems, *(f"item {key[0]}: rows of an item that is not there" for key in rows)]
