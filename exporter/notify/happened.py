"""What happened of late that may be why something costs more: prices, starts, more or fewer of it.

Read off the points, as all that is told: the same series mark the same events in Grafana.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from unitcost.exporter.notify.words import usd
from unitcost.exporter.serving.snapshot import Point

MAX_EVENTS, MAX_OF_ONE = 64, 8
"""The last ones are remembered; of one that starts again and again no more than a few."""
MATERIAL = 1e-6
"""By less of it nothing has changed: floats."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened, at seconds since 1970. `workload`: to whom; empty: to all."""

    at: float
    workload: str
    text: str


class What(StrEnum):
    """What is watched."""

    PRICE = "price"
    STARTS = "starts"
    HOLDERS = "holders"


class Happened(msgspec.Struct, frozen=True):
    """The last events, and what was seen last: by what it is and whose, with its value."""

    events: tuple[Event, ...] = ()
    last: tuple[tuple[str, str, float], ...] = ()


def look(before: Happened, points: Mapping[str, Sequence[Point]], now: float) -> Happened:
    """Compare with what was seen last; the same object where nothing happened.

    What is not seen at the moment, such as a price, is compared when it is seen again.
    """
    known = {(what, whose): value for what, whose, value in before.last}
    seen = _seen(points)
    found = [
        Event(now, whose, text)
        for (what, whose), value in seen.items()
        if (text := _told(what, whose, known.get((what, whose)), value, known, seen))
    ]
    live = {labels[0] for labels, _ in points.get("unitcost_workload_info", ())} | {""}
    kept = {key: value for key, value in known.items() if key[1] in live}
    last = tuple((what, whose, value) for (what, whose), value in sorted((kept | seen).items()))
    if not found and last == before.last:
        return before
    return Happened(_latest((*before.events, *found)), last)


def _latest(events: Sequence[Event]) -> tuple[Event, ...]:
    kept: list[Event] = []
    for each in reversed(events[-MAX_EVENTS:]):
        if sum(other.workload == each.workload for other in kept) < MAX_OF_ONE:
            kept.append(each)
    return tuple(reversed(kept))


def _seen(points: Mapping[str, Sequence[Point]]) -> dict[tuple[str, str], float]:
    prices = points.get("unitcost_price_usd_per_hour", ())
    unpriced = any(value for _, value in points.get("unitcost_resource_unpriced", ()))
    found: dict[tuple[str, str], float] = {}
    if prices and not unpriced:
        found[What.PRICE, ""] = float(f"{sum(value for _, value in prices):.9g}")
    for labels, starts in points.get("unitcost_workload_starts_total", ()):
        found[What.STARTS, labels[0]] = starts
    for labels, holders in points.get("unitcost_workload_holders", ()):
        found[What.HOLDERS, labels[0]] = holders
    return found


def _told(
    what: str,
    whose: str,
    before: float | None,
    now: float,
    known: Mapping[tuple[str, str], float],
    seen: Mapping[tuple[str, str], float],
) -> str:
    """What a change says; empty where it says nothing."""
    if before is None or abs(now - before) <= MATERIAL * abs(before):
        return ""
    if what == What.PRICE:
        way = "raised" if now > before else "lowered"
        return f"price {way} from {_price(before)} to {_price(now)} an hour"
    if what == What.HOLDERS:
        return f"{whose} scaled from {before:g} to {now:g}"
    holders = known.get((What.HOLDERS, whose)), seen.get((What.HOLDERS, whose))
    scaled = None not in holders and holders[0] != holders[1]
    return "" if now < before or scaled else f"{whose} restarted"


def _price(amount: float) -> str:
    """A price as exact as it was told apart from the other."""
    return usd(amount) if amount >= 10 else f"${amount:.4g}"


def near(events: Sequence[Event], workload: str, start: float, end: float) -> Iterator[Event]:
    """What happened to a workload, or to all, from `start` to `end`."""
    return (each for each in events if each.workload in ("", workload) and start <= each.at <= end)
