"""The ledger's statements about items, and about what was charged before a budget was there."""

import json
from typing import Any

import msgspec
from sqlalchemy import Connection, Executable, Table, case, delete, func, select

from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import Batch, ItemRow, Source
from unitcost.pricing.budget import Past, Sum
from unitcost.pricing.items import Booked, Item, ItemKey
from unitcost.pricing.money import PICO
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of

Rows = list[dict[str, Any]]
_HALF = 10**6
"""Sums of pico-dollars may have more than 64 bits: they are taken in two parts."""


def _names(key: ItemKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "workload": key.workload,
        "model": key.model,
        "run": key.run,
        "item": key.type,
        "per": key.per,
    }


def item_rows(batch: Batch) -> Rows:
    """Items as they are now."""
    return [
        {
            **_names(key),
            "statement": msgspec.json.encode(row.item).decode(),
            "source": row.source,
            "booked_pico": str(row.booked.pico),
            "due_pico": str(row.booked.due_pico),
            "units": row.booked.units_micro,
            "since_ns": row.since_ns,
        }
        for key, row in batch.items.items()
    ]


def item_charge_rows(batch: Batch, host: str) -> Rows:
    """What was booked of items."""
    rows = []
    for key, amount in batch.item_charges.items():
        usd, pico = divmod(amount.pico, PICO)
        rows.append(
            {
                "hour": key.hour,
                "host": host,
                **_names(key.item),
                "revision": key.revision,
                "usd": usd,
                "pico": pico,
                "units": amount.units_micro,
                "known_at_ns": batch.at_ns,
            }
        )
    return rows


def read_items(connection: Connection, tables: Tables) -> dict[ItemKey, ItemRow]:
    """All items there ever were."""
    found = {}
    for row in connection.execute(select(tables.item)):
        item = msgspec.json.decode(row.statement, type=Item)
        booked = Booked(int(row.booked_pico), int(row.due_pico), row.units)
        found[item.key] = ItemRow(item, Source(row.source), booked, row.since_ns)
    return found


def fold(connection: Connection, table: Table, add: Executable, before_hour: int) -> None:
    """Bring forward what was booked of items before a clock hour, into rows of the hour 0."""
    sums = ("usd", "pico", "units")
    keys = [each for each in table.primary_key if each.name != "hour"]
    old = (table.c.hour < before_hour) & (table.c.hour != 0)
    totals = [func.sum(table.c[name]).label(name) for name in sums]
    latest = func.max(table.c.known_at_ns).label("known_at_ns")
    query = select(*keys, *totals, latest).where(old).group_by(*keys)
    rows: Rows = [
        {"hour": 0, **row._mapping, **{name: int(row._mapping[name]) for name in sums}}
        for row in connection.execute(query)
    ]
    connection.execute(delete(table).where(old))
    if rows:
        connection.execute(add, rows)


def read_past(connection: Connection, tables: Tables, from_ns: int, to_ns: int) -> Past:
    """What was charged and booked in the clock hours from an instant's to another's.

    The hour in which the time begins is left out unless it begins with it: its rows are not told
    apart. What is known begins with the ledger's first row.
    """
    first, last = -(-from_ns // NS_PER_HOUR), hour_of(to_ns)
    oldest = connection.scalar(select(func.min(tables.charge.c.hour)))
    if oldest is None:
        return Past(to_ns)
    charged = _charged(connection, tables.charge, first, last)
    unknown = _knows_not(connection, tables.event, from_ns)
    items = _booked(connection, tables.item_charge, first, last)
    since = max(first, oldest) * NS_PER_HOUR
    return Past(since, charged, unknown, items)


def _charged(connection: Connection, table: Table, first: int, last: int) -> dict[str, Sum]:
    """What was charged by workload, all revisions together."""
    lacking = case((table.c.pico.is_(None), table.c.quantity), else_=0)
    query = (
        select(
            table.c.workload,
            func.sum(table.c.pico // _HALF),
            func.sum(table.c.pico % _HALF),
            func.sum(lacking),
        )
        .where(table.c.hour >= first, table.c.hour <= last)
        .group_by(table.c.workload)
    )
    return {
        workload: Sum(
            0 if high is None else int(high) * _HALF + int(low), high is not None, int(unpriced)
        )
        for workload, high, low, unpriced in connection.execute(query)
    }


def _knows_not(connection: Connection, table: Table, from_ns: int) -> bool:
    """Whether a gap of which nobody knows what it cost reached beyond an instant."""
    gaps = select(table.c.at_ns, table.c.detail).where(table.c.kind == "gap_unknown")
    return any(
        at_ns + json.loads(detail)["duration_ns"] > from_ns
        for at_ns, detail in connection.execute(gaps)
    )


def _booked(connection: Connection, table: Table, first: int, last: int) -> dict[str, int]:
    query = (
        select(table.c.workload, func.sum(table.c.usd), func.sum(table.c.pico))
        .where(table.c.hour >= first, table.c.hour <= last, table.c.hour != 0)
        .group_by(table.c.workload)
    )
    found = connection.execute(query)
    return {workload: int(usd) * PICO + int(pico) for workload, usd, pico in found}


def read_run(connection: Connection, tables: Tables, workload: str, run: str) -> str | None:
    """The document of one run."""
    table = tables.run
    where = (table.c.workload == workload) & (table.c.run == run)
    document: str | None = connection.scalar(select(table.c.document).where(where))
    return document
