"""Sums of samples by whose they are, added to and subtracted from one another as a table says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unitcost.collectors.page.exposition import VALUE_LIMIT, Exposition, Sample
from unitcost.collectors.page.readout import Key, Value
from unitcost.collectors.tables import Series, ServerTable, Term
from unitcost.pricing.workload import clean_name


def matching(found: Exposition, term: Term) -> list[Sample]:
    """The samples of a name whose labels are as asked for, in the order of the text."""
    return [s for s in found.samples.get(term.metric, ()) if _matches(s, term)]


def _matches(sample: Sample, term: Term) -> bool:
    labels = sample.labels
    return all(
        _is_one_of(labels.get(name, ""), values) for name, values in term.labels.items()
    ) and not any(_is_one_of(labels.get(name, ""), values) for name, values in term.without.items())


def _is_one_of(value: str, values: tuple[str, ...]) -> bool:
    return value in values or any(
        each.endswith("*") and value.startswith(each[:-1]) for each in values
    )


@dataclass(frozen=True, slots=True)
class Keyer:
    """Says whose a sample is."""

    table: ServerTable
    tenant_label: str = ""

    def key(self, sample: Sample) -> Key:
        """Its model, part and tenant."""
        labels, table = sample.labels, self.table
        model = clean_name(labels.get(table.model_label, ""))
        parts = [labels.get(name, "") for name in table.part_labels]
        part = clean_name(",".join(parts)) if any(parts) else ""
        return Key(model, part, labels.get(self.tenant_label, "") if self.tenant_label else "")


def sums_of(samples: Sequence[Sample], scale: float, keyer: Keyer) -> dict[Key, Value]:
    """The sum for each key; a key whose sum no float can count exactly is left out."""
    sums: dict[Key, float] = {}
    for sample in samples:
        key = keyer.key(sample)
        sums[key] = sums.get(key, 0.0) + sample.value * scale
    return {key: Value(value) for key, value in sums.items() if value < VALUE_LIMIT}


def combined(
    found: Exposition, samples: Sequence[Sample], series: Series, keyer: Keyer
) -> dict[Key, Value]:
    """The sums of a series with others added, less others, by key; unknown where negative."""
    sums = {key: each.value for key, each in sums_of(samples, series.scale, keyer).items()}
    for term in series.plus:
        for key, each in sums_of(matching(found, term), term.scale, keyer).items():
            sums[key] = sums.get(key, 0.0) + each.value
    if not series.less:
        return {key: Value(value) for key, value in sums.items() if value < VALUE_LIMIT}
    values = {key: Value(value, value) for key, value in sums.items()}
    for term in series.less:
        for key, each in sums_of(matching(found, term), term.scale, keyer).items():
            if key in values:
                values[key] = Value(values[key].value - each.value, values[key].minuend)
    return {key: value for key, value in values.items() if 0 <= value.value < VALUE_LIMIT}


def differences(
    samples: Sequence[Sample], subtracted: Iterable[Sample], series: Series, keyer: Keyer
) -> dict[Key, Value]:
    """Minuend less what is subtracted. A key where that is below zero is unknown just now.

    It can be, because a server counts the two at different instants.
    """
    less = {frozenset(sample.labels.items()): sample.value for sample in subtracted}
    pairs = [(s, less.get(frozenset(s.labels.items()))) for s in samples]
    unknown = {keyer.key(sample) for sample, other in pairs if other is None}
    sums: dict[Key, Value] = {}
    for sample, other in pairs:
        key = keyer.key(sample)
        if other is not None and key not in unknown:
            before = sums.get(key, Value(0.0, 0.0))
            value = before.value + (sample.value - other) * series.scale
            sums[key] = Value(value, (before.minuend or 0.0) + sample.value * series.scale)
    return {key: value for key, value in sums.items() if 0 <= value.value < VALUE_LIMIT}
