"""What an operator does with a ledger, even while it is in use: copy it, check it, purge it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from unitcost.exporter.ledger.store import Ledger
from unitcost.pricing.charge import cost_of
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
    to the accrual exactly, and the accrual is its price times its elapsed time.
    """
    try:
        with closing(_read_only(path)) as connection:
            damage = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            if damage != ["ok"]:
                return [f"damaged: {text}" for text in damage]
            return [*_unbalanced(connection), *_mispriced(connection)]
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


_PRICED = """
SELECT accrual.hour, accrual.resource, accrual.component, accrual.elapsed_ns, accrual.pico,
       price.pico_per_hour
FROM accrual JOIN price ON price.id = accrual.price WHERE accrual.revision = 0
"""


def _mispriced(connection: sqlite3.Connection) -> list[str]:
    problems = []
    for hour, resource, component, elapsed_ns, pico, per_hour in connection.execute(_PRICED):
        expected = None if per_hour is None else cost_of(per_hour, elapsed_ns)
        if pico != expected:
            problems.append(
                f"hour {hour}, {resource} {component}: {pico} pico-dollars for {elapsed_ns} ns "
                f"at {per_hour} an hour, expected {expected}"
            )
    return problems
