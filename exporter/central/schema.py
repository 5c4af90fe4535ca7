"""The tables of the fleet's ledger: those of an agent's, with the ledger that a row comes from.

A row of `charge`, `accrual`, `unit_count`, `item_charge`, `epoch_mark` and `epoch_part` means what
it means in an agent's own ledger, so that the same queries do for both. `ledger` is the random name
of the file (or database) that an agent wrote it to: an agent that was installed anew under the same
host name has another one, and what both have charged in an hour adds up.
"""

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text

from unitcost.exporter.ledger import schema
from unitcost.exporter.ledger.schema import CODE, NAME, clustered, key

CENTRAL_VERSION = 1


def _ledger() -> Column[str]:
    return key("ledger", CODE)


def _from() -> tuple[Column[str], ...]:
    return key("host", NAME), key("scope", CODE), _ledger()


def _place(build: MetaData) -> Table:
    """Each host and scope: its row is locked while a delivery of it is taken in."""
    return clustered(
        build,
        "place",
        key("host", NAME),
        key("scope", CODE),
        Column("last_seen_ns", BigInteger, nullable=False),
    )


def _agent(build: MetaData) -> Table:
    """Each ledger that delivered: how far, by which process, and until when it has metered."""
    return clustered(
        build,
        "agent",
        *_from(),
        Column("session", CODE, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("until_ns", BigInteger, nullable=False),
        Column("first_seen_ns", BigInteger, nullable=False),
        Column("last_seen_ns", BigInteger, nullable=False),
        Column("version", String(64), nullable=False),
    )


def _agent_hour(build: MetaData) -> Table:
    """Each hour delivered: as of which commit, and which part of it its ledger has metered."""
    return clustered(
        build,
        "agent_hour",
        key("host", NAME),
        key("scope", CODE),
        key("hour", BigInteger),
        _ledger(),
        Column("seq", BigInteger, nullable=False),
        Column("from_ns", BigInteger, nullable=False),
        Column("to_ns", BigInteger, nullable=False),
    )


class CentralTables:
    """All tables of the fleet's ledger; made anew for each engine."""

    def __init__(self) -> None:
        self.metadata = build = MetaData()
        self.meta = clustered(
            build, "central_meta", key("name", CODE), Column("value", Text, nullable=False)
        )
        self.place = _place(build)
        self.agent = _agent(build)
        self.agent_hour = _agent_hour(build)
        self.price = schema.price_table(build, *_from())
        self.workload = schema.workload_table(build, *_from())
        self.accrual = schema.accrual_table(build, _ledger())
        self.charge = schema.charge_table(build, _ledger())
        self.unit_count = schema.unit_count_table(build, _ledger())
        self.item_charge = schema.item_charge_table(build, key("scope", CODE), _ledger())
        hour = key("hour", BigInteger), key("hour", BigInteger)
        self.epoch_mark = schema.epoch_mark_table(build, *_from(), hour[0])
        self.epoch_part = schema.epoch_part_table(build, *_from(), hour[1])

    @property
    def of_hours(self) -> tuple[Table, ...]:
        """Those whose rows belong to a clock hour of an agent's, and are replaced with it."""
        return (
            self.accrual,
            self.charge,
            self.unit_count,
            self.item_charge,
            self.epoch_mark,
            self.epoch_part,
        )
