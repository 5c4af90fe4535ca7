"""Epochs of a run on several hosts: what each cost in all, once every host has closed it.

Each host keeps what the epochs between two of its own marks cost there. Hosts need not mark the
same epochs: what is common to all are the marks that every one of them has, and between two of
those the parts of all hosts add up.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from unitcost.pricing.runs import Cost


@dataclass(frozen=True, slots=True)
class EpochPart:
    """What the epochs after `since_epoch`, up to `epoch`, cost on one host; None: not known.

    `hosts`: on how many hosts the run was then; `at_ns` is when the last of the epochs ended.
    """

    host: str
    attempt: int
    since_epoch: float
    epoch: float
    at_ns: int
    hosts: int
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class JoinedEpoch:
    """What the epochs after `since_epoch`, up to `epoch`, cost on all hosts together.

    `cost` is None where one host does not know its part. `at_ns` is when the last host was there.
    """

    attempt: int
    since_epoch: float
    epoch: float
    at_ns: int
    hosts: int
    cost: Cost | None

    @property
    def epochs(self) -> float:
        """How many epochs these are: they share equally."""
        return self.epoch - self.since_epoch


def joined(parts: Iterable[EpochPart]) -> list[JoinedEpoch]:
    """The epochs of one run that all its hosts have closed, each attempt by itself, in order.

    An epoch that a host has not closed yet, or that more hosts have closed than there are, is
    not among them.
    """
    attempts: defaultdict[int, list[EpochPart]] = defaultdict(list)
    for part in parts:
        attempts[part.attempt].append(part)
    return [each for _, own in sorted(attempts.items()) for each in _of_attempt(own)]


def _of_attempt(parts: Iterable[EpochPart]) -> list[JoinedEpoch]:
    chains: defaultdict[str, list[EpochPart]] = defaultdict(list)
    for part in sorted(parts, key=lambda part: part.epoch):
        chains[part.host].append(part)
    if len(chains) != max(part.hosts for own in chains.values() for part in own):
        return []
    marks = [
        {mark for part in own for mark in (part.since_epoch, part.epoch)} for own in chains.values()
    ]
    common = sorted(set.intersection(*marks))
    return [_joined(list(chains.values()), *pair) for pair in pairwise(common)]


def _joined(chains: Sequence[Sequence[EpochPart]], since: float, epoch: float) -> JoinedEpoch:
    """The parts of all hosts between two marks that all of them have."""
    own = [[part for part in each if since < part.epoch <= epoch] for each in chains]
    cost: Cost | None = Cost()
    for part in chain.from_iterable(own):
        cost = None if cost is None or part.cost is None else cost.plus(part.cost)
    if not all(_whole(each, since) for each in own):
        cost = None
    at_ns = max(each[-1].at_ns for each in own)
    return JoinedEpoch(own[0][0].attempt, since, epoch, at_ns, len(own), cost)


def _whole(parts: Sequence[EpochPart], since: float) -> bool:
    """Whether each of a host's parts begins where the one before it ends."""
    ends = [since, *(part.epoch for part in parts)]
    return all(part.since_epoch == end for part, end in zip(parts, ends, strict=False))
