"""Acme's batch engine: it writes what it has done so far into a small JSON file."""

import time
from typing import Annotated

import msgspec

from unitcost.collectors.base import Context, NoData, Reading
from unitcost.pricing.sample import Outcome, Quantity, Sample, Subject, TokenType
from unitcost.pricing.workload import WorkloadKind, clean_name

MAX_BYTES = 4096

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path`: the engine's state file; without one there is nothing to read.

    `workload`: the name under which its requests are counted.
    """

    path: str = ""
    workload: str = "acme"


class State(msgspec.Struct, frozen=True):
    """The file. All numbers count from the engine's start; `engine` changes with each."""

    engine: str
    model: str
    succeeded: Count
    failed: Count
    output_tokens: Count


class AcmeBatch:
    """Reads the file at each tick."""

    name = "acme_batch"

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, deadline: float) -> Reading:
        """Read the file. Raises NoData where there is none, ValueError where it is junk."""
        if not self._options.path:
            raise NoData("no path is configured")
        try:
            with open(self._options.path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise NoData(f"there is no {self._options.path}") from None
        if len(data) > MAX_BYTES:
            raise ValueError(f"the file has more than {MAX_BYTES} bytes")
        return self._reading(msgspec.json.decode(data, type=State), time.monotonic_ns())

    def _reading(self, state: State, now_ns: int) -> Reading:
        """The engine as a subject, and its counters."""
        engine = Subject(
            id=f"acme:{self._options.path}",
            workload=self._options.workload,
            kind=WorkloadKind.INFERENCE,
            generation=clean_name(state.engine),
        )
        counted = (
            (Quantity.REQUESTS, Outcome.SUCCEEDED, state.succeeded),
            (Quantity.REQUESTS, Outcome.FAILED, state.failed),
            (Quantity.TOKENS, TokenType.OUTPUT, state.output_tokens),
        )
        model = clean_name(state.model)
        samples = tuple(
            Sample(engine.id, quantity, float(value), now_ns, label=label, model=model)
            for quantity, label, value in counted
        )
        return Reading(samples=samples, subjects=(engine,))


def make_collector(options: Options, context: Context) -> AcmeBatch:
    """Make the collector; it opens nothing before it collects."""
    return AcmeBatch(options)
