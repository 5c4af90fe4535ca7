"""The ledger's statements: how a batch becomes rows, and what a start reads back."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection, Executable, delete, func, select

from unitcost.exporter.ledger import drift_rows
from unitcost.exporter.ledger.item_rows import read_items
from unitcost.exporter.ledger.moment_rows import read_moments
from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import MAX_RUNS, Batch, Opening, WorkloadRow
from unitcost.pricing.allocate import Method, State
from unitcost.pricing.charge import AccrualKey, Accrued, Amount, ChargeKey, Posting
from unitcost.pricing.currency import USD
from unitcost.pricing.price import Component, PriceUnit, UnitPrice
from unitcost.pricing.runs import Run
from unitcost.pricing.workload import Account, WorkloadKind

Rows = list[dict[str, Any]]


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


def epoch_part_rows(batch: Batch) -> Rows:
    """What the epochs between two marks cost here."""
    return [
        {
            "workload": row.workload,
            "run": row.run,
            "attempt": row.attempt,
            "epoch": row.epoch,
            "since_epoch": row.since_epoch,
            "hosts": row.hosts,
            "at_ns": row.at_ns,
            "pico": None if row.cost is None else row.cost.pico,
            "used_pico": None if row.cost is None else row.cost.used_pico,
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
    ledger = connection.scalar(select(tables.meta.c.value).where(tables.meta.c.name == "ledger"))
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
        ledger or "",
        read_moments(connection, tables),
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
            sums[tuple(group)] = sums.get(tuple(group), 0) + sign * int(pico or 0)
    return sum(abs(value) for value in sums.values())


def purge(connection: Connection, tables: Tables, before_hour: int) -> int:
    """Delete rows of clock hours before `before_hour`; returns how many charges went."""
    deleted = connection.execute(delete(tables.charge).where(tables.charge.c.hour < before_hour))
    connection.execute(delete(tables.accrual).where(tables.accrual.c.hour < before_hour))
    return deleted.rowcount
