"""Shares of an accelerator: by MIG slices first, inside each part by time held and SM time.

A `Part` is a whole device or one MIG instance, with what is known of an interval. Fractions are
whole millionths; the shares of a device always sum to `WHOLE`.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from unitcost.pricing.allocate import ALWAYS, Busy, Method, Share, State
from unitcost.pricing.money import distribute
from unitcost.pricing.workload import UNALLOCATED, Account

WHOLE = 10**15
"""The weight of a whole device: finer than any price, and with room for products in 128 bits."""
MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Part:
    """A device or a MIG instance, and who held it for how much of an interval.

    `slices`: its size against the other parts. `held`: time each account held it, times the
    replicas held, and `capacity` the same for all replicas and the whole interval. `replicated`:
    several may hold it at once. `sm_millionths`: SM time of each account, of the interval (other
    users included); None where there are no samples. `busy_millionths`: part of the interval in
    which it worked, by `busy_signal`; None is unknown.
    """

    slices: int
    held: Mapping[Account, int]
    capacity: int
    replicated: bool = False
    sm_millionths: Mapping[Account, int] | None = None
    busy_millionths: int | None = None
    busy_signal: str = ""
    method: Method = Method.EXCLUSIVE
    loading: frozenset[Account] = frozenset()


@dataclass(slots=True)
class Split:
    """How a device was shared, and which signal told each account's busy time from its idle."""

    shares: list[Share]
    signals: dict[Account, str] = field(default_factory=dict)


def device_shares(
    parts: Sequence[Part], slices: int, loading: Set[Account], signals: Mapping[Account, Busy]
) -> Split:
    """The shares of one device over an interval; they sum to `WHOLE`.

    `slices`: how many it has in all; those that no part has are nobody's. `signals`: how busy an
    account was by its requests, for where the device itself does not tell.
    """
    sizes = [part.slices for part in parts]
    stranded = max(0, slices - sum(sizes))
    if not any(sizes):
        return Split([Share(Account(UNALLOCATED), State.IDLE, Method.REMAINDER, WHOLE)])
    *weights, left = distribute(WHOLE, [*sizes, stranded])
    split = Split([])
    for part, weight in zip(parts, weights, strict=True):
        split.shares += _part_shares(part, weight, loading, signals, split.signals)
    split.shares.append(Share(Account(UNALLOCATED), State.IDLE, Method.REMAINDER, left))
    split.shares = _joined(split.shares)
    return split


def _joined(shares: Iterable[Share]) -> list[Share]:
    """Shares of the same account, state and method as one; empty ones are left out."""
    sums: dict[tuple[Account, State, Method], int] = {}
    for share in shares:
        key = (share.account, share.state, share.method)
        sums[key] = sums.get(key, 0) + share.weight
    return [Share(*key, weight) for key, weight in sums.items() if weight]


def _part_shares(
    part: Part,
    weight: int,
    loading: Set[Account],
    signals: Mapping[Account, Busy],
    told: dict[Account, str],
) -> list[Share]:
    method, loading = _method(part), loading | part.loading
    told.update(dict.fromkeys(part.held, _signal(part, method)))
    if method is Method.PROCESS_SM_TIME:
        active, idle = _by_sm_time(part, weight)
    elif part.busy_millionths is not None:
        active, idle = _by_busy_time(part, weight)
    elif part.sm_millionths is not None and any(part.sm_millionths.values()):
        active, idle = _by_held_time(part, weight, _sm_busy(part))
    else:
        known = {account: signals.get(account, ALWAYS) for account in part.held}
        told.update({account: busy.signal for account, busy in known.items()})
        active, idle = _by_held_time(part, weight, known)
    left = weight - sum(active.values()) - sum(idle.values())
    shares = [Share(Account(UNALLOCATED), State.IDLE, Method.REMAINDER, left)]
    shares += [_share(account, State.ACTIVE, method, n, loading) for account, n in active.items()]
    shares += [_share(account, State.IDLE, method, n, loading) for account, n in idle.items()]
    return shares


def _method(part: Part) -> Method:
    """The innermost split's: SM time or equal parts only where several held it at once.

    Samples without any SM time say nothing where the device worked: the driver dropped them.
    """
    if not part.replicated:
        return part.method
    sm = part.sm_millionths
    unsampled = sm is None or (bool(part.busy_millionths) and not any(sm.values()))
    return Method.EQUAL_SPLIT if unsampled else Method.PROCESS_SM_TIME


def _signal(part: Part, method: Method) -> str:
    by_sm = method is Method.PROCESS_SM_TIME or part.busy_millionths is None
    return "sm_time" if by_sm else part.busy_signal


def _share(
    account: Account, state: State, method: Method, weight: int, loading: Set[Account]
) -> Share:
    if account.reserved:
        state = State.IDLE
    elif account in loading:
        state = State.LOADING
    return Share(account, state, method, weight)


def _by_sm_time(part: Part, weight: int) -> tuple[dict[Account, int], dict[Account, int]]:
    """Busy time is the account's whose SM time it was; the rest is idle by what each held.

    Whoever used the device without holding it pays for its SM time too. More than all of the SM
    time (sampling) is scaled down to it.
    """
    used = dict(part.sm_millionths or {})
    free = max(0, MILLION - sum(used.values()))
    amounts = distribute(weight, [*used.values(), free])
    active = dict(zip(used, amounts, strict=False))
    return active, _by_held(part, amounts[-1])


def _by_busy_time(part: Part, weight: int) -> tuple[dict[Account, int], dict[Account, int]]:
    """The device's busy time by what each held, then the rest by what each held of it all.

    It worked for those that held it: while nobody did it was not busy.
    """
    held = sum(part.held.values())
    busy = min(MILLION, part.busy_millionths or 0) if held else 0
    if part.replicated:
        working, resting = distribute(weight, [busy, MILLION - busy])
        shared = distribute(working, list(part.held.values()))
        return dict(zip(part.held, shared, strict=True)), _by_held(part, resting)
    whole = held * MILLION
    fraction = Busy(min(busy * part.capacity, whole), whole, part.busy_signal)
    return _by_held_time(part, weight, dict.fromkeys(part.held, fraction))


def _sm_busy(part: Part) -> dict[Account, Busy]:
    """How busy each holder was while it held, by its own SM time."""
    found = {}
    for account, held in part.held.items():
        used = (part.sm_millionths or {}).get(account, 0) * part.capacity
        found[account] = Busy(min(used, held * MILLION), max(1, held * MILLION), "sm_time")
    return found


def _by_held_time(
    part: Part, weight: int, busy: Mapping[Account, Busy]
) -> tuple[dict[Account, int], dict[Account, int]]:
    """Each account's own part by what it held, cut by how busy that account was."""
    whole = _by_held(part, weight)
    active = {
        account: n * busy[account].numerator // busy[account].denominator
        for account, n in whole.items()
    }
    return active, {account: n - active[account] for account, n in whole.items()}


def _by_held(part: Part, weight: int) -> dict[Account, int]:
    """`weight` by time held; what nobody held is left over."""
    held = list(part.held.values())
    unheld = max(0, part.capacity - sum(held))
    if not any(held):
        return {}
    return dict(zip(part.held, distribute(weight, [*held, unheld]), strict=False))
