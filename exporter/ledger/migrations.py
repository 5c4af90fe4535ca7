"""From one version of the ledger's tables to the next, in the transaction that opens the ledger.

So a ledger is of the old version or of the new one, whatever kills the process in between. A step
is written once and never changed: its SQL says what the tables were like then, not what
`schema.py` says now. Tables that are wholly new need no SQL: they are made after all steps.
"""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection

from unitcost.exporter.ledger.schema import SCHEMA_VERSION
from unitcost.exporter.log import fields

_log = logging.getLogger(__name__)

Step = Callable[[Connection], None]


class NoWay(Exception):
    """There are no steps from that version to ours."""


def _prices_by_unit(connection: Connection) -> None:
    """1 to 2: a price is for a unit, which until now was an hour."""
    connection.exec_driver_sql("ALTER TABLE price RENAME COLUMN pico_per_hour TO pico_per_unit")
    connection.exec_driver_sql(
        "ALTER TABLE price ADD COLUMN unit VARCHAR(32) DEFAULT 'hour' NOT NULL"
    )


def _exchange_rates(connection: Connection) -> None:
    """2 to 3: a price says at which exchange rate it was converted; until now all were in USD."""
    for column in (
        "rate VARCHAR(40) DEFAULT '1' NOT NULL",
        "rate_source VARCHAR(128) DEFAULT '' NOT NULL",
        "rate_as_of_ns BIGINT DEFAULT 0 NOT NULL",
    ):
        connection.exec_driver_sql(f"ALTER TABLE price ADD COLUMN {column}")


def _list_prices(connection: Connection) -> None:
    """3 to 4: a price says what it was before any discount; until now nobody knew."""
    connection.exec_driver_sql("ALTER TABLE price ADD COLUMN list_pico_per_unit BIGINT")


MIGRATIONS: Mapping[int, Step] = MappingProxyType(
    {1: _prices_by_unit, 2: _exchange_rates, 3: _list_prices}
)
"""The step from each version to the one after it."""


def migrate(
    connection: Connection,
    version: int,
    to: int = SCHEMA_VERSION,
    steps: Mapping[int, Step] = MIGRATIONS,
) -> None:
    """Bring tables of an older version to `to`. Raises NoWay before anything is changed."""
    wanted = range(version, to)
    missing = [each for each in wanted if each not in steps]
    if missing or version < 1:
        raise NoWay(f"made by a version we do not know (schema {version}, we know {to})")
    for each in wanted:
        steps[each](connection)
        _log.info("ledger: tables brought up to date", extra=fields(schema=each + 1))
