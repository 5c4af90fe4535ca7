"""The ledger's statements about units: what was counted in each clock hour."""

from typing import Any

from sqlalchemy import Connection, delete

from unitcost.exporter.ledger.schema import Tables
from unitcost.exporter.settling.batch import Batch

Rows = list[dict[str, Any]]


def unit_rows(batch: Batch, host: str, scope: str) -> Rows:
    """What was counted, in millionths."""
    return [
        {
            "hour": key.hour,
            "host": host,
            "scope": scope,
            "workload": key.workload,
            "model": key.model,
            "run": key.run,
            "quantity": key.quantity,
            "label": key.label,
            "micro": micro,
        }
        for key, micro in batch.units.items()
    ]


def purge(connection: Connection, tables: Tables, before_hour: int) -> None:
    """Delete the units of clock hours before."""
    table = tables.unit_count
    connection.execute(delete(table).where(table.c.hour < before_hour))
