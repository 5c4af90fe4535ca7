"""From an exposition to what a server's table says is in it: values by field, model and part."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from unitcost.collectors import exposition
from unitcost.collectors.exposition import VALUE_LIMIT, Exposition, Sample
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import Kind, Outcome, Phase, Quantity, TokenType
from unitcost.pricing.workload import clean_name

MAX_KEYS = 256
"""Most models times parts of one server."""

_SUFFIXES = ("_total", "_sum", "_count")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `ServerTable` that becomes samples, and which."""

    name: str
    quantity: Quantity
    label: str = ""
    kind: Kind = Kind.COUNTER


FIELDS = (
    Field("requests_succeeded", Quantity.REQUESTS, Outcome.SUCCEEDED),
    Field("requests_failed", Quantity.REQUESTS, Outcome.FAILED),
    Field("requests_aborted", Quantity.REQUESTS, Outcome.ABORTED),
    Field("tokens_input", Quantity.TOKENS, TokenType.INPUT),
    Field("tokens_cached_input", Quantity.TOKENS, TokenType.CACHED_INPUT),
    Field("tokens_output", Quantity.TOKENS, TokenType.OUTPUT),
    Field("prefill_seconds", Quantity.PHASE_SECONDS, Phase.PREFILL),
    Field("decode_seconds", Quantity.PHASE_SECONDS, Phase.DECODE),
    Field("compute_seconds", Quantity.PHASE_SECONDS, Phase.COMPUTE),
    Field("request_seconds", Quantity.REQUEST_SECONDS),
    Field("requests_timed", Quantity.REQUESTS_TIMED),
    Field("failed_seconds", Quantity.OUTCOME_SECONDS, Outcome.FAILED),
    Field("aborted_seconds", Quantity.OUTCOME_SECONDS, Outcome.ABORTED),
    Field("failed_tokens", Quantity.OUTCOME_TOKENS, Outcome.FAILED),
    Field("aborted_tokens", Quantity.OUTCOME_TOKENS, Outcome.ABORTED),
    Field("requests_running", Quantity.REQUESTS_RUNNING, kind=Kind.GAUGE),
    Field("requests_waiting", Quantity.REQUESTS_WAITING, kind=Kind.GAUGE),
)


@dataclass(frozen=True, slots=True)
class Key:
    """Whose value it is: the model, and the replica or engine."""

    model: str
    part: str


@dataclass(frozen=True, slots=True)
class Value:
    """A value; `minuend` is what it was subtracted from, where it is a difference."""

    value: float
    minuend: float | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """When the counters stood at zero (Unix time, seconds), and a mark of that start.

    The mark changes whenever they start anew; it is empty where that cannot be told.
    """

    at: float | None
    mark: str


NO_BIRTH = Birth(None, "")


@dataclass(frozen=True, slots=True)
class Readout:
    """What a table found. A field that is in neither mapping is unknown: the server has none.

    `unusable` says for a field why it could not be used this time, though the server has it;
    `birth` is None where that holds for the birth. `dropped`: there were more than `MAX_KEYS`.
    """

    values: Mapping[Field, Mapping[Key, Value]]
    unusable: Mapping[Field, str]
    birth: Birth | None
    dropped: bool


class _Unusable(ValueError):
    """A field cannot be read this time; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A table made ready: which sample names it needs."""

    table: ServerTable
    wanted: frozenset[str]
    created: frozenset[str]


def make_plan(table: ServerTable) -> Plan:
    """Make a table ready for reading."""
    counted = [s for field in FIELDS if field.kind is Kind.COUNTER for s in _series(table, field)]
    every = [series for field in FIELDS for series in _series(table, field)]
    names = {name for s in [*every, *table.start_time_seconds] for name in (s.metric, s.minus)}
    created = frozenset(f"{_family(series.metric)}_created" for series in counted)
    return Plan(table, frozenset(names - {""}), created)


def _series(table: ServerTable, field: Field) -> tuple[Series, ...]:
    alternatives: tuple[Series, ...] = getattr(table, field.name)
    return alternatives


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


def read_table(plan: Plan, body: bytes) -> Readout:
    """Read what the table names. Raises exposition.ExpositionError."""
    found = exposition.read(body, plan.wanted)
    values: dict[Field, dict[Key, Value]] = {}
    unusable: dict[Field, str] = {}
    for field in FIELDS:
        try:
            field_values = _first(found, _series(plan.table, field), plan.table)
        except _Unusable as error:
            unusable[field] = str(error)
        else:
            if field_values:
                values[field] = field_values
    if plan.table.lazy:
        _fill_zeros(values, unusable, plan.table, body)
    dropped = _limit(values)
    return Readout(values, unusable, _birth(plan, found, body), dropped)


def _first(
    found: Exposition, alternatives: Iterable[Series], table: ServerTable
) -> dict[Key, Value]:
    """The values of the first alternative that the exposition has. Raises _Unusable."""
    for series, samples in _present(found, alternatives):
        if not series.minus:
            return _sums(samples, series.scale, table)
        if series.minus in found.samples:
            return _differences(samples, found.samples[series.minus], series, table)
    return {}


def _present(
    found: Exposition, alternatives: Iterable[Series]
) -> Iterator[tuple[Series, list[Sample]]]:
    """Alternatives with samples. One with a refused line ends it: the next may not fit on."""
    for series in alternatives:
        for name in (series.metric, series.minus):
            if name in found.rejected:
                raise _Unusable(f"{name}: {found.rejected[name]}")
        samples = [s for s in found.samples.get(series.metric, ()) if _matches(s, series)]
        if samples:
            yield series, samples


def _matches(sample: Sample, series: Series) -> bool:
    labels = sample.labels
    return all(
        _is_one_of(labels.get(name, ""), values) for name, values in series.labels.items()
    ) and not any(
        _is_one_of(labels.get(name, ""), values) for name, values in series.without.items()
    )


def _is_one_of(value: str, values: tuple[str, ...]) -> bool:
    return value in values or any(
        each.endswith("*") and value.startswith(each[:-1]) for each in values
    )


def _key(sample: Sample, table: ServerTable) -> Key:
    labels = sample.labels
    model = clean_name(labels.get(table.model_label, ""))
    return Key(model, clean_name(",".join(labels.get(name, "") for name in table.part_labels)))


def _sums(samples: Sequence[Sample], scale: float, table: ServerTable) -> dict[Key, Value]:
    sums: dict[Key, float] = {}
    for sample in samples:
        key = _key(sample, table)
        sums[key] = sums.get(key, 0.0) + sample.value * scale
    return {key: Value(value) for key, value in sums.items() if value < VALUE_LIMIT}


def _differences(
    samples: Sequence[Sample], subtracted: Iterable[Sample], series: Series, table: ServerTable
) -> dict[Key, Value]:
    """Minuend less what is subtracted. A key where that is below zero is unknown just now.

    It can be, because a server counts the two at different instants.
    """
    less = {frozenset(sample.labels.items()): sample.value for sample in subtracted}
    pairs = [(s, less.get(frozenset(s.labels.items()))) for s in samples]
    unknown = {_key(sample, table) for sample, other in pairs if other is None}
    sums: dict[Key, Value] = {}
    for sample, other in pairs:
        key = _key(sample, table)
        if other is not None and key not in unknown:
            before = sums.get(key, Value(0.0, 0.0))
            value = before.value + (sample.value - other) * series.scale
            sums[key] = Value(value, (before.minuend or 0.0) + sample.value * series.scale)
    return {key: value for key, value in sums.items() if 0 <= value.value < VALUE_LIMIT}


def _fill_zeros(
    values: dict[Field, dict[Key, Value]],
    unusable: Mapping[Field, str],
    table: ServerTable,
    body: bytes,
) -> None:
    """A lazy server's counter that it declares, but has no series of yet, is zero.

    For which models, the other counters say; without any the server has served none.
    """
    counters = [field for field in FIELDS if field.kind is Kind.COUNTER and field not in unusable]
    keys = {key: None for field in counters for key in values.get(field, ())}
    if not keys and not table.model_label and not table.part_labels:
        keys = {Key("", ""): None}
    for field in counters:
        alternatives = _series(table, field)
        if any(not series.minus and _declares(body, series.metric) for series in alternatives):
            known = values.setdefault(field, {})
            known.update((key, Value(0.0)) for key in keys if key not in known)
            if not known:
                del values[field]


def _declares(body: bytes, metric: str) -> bool:
    """Whether the text has a TYPE line for the family of this sample name."""
    for name in {metric, _family(metric)}:
        line = b"# TYPE " + name.encode() + b" "
        if body.startswith(line) or b"\n" + line in body:
            return True
    return False


def _limit(values: Mapping[Field, dict[Key, Value]]) -> bool:
    """Keep `MAX_KEYS` keys; says whether there were more.

    Those that served anything come first, then the oldest (the order of the text is that of their
    birth): a client can make up names of models that fail, but none that succeeds.
    """
    keys = dict.fromkeys(key for field_values in values.values() for key in field_values)
    if len(keys) <= MAX_KEYS:
        return False
    served = {
        key
        for field, field_values in values.items()
        if field.quantity is Quantity.TOKENS or field.label == Outcome.SUCCEEDED
        for key, value in field_values.items()
        if value.value
    }
    for key in sorted(keys, key=lambda item: item not in served)[MAX_KEYS:]:
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
