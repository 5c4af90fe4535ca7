"""Who held a resource while its meter was silent: they are charged when it tells what was used."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from unitcost.exporter.settling.gaps import Cost
from unitcost.pricing.allocate import Method, Share, State, unheld
from unitcost.pricing.money import distribute
from unitcost.pricing.timeline import Cover
from unitcost.pricing.workload import UNMETERED, Account

MAX_SHARES = 64
"""Kept for each resource; what is beyond them is unmetered."""
Key = tuple[Account, State]
Committed = tuple[tuple[str, tuple[Share, ...]], ...]


@dataclass(slots=True)
class Owed:
    """For each resource that is waited for: nanoseconds held since its last reading."""

    held: dict[str, dict[Key, int]] = field(default_factory=dict)

    def add(self, costs: Iterable[Cost], waiting: Set[str]) -> None:
        """Another tick, in which these resources' meters said nothing or are heard of again."""
        names = waiting | self.held.keys()
        for cost in costs if names else ():
            if cost.interval.cover in (Cover.METERED, Cover.AWAY):
                for name in names:
                    own = self.held.setdefault(name, {})
                    _add(own, cost.shares.get(name, ()), cost.interval.period.duration_ns)

    def shares(self) -> dict[str, Sequence[Share]]:
        """By resource, who held it since its last reading, and for how long."""
        return {
            name: [Share(*key, Method.CARRIED, span) for key, span in own.items()]
            for name, own in self.held.items()
        }

    def keep(self, waiting: Set[str]) -> None:
        """Of these alone there is more to come."""
        self.held = {name: own for name, own in self.held.items() if name in waiting}

    def state(self) -> Committed:
        """What a restart goes on from."""
        return tuple((name, tuple(own)) for name, own in self.shares().items())


def owed_of(committed: Committed) -> Owed:
    """As it was committed."""
    return Owed(
        {
            name: {(share.account, share.state): share.weight for share in shares}
            for name, shares in committed
        }
    )


def _add(own: dict[Key, int], shares: Sequence[Share], span_ns: int) -> None:
    weights = [share.weight for share in shares]
    if not any(weights):
        shares, weights = unheld(1, UNMETERED), [1]
    for share, span in zip(shares, distribute(span_ns, weights), strict=True):
        key = (share.account, share.state)
        if key not in own and len(own) >= MAX_SHARES:
            key = (Account(UNMETERED), State.IDLE)
        own[key] = own.get(key, 0) + span
