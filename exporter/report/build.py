"""A report's rows, made of what a ledger says; and the proof that nothing is missing in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from unitcost.exporter.report.epochs import WHOLE, epochs
from unitcost.exporter.report.facts import Facts, Known, Lacking, Money, Place
from unitcost.exporter.report.question import TIMES, WHOSE, Dimension, Question, time_text
from unitcost.exporter.report.units import Counted, counted_of
from unitcost.pricing.money import to_usd
from unitcost.pricing.unit_cost import Basis
from unitcost.pricing.workload import OVERFLOW, RESERVED

WORKLOADS = "workloads"
"""Held by: whoever is a workload, and counted on with ``--basis used`` if it was busy."""
NOT_USED = "__not_used__"
"""Held by workloads that did nothing with it; a line of its own with ``--basis used``."""
CORRECTION = "Correction"
"""FOCUS's ChargeClass of rows that a price learnt late brought about; else it is null."""
_DIGITS = Decimal(1).scaleb(-12)
MICRO_HOURS = Decimal(3600 * 10**6)
UNPRICED = ("gpu_hours", "core_hours", "gib_hours", "host_hours", "kwh")
"""What may lack a price. GPUs, cores, GiB and whole hosts by the hour, of each component."""
_MEASURES = {"gpu": "gpu_hours", "cpu": "core_hours", "memory": "gib_hours"}


@dataclass(frozen=True, slots=True)
class RowKey:
    """What tells a row from the others: values of the dimensions, by whom held, which class."""

    values: tuple[str, ...]
    held_by: str
    charge_class: str = ""


@dataclass(slots=True)
class Row:
    """One row. `pico` is None where nothing in it is priced; `names`: workloads in it."""

    key: RowKey
    pico: int | None = None
    unpriced: dict[str, int] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    first_hour: int | None = None
    units: Counted | None = None
    unit_usd: dict[str, Decimal] = field(default_factory=dict)
    note: str = ""

    def add(self, pico: int | None) -> None:
        """Add what is priced."""
        if pico is not None:
            self.pico = (self.pico or 0) + pico

    @property
    def usd(self) -> Decimal | None:
        """Exact dollars."""
        return None if self.pico is None else to_usd(self.pico)

    def unpriced_amounts(self) -> dict[str, Decimal]:
        """Hours and kWh without a price; those that there are."""
        return {
            name: (Decimal(quantity) / MICRO_HOURS).quantize(_DIGITS)
            for name, quantity in self.unpriced.items()
            if quantity
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in order, and the proof: rows + what filters left out = what the hosts accrued."""

    question: Question
    rows: tuple[Row, ...]
    left_out: int
    accrued: int
    hours: tuple[int, int] | None
    hosts: int
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Pico-dollars of all rows."""
        return sum(row.pico or 0 for row in self.rows)

    @property
    def missing(self) -> int:
        """By how many pico-dollars the accruals exceed the rows; 0, or something is broken."""
        return self.accrued - self.total - self.left_out


class Builder:
    """Puts each sum of the ledger into its row."""

    def __init__(self, question: Question, facts: Facts, owners: Mapping[str, str]) -> None:
        self._question, self._facts, self._owners = question, facts, owners
        self.rows: dict[RowKey, Row] = {}
        self.left_out = 0
        self._times: dict[tuple[Dimension, int], str] = {}

    def build(self) -> Report:
        """The report."""
        for money in self._facts.money:
            self._enter(money)
        for lacking in self._facts.lacking:
            self._lack(lacking)
        self._close_epochs()
        self._count()
        order = sorted(self.rows, key=_order)
        facts = self._facts
        return Report(
            self._question,
            tuple(self.rows[key] for key in order),
            self.left_out,
            facts.accrued,
            facts.hours,
            facts.hosts,
            tuple(self._notes()),
        )

    def _enter(self, money: Money) -> None:
        if not self._wanted(money.place):
            self.left_out += money.pico or 0
            return
        if money.correction and money.pico is None:
            return
        row = self._row(money.place, money.used, CORRECTION if money.correction else "")
        row.add(money.pico)
        row.names.add(money.place.workload)
        first = money.place.hour
        row.first_hour = first if row.first_hour is None else min(row.first_hour, first)

    def _lack(self, lacking: Lacking) -> None:
        if self._wanted(lacking.place):
            row = self._row(lacking.place, lacking.used, "")
            named = _MEASURES.get(lacking.resource, "host_hours")
            what = "kwh" if lacking.unit == "kwh" else named
            row.unpriced[what] = row.unpriced.get(what, 0) + lacking.quantity

    def _row(self, place: Place, used: bool, charge_class: str) -> Row:
        held_by = held_by_of(place.workload)
        if held_by == WORKLOADS and not used:
            held_by = NOT_USED
        values = tuple(self._value(each, place, held_by) for each in self._question.by)
        key = RowKey(values, held_by, charge_class)
        return self.rows.setdefault(key, Row(key))

    def _value(self, dimension: Dimension, place: Place, held_by: str) -> str:
        if dimension in TIMES:
            return self._time(dimension, place.hour)
        if dimension in WHOSE and held_by == NOT_USED:
            return held_by if dimension is Dimension.WORKLOAD else ""
        if dimension is Dimension.WORKLOAD:
            return place.workload
        if dimension is Dimension.OWNER:
            return self.owner_of(place.workload)
        if dimension is Dimension.KIND:
            return "" if held_by != WORKLOADS else self._known(place.workload).kind
        if dimension is Dimension.EPOCH:
            return ""
        value = str(place.values[dimension.value])
        return "" if dimension is Dimension.ATTEMPT and not place.values.get("run") else value

    def _time(self, dimension: Dimension, hour: int) -> str:
        key = (dimension, hour)
        if key not in self._times:
            self._times[key] = time_text(dimension, hour, self._question.zone)
        return self._times[key]

    def _known(self, workload: str) -> Known:
        return self._facts.workloads.get(workload, Known())

    def owner_of(self, workload: str) -> str:
        """As the ledger knows it, else as the configuration has it, else empty: not known."""
        if workload in RESERVED:
            return ""
        return self._known(workload).owner or self._owners.get(workload, "")

    def _wanted(self, place: Place) -> bool:
        asked = self._question
        if asked.workloads and place.workload not in asked.workloads:
            return False
        return not asked.owners or (
            place.workload not in RESERVED and self.owner_of(place.workload) in asked.owners
        )

    def _count(self) -> None:
        """Units beside the cost of those who counted them; what a unit cost where that is whole.

        It is where all that a row sums up is of workloads that count this unit, on every host on
        which they cost anything if hosts are told apart, and from the row's first hour on.
        """
        found: dict[RowKey, Counted] = {}
        for units in self._facts.units:
            if self._wanted(units.place) and held_by_of(units.place.workload) == WORKLOADS:
                values = tuple(
                    self._value(each, units.place, WORKLOADS) for each in self._question.by
                )
                found.setdefault(RowKey(values, WORKLOADS), Counted()).add(units)
        split = self._split_over_hosts()
        for key, counted in found.items():
            if key in self.rows or any(counted.micro.values()):
                row = self.rows.setdefault(key, Row(key))
                row.units = counted
                self._divide(row, counted, split)

    def _divide(self, row: Row, counted: Counted, split: frozenset[str]) -> None:
        """What units cost at the prices known now: corrections are in it."""
        correction = self.rows.get(replace(row.key, charge_class=CORRECTION))
        both = [each for each in (row, correction) if each is not None and each.pico is not None]
        if both and not row.unpriced_amounts() and self._knows(row):
            names = set[str]().union(*(each.names for each in both))
            row.unit_usd = counted.costs(sum(each.pico or 0 for each in both), names, split)

    def _close_epochs(self) -> None:
        """Take whole epochs out of what their runs were charged, each as a row of its own."""
        by = self._question.by
        for epoch in epochs(self._facts.epochs):
            if not self._wanted(Place(epoch.workload, {})):
                continue
            values = tuple(epoch.value(each) for each in by)
            row = self._epoch_row(RowKey(values, held_by_of(epoch.workload)))
            row.note = epoch.status if row.note in ("", WHOLE) else row.note
            if epoch.pico is None:
                continue
            rest = tuple("" if each is Dimension.EPOCH else epoch.value(each) for each in by)
            self._epoch_row(RowKey(rest, row.key.held_by)).add(-epoch.pico)
            row.add(epoch.pico)

    def _epoch_row(self, key: RowKey) -> Row:
        return self.rows.setdefault(key, Row(key))

    def _knows(self, row: Row) -> bool:
        since = self._facts.units_since
        return since is None or (row.first_hour is not None and row.first_hour > since)

    def _split_over_hosts(self) -> frozenset[str]:
        """Workloads that cost something on a host where they count nothing: groups over hosts.

        Only where hosts are told apart; what the units of such a group cost no single host tells.
        """
        if Dimension.HOST not in self._question.by:
            return frozenset()
        charged = {(m.place.workload, m.place.values["host"]) for m in self._facts.money}
        counted = counted_of(self._facts.units)
        return frozenset(workload for workload, host in charged if (workload, host) not in counted)

    def _notes(self) -> Iterable[str]:
        if self._question.basis is Basis.USED:
            yield "used: of workloads that nothing tells busy from idle, all that they held"
        if any(row.units for row in self.rows.values()) and not all(
            self._knows(row) for row in self.rows.values() if row.units
        ):
            yield "what units cost is told from the day on on which the ledger began to keep them"


def held_by_of(workload: str) -> str:
    """Who holds it: workloads, those beyond their cap included, or one of the reserved names."""
    return workload if workload in RESERVED and workload != OVERFLOW else WORKLOADS


def _order(key: RowKey) -> tuple[bool, tuple[str, ...], str, str]:
    """Workloads first, by the dimensions; the lines of their own after them."""
    return (key.held_by != WORKLOADS, key.values, key.held_by, key.charge_class)
