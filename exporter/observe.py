"""What all collectors said in a round, as one; and what is kept of those that said nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from unitcost.collectors.base import Reading
from unitcost.exporter.gathering.gather import Gathered
from unitcost.exporter.settling.holding import Observed
from unitcost.pricing.sample import EpochMark, Subject

Subjects = Mapping[str, tuple[Subject, ...]]
"""The subjects of each collector, by its name."""


def subjects_after(before: Subjects, gathered: Gathered) -> Subjects:
    """The subjects that are known now.

    Those of a collector that fails stay, not answering: its trouble must not take the processes
    of running workloads from them. One that says there is nothing to read has none.
    """
    found: dict[str, tuple[Subject, ...]] = {}
    for name, state in gathered.states.items():
        reading = gathered.readings.get(name)
        if reading is not None:
            found[name] = reading.subjects
        elif not state.up and name in before:
            found[name] = tuple(kept_silent(subject) for subject in before[name])
    return found


def kept_silent(subject: Subject) -> Subject:
    """A subject whose collector fails: all that is left is whose it is."""
    return replace(subject, up=False, ready=None, running=None)


def observed_of(
    readings: Mapping[str, Reading], subjects: Subjects
) -> tuple[Observed, tuple[EpochMark, ...]]:
    """All collectors' readings as one, with the subjects given."""
    each = list(readings.values())
    observed = Observed(
        samples=tuple(sample for reading in each for sample in reading.samples),
        subjects=tuple(_all(subjects.values())),
        processes=tuple(process for reading in each for process in reading.processes),
        listeners=tuple(listener for reading in each for listener in reading.listeners),
    )
    return observed, tuple(mark for reading in each for mark in reading.marks)


def _all(groups: Iterable[tuple[Subject, ...]]) -> Iterable[Subject]:
    return (subject for group in groups for subject in group)
