"""Rows of the live page's last hour: what was charged in all at some instants, by state."""

import json
from typing import Any

from sqlalchemy import Connection, delete, func, select

from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import Batch, Moment

KEEP_NS = 2 * 3600 * 10**9
MOST = 1000
"""How many a start reads."""


def moment_rows(batch: Batch) -> list[dict[str, Any]]:
    """Instants; their sums are text, because all that was ever charged may pass 64 bits."""
    return [
        {"at_ns": each.at_ns, "pico": json.dumps(each.pico), "priced": int(each.priced)}
        for each in batch.moments
    ]


def read_moments(connection: Connection, tables: Tables) -> tuple[Moment, ...]:
    """The last instants there are, oldest first."""
    table = tables.moment
    newest = select(table).order_by(table.c.at_ns.desc()).limit(MOST)
    found = [
        Moment(row.at_ns, tuple(json.loads(row.pico)), bool(row.priced))
        for row in connection.execute(newest)
    ]
    return tuple(reversed(found))


def purge(connection: Connection, tables: Tables) -> None:
    """Delete what no page shows any more."""
    table = tables.moment
    last = connection.scalar(select(func.max(table.c.at_ns)))
    if last is not None:
        connection.execute(delete(table).where(table.c.at_ns < last - KEEP_NS))
