"""The meter's state: what must survive a restart so that no time and no unit counts twice."""

from dataclasses import dataclass, replace

import msgspec

from unitcost.pricing.allocate import Share
from unitcost.pricing.budget import Remembered
from unitcost.pricing.charged_time import ChargedTime
from unitcost.pricing.currency import Rate
from unitcost.pricing.energy import Place
from unitcost.pricing.meter import Point
from unitcost.pricing.quote import Quote
from unitcost.pricing.resource import Resource
from unitcost.pricing.timeline import ClockReading, Position
from unitcost.pricing.unit_points import Seen, Series, UnitMeter, rebased
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
    energy: tuple[tuple[str, Point], ...] = ()
    floors: tuple[tuple[str, int], ...] = ()
    quotes: tuple[Quote, ...] = ()
    frozen: tuple[tuple[str, tuple[int, int]], ...] = ()
    notify: str = ""
    picograms_per_kwh: int | None = None
    micrograms_left: tuple[tuple[str, int], ...] = ()
    charged: ChargedTime | None = None
    rates: tuple[Rate, ...] = ()
    sibling_quotes: tuple[Quote, ...] = ()
    places: tuple[tuple[str, Place], ...] = ()
    owed: tuple[tuple[str, tuple[Share, ...]], ...] = ()
    counts: tuple[tuple[str, int, int], ...] = ()
    began_ns: int | None = None
    budgets: tuple[Remembered, ...] = ()

    @property
    def meter(self) -> UnitMeter:
        """The unit meter."""
        return UnitMeter(dict(self.points), dict(self.seen))


def follow_clock(state: State, clock: ClockReading) -> State:
    """The state under clocks that may have started anew since.

    Another boot: nobody of before is there any more. A monotonic clock that went back: its old
    instants say nothing; the counters' values still do.
    """
    then = state.position.clock if state.position else clock
    if clock.boot_id == then.boot_id and clock.mono_ns >= then.mono_ns:
        return state
    meter = rebased(state.meter)
    state = replace(state, points=tuple(meter.points.items()), seen=tuple(meter.seen.items()))
    return state if clock.boot_id == then.boot_id else replace(state, holders=(), ready=frozenset())


def encode(state: State) -> str:
    """The state as JSON."""
    return msgspec.json.encode(state).decode()


def decode(document: str) -> State:
    """The state from JSON; a new one from nothing. Raises ValueError if it is not one."""
    if not document:
        return State()
    return msgspec.json.decode(document, type=State)
