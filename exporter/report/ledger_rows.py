"""What a report reads of a ledger, in one transaction: sums of rows, made by the database.

A ledger of an older version is read as it is: what it does not have is not there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    MetaData,
    Table,
    and_,
    case,
    func,
    inspect,
    literal,
    or_,
    select,
)

from unitcost.exporter.central.schema import CENTRAL_VERSION
from unitcost.exporter.ledger.schema import SCHEMA_VERSION, UNITS_SINCE
from unitcost.exporter.report.facts import (
    Facts,
    Known,
    Lacking,
    Money,
    Part,
    Place,
    Units,
)
from unitcost.exporter.report.question import TIMES, Dimension, Question, offsets
from unitcost.pricing.allocate import State
from unitcost.pricing.fleet_runs import EpochPart
from unitcost.pricing.runs import Cost
from unitcost.pricing.timeline import NS_PER_HOUR
from unitcost.pricing.unit_cost import Basis

OWN = ("host", "scope", "ledger")
"""What a row of the fleet's ledger has beside an agent's, to say whose it is."""
MONEY = frozenset({"accrual", "charge"})
HALF = 10**6
"""Sums of pico-dollars may have more than 64 bits: they are taken in two parts."""
COLUMNS: Mapping[Dimension, str] = {
    Dimension.MODEL: "model",
    Dimension.HOST: "host",
    Dimension.SCOPE: "scope",
    Dimension.RESOURCE: "resource",
    Dimension.COMPONENT: "component",
    Dimension.STATE: "state",
    Dimension.RUN: "run",
    Dimension.ATTEMPT: "attempt",
}
"""Which columns of a charge say what; whose it is follows from the workload, when from the hour."""
NOT_OF_UNITS = frozenset(
    {
        Dimension.RESOURCE,
        Dimension.COMPONENT,
        Dimension.STATE,
        Dimension.ATTEMPT,
        Dimension.EPOCH,
    }
)
"""What a request, a token or an epoch cannot be told apart by."""


class NotALedger(Exception):
    """It has no tables that we know."""


class Reader:
    """Reads one ledger over one connection: an agent's, or the fleet's, which has the same rows.

    Its tables are taken as they are found. Raises NotALedger for what is none, or is newer.
    """

    def __init__(self, connection: Connection, question: Question) -> None:
        self._connection, self._question = connection, question
        self._names = set(inspect(connection).get_table_names())
        self._build = MetaData()
        self._hours = (0, 0)
        meta, version, newest = ("meta", "schema_version", SCHEMA_VERSION)
        if "central_meta" in self._names:
            meta, version, newest = ("central_meta", "version", CENTRAL_VERSION)
        if not {meta, "accrual", "charge", "price", "workload"} <= self._names:
            raise NotALedger("no ledger of unitcost")
        self._meta_table = self._table(meta)
        found = self._meta(version)
        if found is None or found > newest:
            raise NotALedger(f"made by a newer version (schema {found}, we know {newest})")

    def _table(self, name: str) -> Table:
        return Table(name, self._build, autoload_with=self._connection)

    def facts(self) -> Facts:
        """Everything, as of one instant."""
        found = Facts(workloads=self._workloads(), units_since=self._meta(UNITS_SINCE))
        self._accruals(found)
        found.money.extend(self._money())
        found.lacking.extend(self._lacking())
        if "unit_count" in self._names and not NOT_OF_UNITS & set(self._question.by):
            found.units.extend(self._units())
        if Dimension.EPOCH in self._question.by and "epoch_part" in self._names:
            found.epochs.extend(self._epochs())
        return found

    def _meta(self, name: str) -> int | None:
        meta = self._meta_table
        value = self._connection.scalar(select(meta.c.value).where(meta.c.name == name))
        return int(value) if value is not None and value.isdecimal() else None

    def _where(self, table: Table) -> ColumnElement[bool]:
        asked, parts = self._question, [literal(1) == 1]
        if asked.from_hour is not None:
            parts.append(table.c.hour >= asked.from_hour)
        if asked.to_hour is not None:
            parts.append(table.c.hour < asked.to_hour)
        if asked.hosts:
            parts.append(table.c.host.in_(sorted(asked.hosts)))
        if table.name in MONEY:
            parts.append(self._once(table))
        return and_(*parts)

    def _once(self, table: Table) -> ColumnElement[bool]:
        """What a pod's sidecar charged counts where no agent charged its host in that hour."""
        whole = self._table("accrual").alias()
        same = and_(whole.c.host == table.c.host, whole.c.hour == table.c.hour)
        covered = select(whole.c.hour).where(same, whole.c.scope == "host").exists()
        return or_(table.c.scope.not_like("pod%"), ~covered)

    def _keys(self, table: Table) -> list[ColumnElement[Any]]:
        """The columns that sums are grouped by; always the workload."""
        names = ["workload"]
        names += [COLUMNS[each] for each in self._question.by if each in COLUMNS]
        keys: list[ColumnElement[Any]] = [
            table.c[name].label(name) for name in names if name in table.c
        ]
        if Dimension.HOUR in self._question.by:
            keys.append(table.c.hour.label("hour"))
        elif TIMES & set(self._question.by):
            keys.append(self._day(table).label("day"))
        return keys

    def _day(self, table: Table) -> ColumnElement[Any]:
        """The number of the local day in which a row's hour begins.

        The database needs to know no zone: only at which hours its offset from UTC changes.
        """
        hour = table.c.hour
        *earlier, (_, last) = offsets(self._hours, self._question.zone)
        offset: Any = literal(last)
        if earlier:
            offset = case(*((hour < until, seconds) for until, seconds in earlier), else_=last)
        day: ColumnElement[Any] = (hour * 3600 + offset) // 86400
        return day

    def _accruals(self, found: Facts) -> None:
        table = self._table("accrual")
        hour, hosts = table.c.hour, func.count(table.c.host.distinct())
        query = select(func.min(hour), func.max(hour), hosts, *_in_two(table.c.pico))
        row: Any = self._connection.execute(query.where(self._where(table))).one()
        first, last, count, high, low = row
        if first is not None:
            found.hours, found.hosts = (int(first), int(last)), int(count)
            self._hours = found.hours
            found.accrued = _whole(high, low) or 0

    def _used(self, table: Table) -> ColumnElement[Any]:
        if self._question.basis is Basis.USED:
            return table.c.state == State.ACTIVE
        return literal(1) == 1

    def _money(self) -> Iterator[Money]:
        table = self._table("charge")
        extra = [
            case((table.c.revision > 0, 1), else_=0).label("correction"),
            case((self._used(table), 1), else_=0).label("used"),
        ]
        amount = table.c.pico.label("amount")
        rows = select(*self._keys(table), *extra, amount, _hour(table))
        for place, (correction, used), row in self._sums(rows.where(self._where(table)), 2):
            yield Money(place, bool(correction), bool(used), _whole(*row))

    def _lacking(self) -> Iterator[Lacking]:
        table, price = self._table("charge"), self._table("price")
        unit = price.c.unit if "unit" in price.c else literal("hour")
        own = [table.c[name] == price.c[name] for name in OWN if name in price.c]
        extra = [
            case((self._used(table), 1), else_=0).label("used"),
            case((table.c.resource.like("gpu:%"), "gpu"), else_=table.c.resource).label("what"),
            func.coalesce(unit, "hour").label("unit"),
        ]
        amount = table.c.quantity.label("amount")
        columns: list[Any] = [*self._keys(table), *extra, amount, _hour(table)]
        rows = (
            select(*columns)
            .join_from(table, price, and_(table.c.price == price.c.id, *own), isouter=True)
            .where(self._where(table), table.c.pico.is_(None))
        )
        for place, (used, what, of), row in self._sums(rows, 3):
            yield Lacking(place, bool(used), what, of, _whole(*row) or 0)

    def _units(self) -> Iterator[Units]:
        table = self._table("unit_count")
        extra = [table.c.quantity.label("what"), table.c.label.label("of")]
        amount = table.c.micro.label("amount")
        rows = select(*self._keys(table), *extra, amount, _hour(table))
        for place, (what, of), row in self._sums(rows.where(self._where(table)), 2):
            yield Units(place, what, of, _whole(*row) or 0)

    def _sums(self, rows: Any, extra: int) -> Iterator[tuple[Place, Sequence[Any], Sequence[Any]]]:
        """Sums of `amount` by all columns before it: their place, the `extra` ones, and the sum.

        The rows are a query of their own: where columns are expressions with parameters,
        PostgreSQL would not see that they are what is grouped by.
        """
        inner = rows.subquery()
        keys = [column for column in inner.c if column.name not in ("amount", "at_hour")]
        sums = [*_in_two(inner.c.amount), func.min(inner.c.at_hour)]
        names = [column.name for column in keys[: len(keys) - extra]]
        found: Any = self._connection.execute(select(*keys, *sums).group_by(*keys))
        for row in found:
            values = dict(zip(names, row, strict=False))
            *_, high, low, first = row
            place = Place(str(values["workload"]), values, int(first))
            yield place, row[len(names) : len(keys)], (high, low)

    def _workloads(self) -> dict[str, Known]:
        """By name; where several hosts know one, as the host says it that was charged last."""
        table = self._table("workload")
        query = select(table.c.name, table.c.kind, table.c.owner).order_by(
            table.c.last_charged_ns, table.c.owner
        )
        return {row.name: Known(row.kind, row.owner) for row in self._connection.execute(query)}

    def _epochs(self) -> Iterator[Part]:
        """The parts of epochs that ended in the time asked for."""
        table, asked = self._table("epoch_part"), self._question
        first = 0 if asked.from_hour is None else asked.from_hour * NS_PER_HOUR
        query = select(table).where(table.c.at_ns >= first)
        if asked.to_hour is not None:
            query = query.where(table.c.at_ns < asked.to_hour * NS_PER_HOUR)
        if asked.hosts and "host" in table.c:
            query = query.where(table.c.host.in_(sorted(asked.hosts)))
        found: Any = self._connection.execute(query)
        for row in found:
            cost = None if row.pico is None else Cost(row.pico, row.used_pico)
            yield Part(
                row.workload,
                row.run,
                EpochPart(
                    str(getattr(row, "host", "")),
                    row.attempt,
                    row.since_epoch,
                    row.epoch,
                    row.at_ns,
                    row.hosts,
                    cost,
                ),
            )


def _in_two(column: ColumnElement[Any]) -> Sequence[ColumnElement[Any]]:
    """A sum in two parts, neither of which can pass 64 bits. Both have the sign of the number."""
    return func.sum(column // HALF), func.sum(column % HALF)


def _whole(high: Any, low: Any) -> int | None:
    return None if high is None else int(high) * HALF + int(low)


def _hour(table: Table) -> ColumnElement[Any]:
    return table.c.hour.label("at_hour")
