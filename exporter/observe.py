"""What all collectors said in a round, as one; and what is kept of those that said nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

from unitcost.collectors.base import Reading
from unitcost.exporter.gathering.gather import Gathered
from unitcost.exporter.settling.observed import Observed
from unitcost.pricing.container import Kubelet, Pod
from unitcost.pricing.sample import EpochMark, Subject

T = TypeVar("T")
Subjects = Mapping[str, tuple[Subject, ...]]
"""The subjects of each collector, by its name."""
Pods = Mapping[str, tuple[Pod, ...]]
"""The pods of each collector, by its name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlasts a collector's trouble: whose things are, and who was given which device."""

    subjects: Subjects = field(default_factory=dict)
    pods: Pods = field(default_factory=dict)
    kubelets: Mapping[str, Kubelet] = field(default_factory=dict)
    stale: bool = False


def kept_after(before: Kept, gathered: Gathered) -> Kept:
    """What is known now.

    The trouble of a collector must not take the processes and devices of running workloads from
    them: what it said last of subjects, pods and grants stays, the subjects as not answering. One
    that says there is nothing to read has none.
    """
    subjects: dict[str, tuple[Subject, ...]] = {}
    pods: dict[str, tuple[Pod, ...]] = {}
    kubelets: dict[str, Kubelet] = {}
    stale = False
    for name, state in gathered.states.items():
        reading = gathered.readings.get(name)
        if reading is not None:
            subjects[name] = reading.subjects
            pods[name] = reading.pods or ()
            if reading.kubelet is not None:
                kubelets[name] = reading.kubelet
        elif not state.up and name in before.subjects:
            subjects[name] = tuple(kept_silent(subject) for subject in before.subjects[name])
            pods[name] = before.pods[name]
            if name in before.kubelets:
                kubelets[name], stale = before.kubelets[name], True
    return Kept(subjects, pods, kubelets, stale)


def kept_silent(subject: Subject) -> Subject:
    """A subject whose collector fails: all that is left is whose it is."""
    return replace(subject, up=False, ready=None, running=None)


def observed_of(
    readings: Mapping[str, Reading], kept: Kept
) -> tuple[Observed, tuple[EpochMark, ...]]:
    """All collectors' readings as one, with what is known of subjects, pods and grants."""
    each = list(readings.values())
    observed = Observed(
        samples=_all(reading.samples for reading in each),
        subjects=_all(kept.subjects.values()),
        processes=_all(reading.processes for reading in each),
        listeners=_all(reading.listeners for reading in each),
        devices=_all_known(reading.devices for reading in each),
        meters=_all(reading.meters for reading in each),
        kubelet=next(iter(kept.kubelets.values()), None),
        pods=_all(kept.pods.values()),
        containers=_all_known(reading.containers for reading in each),
        stale=kept.stale,
    )
    return observed, _all(reading.marks for reading in each)


def _all(groups: Iterable[Sequence[T]]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(groups))


def _all_known(groups: Iterable[Sequence[T] | None]) -> tuple[T, ...] | None:
    """All of them; None where nobody spoke of any."""
    known = [group for group in groups if group is not None]
    return _all(known) if known else None
