"""The ledger's tables. Portable types only; money in whole pico-dollars, quantities in millionths.

An accrual's `elapsed_ns` is what its price multiplies: nanoseconds, or where that is by the kWh
microjoules (`PriceUnit` in `pricing/price.py`).

Version history: 1, the first; 2, prices have a unit; 3, prices in other currencies have the rate at
which they were converted; 4, prices have their list price. A change comes with a step in
`MIGRATIONS` (`migrations.py`) and a new version.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from unitcost.pricing.drift import Sums

SCHEMA_VERSION = 4
UNITS_SINCE = "units_since"
"""In `meta`, where a version without units by the hour began: the hour of the first with them."""
NAME = String(128)
CODE = String(32)
RATE = String(40)


def key(name: str, kind: Any) -> Column[Any]:
    """A column of the primary key."""
    return Column(name, kind, primary_key=True)


def clustered(metadata: MetaData, name: str, *columns: Column[Any]) -> Table:
    """A table clustered by its key: no second copy of the key in an index."""
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


def _meta(build: MetaData) -> Table:
    return clustered(build, "meta", key("name", CODE), Column("value", Text, nullable=False))


def _state(build: MetaData) -> Table:
    return clustered(
        build,
        "state",
        key("id", Integer),
        Column("seq", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
    )


def price_table(build: MetaData, *more: Column[Any]) -> Table:
    """Every unit price that was used."""
    return clustered(
        build,
        "price",
        *more,
        key("id", CODE),
        Column("resource", NAME, nullable=False),
        Column("component", CODE, nullable=False),
        Column("pico_per_unit", BigInteger),
        Column("model", CODE, nullable=False),
        Column("source", NAME, nullable=False),
        Column("valid_from_ns", BigInteger, nullable=False),
        Column("valid_to_ns", BigInteger),
        Column("as_of_ns", BigInteger, nullable=False),
        Column("known_at_ns", BigInteger, nullable=False),
        Column("currency", CODE, nullable=False),
        Column("rule", NAME, nullable=False),
        Column("unit", CODE, nullable=False, server_default="hour"),
        Column("rate", RATE, nullable=False, server_default="1"),
        Column("rate_source", NAME, nullable=False, server_default=""),
        Column("rate_as_of_ns", BigInteger, nullable=False, server_default=text("0")),
        Column("list_pico_per_unit", BigInteger),
    )


def accrual_table(build: MetaData, *more: Column[Any]) -> Table:
    """What resources accrued."""
    return clustered(
        build,
        "accrual",
        key("hour", BigInteger),
        key("host", NAME),
        key("scope", CODE),
        *more,
        key("resource", NAME),
        key("component", CODE),
        key("price", CODE),
        key("revision", Integer),
        Column("elapsed_ns", BigInteger, nullable=False),
        Column("quantity", BigInteger, nullable=False),
        Column("pico", BigInteger),
    )


def charge_table(build: MetaData, *more: Column[Any]) -> Table:
    """Charges. `more`: columns that the fleet's ledger has besides, as in all tables it shares."""
    return clustered(
        build,
        "charge",
        key("hour", BigInteger),
        key("host", NAME),
        key("scope", CODE),
        *more,
        key("resource", NAME),
        key("component", CODE),
        key("workload", NAME),
        key("model", NAME),
        key("run", NAME),
        key("attempt", Integer),
        key("state", CODE),
        key("method", CODE),
        key("price", CODE),
        key("currency", CODE),
        key("revision", Integer),
        Column("quantity", BigInteger, nullable=False),
        Column("pico", BigInteger),
        Column("rate", RATE, nullable=False),
        Column("known_at_ns", BigInteger, nullable=False),
    )


def _counter(build: MetaData) -> Table:
    return clustered(
        build,
        "counter",
        key("metric", String(64)),
        key("labels", Text),
        Column("value", BigInteger, nullable=False),
    )


def workload_table(build: MetaData, *more: Column[Any]) -> Table:
    """Workloads as they are now."""
    return clustered(
        build,
        "workload",
        *more,
        key("name", NAME),
        Column("kind", CODE, nullable=False),
        Column("owner", NAME, nullable=False),
        Column("first_seen_ns", BigInteger, nullable=False),
        Column("last_charged_ns", BigInteger, nullable=False),
        Column("overflow", Integer, nullable=False),
    )


def _run(build: MetaData) -> Table:
    return clustered(
        build,
        "run",
        key("workload", NAME),
        key("run", NAME),
        Column("document", Text, nullable=False),
        Column("last_charged_ns", BigInteger, nullable=False),
    )


def epoch_mark_table(build: MetaData, *more: Column[Any]) -> Table:
    """A run's total at each epoch mark."""
    return clustered(
        build,
        "epoch_mark",
        *more,
        key("workload", NAME),
        key("run", NAME),
        key("attempt", Integer),
        key("epoch", Float),
        Column("at_ns", BigInteger, nullable=False),
        Column("pico", BigInteger),
        Column("used_pico", BigInteger),
    )


def _event(build: MetaData) -> Table:
    return Table(
        "event",
        build,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("at_ns", BigInteger, nullable=False),
        Column("kind", CODE, nullable=False),
        Column("detail", Text, nullable=False),
    )


def _drift_slot(build: MetaData) -> Table:
    return clustered(
        build,
        "drift_slot",
        key("start_ns", BigInteger),
        key("workload", NAME),
        key("model", NAME),
        *(Column(name, BigInteger, nullable=False) for name in Sums.__slots__),
    )


def _moment(build: MetaData) -> Table:
    return clustered(
        build,
        "moment",
        key("at_ns", BigInteger),
        Column("pico", Text, nullable=False),
        Column("priced", Integer, nullable=False),
    )


def _drift_watch(build: MetaData) -> Table:
    return clustered(
        build,
        "drift_watch",
        key("workload", NAME),
        key("model", NAME),
        Column("document", Text, nullable=False),
    )


def _item_key() -> list[Column[Any]]:
    names = [key(name, NAME) for name in ("id", "workload", "model", "run")]
    return [*names, key("item", CODE), key("per", CODE)]


def _item(build: MetaData) -> Table:
    """Items as last stated, and their totals: text, because they may have more than 64 bits."""
    return clustered(
        build,
        "item",
        *_item_key(),
        Column("statement", Text, nullable=False),
        Column("source", CODE, nullable=False),
        Column("booked_pico", String(40), nullable=False),
        Column("due_pico", String(40), nullable=False),
        Column("units", BigInteger, nullable=False),
        Column("since_ns", BigInteger, nullable=False),
    )


def item_charge_table(build: MetaData, *more: Column[Any]) -> Table:
    """What was booked of items by clock hour: whole dollars and pico-dollars, to be added.

    Revision 1 are corrections. Hour 0 is what was brought forward from rows that are gone.
    """
    return clustered(
        build,
        "item_charge",
        key("hour", BigInteger),
        key("host", NAME),
        *more,
        *_item_key(),
        key("revision", Integer),
        Column("usd", BigInteger, nullable=False),
        Column("pico", BigInteger, nullable=False),
        Column("units", BigInteger, nullable=False),
        Column("known_at_ns", BigInteger, nullable=False),
    )


def unit_count_table(build: MetaData, *more: Column[Any]) -> Table:
    """Units counted by clock hour, in millionths; 0 where somebody looked and there were none."""
    names = ("host", "workload", "model", "run")
    return clustered(
        build,
        "unit_count",
        key("hour", BigInteger),
        key("scope", CODE),
        *more,
        *(key(name, NAME) for name in names),
        key("quantity", CODE),
        key("label", CODE),
        Column("micro", BigInteger, nullable=False),
    )


def epoch_part_table(build: MetaData, *more: Column[Any]) -> Table:
    """What epochs cost here: those after one mark, up to the next. Null: not known."""
    return clustered(
        build,
        "epoch_part",
        *more,
        key("workload", NAME),
        key("run", NAME),
        key("attempt", Integer),
        key("epoch", Float),
        Column("since_epoch", Float, nullable=False),
        Column("hosts", Integer, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("pico", BigInteger),
        Column("used_pico", BigInteger),
    )


def _unsent(build: MetaData) -> Table:
    """Hours whose rows the fleet's ledger does not have as they are since this commit."""
    return clustered(
        build,
        "unsent",
        key("hour", BigInteger),
        key("host", NAME),
        key("scope", CODE),
        Column("seq", BigInteger, nullable=False),
    )


class Tables:
    """All tables of one ledger; made anew for each engine, so nothing is shared by modules."""

    def __init__(self) -> None:
        self.metadata = build = MetaData()
        self.meta = _meta(build)
        self.state = _state(build)
        self.price = price_table(build)
        self.accrual = accrual_table(build)
        self.charge = charge_table(build)
        self.counter = _counter(build)
        self.workload = workload_table(build)
        self.run = _run(build)
        self.epoch_mark = epoch_mark_table(build)
        self.event = _event(build)
        self.drift_slot = _drift_slot(build)
        self.drift_watch = _drift_watch(build)
        self.moment = _moment(build)
        self.item = _item(build)
        self.item_charge = item_charge_table(build)
        self.unit_count = unit_count_table(build)
        self.epoch_part = epoch_part_table(build)
        self.unsent = _unsent(build)
