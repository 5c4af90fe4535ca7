"""Whether a server's table says what its server's metrics page means, by recordings of that page.

A recording from before and one from after requests that somebody counted prove more than a review:
which names are there, that nothing is counted twice, and that the differences are the truth.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import unitcost.collectors.servers
from unitcost.collectors.base import discover
from unitcost.collectors.page import exposition
from unitcost.collectors.page.readout import FIELDS, Field, Readout
from unitcost.collectors.page.table_reading import Plan, has_marker, make_plan, read_table
from unitcost.collectors.table_checks import table_faults
from unitcost.collectors.tables import ServerTable
from unitcost.exporter.conformance.report import Report, Violation
from unitcost.pricing.sample import Kind, Quantity

TOLERANCE = 1e-9
"""Of an expected difference, relative: that of floats, no more."""
MAX_SERIES = 2_000
"""So many series of a recording are looked at for being counted twice."""
FIELDS_BY_NAME: Mapping[str, Field] = {each.name: each for each in FIELDS}

_DISJOINT = (Quantity.REQUESTS, Quantity.TOKENS, Quantity.PHASE_SECONDS)
"""Quantities whose labels share nothing: each unit is in one of them."""
_DECLARATION = re.compile(rb"^# TYPE [^\n]*\n", re.MULTILINE)


def built_in_tables() -> dict[str, ServerTable]:
    """The tables of this package, by name."""
    found = discover(unitcost.collectors.servers, "SERVER")
    tables = [item.module.SERVER for item in found if item.module is not None]
    return {table.name: table for table in tables}


def check_server(
    table: ServerTable,
    before: bytes = b"",
    after: bytes = b"",
    expected: Mapping[str, float] | None = None,
    *,
    name: str = "",
    others: Iterable[ServerTable] | None = None,
) -> Report:
    """Check a table, and by recordings of its server's page, if there are, what it reads.

    `before` and `after`: the page as it was served, before and after some requests. `expected`: by
    how much each field (such as ``requests_succeeded``) rose between them, all models together, as
    the client counted it. `name`: what it must be called, that of its entry point. `others`: tables
    that must not take its page for theirs; the built-in ones where it is None.
    """
    name = name or table.name
    others = built_in_tables().values() if others is None else others
    violations = list(_static(table, name))
    notes: list[str] = []
    if not table.marker:
        notes.append("it has no marker: its endpoints must name it by server:")
    if not violations and after:
        violations += _recognised(table, after, [each for each in others if each.name != name])
        try:
            recording = _Recording.of(make_plan(table), before, after)
            violations += recording.violations(expected or {})
            notes += recording.notes(expected or {})
        except exposition.ExpositionError as error:
            violations.append(Violation("page", str(error)))
    elif not after:
        notes.append("no recording of its page was given: what it reads is not proven")
    return Report(f"server {name}", tuple(dict.fromkeys(violations)), tuple(notes))


def _static(table: ServerTable, name: str) -> Iterator[Violation]:
    for place, problem in table_faults(name, table):
        yield Violation("table", ": ".join((*map(str, place), problem)))


def _recognised(
    table: ServerTable, body: bytes, others: Iterable[ServerTable]
) -> Iterator[Violation]:
    if table.marker and not has_marker(body, table):
        yield Violation("marker", f"no name on the page begins with {', '.join(table.marker)}")
    for other in others:
        if has_marker(body, other) and table.name not in other.yields_to:
            what = "is taken instead" if other.name in table.yields_to else "claims the page too"
            detail = f"the table {other.name} {what}: server: auto cannot mean this one"
            yield Violation("marker", detail)


@dataclass(frozen=True, slots=True)
class _Recording:
    """A page before and after, and what the table finds in both."""

    plan: Plan
    bodies: tuple[bytes, bytes]
    first: Readout
    last: Readout

    @classmethod
    def of(cls, plan: Plan, before: bytes, after: bytes) -> "_Recording":
        """Read both pages. Raises exposition.ExpositionError for none at all."""
        return cls(plan, (before, after), read_table(plan, before), read_table(plan, after))

    def violations(self, expected: Mapping[str, float]) -> Iterator[Violation]:
        """What is wrong with what was read."""
        for readout in (self.first, self.last):
            for field, reason in readout.unusable.items():
                yield Violation("page", f"{field.name} cannot be read: {reason}")
            if readout.dropped:
                yield Violation("bounds", "more models and parts than are kept")
        yield from self._falls()
        yield from self._models()
        yield from counted_twice(self.plan, self.bodies[1])
        for name, wanted in expected.items():
            yield from self._difference(name, wanted)

    def notes(self, expected: Mapping[str, float]) -> Iterator[str]:
        """What the recordings do not prove."""
        unseen = sorted(self.plan.wanted - self._seen())
        if unseen:
            yield f"in neither recording: {', '.join(unseen)}"
        risen = {field.name for field in FIELDS if self.grown(field)}
        if unproven := sorted(risen - expected.keys()):
            yield f"rose, and was not compared with what a client counted: {', '.join(unproven)}"

    def _seen(self) -> set[str]:
        found = [exposition.read(body, self.plan.wanted) for body in self.bodies]
        return {name for each in found for name in (*each.samples, *each.rejected)}

    def grown(self, field: Field) -> float | None:
        """By how much a counter rose, all models and parts together; None where there is none.

        What is not there before has counted nothing yet.
        """
        if field.kind is not Kind.COUNTER or field not in self.last.values:
            return None
        before = sum(value.value for value in self.first.values.get(field, {}).values())
        return sum(value.value for value in self.last.values[field].values()) - before

    def _falls(self) -> Iterator[Violation]:
        for field, values in self.first.values.items():
            after = self.last.values.get(field, {})
            for key, value in values.items():
                if field.kind is Kind.COUNTER and key in after and after[key].value < value.value:
                    detail = f"{field.name} fell from {value.value:g} to {after[key].value:g}"
                    yield Violation("counter.falls", f"{detail}: a gauge, or a restarted server")
        if not any(self.grown(field) for field in FIELDS):
            yield Violation("counter", "no counter rose from the first recording to the second")

    def _models(self) -> Iterator[Violation]:
        """A label that no series has is misspelt."""
        label = self.plan.table.model_label
        keys = {key for values in self.last.values.values() for key in values}
        if label and keys and not any(key.model for key in keys):
            yield Violation("model_label", f"no series has a label {label}")

    def _difference(self, name: str, wanted: float) -> Iterator[Violation]:
        field = FIELDS_BY_NAME.get(name)
        if field is None:
            known = ", ".join(FIELDS_BY_NAME)
            yield Violation("expected", f"{name[:60]!r} is no field, expected one of {known}")
            return
        grown = self.grown(field)
        if grown is None:
            yield Violation("expected", f"{name} is not read; the client counted {wanted:g}")
        elif abs(grown - wanted) > TOLERANCE * max(abs(wanted), 1.0):
            yield Violation("expected", f"{name} rose by {grown:g}; the client counted {wanted:g}")


def counted_twice(plan: Plan, body: bytes) -> Iterator[Violation]:
    """Series that are in two fields of which no unit may be in both.

    Found by trial: where one more in a series raises two such fields, it is counted in both.
    """
    found = exposition.read(body, plan.wanted)
    declared = b"".join(_DECLARATION.findall(body))
    samples = [sample for each in found.samples.values() for sample in each][:MAX_SERIES]
    lines = [_line(sample, sample.value) for sample in samples]
    before = _totals(read_table(plan, declared + b"".join(lines)))
    for index, sample in enumerate(samples):
        raised = [*lines]
        raised[index] = _line(sample, sample.value + 1)
        after = _totals(read_table(plan, declared + b"".join(raised)))
        grown = [field for field in FIELDS if after.get(field, 0) > before.get(field, 0)]
        for quantity, fields in groupby(grown, lambda field: field.quantity):
            names = [field.name for field in fields]
            if quantity in _DISJOINT and len(names) > 1:
                yield Violation("disjoint", f"{sample.name} is counted in {' and '.join(names)}")


def _totals(readout: Readout) -> dict[Field, float]:
    return {
        field: sum(value.value for value in values.values())
        for field, values in readout.values.items()
        if field.kind is Kind.COUNTER
    }


def _line(sample: exposition.Sample, value: float) -> bytes:
    escaped = (
        (name, text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
        for name, text in sample.labels.items()
    )
    labels = ",".join(f'{name}="{text}"' for name, text in escaped)
    text = f"{sample.name}{{{labels}}} {value!r}\n" if labels else f"{sample.name} {value!r}\n"
    return text.encode("utf-8", "surrogateescape")
