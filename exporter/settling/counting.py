"""Units in a tick: what counters say was done, and since when they can be believed."""

from collections.abc import Sequence
from dataclasses import replace

from unitcost.exporter.settling.holding import Observed
from unitcost.exporter.settling.state import State
from unitcost.pricing.sample import NS_PER_SECOND, Sample, Subject
from unitcost.pricing.timeline import Advance, ClockReading, Cover
from unitcost.pricing.unit_points import forget
from unitcost.pricing.units import Count, count
from unitcost.pricing.workload import WorkloadKind

DAY_NS = 24 * 3600 * NS_PER_SECOND
BIRTH_LIMIT_NS = DAY_NS
"""A birth longer ago proves nothing: its counters' points may have been forgotten."""
FORGET_AFTER_NS = 2 * DAY_NS


def count_units(
    state: State, observed: Observed, since_ns: int, clock: ClockReading, unbilled: frozenset[str]
) -> Count:
    """Count what was done since the last tick; of `unbilled` subjects the counters only go on.

    `since_ns`: since when we meter without a break.
    """
    proven = max(since_ns, clock.wall_ns - BIRTH_LIMIT_NS)
    samples: Sequence[Sample] = [s for s in observed.samples if s.subject != "host"]
    counted = count(state.meter, observed.subjects, samples, proven, clock, unbilled)
    keep = {subject.id for subject in observed.subjects}
    meter = forget(counted.meter, keep, clock.boot_ns - FORGET_AFTER_NS)
    return replace(counted, meter=meter)


def is_there(subject: Subject) -> bool:
    """Whether a workload lives, though it may hold nothing of this host.

    The state file of a training process is there long after its end.
    """
    over = subject.kind is WorkloadKind.TRAINING and subject.running is False
    return subject.up and not over


def metered_since(state: State, step: Advance) -> int:
    """Since when we have been metering without a break; Unix nanoseconds."""
    if state.position is None:
        return step.position.at_ns
    broken = [each.period.end_ns for each in step.intervals if each.cover is not Cover.METERED]
    if step.step_ns:
        # Births from before the wall clock was set lie anywhere on it: they prove nothing.
        broken.append(step.position.at_ns)
    return max([state.metered_since_ns, *broken])
