"""CPU time used between two readings of the process table, by account.

A process's own counter shows what it used while it lived; what it used after the last reading is
seen when its parent waits for it: the parent's counter of reaped children rises by the child's
whole life. What had been counted of the child already is taken off there, so nothing is counted
twice, and children too short-lived to be ever seen are counted in full.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from unitcost.pricing.attribute import parent_identities
from unitcost.pricing.sample import Process
from unitcost.pricing.workload import Account


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as of the last reading; `parent` is an identity, "" where it has none we know."""

    cpu_ns: int
    reaped_ns: int
    parent: str
    account: Account


@dataclass(frozen=True, slots=True)
class Owed:
    """What was counted of a process now gone and no ancestor's counter has shown yet.

    `heir` is the nearest ancestor that lived on, by identity.
    """

    counted_ns: int
    heir: str
    account: Account


@dataclass(frozen=True, slots=True)
class CpuState:
    """All that one reading leaves for the next. Not valid across a reboot: identities repeat.

    `owed` is kept for one reading: a reading is not one instant, so a child may be gone from it
    while its parent, read a moment before, had not yet waited for it.
    """

    alive: Mapping[str, Seen]
    owed: Mapping[str, Owed]


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Nanoseconds of CPU time used since the previous reading by account, and the new state."""

    used_ns: Mapping[Account, int]
    state: CpuState


def count_cpu(
    previous: CpuState | None,
    processes: Sequence[Process],
    account_of: Mapping[str, Account],
    since_ticks: int,
) -> CpuTime:
    """Count what was used since `previous`; the first reading (None) counts nothing.

    `processes` must list what was read in one go, each process read after its ancestors.
    `since_ticks` is when the previous reading began, in clock ticks since boot
    (`Process.started` has the same scale): what started later counts from zero, what merely was
    not seen before counts from now on. No processes at all means the reading failed: nothing is
    counted, and the next reading counts for both.
    """
    if not processes:
        return CpuTime({}, previous or CpuState({}, {}))
    alive = _seen(previous, processes, account_of)
    if previous is None:
        return CpuTime({}, CpuState(alive, {}))
    used: dict[Account, int] = {}
    reaped: dict[str, int] = {}
    for process in processes:
        identity = process.identity
        now, before = alive[identity], previous.alive.get(identity)
        if before is None and process.started < since_ticks:
            continue
        own = now.cpu_ns - (before.cpu_ns if before else 0)
        if own:
            used[now.account] = used.get(now.account, 0) + own
        reaped[identity] = now.reaped_ns - (before.reaped_ns if before else 0)
    owed, heirs = _settle(previous, alive, reaped)
    for identity, tail in reaped.items():
        if tail:
            accounts = heirs.get(identity, set())
            account = next(iter(accounts)) if len(accounts) == 1 else alive[identity].account
            used[account] = used.get(account, 0) + tail
    return CpuTime(used, CpuState(alive, owed))


def _seen(
    previous: CpuState | None, processes: Sequence[Process], account_of: Mapping[str, Account]
) -> dict[str, Seen]:
    """The new `CpuState.alive`; counters never fall, whatever the kernel says."""
    parents = parent_identities(processes)
    old = previous.alive if previous else {}
    alive = {}
    for process in processes:
        identity = process.identity
        before, parent = old.get(identity), parents.get(identity, "")
        cpu, reaped = process.cpu_ns, process.reaped_cpu_ns
        if before is not None:
            cpu, reaped = max(cpu, before.cpu_ns), max(reaped, before.reaped_ns)
        seen = Seen(cpu, reaped, parent, account_of[identity])
        alive[identity] = before if before == seen else seen
    return alive


def _settle(
    previous: CpuState, alive: Mapping[str, Seen], reaped: dict[str, int]
) -> tuple[dict[str, Owed], dict[str, set[Account]]]:
    """Take what was counted of processes now gone off their ancestors' `reaped`.

    Only an ancestor can have waited for a process: its parent or, if that is gone too, the
    nearest one that lives; or one above it, that took an orphan over. Each is taken off the
    nearest first, and then off those above, as far as their counters rose. What was not taken
    off the nearest stays owed, for it may have been late: that can lose a little time of the
    ancestors, and never counts any twice.
    Returns what stays owed of those newly gone, and the accounts of the gone by nearest heir.
    """
    gone = {
        identity: Owed(seen.cpu_ns + seen.reaped_ns, seen.parent, seen.account)
        for identity, seen in previous.alive.items()
        if identity not in alive
    }
    owed: dict[str, Owed] = {}
    heirs: dict[str, set[Account]] = {}
    orphans: list[tuple[int, list[str]]] = []
    for identity, debt in (*previous.owed.items(), *gone.items()):
        living = [each for each in _ancestors(debt.heir, previous) if each in alive]
        if not living:
            continue
        heirs.setdefault(living[0], set()).add(debt.account)
        left = debt.counted_ns - _take(debt.counted_ns, living[0], reaped)
        if left:
            orphans.append((left, living[1:]))
            if identity in gone:
                owed[identity] = Owed(left, living[0], debt.account)
    for left, above in orphans:
        for ancestor in above:
            left -= _take(left, ancestor, reaped)
    return owed, heirs


def _take(most: int, identity: str, reaped: dict[str, int]) -> int:
    """Take up to `most` off one process's reaped time; returns how much it was."""
    taken = min(most, reaped.get(identity, 0))
    if taken:
        reaped[identity] -= taken
    return taken


def _ancestors(identity: str, previous: CpuState) -> Iterator[str]:
    """`identity` and those above it as of the previous reading; a loop ends the walk."""
    walked: set[str] = set()
    while identity and identity not in walked:
        yield identity
        walked.add(identity)
        known = previous.alive.get(identity)
        identity = known.parent if known else ""
