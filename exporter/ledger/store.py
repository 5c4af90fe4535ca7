"""The ledger: charges, counters and the meter's state, committed together or not at all.

In a SQLite file by default (write-ahead log, synchronous FULL, so a commit survives kill -9 and
power loss), or in a PostgreSQL database (`engines.py`). Every commit carries a sequence number that
must follow the last one, so that a second writer is found out (`keeper.py` keeps one from
starting).
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec
from sqlalchemy import Connection, insert, inspect, select, update

from unitcost.exporter.ledger import drift_rows, item_rows, moment_rows, unit_rows, unsent_rows
from unitcost.exporter.ledger import rows as ledger_rows
from unitcost.exporter.ledger.engines import LedgerConflict as LedgerConflict
from unitcost.exporter.ledger.engines import LedgerCorrupt as LedgerCorrupt
from unitcost.exporter.ledger.engines import LedgerError as LedgerError
from unitcost.exporter.ledger.engines import Place, engine_of, ledger_error, transaction
from unitcost.exporter.ledger.migrations import NoWay, migrate
from unitcost.exporter.ledger.schema import SCHEMA_VERSION, UNITS_SINCE, Tables
from unitcost.exporter.ledger.statements import Statements
from unitcost.exporter.settling.batch import KEEP_HOURS, RECENT_HOURS, Batch, Opening
from unitcost.pricing.budget import Past
from unitcost.pricing.charge import AccrualKey, Posting
from unitcost.pricing.drift import Sums
from unitcost.pricing.runs import Run
from unitcost.pricing.timeline import hour_of


@dataclass(frozen=True, slots=True)
class Born:
    """What tells a ledger from all others, and how many commits its rows have behind them."""

    ledger: str
    seq: int = 0


class Ledger:
    """One ledger, one writer. Every method raises `LedgerError` and leaves the ledger whole."""

    def __init__(self, path: Place, host: str, scope: str) -> None:
        self.path = path
        self._host, self._scope = host, scope
        self._tables = Tables()
        self._engine = engine_of(path)
        self._statements = Statements(self._tables, self._engine.dialect.name)
        self._sent = unsent_rows.sent_statement(self._tables)
        self.seq = 0

    def open(self, now_ns: int, born: Born | None = None) -> Opening:
        """Make the tables where there are none, and read what a start needs.

        `born`: what a new ledger is called, and how many commits it goes on from.
        """
        with self._transaction() as connection:
            self._bring_up_to_date(connection, born or Born(uuid4().hex), now_ns)
            hour = hour_of(now_ns)
            opening = ledger_rows.read_opening(
                connection, self._tables, hour - RECENT_HOURS, hour - KEEP_HOURS
            )
        self.seq = opening.seq
        return opening

    def commit(self, batch: Batch) -> None:
        """Write the batch and the state as the next in sequence, or change nothing."""
        table = self._tables.state
        with self._transaction() as connection:
            moved = connection.execute(
                update(table)
                .where(table.c.id == 1, table.c.seq == self.seq)
                .values(seq=self.seq + 1, document=batch.state)
            )
            if moved.rowcount != 1:
                raise LedgerConflict(f"{self.path}: another process has written to this ledger")
            for statement, rows in self._statements.of(batch, self._host, self._scope):
                connection.execute(statement, rows)
            self._mark(connection, batch)
        self.seq += 1

    def _mark(self, connection: Connection, batch: Batch) -> None:
        """Note which hours the fleet's ledger has, and which it does not have any more."""
        if batch.sent:
            acknowledged = unsent_rows.sent_rows(batch, self._host, self._scope)
            connection.execute(self._sent, acknowledged)
        seq = self.seq + 1
        if marks := unsent_rows.unsent_rows(batch, self._host, self._scope, seq):
            connection.execute(self._statements.unsent, marks)

    def elapsed(self, key: AccrualKey) -> int:
        """Nanoseconds accrued so far in a row, and its revisions, too old to be in memory."""
        with self._transaction() as connection:
            return ledger_rows.read_elapsed(connection, self._tables, self._host, self._scope, key)

    def hour(self, hour: int) -> Posting:
        """All our accruals and charges of a clock hour."""
        with self._transaction() as connection:
            return ledger_rows.read_hour(connection, self._tables, self._host, self._scope, hour)

    def history(self, spans: Sequence[tuple[int, int]]) -> dict[tuple[str, str], Sums]:
        """What workloads and models spent and did in these spans of time (nanoseconds)."""
        with self._transaction() as connection:
            return drift_rows.read_history(connection, self._tables, spans)

    def residual(self, since_hour: int) -> int:
        """Pico-dollars by which charges differ from accruals since a clock hour: 0."""
        with self._transaction() as connection:
            return ledger_rows.read_residual(connection, self._tables, since_hour)

    def run(self, key: tuple[str, str]) -> Run | None:
        """One training run, however old."""
        with self._transaction() as connection:
            document = item_rows.read_run(connection, self._tables, *key)
        return None if document is None else msgspec.json.decode(document, type=Run)

    def past(self, from_ns: int, to_ns: int) -> Past:
        """What was charged and booked in a time, by workload."""
        with self._transaction() as connection:
            return item_rows.read_past(connection, self._tables, from_ns, to_ns)

    def purge(self, before_hour: int, before_ns: int = 0, hold_hours: int = 0) -> int:
        """Delete charges, accruals and units of hours before; counters, runs and items stay.

        `before_ns`: drift's slots from before then go, too. `hold_hours`: how much longer hours are
        kept that the fleet's ledger does not have yet, and with them all that came after.
        """
        tables, add = self._tables, self._statements.item_charge
        with self._transaction() as connection:
            if hold_hours:
                held = unsent_rows.oldest(connection, tables, before_hour - hold_hours)
                before_hour = before_hour if held is None else min(before_hour, held)
            if before_ns:
                drift_rows.purge(connection, tables, before_ns)
            # A ledger of an older version, before it is brought up to date, lacks some tables.
            if inspect(connection).has_table(tables.moment.name):
                moment_rows.purge(connection, tables)
            if inspect(connection).has_table(tables.item_charge.name):
                item_rows.fold(connection, tables.item_charge, add, before_hour)
            if inspect(connection).has_table(tables.unit_count.name):
                unit_rows.purge(connection, tables, before_hour)
            if inspect(connection).has_table(tables.unsent.name):
                unsent_rows.purge(connection, tables, before_hour)
            return ledger_rows.purge(connection, tables, before_hour)

    def verify(self) -> None:
        """Read the whole file afresh. Raises `LedgerCorrupt` if it is damaged.

        Our own connection would not notice: it has in memory the pages that it works on. A
        database's pages its server looks after.
        """
        if not isinstance(self.path, Path):
            return
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=0.5)) as connection:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise ledger_error(self.path, error) from error
        if found != "ok":
            raise LedgerCorrupt(f"{self.path}: {found}")

    def close(self) -> None:
        """Close the file; what was committed is on disk."""
        self._engine.dispose()

    def _transaction(self) -> AbstractContextManager[Connection]:
        return transaction(self._engine, self.path)

    def _bring_up_to_date(self, connection: Connection, born: Born, now_ns: int) -> None:
        """Make tables where there are none, and those of an older version what they are now."""
        meta, state = self._tables.meta, self._tables.state
        version = self._version(connection)
        if version is not None and version > SCHEMA_VERSION:
            raise LedgerConflict(
                f"{self.path}: made by a newer version (schema {version}, we know {SCHEMA_VERSION})"
            )
        if version is not None and version != SCHEMA_VERSION:
            try:
                migrate(connection, version)
            except NoWay as error:
                raise LedgerConflict(f"{self.path}: {error}") from error
            now = meta.c.name == "schema_version"
            connection.execute(update(meta).where(now).values(value=str(SCHEMA_VERSION)))
        unmarked = version is not None and not inspect(connection).has_table("unsent")
        uncounted = version is not None and not inspect(connection).has_table("unit_count")
        self._tables.metadata.create_all(connection)
        if unmarked:
            unsent_rows.mark_all(connection, self._tables)
        if uncounted:
            since = {"name": UNITS_SINCE, "value": str(hour_of(now_ns))}
            connection.execute(insert(meta), [since])
        if version is None:
            fresh = [{"name": "schema_version", "value": str(SCHEMA_VERSION)}]
            connection.execute(insert(meta), fresh)
            connection.execute(insert(state), [{"id": 1, "seq": born.seq, "document": ""}])
        if connection.scalar(select(meta.c.value).where(meta.c.name == "ledger")) is None:
            connection.execute(insert(meta), [{"name": "ledger", "value": born.ledger}])

    def _version(self, connection: Connection) -> int | None:
        """The version of the tables; None where there are none."""
        meta = self._tables.meta
        if not inspect(connection).has_table(meta.name):
            return None
        version = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
        if version is not None and not version.isdecimal():
            raise LedgerCorrupt(f"{self.path}: its version is no number")
        return None if version is None else int(version)


def set_aside(path: Path, now_ns: int) -> Path:
    """Move a corrupt ledger and its log out of the way; returns the file's new name.

    Raises OSError if it cannot be moved.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_ns // 10**9))
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.corrupt-{stamp}-{count}")
    path.rename(target)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(target.with_name(target.name + suffix))
    return target
