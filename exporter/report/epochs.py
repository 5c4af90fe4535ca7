"""Epochs in a report: what each cost over all hosts of its run, once all of them have closed it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from unitcost.exporter.report.facts import Part
from unitcost.exporter.report.question import Dimension
from unitcost.pricing.fleet_runs import EpochPart, joined

WHOLE = "whole"
UNKNOWN = "unknown: not all of it was metered and priced"
OUTSIDE = "not in these epochs"
"""Of what a run was charged beside the epochs shown: the present one, attempts cut short."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of one attempt, over all hosts. `pico` is None unless it is whole and known."""

    workload: str
    run: str
    attempt: int
    name: str
    pico: int | None
    status: str

    def value(self, dimension: Dimension) -> str:
        """What a row of it has in a column."""
        named: Mapping[Dimension, str] = {
            Dimension.WORKLOAD: self.workload,
            Dimension.RUN: self.run,
            Dimension.ATTEMPT: str(self.attempt),
            Dimension.EPOCH: self.name,
        }
        return named[dimension]


def epochs(parts: Iterable[Part]) -> Iterator[Epoch]:
    """Of each run: those that all of its hosts have closed, then those that some have."""
    runs: dict[tuple[str, str], list[EpochPart]] = {}
    for each in parts:
        runs.setdefault((each.workload, each.run), []).append(each.part)
    for (workload, run), own in sorted(runs.items()):
        closed: dict[int, float] = {}
        for epoch in joined(own):
            closed[epoch.attempt] = epoch.epoch
            pico = None if epoch.cost is None else epoch.cost.pico
            name = _name(epoch.since_epoch, epoch.epoch)
            status = UNKNOWN if pico is None else WHOLE
            yield Epoch(workload, run, epoch.attempt, name, pico, status)
        for attempt, number, there, hosts in _open(own, closed):
            status = f"incomplete: {there} of {hosts} hosts"
            yield Epoch(workload, run, attempt, f"{number:g}", None, status)


def _open(
    parts: Iterable[EpochPart], closed: Mapping[int, float]
) -> Iterator[tuple[int, float, int, int]]:
    """Epochs not closed by all hosts: the attempt, the epoch, and on how many hosts of how many."""
    found: dict[tuple[int, float], list[EpochPart]] = {}
    for part in parts:
        if part.epoch > closed.get(part.attempt, -1.0):
            found.setdefault((part.attempt, part.epoch), []).append(part)
    for (attempt, epoch), own in sorted(found.items()):
        yield attempt, epoch, len({part.host for part in own}), max(part.hosts for part in own)


def _name(since: float, epoch: float) -> str:
    """An epoch's number; where one mark closes several, the first and the last."""
    return f"{epoch:g}" if epoch - since <= 1 else f"{since + 1:g}-{epoch:g}"
