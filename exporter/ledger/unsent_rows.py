"""Which clock hours the fleet's ledger does not have yet: marked with each commit that changes one.

So what waits to be sent is the ledger itself, and an outage of any length costs a row an hour.
"""

from typing import Any

from sqlalchemy import Connection, Delete, bindparam, delete, func, insert, select

from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import Batch
from unitcost.pricing.timeline import hour_of

Rows = list[dict[str, Any]]


def touched(batch: Batch) -> set[int]:
    """The clock hours of which a batch changes what is sent."""
    hours = {key.hour for key in batch.posting.charges}
    hours |= {key.hour for key in batch.posting.accruals}
    hours |= {key.hour for key in batch.item_charges}
    hours |= {key.hour for key in batch.units}
    hours |= {hour_of(row.at_ns) for row in batch.epochs}
    return hours


def unsent_rows(batch: Batch, host: str, scope: str, seq: int) -> Rows:
    """Marks of a commit."""
    return [
        {"hour": hour, "host": host, "scope": scope, "seq": seq} for hour in sorted(touched(batch))
    ]


def sent_statement(tables: Tables) -> Delete:
    """Takes a mark away, unless the hour has changed since what was sent was read."""
    table = tables.unsent
    return delete(table).where(
        table.c.hour == bindparam("at_hour"),
        table.c.host == bindparam("at_host"),
        table.c.scope == bindparam("at_scope"),
        table.c.seq <= bindparam("as_of"),
    )


def sent_rows(batch: Batch, host: str, scope: str) -> Rows:
    """What the fleet's ledger has acknowledged."""
    return [
        {"at_hour": each.hour, "at_host": host, "at_scope": scope, "as_of": each.seq}
        for each in batch.sent
    ]


def mark_all(connection: Connection, tables: Tables) -> None:
    """All hours there are, in a ledger from before they were marked."""
    charge, table = tables.charge, tables.unsent
    names = ("hour", "host", "scope")
    seq = select(func.max(tables.state.c.seq)).scalar_subquery()
    query = select(*(charge.c[name] for name in names), seq).distinct()
    connection.execute(insert(table).from_select([*names, "seq"], query))


def oldest(connection: Connection, tables: Tables, since_hour: int) -> int | None:
    """The first hour from then on that was not sent; None where there is none."""
    hour = tables.unsent.c.hour
    found: int | None = connection.scalar(select(func.min(hour)).where(hour >= since_hour))
    return found


def purge(connection: Connection, tables: Tables, before_hour: int) -> None:
    """Forget hours whose rows are gone."""
    connection.execute(delete(tables.unsent).where(tables.unsent.c.hour < before_hour))
