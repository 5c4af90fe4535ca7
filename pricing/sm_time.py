"""SM time: from the driver's samples to the part of an interval that each process used."""

from collections.abc import Iterable, Mapping

from unitcost.pricing.device import SmSample

PER_PERCENT = 10_000
"""Millionths in a percent."""


def sm_millionths(samples: Iterable[SmSample]) -> Mapping[int, int]:
    """SM time of each pid as millionths of the interval, from all samples in it.

    A driver that gives one sample for each process gives its newest, which then stands for the
    interval. One that gives several leaves out those in which a process did nothing, so each
    pid's sum is taken over all instants at which anything was sampled.
    """
    by_pid: dict[int, dict[int, int]] = {}
    for sample in samples:
        by_pid.setdefault(sample.pid, {})[sample.at_us] = sample.percent
    if all(len(own) == 1 for own in by_pid.values()):
        return {pid: sum(own.values()) * PER_PERCENT for pid, own in by_pid.items()}
    instants = len({at for own in by_pid.values() for at in own})
    return {pid: sum(own.values()) * PER_PERCENT // instants for pid, own in by_pid.items()}
