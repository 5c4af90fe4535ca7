"""What is to be sent: hours of this host's own ledger, read beside whoever writes to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, select
from sqlalchemy.exc import DBAPIError

from unitcost.exporter.fleet import protocol
from unitcost.exporter.fleet.protocol import Delivery
from unitcost.exporter.ledger.checks import reading
from unitcost.exporter.ledger.engines import Database, LedgerError, Place
from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import Sent
from unitcost.exporter.settling.state import State, decode
from unitcost.pricing.timeline import NS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose hours are sent, as which scope, and by which process; `version` is ours."""

    host: str
    scope: str
    sent_as: str
    session: str
    version: str


class Outbox:
    """Reads the ledger; every method raises `LedgerError`, and changes nothing."""

    def __init__(self, place: Place, whose: Whose) -> None:
        self._place, self._whose = place, whose
        self._tables = Tables()

    def unsent(self) -> list[Sent]:
        """The hours that are to be sent, oldest first, and since which commit."""
        table = self._tables.unsent
        query = select(table.c.hour, table.c.seq).where(
            table.c.host == self._whose.host, table.c.scope == self._whose.scope
        )
        with self._snapshot() as connection:
            found = connection.execute(query.order_by(table.c.hour))
            return [Sent(row.hour, row.seq) for row in found]

    def delivery(self, hour: int, opened: int) -> Delivery:
        """An hour as it is in one state of the ledger."""
        with self._snapshot() as connection:
            return self._read(connection, hour, opened)

    def _read(self, connection: Connection, hour: int, opened: int) -> Delivery:
        tables = self._tables
        row = connection.execute(select(tables.state)).one()
        name = select(tables.meta.c.value).where(tables.meta.c.name == "ledger")
        start, end = _metered(decode(row.document), hour)
        accruals = self._of_hour(connection, tables.accrual, hour, protocol.AccrualRow)
        charges = self._of_hour(connection, tables.charge, hour, protocol.ChargeRow)
        units = self._of_hour(connection, tables.unit_count, hour, protocol.UnitRow)
        items = self._of_hour(connection, tables.item_charge, hour, protocol.ItemRow)
        workloads = {each.workload for each in (*charges, *units, *items)}
        prices = {each.price for each in accruals}
        return Delivery(
            protocol=1,
            version=self._whose.version,
            host=self._whose.host,
            scope=self._whose.sent_as,
            ledger=connection.execute(name).scalar_one(),
            session=self._whose.session,
            opened=opened,
            seq=row.seq,
            hour=hour,
            from_ns=start,
            to_ns=end,
            prices=_named(connection, tables.price, "id", prices, protocol.PriceRow),
            workloads=_named(connection, tables.workload, "name", workloads, protocol.WorkloadRow),
            accruals=accruals,
            charges=charges,
            units=units,
            items=items,
            marks=_within(connection, tables.epoch_mark, hour, protocol.MarkRow),
            parts=_within(connection, tables.epoch_part, hour, protocol.PartRow),
        )

    def _of_hour(self, connection: Connection, table: Table, hour: int, kind: Any) -> Any:
        query = select(table).where(table.c.hour == hour, table.c.host == self._whose.host)
        if "scope" in table.c:
            query = query.where(table.c.scope == self._whose.scope)
        return _rows(connection, query, kind)

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        try:
            place = self._place if isinstance(self._place, Database) else str(self._place)
            with reading(place) as connection:
                yield connection
        except DBAPIError as error:
            raise LedgerError(" ".join(str(error.orig or error).split())) from error
        except (ValueError, LookupError, msgspec.MsgspecError) as error:
            raise LedgerError(f"{self._place}: {error}") from error


def _metered(state: State, hour: int) -> tuple[int, int]:
    """Which part of an hour the ledger has metered; all of it where that is not known."""
    start, end = hour * NS_PER_HOUR, (hour + 1) * NS_PER_HOUR
    since = state.metered_since_ns if state.began_ns is None else state.began_ns
    until = state.position.at_ns if state.position is not None else end
    first, last = max(start, since), min(end, until)
    return (first, last) if first < last else (start, end)


def _rows(connection: Connection, query: Select[Any], kind: Any) -> tuple[Any, ...]:
    names = kind.__struct_fields__
    return tuple(
        msgspec.convert({name: row[name] for name in names}, kind)
        for row in connection.execute(query).mappings()
    )


def _named(connection: Connection, table: Table, column: str, names: set[str], kind: Any) -> Any:
    """The rows with these names; in pieces, since a query has only so many parameters."""
    wanted = sorted(names)
    found: list[Any] = []
    for start in range(0, len(wanted), 500):
        piece = wanted[start : start + 500]
        found += _rows(connection, select(table).where(table.c[column].in_(piece)), kind)
    return tuple(found)


def _within(connection: Connection, table: Table, hour: int, kind: Any) -> Any:
    """The epoch marks of an hour."""
    start, end = hour * NS_PER_HOUR, (hour + 1) * NS_PER_HOUR
    return _rows(connection, select(table).where(table.c.at_ns >= start, table.c.at_ns < end), kind)
