"""What grew between two readings of a server, in words short enough to be worked out by hand."""

from tests.collectors.raw_server import capture
from tests.collectors.reading import read_once
from unitcost.collectors.base import Reading
from unitcost.pricing.sample import Kind, Quantity, Sample

_WORDS = {
    Quantity.REQUEST_SECONDS: "seconds",
    Quantity.REQUESTS_TIMED: "timed",
    Quantity.REQUESTS_RUNNING: "running",
    Quantity.REQUESTS_WAITING: "waiting",
}

Growth = dict[str, dict[str, float]]
"""By ``model`` or ``model/part``: how much each counter grew, and what each gauge is at the end."""


def grown(name: str, server: str = "auto") -> Growth:
    """What is read in the second of two synthetic captures, and was not yet in the first."""
    before, after = (
        read_once(capture(f"{name}.{when}.synthetic"), server=server)
        for when in ("before", "after")
    )
    assert after.problems == ()
    return _difference(before, after)


def _difference(before: Reading, after: Reading) -> Growth:
    first = {_key(sample): sample.value for sample in before.samples}
    found: Growth = {}
    for sample in after.samples:
        counter = sample.kind is Kind.COUNTER
        value = sample.value - first.get(_key(sample), 0.0) if counter else sample.value
        whose = f"{sample.model}/{sample.part}" if sample.part else sample.model
        found.setdefault(whose, {})[_word(sample)] = round(value, 9)
    return found


def _key(sample: Sample) -> tuple[str, ...]:
    return sample.quantity, sample.label, sample.model, sample.part


def _word(sample: Sample) -> str:
    end = "_seconds" if sample.quantity is Quantity.OUTCOME_SECONDS else ""
    return _WORDS.get(sample.quantity, f"{sample.label}{end}")
