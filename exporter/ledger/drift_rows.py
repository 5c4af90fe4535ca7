"""Rows of drift: what slots came to, and what is remembered of each workload and model."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, func, or_, select

from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import Batch, SlotRow, WatchRow
from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import Watched

KEEP_NS = 35 * 24 * 3600 * 10**9
"""How long slots are kept: four weeks are compared with."""
RECENT_SLOTS = 12
"""How many slots of each workload and model a start reads."""
Rows = list[dict[str, Any]]
_MEMORY = msgspec.json.Decoder(dict[Factor, Watched])


def slot_rows(batch: Batch) -> Rows:
    """Slots; two of the same time add up."""
    return [
        {
            "start_ns": row.start_ns,
            "workload": row.workload,
            "model": row.model,
            **{name: getattr(row.sums, name) for name in Sums.__slots__},
        }
        for row in batch.slots
    ]


def watch_rows(batch: Batch) -> Rows:
    """What is remembered."""
    return [
        {
            "workload": row.workload,
            "model": row.model,
            "document": msgspec.json.encode(dict(row.memory)).decode(),
        }
        for row in batch.watches.values()
    ]


def read_slots(connection: Connection, tables: Tables) -> tuple[SlotRow, ...]:
    """The last slots there are."""
    table = tables.drift_slot
    starts = select(table.c.start_ns).distinct().order_by(table.c.start_ns.desc())
    since = connection.execute(starts.limit(RECENT_SLOTS)).scalars().all()
    if not since:
        return ()
    found = connection.execute(select(table).where(table.c.start_ns >= min(since)))
    return tuple(
        SlotRow(row.workload, row.model, row.start_ns, _sums(row._mapping)) for row in found
    )


def read_watches(connection: Connection, tables: Tables) -> tuple[WatchRow, ...]:
    """What is remembered; what cannot be read is forgotten: it is learnt anew."""
    found = []
    for row in connection.execute(select(tables.drift_watch)):
        try:
            found.append(WatchRow(row.workload, row.model, _MEMORY.decode(row.document)))
        except msgspec.MsgspecError:
            continue
    return tuple(found)


def read_history(
    connection: Connection, tables: Tables, spans: Sequence[tuple[int, int]]
) -> dict[tuple[str, str], Sums]:
    """The sums of all slots that begin in these spans (nanoseconds, ends excluded)."""
    table = tables.drift_slot
    start = table.c.start_ns
    inside = or_(*(and_(start >= first, start < end) for first, end in spans))
    sums = [func.sum(table.c[name]).label(name) for name in Sums.__slots__]
    query = select(table.c.workload, table.c.model, *sums).where(inside)
    found = connection.execute(query.group_by(table.c.workload, table.c.model))
    return {(row.workload, row.model): _sums(row._mapping) for row in found}


def purge(connection: Connection, tables: Tables, before_ns: int) -> None:
    """Delete slots that nothing is compared with any more, and memories without any slot."""
    slot, memory = tables.drift_slot, tables.drift_watch
    connection.execute(delete(slot).where(slot.c.start_ns < before_ns))
    there = select(slot.c.workload).where(
        slot.c.workload == memory.c.workload, slot.c.model == memory.c.model
    )
    connection.execute(delete(memory).where(~there.exists()))


def _sums(row: Any) -> Sums:
    return Sums(**{name: int(row[name]) for name in Sums.__slots__})
