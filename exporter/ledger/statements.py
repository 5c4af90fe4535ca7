"""The ledger's statements that write: upserts, for SQLite and PostgreSQL alike."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Executable, Table, case, func
from sqlalchemy.dialects import postgresql, sqlite

from unitcost.exporter.ledger import drift_rows, rows
from unitcost.exporter.ledger.item_rows import item_charge_rows, item_rows
from unitcost.exporter.ledger.moment_rows import moment_rows
from unitcost.exporter.ledger.rows import Rows
from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.ledger.unit_rows import unit_rows
from unitcost.exporter.settling.batch import Batch
from unitcost.pricing.drift import Sums


class Statements:
    """The upserts of one ledger, built once so that their compiled form is cached."""

    def __init__(self, tables: Tables, dialect: str) -> None:
        self._insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        self.price = self._keep(tables.price)
        self.accrual = self._add(tables.accrual, ("elapsed_ns", "quantity"), ())
        self.charge = self._add(tables.charge, ("quantity",), ("known_at_ns",))
        self.counter = self._add(tables.counter, ("value",), ())
        self.workload = self._replace(tables.workload)
        self.run = self._replace(tables.run)
        self.epoch_mark = self._replace(tables.epoch_mark)
        self.epoch_part = self._replace(tables.epoch_part)
        self.event = tables.event.insert()
        self.drift_slot = self._add(tables.drift_slot, tuple(Sums.__slots__), ())
        self.drift_watch = self._replace(tables.drift_watch)
        self.moment = self._keep(tables.moment)
        self.item = self._replace(tables.item)
        self.unsent = self._replace(tables.unsent)
        self.item_charge = self._add(tables.item_charge, ("usd", "pico", "units"), ("known_at_ns",))
        self.unit_count = self._add(tables.unit_count, ("micro",), ())

    def _keep(self, table: Table) -> Executable:
        return self._insert(table).on_conflict_do_nothing()

    def _replace(self, table: Table) -> Executable:
        statement = self._insert(table)
        new = {column.name: statement.excluded[column.name] for column in _values_of(table)}
        return statement.on_conflict_do_update(index_elements=_keys_of(table), set_=new)

    def _add(self, table: Table, sums: Sequence[str], latest: Sequence[str]) -> Executable:
        """Add to whole-number columns; `pico` stays null until something priced is added."""
        statement = self._insert(table)
        new: dict[str, Any] = {name: table.c[name] + statement.excluded[name] for name in sums}
        new |= {name: statement.excluded[name] for name in latest}
        if "pico" in table.c:
            more = statement.excluded.pico
            new["pico"] = case(
                (more.is_(None), table.c.pico), else_=func.coalesce(table.c.pico, 0) + more
            )
        return statement.on_conflict_do_update(index_elements=_keys_of(table), set_=new)

    def of(self, batch: Batch, host: str, scope: str) -> Iterator[tuple[Executable, Rows]]:
        """The statements a batch needs, each with its rows."""
        written = (
            (self.price, rows.price_rows(batch)),
            (self.accrual, rows.accrual_rows(batch, host, scope)),
            (self.charge, rows.charge_rows(batch, host, scope)),
            (self.counter, rows.counter_rows(batch)),
            (self.workload, rows.workload_rows(batch)),
            (self.run, rows.run_rows(batch)),
            (self.epoch_mark, rows.epoch_rows(batch)),
            (self.epoch_part, rows.epoch_part_rows(batch)),
            (self.event, rows.event_rows(batch)),
            (self.drift_slot, drift_rows.slot_rows(batch)),
            (self.drift_watch, drift_rows.watch_rows(batch)),
            (self.moment, moment_rows(batch)),
            (self.item, item_rows(batch)),
            (self.item_charge, item_charge_rows(batch, host)),
            (self.unit_count, unit_rows(batch, host, scope)),
        )
        return ((statement, found) for statement, found in written if found)


def _keys_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _values_of(table: Table) -> list[Any]:
    return [column for column in table.c if not column.primary_key]
