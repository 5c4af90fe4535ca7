"""Gaps: by which shares each interval is charged, whether or not anybody was metering."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from unitcost.exporter.settling.batch import Batch, EventRow
from unitcost.exporter.settling.holding import Held
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.state import ResourceShares, State
from unitcost.pricing.allocate import Method, Share, carried, unheld
from unitcost.pricing.price import Component
from unitcost.pricing.resource import REST, Resource
from unitcost.pricing.timeline import Advance, Cover, Interval
from unitcost.pricing.workload import UNALLOCATED, UNMETERED, Account

AWAY_COMPONENTS: tuple[Component, ...] = (Component.AMORTISATION, Component.OVERHEAD)
"""What an owned host goes on costing while it is down."""

Shares = Mapping[str, list[Share]]
"""Shares of each resource, by its id."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How one interval is to be charged.

    `partly`: accounts that were not metered for all of it. `gap`: what became of time in which
    nobody metered (carried, unmetered, down, unknown), empty for a metered interval.
    """

    interval: Interval
    resources: tuple[Resource, ...]
    shares: Shares
    components: tuple[Component, ...]
    partly: frozenset[Account] = frozenset()
    gap: str = ""


def costs_of(
    step: Advance, before: State, rules: Rules, held: Held | None, measured: Shares
) -> list[Cost]:
    """Each interval with the shares it is charged by.

    `before`: what the last tick left. `measured`: shares of the resources that could be read.
    """
    costs = []
    for interval in step.intervals:
        if interval.cover is Cover.METERED:
            costs.append(_metered(interval, before, rules, held, measured))
        elif interval.cover is Cover.AWAY:
            costs.append(_away(interval, before, rules, held))
        else:
            costs.append(_down(interval, before, rules))
    return costs


def shares_after(
    costs: list[Cost], before: State, rules: Rules, held: Held | None, measured: Shares
) -> tuple[ResourceShares, ...]:
    """What an interval that cannot be measured will be charged by: the last shares there are.

    After a gap those who were gone are left out of them; after a reboot that is everybody. A
    resource that is there and could never be read is `__unmetered__`.
    """
    shares = last_shares(before)
    for cost in costs:
        if cost.interval.cover is Cover.AWAY:
            shares |= cost.shares
        elif cost.interval.cover is Cover.REBOOTED:
            shares = {name: _nobody_there(each, rules) for name, each in shares.items()}
    shares |= measured
    resources = held.resources if held else _resources(before)
    never = unheld(1, _never_read(rules))
    return tuple(ResourceShares(each, tuple(shares.get(each.id, never))) for each in resources)


def _never_read(rules: Rules) -> str:
    """On whom a resource is that was never read: seen from a pod it may be anybody's."""
    return UNALLOCATED if rules.scope == "pod" else UNMETERED


def _nobody_there(last: list[Share], rules: Rules) -> list[Share]:
    """Shares of a resource while the host itself was away; of a pod only what it held."""
    return carried(last, {}) if rules.scope == "pod" else unheld(1, UNMETERED)


def last_shares(state: State) -> dict[str, list[Share]]:
    """The last shares by resource."""
    return {each.resource.id: list(each.shares) for each in state.shares}


def _resources(state: State) -> tuple[Resource, ...]:
    return tuple(each.resource for each in state.shares)


def _metered(
    interval: Interval, before: State, rules: Rules, held: Held | None, measured: Shares
) -> Cost:
    """Measured shares; of a resource that could not be read the last ones, carried."""
    resources = held.resources if held else _resources(before)
    shares = {name: _as_before(each) for name, each in last_shares(before).items()} | dict(measured)
    if not resources:
        shares = {REST: unheld(1, _never_read(rules))}
    return Cost(interval, resources, shares, rules.book.components)


def _as_before(shares: list[Share]) -> list[Share]:
    """The same, carried; what was unmetered then still is."""
    return [
        share if share.account.workload == UNMETERED else replace(share, method=Method.CARRIED)
        for share in shares
    ]


def _away(interval: Interval, before: State, rules: Rules, held: Held | None) -> Cost:
    """The exporter was not there: holders that still are there are carried on."""
    holders = held.holders if held else {}
    kept: dict[Account, tuple[int, int]] = {}
    for each in before.holders:
        now = len(each.identities & holders.get(each.account, frozenset()))
        kept[each.account] = (now, len(each.identities))
    last = last_shares(before)
    by_share = {
        share.account: kept.get(replace(share.account, model=""), (0, 1))
        for each in last.values()
        for share in each
    }
    shares = {name: carried(each, by_share) for name, each in last.items()}
    if not shares:
        shares = {REST: unheld(1, _never_read(rules))}
    partly = frozenset(account for account, (now, count) in by_share.items() if now < count)
    gap = "carried" if any(now for now, _ in kept.values()) else "unmetered"
    return Cost(interval, _resources(before), shares, rules.book.components, partly, gap)


def _down(interval: Interval, before: State, rules: Rules) -> Cost:
    """The host itself was away: suspended or rebooted."""
    resources, last = _resources(before), last_shares(before)
    partly = frozenset(share.account for each in last.values() for share in each)
    name, components, gap = UNMETERED, rules.book.components, "unmetered"
    if rules.owned:
        name, components, gap = UNALLOCATED, AWAY_COMPONENTS, "down"
    elif interval.period.duration_ns > rules.reboot_limit_ns:
        components, gap = (), "unknown"
    shares = {each: unheld(1, name) for each in [r.id for r in resources] or [REST]}
    if rules.scope == "pod":
        shares = {each: _nobody_there(held, rules) for each, held in last.items()}
    return Cost(interval, resources, shares, components, partly, gap)


def note_gap(cost: Cost, pending: Batch) -> None:
    """Record time that was not metered, and what became of it."""
    period = cost.interval.period
    pending.count("unitcost_gap_seconds_total", (cost.gap,), period.duration_ns // 1000)
    detail: dict[str, str | int] = {
        "cover": str(cost.interval.cover),
        "duration_ns": period.duration_ns,
    }
    pending.events.append(EventRow(period.start_ns, f"gap_{cost.gap}", detail))
