"""What holders were doing: loading, busy or idle, by the best signal there is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from unitcost.exporter.settling.rules import Rules
from unitcost.pricing.allocate import ALWAYS, Busy
from unitcost.pricing.layers import Counted
from unitcost.pricing.sample import Quantity, Subject
from unitcost.pricing.unit_cost import UnitKey
from unitcost.pricing.workload import Account

REQUEST_SECONDS = "request_seconds"


def holding_account(subject: Subject) -> Account:
    """The account a subject's processes are booked on; models are told apart afterwards."""
    return Account(subject.workload, "", subject.run, subject.attempt)


def busy_of(
    account: Account,
    subjects: Sequence[Subject],
    units: Mapping[UnitKey, int],
    span_ns: int,
    ran_before: bool,
    told_ns: int = 0,
) -> Busy:
    """The best signal there is of whether the holder worked (docs/cost-model.md, states).

    Work under way at both ends of the interval fills it; else the seconds of the requests that
    ended in it say how much; else any unit, or work under way now, counts as all of it.
    `units`: the holder's own, of all its models. `told_ns`: how much of their seconds was taken for
    busy already, while nothing answered.
    """
    runs = any(subject.running for subject in subjects)
    if runs and (ran_before or account.run):
        return Busy(1, 1, "running")
    seconds = units.get((Quantity.REQUEST_SECONDS, ""), 0)
    if span_ns and seconds:
        busy_ns = max(0, seconds * 1000 - told_ns)
        return Busy(min(span_ns, busy_ns), span_ns, REQUEST_SECONDS)
    if runs or any(units.values()):
        return Busy(1, 1, "units")
    if units or any(subject.running is not None for subject in subjects):
        return Busy(0, 1, "units")
    return ALWAYS


def by_holder(units: Counted) -> dict[Account, dict[UnitKey, int]]:
    """The units of each holder, all its models together."""
    found: dict[Account, dict[UnitKey, int]] = {}
    of_account: dict[Account, dict[UnitKey, int]] = {}
    for (account, quantity, label), micro in units.items():
        own = of_account.get(account)
        if own is None:
            holder = replace(account, model="") if account.model else account
            own = of_account[account] = found.setdefault(holder, {})
        own[quantity, label] = own.get((quantity, label), 0) + micro
    return found


def now_ready(
    subjects: Iterable[Subject],
    holders: Mapping[Account, frozenset[str]],
    units: Counted,
    ready: frozenset[str],
    said: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """Holders that are past loading: those known before and still there, and those seen ready.

    A holder is ready once its subject says so, a unit of its account was counted, or the cluster
    says it of its container (`said`).
    """
    alive = frozenset().union(*holders.values())
    proven = {holding_account(subject) for subject in subjects if subject.ready}
    for (account, _, _), micro in units.items():
        if micro:
            proven.add(Account(account.workload, "", account.run, account.attempt))
    newly = (identity for account in proven for identity in holders.get(account, ()))
    return ((ready | said) & alive) | frozenset(newly)


def still_loading(
    rules: Rules,
    subjects: Iterable[Subject],
    holders: Mapping[Account, frozenset[str]],
    ready: frozenset[str],
    seen: Iterable[Account] = (),
) -> set[Account]:
    """Accounts none of whose holders is ready, of those whose readiness can be seen at all.

    `seen`: those of whose containers the cluster says whether they are.
    """
    visible = {holding_account(subject) for subject in subjects} | set(seen)
    visible |= {
        account
        for account in holders
        if account.workload in rules.workloads and rules.workloads[account.workload].has_endpoint
    }
    return {account for account in visible if holders.get(account) and not holders[account] & ready}
