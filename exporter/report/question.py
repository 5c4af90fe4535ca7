"""What a report is asked for: by what, of which time, of whom."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from unitcost.exporter.config.decode import shown
from unitcost.exporter.config.instants import instant, instant_ns
from unitcost.pricing.local_time import day_start_ns
from unitcost.pricing.timeline import NS_PER_HOUR
from unitcost.pricing.unit_cost import Basis


class Refused(ValueError):
    """What was asked for makes no sense; the text says why, and names the option."""


class Dimension(StrEnum):
    """What rows may be told apart by. Days and months are local, and so are hours."""

    WORKLOAD = "workload"
    OWNER = "owner"
    KIND = "kind"
    MODEL = "model"
    HOST = "host"
    SCOPE = "scope"
    RESOURCE = "resource"
    COMPONENT = "component"
    STATE = "state"
    RUN = "run"
    ATTEMPT = "attempt"
    EPOCH = "epoch"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


TIMES = frozenset({Dimension.HOUR, Dimension.DAY, Dimension.MONTH})
WHOSE = frozenset(
    {
        Dimension.WORKLOAD,
        Dimension.OWNER,
        Dimension.KIND,
        Dimension.MODEL,
        Dimension.RUN,
        Dimension.ATTEMPT,
        Dimension.EPOCH,
    }
)
"""What a cost has only where a workload has it."""
WITH_EPOCH = frozenset({Dimension.WORKLOAD, Dimension.RUN, Dimension.ATTEMPT, Dimension.EPOCH})
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """`from_hour` to `to_hour`: clock hours, the end excluded; None: from the first, to the last.

    Empty `workloads`, `owners` and `hosts` leave nothing out; an owner ``""`` is one not known.
    """

    by: tuple[Dimension, ...]
    zone: tzinfo
    from_hour: int | None = None
    to_hour: int | None = None
    workloads: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    basis: Basis = Basis.ALLOCATED

    def __post_init__(self) -> None:
        _check(self)


def _check(question: Question) -> None:
    by = set(question.by)
    if Dimension.EPOCH in by:
        if Dimension.RUN not in by or not by <= WITH_EPOCH:
            raise Refused("--by: epoch goes with run, and with workload and attempt beside it")
        if question.basis is Basis.USED:
            raise Refused("--basis: epochs are of the basis allocated")
    if question.basis is Basis.USED and Dimension.STATE in by:
        raise Refused("--basis: used is the state active, so --by state goes with allocated")
    first, last = question.from_hour, question.to_hour
    if first is not None and last is not None and first >= last:
        raise Refused("--to: must be later than --from")


def dimensions(text: str) -> tuple[Dimension, ...]:
    """A list with commas. Raises Refused for what is unknown, twice, or nothing."""
    found: list[Dimension] = []
    for name in text.split(","):
        try:
            each = Dimension(name.strip())
        except ValueError:
            known = ", ".join(Dimension)
            raise Refused(f"--by: expected some of {known}; got {shown(name)}") from None
        if each in found:
            raise Refused(f"--by: {each} is there twice")
        found.append(each)
    return tuple(found)


def bound(option: str, text: str, zone: tzinfo) -> int:
    """The first clock hour from an instant or a local day on; for ``--to`` a day is included.

    An hour belongs to the day in which it begins. Raises Refused, also for an instant within an
    hour: its rows cannot be told apart.
    """
    try:
        if _DAY.fullmatch(text):
            return _day_bound(date.fromisoformat(text), zone, after=option == "--to")
        instant(text)
        at_ns = instant_ns(text)
    except (ValueError, OverflowError):
        wanted = "expected a day such as 2026-01-31, or an instant such as 2026-01-31T08:00:00Z"
        raise Refused(f"{option}: {wanted}; got {shown(text)}") from None
    if at_ns % NS_PER_HOUR:
        raise Refused(f"{option}: the ledger has whole hours (of UTC), and {text} is within one")
    return at_ns // NS_PER_HOUR


def _day_bound(day: date, zone: tzinfo, *, after: bool) -> int:
    if not 2000 <= day.year < 2200:
        raise ValueError("beyond what a ledger can hold")
    return -(-day_start_ns(day + timedelta(days=1) if after else day, zone) // NS_PER_HOUR)


def times_of(by: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Those of the dimensions that are times."""
    return tuple(each for each in by if each in TIMES)


def time_text(dimension: Dimension, hour: int, zone: tzinfo) -> str:
    """A clock hour, or the local day or month in which it begins."""
    moment = datetime.fromtimestamp(hour * 3600, zone)
    if dimension is Dimension.HOUR:
        return moment.isoformat(timespec="minutes")
    return moment.date().isoformat()[: 10 if dimension is Dimension.DAY else 7]


def offsets(hours: tuple[int, int], zone: tzinfo) -> list[tuple[int, int]]:
    """Seconds by which local clocks are ahead of UTC: until which clock hour, and how many.

    From a day before the first of the hours on, to a day after the last.
    """
    found: list[tuple[int, int]] = []
    for hour in range(hours[0] - 24, hours[1] + 25):
        delta = datetime.fromtimestamp(hour * 3600, zone).utcoffset() or timedelta()
        seconds = delta // timedelta(seconds=1)
        if found and found[-1][1] == seconds:
            found[-1] = (hour + 1, seconds)
        else:
            found.append((hour + 1, seconds))
    return found
