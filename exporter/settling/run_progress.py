"""What the processes of a training run say in one tick: where it is, its goal, its waiting."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unitcost.pricing.layers import Counted
from unitcost.pricing.projection import FURTHEST, Progress
from unitcost.pricing.runs import Place, Run, last_known_ns
from unitcost.pricing.sample import Quantity, Sample, Stall, Subject

RunKey = tuple[str, str]
"""Workload and run."""
Counts = Mapping[tuple[str, Quantity], float]
"""Steps and epochs of each subject, as read: since it began."""
_REASONS = frozenset(str(reason) for reason in Stall)
_NS_PER_MICRO = 1000


@dataclass(frozen=True, slots=True)
class Outlook:
    """A run's present attempt as its processes on this host describe it.

    `ranks`: how many of them there are. `over`: none works any more, and none of them failed.
    """

    attempt: int = 0
    goal_steps: float | None = None
    goal_epochs: float | None = None
    ranks: int = 1
    over: bool = False
    at_work: bool = False

    def goal(self, place: Place) -> tuple[Progress, float] | None:
        """Where the run will end: in steps if these are counted here, else in epochs.

        A training loop that reports epochs alone shows 0 steps for ever.
        """
        only_epochs = self.goal_epochs and place.epochs and not place.steps
        if self.goal_steps and place.steps is not None and not only_epochs:
            return Progress.STEPS, self.goal_steps
        return (Progress.EPOCHS, self.goal_epochs) if self.goal_epochs else None


def of_attempt(group: Sequence[Subject], attempt: int) -> list[Subject]:
    """Those of an attempt; the ended ones only if all are."""
    own = [subject for subject in group if subject.attempt == attempt]
    return [subject for subject in own if subject.running is not False] or own


def was_there(group: Iterable[Subject], run: Run) -> bool:
    """Whether any of them, ended ones too, may have been at the run's present attempt before."""
    last = last_known_ns(run)
    own = (subject.born_wall_ns for subject in group if subject.attempt == run.attempt)
    return any(born is None or born <= last for born in own)


def outlook_of(group: Sequence[Subject], run: Run, before: Outlook | None) -> Outlook:
    """What a run's processes say; where their goals differ, the one that is furthest away.

    A rank that has just ended still counts: what it waited last is told only now.
    """
    own = of_attempt(group, run.attempt)
    known = before.ranks if before is not None and before.attempt == run.attempt else 0
    running = sum(subject.running is not False for subject in own)
    return Outlook(
        attempt=run.attempt,
        goal_steps=_furthest(subject.goal_steps for subject in own),
        goal_epochs=_furthest(subject.goal_epochs for subject in own),
        ranks=max(running, known) or max(len(own), 1),
        over=not running and not any(subject.failed for subject in own),
        at_work=any(subject.ready for subject in own),
    )


def _furthest(goals: Iterable[float | None]) -> float | None:
    return max((goal for goal in goals if goal and goal < FURTHEST), default=None)


def counts_of(samples: Iterable[Sample]) -> dict[tuple[str, Quantity], float]:
    """How far each subject has come since it began; of its parts the furthest."""
    found: dict[tuple[str, Quantity], float] = {}
    for sample in samples:
        if sample.quantity in (Quantity.STEPS, Quantity.EPOCHS):
            key = (sample.subject, sample.quantity)
            found[key] = max(sample.value, found.get(key, 0.0))
    return found


def place_of(group: Iterable[Subject], counts: Counts) -> Place:
    """How far these processes are, the furthest of them."""
    place = Place()
    for subject in group:
        resumed = resumed_at(subject)
        steps = _sum(resumed.steps, counts.get((subject.id, Quantity.STEPS)))
        epochs = _sum(resumed.epochs, counts.get((subject.id, Quantity.EPOCHS)))
        place = place.furthest(Place(steps, epochs))
    return place


def _sum(resumed: float | None, since: float | None) -> float | None:
    known = None if resumed is None or since is None else resumed + since
    return known if known is not None and known < FURTHEST else None


def resumed_at(subject: Subject) -> Place:
    """Where its attempt began. One that says only at which epoch counts steps from there on."""
    relative = subject.resumed_epoch > 0 and not subject.resumed_step
    return Place(None if relative else float(subject.resumed_step), subject.resumed_epoch)


def waited_of(units: Counted, ranks: Mapping[RunKey, int]) -> dict[RunKey, dict[str, int]]:
    """Nanoseconds that each run's ranks waited on average, by reason."""
    found: dict[RunKey, dict[str, int]] = {}
    for (account, quantity, reason), micro in units.items():
        key = (account.workload, account.run)
        if quantity is Quantity.STALL_SECONDS and reason in _REASONS and key in ranks:
            own = found.setdefault(key, {})
            own[reason] = own.get(reason, 0) + micro * _NS_PER_MICRO // ranks[key]
    return found
