"""The allocator: who held and who used how much of a resource over one interval.

Weights are whole numbers in a unit of the resource's own (nanoseconds of a core, byte-seconds);
the shares of a resource always sum to its capacity, unheld remainder included.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from enum import StrEnum

from unitcost.pricing.money import distribute
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, UNMETERED, Account


class State(StrEnum):
    """What the holder did with it. Allocated cost is all three, used cost is `ACTIVE`."""

    LOADING = "loading"
    ACTIVE = "active"
    IDLE = "idle"


class Method(StrEnum):
    """How a share was found; a label wherever the share is exported."""

    EXCLUSIVE = "exclusive"
    PROCESS_SM_TIME = "process_sm_time"
    MIG_SLICE = "mig_slice"
    EQUAL_SPLIT = "equal_split"
    CONFIGURED = "configured"
    CPU_TIME = "cpu_time"
    RESIDENT_MEMORY = "resident_memory"
    CARRIED = "carried"
    REMAINDER = "remainder"


@dataclass(frozen=True, slots=True)
class Share:
    """Part of a resource's interval: `weight` of the capacity, in the resource's own unit."""

    account: Account
    state: State
    method: Method
    weight: int


@dataclass(frozen=True, slots=True)
class Busy:
    """How busy a holder was: `numerator / denominator` in [0, 1], and by which signal."""

    numerator: int
    denominator: int
    signal: str


ALWAYS = Busy(1, 1, "none")
"""No signal at all: everything held counts as active, and there is no used basis."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one account used of a resource, and what it has reserved, over the interval."""

    used: int = 0
    reserved: int = 0


def hold(capacity: int, holdings: Mapping[Account, Holding]) -> tuple[dict[Account, Holding], int]:
    """Fit what is held into the capacity; returns used and unused parts, and what is left over.

    Held is used plus the unused part of the reservation. Where all that exceeds the capacity,
    only unused reservations shrink; use itself is scaled only if it alone exceeds the capacity
    (clock granularity). In the result, `reserved` is the unused reservation that is held.
    """
    accounts = list(holdings)
    used = [holdings[account].used for account in accounts]
    if sum(used) > capacity:
        used = distribute(capacity, used)
    unused = [max(0, holdings[a].reserved - u) for a, u in zip(accounts, used, strict=True)]
    left = capacity - sum(used)
    if sum(unused) > left:
        unused = distribute(left, unused)
    held = {a: Holding(u, r) for a, u, r in zip(accounts, used, unused, strict=True)}
    return held, left - sum(unused)


def cpu_shares(
    capacity: int, holdings: Mapping[Account, Holding], loading: Set[Account]
) -> list[Share]:
    """Shares of the CPU: used CPU time is active, the unused reservation idle."""
    return _shares(Method.CPU_TIME, capacity, holdings, loading, lambda _, held: held.used)


def memory_shares(
    capacity: int,
    holdings: Mapping[Account, Holding],
    loading: Set[Account],
    busy: Mapping[Account, Busy],
) -> list[Share]:
    """Shares of memory: what is held is active for the busy part of the interval, else idle."""

    def active(account: Account, held: Holding) -> int:
        signal = busy.get(account, ALWAYS)
        return (held.used + held.reserved) * signal.numerator // signal.denominator

    return _shares(Method.RESIDENT_MEMORY, capacity, holdings, loading, active)


def _shares(
    method: Method,
    capacity: int,
    holdings: Mapping[Account, Holding],
    loading: Set[Account],
    active_part: Callable[[Account, Holding], int],
) -> list[Share]:
    """What each account holds, by state, and the unheld remainder; empty shares are left out."""
    held, left = hold(capacity, holdings)
    shares = []
    for account, holding in held.items():
        whole = holding.used + holding.reserved
        if account.reserved:
            shares.append(Share(account, State.IDLE, method, whole))
        elif account in loading:
            shares.append(Share(account, State.LOADING, method, whole))
        else:
            active = active_part(account, holding)
            shares.append(Share(account, State.ACTIVE, method, active))
            shares.append(Share(account, State.IDLE, method, whole - active))
    kept = [share for share in shares if share.weight]
    return kept + unheld(left) if left else kept


def unheld(capacity: int, name: str = UNALLOCATED) -> list[Share]:
    """The whole resource on one reserved account."""
    return [Share(Account(name), State.IDLE, Method.REMAINDER, capacity)]


def carried(last: list[Share], kept: Mapping[Account, tuple[int, int]]) -> list[Share]:
    """Shares for an interval that was not measured, from the last shares before it.

    `kept[account]` is (holders still there, holders then): that fraction is carried on. What
    was unallocated stays so; all else, `__system__` included, is `__unmetered__`. Of no shares
    at all everything is.
    """
    shares, total = [], sum(share.weight for share in last)
    for share in last:
        if share.account.workload == UNALLOCATED:
            shares.append(replace(share, method=Method.CARRIED))
            continue
        now, then = kept.get(share.account, (0, 1))
        weight = share.weight * min(now, then) // then if then else 0
        if weight and share.account.workload not in (SYSTEM, UNMETERED):
            shares.append(replace(share, method=Method.CARRIED, weight=weight))
    rest = total - sum(share.weight for share in shares)
    if not shares:
        return unheld(max(1, rest), UNMETERED)
    return shares + unheld(rest, UNMETERED) if rest else shares
