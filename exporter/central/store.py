"""The fleet's ledger: of each agent's hour what was delivered with the highest number, or nothing.

A delivery is one transaction. The row of its host and scope is locked first, so deliveries of one
host follow each other, and those of different hosts do not wait for each other.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from unitcost.exporter.central.faults import Reason, Rejected
from unitcost.exporter.central.schema import CENTRAL_VERSION, CentralTables
from unitcost.exporter.fleet.protocol import Delivery
from unitcost.exporter.ledger.engines import (
    AFTER_LOCKS,
    LedgerConflict,
    Place,
    engine_of,
    transaction,
)

Rows = list[dict[str, Any]]


class Outcome(StrEnum):
    """What became of a delivery that was taken."""

    STORED = "stored"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Agents:
    """Who delivers. `lag_ns`: how far behind the last of them is; None where there are none."""

    seen: int
    late: int
    lag_ns: int | None


class CentralLedger:
    """Many agents, many threads. Every method raises `LedgerError` and leaves the ledger whole."""

    def __init__(self, place: Place, connections: int = 1) -> None:
        self.place = place
        self._tables = CentralTables()
        self._engine = engine_of(place, connections, AFTER_LOCKS)
        self._insert: Any = (
            sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        )

    def open(self) -> None:
        """Make the tables where there are none; `LedgerConflict` if a newer version made them."""
        meta = self._tables.meta
        with self._transaction() as connection:
            if inspect(connection).has_table(meta.name):
                known = select(meta.c.value).where(meta.c.name == "version")
                version = int(connection.execute(known).scalar_one())
                if version > CENTRAL_VERSION:
                    raise LedgerConflict(
                        f"{self.place}: made by a newer version ({version}, we know "
                        f"{CENTRAL_VERSION})"
                    )
            self._tables.metadata.create_all(connection)
            first = self._insert(meta).values(name="version", value=str(CENTRAL_VERSION))
            connection.execute(first.on_conflict_do_nothing())

    def take(self, delivery: Delivery, now_ns: int) -> Outcome:
        """Take a delivery that was checked. Raises `Rejected` where another agent is in its way."""
        with self._transaction() as connection:
            self._lock(connection, delivery, now_ns)
            self._meet(connection, delivery, now_ns)
            outcome = self._claim(connection, delivery)
            if outcome is Outcome.STORED:
                self._replace(connection, delivery)
            return outcome

    def agents(self, now_ns: int, since_ns: int, late_ns: int) -> Agents:
        """Who has delivered since an instant; late is whose last metered time is older."""
        table = self._tables.agent
        until = func.max(table.c.until_ns)
        query = (
            select(until)
            .where(table.c.last_seen_ns >= since_ns)
            .group_by(table.c.host, table.c.scope)
        )
        with self._transaction() as connection:
            found = [int(row[0]) for row in connection.execute(query)]
        lag = max(now_ns - min(found), 0) if found else None
        return Agents(len(found), sum(until < late_ns for until in found), lag)

    def purge(self, before_hour: int) -> int:
        """Delete all rows of clock hours before; returns how many charges went."""
        tables, gone = self._tables, 0
        with self._transaction() as connection:
            for table in (*tables.of_hours, tables.agent_hour):
                found = connection.execute(delete(table).where(table.c.hour < before_hour))
                gone = found.rowcount if table is tables.charge else gone
        return gone

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _transaction(self) -> AbstractContextManager[Connection]:
        return transaction(self._engine, self.place)

    def _lock(self, connection: Connection, delivery: Delivery, now_ns: int) -> None:
        """From here on nobody else takes a delivery of this host and scope."""
        row = {"host": delivery.host, "scope": delivery.scope, "last_seen_ns": now_ns}
        self._upsert(connection, self._tables.place, [row])

    def _meet(self, connection: Connection, delivery: Delivery, now_ns: int) -> None:
        """Raises Rejected where another process has gone further in this ledger."""
        table, ours = self._tables.agent, _whose(delivery)
        known = connection.execute(select(table).where(_is(table, ours))).one_or_none()
        if known is not None and known.session != delivery.session and delivery.opened < known.seq:
            # A process goes on from all that the one before it has committed.
            raise Rejected(Reason.CONFLICT, "a copy of this ledger is in use by another agent")
        seq, until_ns, first_ns = (
            (0, 0, now_ns) if known is None else (known.seq, known.until_ns, known.first_seen_ns)
        )
        row = {
            **ours,
            "session": delivery.session,
            "seq": max(delivery.seq, seq),
            "until_ns": max(delivery.to_ns, until_ns),
            "first_seen_ns": first_ns,
            "last_seen_ns": now_ns,
            "version": delivery.version,
        }
        self._upsert(connection, table, [row])

    def _claim(self, connection: Connection, delivery: Delivery) -> Outcome:
        """Raises Rejected where an agent with another ledger has metered the same time."""
        table = self._tables.agent_hour
        there = and_(
            table.c.host == delivery.host,
            table.c.scope == delivery.scope,
            table.c.hour == delivery.hour,
        )
        for row in connection.execute(select(table).where(there)).all():
            if row.ledger != delivery.ledger:
                if row.from_ns < delivery.to_ns and delivery.from_ns < row.to_ns:
                    raise Rejected(Reason.CONFLICT, "another agent has metered the same time")
            elif row.seq >= delivery.seq:
                return Outcome.REPEATED
        claim = {
            **_whose(delivery),
            "hour": delivery.hour,
            "seq": delivery.seq,
            "from_ns": delivery.from_ns,
            "to_ns": delivery.to_ns,
        }
        self._upsert(connection, table, [claim])
        return Outcome.STORED

    def _replace(self, connection: Connection, delivery: Delivery) -> None:
        """The hour's rows are those of the delivery, and no others."""
        tables, ours = self._tables, _whose(delivery)
        hour = {"hour": delivery.hour}
        for table in tables.of_hours:
            connection.execute(delete(table).where(_is(table, ours | hour)))
        written = (
            (tables.accrual, delivery.accruals),
            (tables.charge, delivery.charges),
            (tables.unit_count, delivery.units),
            (tables.item_charge, delivery.items),
            (tables.epoch_mark, delivery.marks),
            (tables.epoch_part, delivery.parts),
        )
        for table, rows in written:
            if rows:
                connection.execute(
                    table.insert(), [{**ours, **hour, **row.columns()} for row in rows]
                )
        if delivery.prices:
            prices = [{**ours, **row.columns()} for row in delivery.prices]
            connection.execute(self._insert(tables.price).on_conflict_do_nothing(), prices)
        if delivery.workloads:
            workloads = [{**ours, **row.columns()} for row in delivery.workloads]
            self._upsert(connection, tables.workload, workloads)

    def _upsert(self, connection: Connection, table: Table, rows: Rows) -> None:
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        new = {
            column.name: statement.excluded[column.name]
            for column in table.c
            if not column.primary_key
        }
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)


def _whose(delivery: Delivery) -> dict[str, Any]:
    return {"host": delivery.host, "scope": delivery.scope, "ledger": delivery.ledger}


def _is(table: Table, values: dict[str, Any]) -> Any:
    return and_(*(table.c[name] == value for name, value in values.items()))
