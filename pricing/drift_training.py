"""Drift of training: what a step costs more than it used to, by the same identity (`drift.py`).

    Cost/S = Cost/H · W/S · H/(A+I) · (A+I)/A · A/W
           = price  · mix · loading · idle    · speed

S are steps; where none are counted, samples or tokens. W is the work in them: tokens, else samples,
else the steps themselves, and then there is no mix. A step does not fail: `failures` is 1. So sums
of training are brought into the form of sums of requests, and are then judged as these are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import Limit, WatchRules, default_limits

LEAST_STEPS = 10
"""Fewer in ten minutes prove nothing: a step more or less is a tenth of them."""


class TrainedUnit(StrEnum):
    """What the cost is of: the first that is counted, now and in the baseline."""

    STEP = "step"
    SAMPLE = "sample"
    TOKEN = "token"  # noqa: S105 - a unit of text, not a secret


@dataclass(frozen=True, slots=True)
class Trained:
    """In what a training is counted: its unit, and the work in one; None where all are alike."""

    unit: TrainedUnit
    work: TrainedUnit | None = None


def counted(sums: Sums) -> Mapping[TrainedUnit, int]:
    """What sums of training hold: steps as requests are held, tokens as input, samples as output.

    So they need no form of their own in a ledger.
    """
    return {
        TrainedUnit.STEP: sums.succeeded,
        TrainedUnit.SAMPLE: sums.output,
        TrainedUnit.TOKEN: sums.input,
    }


def trained(now: Sums, baseline: Sums) -> Trained | None:
    """In what the present and the baseline can be compared; None where they have nothing alike."""
    ours, theirs = counted(now), counted(baseline)
    both = [unit for unit in TrainedUnit if ours[unit] > 0 and theirs[unit] > 0]
    if not both:
        return None
    return Trained(both[0], both[-1] if len(both) > 1 else None)


def as_requests(sums: Sums, by: Trained) -> Sums:
    """The sums with units in the place of requests, and their work in that of input tokens."""
    found = counted(sums)
    done = found[by.unit]
    work = found[by.work] if by.work is not None else 0
    return replace(sums, attempted=done, succeeded=done, input=work, output=0, prefill=0, decode=0)


def training_limits() -> Mapping[Factor, Limit]:
    """As for requests, but for what a step does not do."""
    limits = dict(default_limits())
    del limits[Factor.FAILURES]
    return MappingProxyType(limits)


def training_rules() -> WatchRules:
    """How training is watched: as requests are, of which there are fewer."""
    return WatchRules(training_limits(), least_requests=LEAST_STEPS)
