"""From an exposition to what a server's table says is in it: values by field, model and part."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec

from unitcost.collectors.page import exposition
from unitcost.collectors.page.exposition import Exposition, Sample
from unitcost.collectors.page.readout import (
    COUNTERS,
    FIELDS,
    NO_BIRTH,
    Birth,
    Field,
    Key,
    Readout,
    Value,
)
from unitcost.collectors.page.table_sums import Keyer, combined, differences, matching, sums_of
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import Kind, Outcome, Quantity

MAX_MODELS = 256
"""Most models of one server."""
MAX_KEYS = 1024
"""Most models times parts of one server."""
MAX_TENANT_KEYS = 2048
"""Most models times parts times tenants; what the others did is nobody's."""

_SUFFIXES = ("_total", "_sum", "_count")


class _Unusable(ValueError):
    """A field cannot be read this time; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A table made ready: which sample names it needs. `mark` is another for other ways to read."""

    table: ServerTable
    wanted: frozenset[str]
    created: frozenset[str]
    lagging: frozenset[Field]
    mark: str


def make_plan(table: ServerTable) -> Plan:
    """Make a table ready for reading."""
    counted = [s for field in FIELDS if field.kind is Kind.COUNTER for s in _series(table, field)]
    every = [series for field in FIELDS for series in _series(table, field)]
    names = {name for s in [*every, *table.start_time_seconds] for name in _names(s)}
    created = frozenset(f"{_family(series.metric)}_created" for series in counted)
    lagging = frozenset(f for f in FIELDS if any(s.when_idle for s in _series(table, f)))
    return Plan(table, frozenset(names - {""}), created, lagging, _mark(table))


def _mark(table: ServerTable) -> str:
    """The same for tables that find the same numbers, whatever else they say of the server."""
    found = {name: getattr(table, name) for name in table.fields()}
    what = (found, table.model_label, table.part_labels, table.lazy)
    return hashlib.blake2s(msgspec.json.encode(what), digest_size=8).hexdigest()


def _series(table: ServerTable, field: Field) -> tuple[Series, ...]:
    alternatives: tuple[Series, ...] = getattr(table, field.name)
    return alternatives


def _names(series: Series) -> tuple[str, ...]:
    return (series.metric, series.minus, *(term.metric for term in series.plus + series.less))


def _family(metric: str) -> str:
    for suffix in _SUFFIXES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix)
    return metric


def has_marker(body: bytes, table: ServerTable) -> bool:
    """Whether a sample, or a declaration of one, begins with one of the table's markers."""
    for marker in map(str.encode, table.marker):
        if body.startswith(marker) or b"\n" + marker in body or b"# TYPE " + marker in body:
            return True
    return False


def read_table(plan: Plan, body: bytes, tenant_label: str | None = None) -> Readout:
    """Read what the table names. Raises exposition.ExpositionError.

    `tenant_label`: also tell tenants apart by it; where it is empty, by the table's own.
    """
    found = exposition.read(body, plan.wanted)
    table = plan.table
    values: dict[Field, dict[Key, Value]] = {}
    unusable: dict[Field, str] = {}
    for field in FIELDS:
        try:
            field_values = _first(found, _series(table, field), Keyer(table))
        except _Unusable as error:
            unusable[field] = str(error)
        else:
            if field_values:
                values[field] = field_values
    declared = frozenset[Field]()
    if table.lazy:
        declared = frozenset(each for each in COUNTERS if _is_declared(body, table, each))
        _fill_zeros(values, unusable, table, declared)
    dropped = _limit(values)
    return Readout(
        values,
        unusable,
        _birth(plan, found, body),
        dropped,
        table.layer,
        declared,
        _by_tenant(found, table, values, tenant_label),
        plan.lagging,
        plan.mark,
        _tenant_label(table, tenant_label),
    )


def _by_tenant(
    found: Exposition, table: ServerTable, known: Iterable[Field], label: str | None
) -> dict[Field, dict[Key, Value]]:
    """The requests and tokens of each tenant, those of the first `MAX_TENANT_KEYS` keys."""
    label = _tenant_label(table, label)
    if not label:
        return {}
    keyer = Keyer(table, label)
    values: dict[Field, dict[Key, Value]] = {}
    kept: dict[Key, None] = {}
    for field in known:
        if field.quantity in (Quantity.TOKENS, Quantity.REQUESTS):
            each = _first(found, _series(table, field), keyer)
            kept.update(dict.fromkeys(key for key in each if key.tenant))
            values[field] = each
    allowed = set(islice(kept, MAX_TENANT_KEYS))
    return {
        field: {key: value for key, value in each.items() if key in allowed}
        for field, each in values.items()
    }


def _tenant_label(table: ServerTable, label: str | None) -> str:
    """The label that tells tenants apart; empty where they are not."""
    return "" if label is None else label or next(iter(table.tenant_labels), "")


def _first(found: Exposition, alternatives: Iterable[Series], keyer: Keyer) -> dict[Key, Value]:
    """The values of the first alternative that the exposition has. Raises _Unusable."""
    for series, samples in _present(found, alternatives):
        if series.plus or series.less:
            return combined(found, samples, series, keyer)
        if not series.minus:
            return sums_of(samples, series.scale, keyer)
        if series.minus in found.samples:
            return differences(samples, found.samples[series.minus], series, keyer)
    return {}


def _present(
    found: Exposition, alternatives: Iterable[Series]
) -> Iterator[tuple[Series, list[Sample]]]:
    """Alternatives with samples. One with a refused line ends it: the next may not fit on."""
    for series in alternatives:
        for name in _names(series):
            if name in found.rejected:
                raise _Unusable(f"{name}: {found.rejected[name]}")
        samples = matching(found, series)
        if samples:
            yield series, samples


def _fill_zeros(
    values: dict[Field, dict[Key, Value]],
    unusable: Mapping[Field, str],
    table: ServerTable,
    declared: Collection[Field],
) -> None:
    """A lazy server's counter that it declares, but has no series of yet, is zero.

    For which models, the other counters say; without any the server has served none.
    """
    counters = [field for field in COUNTERS if field not in unusable]
    keys = {key: None for field in counters for key in values.get(field, ())}
    if not keys and not table.model_label and not table.part_labels:
        keys = {Key("", ""): None}
    for field in counters:  # in their order, which a set does not keep
        if field in declared:
            known = values.setdefault(field, {})
            known.update((key, Value(0.0)) for key in keys if key not in known)
            if not known:
                del values[field]


def _is_declared(body: bytes, table: ServerTable, field: Field) -> bool:
    alternatives = _series(table, field)
    return any(
        not (series.minus or series.less) and _declares(body, series.metric)
        for series in alternatives
    )


def _declares(body: bytes, metric: str) -> bool:
    """Whether the text has a TYPE line for the family of this sample name."""
    for name in {metric, _family(metric)}:
        line = b"# TYPE " + name.encode() + b" "
        if body.startswith(line) or b"\n" + line in body:
            return True
    return False


def _limit(values: Mapping[Field, dict[Key, Value]]) -> bool:
    """Keep `MAX_KEYS` keys of `MAX_MODELS` models; says whether there were more.

    Those that served anything come first, then the oldest (the order of the text is that of their
    birth): a client can make up names of models that fail, but none that succeeds.
    """
    keys = dict.fromkeys(key for field_values in values.values() for key in field_values)
    if len(keys) <= MAX_KEYS and len({key.model for key in keys}) <= MAX_MODELS:
        return False
    served = {
        key
        for field, field_values in values.items()
        if field.quantity is Quantity.TOKENS or field.label == Outcome.SUCCEEDED
        for key, value in field_values.items()
        if value.value
    }
    in_order = sorted(keys, key=lambda item: item not in served)
    models = set(islice(dict.fromkeys(key.model for key in in_order), MAX_MODELS))
    kept = set(islice((key for key in in_order if key.model in models), MAX_KEYS))
    for key in keys.keys() - kept:
        for field_values in values.values():
            field_values.pop(key, None)
    return True


def _birth(plan: Plan, found: Exposition, body: bytes) -> Birth | None:
    """When the counters stood at zero: as the table says, else by their `_created` samples."""
    try:
        for series, samples in _present(found, plan.table.start_time_seconds):
            starts = {sample.value * series.scale for sample in samples}
            # Of several processes one may start anew alone: no mark of all of them.
            mark = f"start:{min(starts)!r}" if len(starts) == 1 else ""
            return Birth(min(starts), mark)
    except _Unusable:
        return None
    if b"_created" not in body:
        return NO_BIRTH
    created = exposition.read(body, plan.created)
    earliest = [sample.value for samples in created.samples.values() for sample in samples]
    if created.rejected:
        return None
    if not earliest:
        return NO_BIRTH
    # A lazy server's first series comes later than the counters' zero: no mark of a start.
    return Birth(min(earliest), "" if plan.table.lazy else f"created:{min(earliest)!r}")
