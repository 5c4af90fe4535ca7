"""The ledger's statements: how a batch becomes rows, and what a start reads back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection, Executable, Table, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from unitcost.exporter.ledger import drift_rows
from unitcost.exporter.ledger.item_rows import item_charge_rows, item_rows, read_items
from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.ledger.unit_rows import unit_rows
from unitcost.exporter.settling.batch import MAX_RUNS, Batch, Opening, WorkloadRow
from unitcost.pricing.allocate import Method, State
from unitcost.pricing.charge import AccrualKey, Accrued, Amount, ChargeKey, Posting
from unitcost.pricing.currency import USD
from unitcost.pricing.drift import Sums
from unitcost.pricing.price import Component, PriceUnit, UnitPrice
from unitcost.pricing.runs import Run
from unitcost.pricing.workload import Account, WorkloadKind

Rows = list[dict[str, Any]]


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
        self.event = tables.event.insert()
        self.drift_slot = self._add(tables.drift_slot, tuple(Sums.__slots__), ())
        self.drift_watch = self._replace(tables.drift_watch)
        self.item = self._replace(tables.item)
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
            (self.price, price_rows(batch)),
            (self.accrual, accrual_rows(batch, host, scope)),
            (self.charge, charge_rows(batch, host, scope)),
            (self.counter, counter_rows(batch)),
            (self.workload, workload_rows(batch)),
            (self.run, run_rows(batch)),
            (self.epoch_mark, epoch_rows(batch)),
            (self.event, event_rows(batch)),
            (self.drift_slot, drift_rows.slot_rows(batch)),
            (self.drift_watch, drift_rows.watch_rows(batch)),
            (self.item, item_rows(batch)),
            (self.item_charge, item_charge_rows(batch, host)),
            (self.unit_count, unit_rows(batch, host, scope)),
        )
        return ((statement, found) for statement, found in written if found)


def _keys_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _values_of(table: Table) -> list[Any]:
    return [column for column in table.c if not column.primary_key]


def price_rows(batch: Batch) -> Rows:
    """Every unit price that was used."""
    return [
        {name: getattr(price, name) for name in price.__slots__} for price in batch.prices.values()
    ]


def accrual_rows(batch: Batch, host: str, scope: str) -> Rows:
    """What resources accrued."""
    return [
        {
            "hour": key.hour,
            "host": host,
            "scope": scope,
            "resource": key.resource,
            "component": key.component,
            "price": key.price,
            "revision": key.revision,
            "elapsed_ns": accrued.elapsed_ns,
            "quantity": accrued.quantity,
            "pico": accrued.pico,
        }
        for key, accrued in batch.posting.accruals.items()
    ]


def charge_rows(batch: Batch, host: str, scope: str) -> Rows:
    """What was charged to whom, in US dollars; the currency it is billed in, and at which rate."""
    foreign = batch.foreign
    return [
        {
            "hour": key.hour,
            "host": host,
            "scope": scope,
            "resource": key.resource,
            "component": key.component,
            "workload": key.account.workload,
            "model": key.account.model,
            "run": key.account.run,
            "attempt": key.account.attempt,
            "state": key.state,
            "method": key.method,
            "price": key.price,
            "currency": foreign[key.price].currency if key.price in foreign else USD,
            "revision": key.revision,
            "quantity": amount.quantity,
            "pico": amount.pico,
            "rate": foreign[key.price].rate if key.price in foreign else "1",
            "known_at_ns": batch.at_ns,
        }
        for key, amount in batch.posting.charges.items()
    ]


def counter_rows(batch: Batch) -> Rows:
    """What counters gained."""
    return [
        {"metric": metric, "labels": json.dumps(labels, ensure_ascii=False), "value": value}
        for (metric, labels), value in batch.counters.items()
    ]


def workload_rows(batch: Batch) -> Rows:
    """Workloads as they are now."""
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "owner": row.owner,
            "first_seen_ns": row.first_seen_ns,
            "last_charged_ns": row.last_charged_ns,
            "overflow": int(row.overflow),
        }
        for row in batch.workloads.values()
    ]


def run_rows(batch: Batch) -> Rows:
    """Training runs as they are now."""
    return [
        {
            "workload": run.workload,
            "run": run.run,
            "document": msgspec.json.encode(run).decode(),
            "last_charged_ns": run.last_charged_ns,
        }
        for run in batch.runs.values()
    ]


def epoch_rows(batch: Batch) -> Rows:
    """Epoch marks."""
    return [
        {
            "workload": row.workload,
            "run": row.run,
            "attempt": row.attempt,
            "epoch": row.epoch,
            "at_ns": row.at_ns,
            "pico": row.total.pico,
            "used_pico": row.total.used_pico,
        }
        for row in batch.epochs
    ]


def event_rows(batch: Batch) -> Rows:
    """Events, detail as JSON."""
    return [
        {"at_ns": row.at_ns, "kind": row.kind, "detail": json.dumps(dict(row.detail))}
        for row in batch.events
    ]


def read_opening(
    connection: Connection, tables: Tables, since_hour: int, open_since_hour: int
) -> Opening:
    """All that a start needs; small whatever the ledger's size."""
    state = connection.execute(select(tables.state.c.seq, tables.state.c.document)).one()
    counters = {
        (metric, tuple(json.loads(labels))): value
        for metric, labels, value in connection.execute(select(tables.counter))
    }
    workloads = {
        row.name: WorkloadRow(
            row.name,
            WorkloadKind(row.kind),
            row.owner,
            row.first_seen_ns,
            row.last_charged_ns,
            bool(row.overflow),
        )
        for row in connection.execute(select(tables.workload))
    }
    latest = select(tables.run).order_by(tables.run.c.last_charged_ns.desc()).limit(MAX_RUNS)
    runs = {
        (row.workload, row.run): msgspec.json.decode(row.document, type=Run)
        for row in connection.execute(latest)
    }
    recent = select(tables.accrual).where(tables.accrual.c.hour >= since_hour)
    elapsed: dict[AccrualKey, int] = {}
    for row in connection.execute(recent):
        first = replace(_accrual_key(row), revision=0)
        elapsed[first] = elapsed.get(first, 0) + row.elapsed_ns
    rows = read_open_rows(connection, tables, open_since_hour)
    used = {key.price for key in rows.accruals}
    found = connection.execute(select(tables.price).where(tables.price.c.id.in_(used)))
    prices = {row.id: _unit_price(row._mapping) for row in found}
    slots = drift_rows.read_slots(connection, tables)
    watches = drift_rows.read_watches(connection, tables)
    items = read_items(connection, tables)
    return Opening(
        state.seq,
        state.document,
        counters,
        workloads,
        runs,
        elapsed,
        prices,
        rows,
        slots,
        watches,
        items,
    )


def read_open_rows(connection: Connection, tables: Tables, since_hour: int) -> Posting:
    """The accruals and charges of the last clock hours, whole."""
    return _read_rows(
        connection,
        select(tables.accrual).where(tables.accrual.c.hour >= since_hour),
        select(tables.charge).where(tables.charge.c.hour >= since_hour),
    )


def read_hour(connection: Connection, tables: Tables, host: str, scope: str, hour: int) -> Posting:
    """The accruals and charges of one clock hour, all revisions."""
    accruals, charges = (
        select(table).where(
            (table.c.hour == hour) & (table.c.host == host) & (table.c.scope == scope)
        )
        for table in (tables.accrual, tables.charge)
    )
    return _read_rows(connection, accruals, charges)


def _read_rows(connection: Connection, accruals: Executable, charges: Executable) -> Posting:
    posting = Posting()
    for row in connection.execute(accruals):
        posting.accruals[_accrual_key(row)] = Accrued(row.elapsed_ns, row.quantity, row.pico)
    for row in connection.execute(charges):
        key = ChargeKey(
            row.resource,
            Component(row.component),
            Account(row.workload, row.model, row.run, row.attempt),
            State(row.state),
            Method(row.method),
            row.price,
            row.hour,
            row.revision,
        )
        posting.charges[key] = Amount(row.quantity, row.pico)
    return posting


def _unit_price(row: Mapping[Any, Any]) -> UnitPrice:
    values: dict[str, Any] = dict(row)
    named = {"component": Component(values["component"]), "unit": PriceUnit(values["unit"])}
    return UnitPrice(**(values | named))


def _accrual_key(row: Any) -> AccrualKey:
    return AccrualKey(row.resource, Component(row.component), row.price, row.hour, row.revision)


def read_elapsed(
    connection: Connection, tables: Tables, host: str, scope: str, key: AccrualKey
) -> int:
    """Nanoseconds (or microjoules) in one accrual row and its revisions, 0 if there is none."""
    table = tables.accrual
    where = (
        (table.c.hour == key.hour)
        & (table.c.host == host)
        & (table.c.scope == scope)
        & (table.c.resource == key.resource)
        & (table.c.component == key.component)
        & (table.c.price == key.price)
    )
    found = connection.execute(select(table.c.elapsed_ns).where(where))
    return sum(row.elapsed_ns for row in found)


def read_residual(connection: Connection, tables: Tables, since_hour: int) -> int:
    """Σ over resource, component, price and hour of |accrued - charged|, in pico-dollars."""
    sums: dict[tuple[Any, ...], int] = {}
    for table, sign in ((tables.accrual, 1), (tables.charge, -1)):
        groups = (
            table.c.hour,
            table.c.host,
            table.c.scope,
            table.c.resource,
            table.c.component,
            table.c.price,
        )
        query = select(*groups, func.sum(table.c.pico)).where(table.c.hour >= since_hour)
        for *group, pico in connection.execute(query.group_by(*groups)):
            sums[tuple(group)] = sums.get(tuple(group), 0) + sign * (pico or 0)
    return sum(abs(value) for value in sums.values())


def purge(connection: Connection, tables: Tables, before_hour: int) -> int:
    """Delete rows of clock hours before `before_hour`; returns how many charges went."""
    deleted = connection.execute(delete(tables.charge).where(tables.charge.c.hour < before_hour))
    connection.execute(delete(tables.accrual).where(tables.accrual.c.hour < before_hour))
    return deleted.rowcount
