"""Training runs told of from outside their process: where they began, and who else tells of them.

Nothing here reads a clock or a host: what was told, and when, is an argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from unitcost.pricing.sample import Subject
from unitcost.pricing.workload import Account, WorkloadKind

CLIENT = "run:"
SINK = "hf:"
TRAIN_JOB = "trainjob:"
MLFLOW = "mlflow:"
LOGS = "logs:"
SOURCES = (CLIENT, SINK, TRAIN_JOB, MLFLOW, LOGS)
"""What the ids of training subjects begin with, the most trustworthy source first."""

ENOUGH = 4
"""So many records after its begin tell whether a run began at zero."""
_PLAUSIBLE = 3.0
_SLACK_STEPS = 2.0
_SLACK_EPOCHS = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run was at `wall_ns` (Unix nanoseconds): totals, None where they were not said."""

    wall_ns: int
    steps: int | None = None
    epochs: float | None = None
    tokens: int | None = None


def base_of(begin_ns: int, early: Sequence[Progress], *, over: bool) -> Progress | None:
    """Where a run stood when it began; None while that cannot be told.

    Sources do not say whether a run resumed. One that had done more at its first record than
    three times what it does afterwards in as long a time did; then it is counted from that record
    on, for how much of it the run had brought along nobody says. `early`: its first records, in
    order; `over`: none will follow, and one that could not be judged began at zero.
    """
    if not early:
        return None
    zero = Progress(begin_ns, 0, 0.0, 0)
    done, first, slack = _pace(begin_ns, early)
    if done is None:
        return zero if over else None
    if first <= _PLAUSIBLE * done + slack:
        return zero
    return replace(early[0], wall_ns=begin_ns) if over or len(early) >= ENOUGH else None


def _pace(begin_ns: int, early: Sequence[Progress]) -> tuple[float | None, float, float]:
    """What it can have done up to its first record, at its best pace since; that record; slack."""
    by_steps = all(each.steps is not None for each in early)
    amounts = [float((each.steps if by_steps else each.epochs) or 0) for each in early]
    slack = _SLACK_STEPS if by_steps else _SLACK_EPOCHS
    paces = [
        (amounts[i] - amounts[i - 1]) / (early[i].wall_ns - early[i - 1].wall_ns)
        for i in range(1, len(early))
        if early[i].wall_ns > early[i - 1].wall_ns
    ]
    if not paces:
        return None, amounts[0], slack
    return max(0.0, max(paces)) * max(0, early[0].wall_ns - begin_ns), amounts[0], slack


def source_of(subject: Subject) -> int | None:
    """Which of `SOURCES` tells of a training subject; None where it is none of them."""
    if subject.kind is not WorkloadKind.TRAINING:
        return None
    found = (i for i, prefix in enumerate(SOURCES) if subject.id.startswith(prefix))
    return next(found, None)


def doubles(subjects: Sequence[Subject]) -> frozenset[str]:
    """Ids of subjects that tell of a training job which a more trustworthy source tells of too.

    Sources tell of the same job where they name the same workload, or claim the same process. The
    first in `SOURCES` is believed. The others' counters must still be followed, so that one which
    is left alone goes on from where it is. Where all of the better ones are over, a process at work
    that none of them claims is another job's.
    """
    ranks = {subject.id: rank for subject in subjects if (rank := source_of(subject)) is not None}
    if len(set(ranks.values())) < 2:
        return frozenset()
    best, fresh = _best(subjects, ranks), _fresh(subjects, ranks)
    return frozenset(
        subject.id
        for subject in subjects
        if subject.id in ranks
        and ranks[subject.id] > best[subject.workload]
        and (subject.workload, subject.run, ranks[subject.id]) not in fresh
    )


def _fresh(subjects: Sequence[Subject], ranks: Mapping[str, int]) -> set[tuple[str, str, int]]:
    """Workload, run and source of processes at work of which only sources tell that are over."""
    at_work: dict[str, int] = {}
    for subject in subjects:
        rank = ranks.get(subject.id)
        if rank is not None and subject.running is not False:
            at_work[subject.workload] = min(rank, at_work.get(subject.workload, rank))
    claims = _claims(subjects, ranks)
    return {
        (subject.workload, subject.run, ranks[subject.id])
        for subject in subjects
        if subject.running
        and subject.id in ranks
        and ranks[subject.id] == at_work[subject.workload]
        and (process := _process(subject)) is not None
        and claims[process] == ranks[subject.id]
    }


def _best(subjects: Sequence[Subject], ranks: Mapping[str, int]) -> dict[str, int]:
    """The best rank that tells of each workload, by its name or by a process it claims."""
    by_process = _claims(subjects, ranks)
    best: dict[str, int] = {}
    for subject in subjects:
        rank = ranks.get(subject.id)
        if rank is not None:
            best[subject.workload] = min(rank, best.get(subject.workload, rank))
    for subject in subjects:
        if subject.id in ranks and (process := _process(subject)) is not None:
            best[subject.workload] = min(best[subject.workload], by_process[process])
    return best


def _claims(subjects: Sequence[Subject], ranks: Mapping[str, int]) -> dict[tuple[int, int], int]:
    """The best rank that claims each process."""
    found: dict[tuple[int, int], int] = {}
    for subject in subjects:
        rank, process = ranks.get(subject.id), _process(subject)
        if rank is not None and process is not None:
            found[process] = min(rank, found.get(process, rank))
    return found


def _process(subject: Subject) -> tuple[int, int] | None:
    if subject.pid is None or subject.started is None:
        return None
    return subject.pid, subject.started


def adopted(subjects: Sequence[Subject]) -> Mapping[Account, Account]:
    """Accounts without a run whose costs are those of a run, and that run's account.

    Where the process of a run is not known, what a workload holds is on its account without a
    run (a rule's, a pod's). If exactly one run of it goes on, and none of its runs claims a
    process, it is that run's.
    """
    if all(source_of(subject) is None for subject in subjects):
        return MappingProxyType({})
    runs: dict[str, set[Account]] = {}
    claimed: set[str] = set()
    for subject in subjects:
        if source_of(subject) is None or not subject.run:
            continue
        if subject.pid is not None:
            claimed.add(subject.workload)
        elif subject.running:
            account = Account(subject.workload, "", subject.run, subject.attempt)
            runs.setdefault(subject.workload, set()).add(account)
    return {
        replace(account, run="", attempt=0): account
        for workload, found in runs.items()
        if workload not in claimed and len(found) == 1
        for account in found
    }
