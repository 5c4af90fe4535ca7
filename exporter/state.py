"""The meter's state: what must survive a restart so that no time and no unit counts twice."""

from dataclasses import dataclass

import msgspec

from unitcost.pricing.allocate import Share
from unitcost.pricing.meter import Point
from unitcost.pricing.resource import Resource
from unitcost.pricing.timeline import Position
from unitcost.pricing.units import Seen, Series, UnitMeter
from unitcost.pricing.workload import Account


@dataclass(frozen=True, slots=True)
class ResourceShares:
    """The last shares of one resource."""

    resource: Resource
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Holders:
    """Who held an account's resources: identities (pid and start time) of its own processes."""

    account: Account
    identities: frozenset[str]


@dataclass(frozen=True, slots=True)
class State:
    """Committed with the charges of the tick that made it; see `encode` and `decode`."""

    position: Position | None = None
    metered_since_ns: int = 0
    shares: tuple[ResourceShares, ...] = ()
    holders: tuple[Holders, ...] = ()
    ready: frozenset[str] = frozenset()
    points: tuple[tuple[Series, Point], ...] = ()
    seen: tuple[tuple[str, Seen], ...] = ()

    @property
    def meter(self) -> UnitMeter:
        """The unit meter."""
        return UnitMeter(dict(self.points), dict(self.seen))


def encode(state: State) -> str:
    """The state as JSON."""
    return msgspec.json.encode(state).decode()


def decode(document: str) -> State:
    """The state from JSON; a new one from nothing. Raises ValueError if it is not one."""
    if not document:
        return State()
    return msgspec.json.decode(document, type=State)
