"""How often something of a workload has begun: its processes and containers, after the first."""

from collections.abc import Iterable, Mapping

from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.holding import Held, HostMeter
from unitcost.exporter.settling.state import State
from unitcost.exporter.settling.usage import NS_PER_TICK
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import Process
from unitcost.pricing.timeline import ClockReading

STARTS = "unitcost_workload_starts_total"


def count_starts(
    books: Books, before: State, held: Held | None, host: HostMeter, clock: ClockReading
) -> None:
    """Count the holders that came since the last tick and began since we have been metering.

    So neither who is only found late, nor the first of a workload. What began while we were away
    began after `before` had been metering, too.
    """
    if held is None or host.owners is None:
        return
    known = {identity for each in before.holders for identity in each.identities}
    came: dict[str, set[str]] = {}
    for account, identities in held.holders.items():
        if not account.reserved:
            came.setdefault(account.workload, set()).update(identities - known)
    for workload, new in came.items():
        key = (workload,)
        if (STARTS, key) not in books.committed and (STARTS, key) not in books.pending.counters:
            books.pending.count(STARTS, key, 0)
        elif new:
            born = _born(host.host.processes if host.host else (), host.owners.tenants.container_of)
            zero_ns = clock.wall_ns - clock.boot_ns
            starts = sum(
                identity in born and zero_ns + born[identity] >= before.metered_since_ns
                for identity in new
            )
            books.pending.count(STARTS, key, starts * MICRO)


def _born(processes: Iterable[Process], container_of: Mapping[str, str]) -> dict[str, int]:
    """When processes began, and containers with their first process: nanoseconds after boot."""
    born: dict[str, int] = {}
    for process in processes:
        names = [process.identity]
        if (container := container_of.get(process.identity)) is not None:
            names.append(f"container:{container}")
        for name in names:
            at = process.started * NS_PER_TICK
            born[name] = min(at, born.get(name, at))
    return born


def holders_of(held: Held | None) -> dict[str, int]:
    """How many processes and containers make up each workload now."""
    found: dict[str, set[str]] = {}
    for account, identities in held.holders.items() if held else ():
        if not account.reserved:
            found.setdefault(account.workload, set()).update(identities)
    return {workload: len(identities) for workload, identities in found.items()}
