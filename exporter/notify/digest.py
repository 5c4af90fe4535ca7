"""The daily digest: what the last day cost, who most of it, what was wasted, what is dearer now."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from unitcost.exporter.notify.alerts import Alert, Points
from unitcost.exporter.notify.words import usd
from unitcost.pricing.sample import NS_PER_SECOND

TOP = 5
WASTE = "unitcost_waste_cost_usd_total"


def due(at: str, last_ns: int, now_ns: int, zone: ZoneInfo) -> bool:
    """Whether the digest is to be made: its hour (``HH:MM``) has come since the last one."""
    now = datetime.fromtimestamp(now_ns / NS_PER_SECOND, zone)
    hour = time.fromisoformat(at)
    today = datetime.combine(now.date(), hour, zone)
    latest = today if today <= now else datetime.combine(now.date() - timedelta(1), hour, zone)
    return last_ns / NS_PER_SECOND < latest.timestamp()


def totals(points: Points, metric: str) -> dict[str, float]:
    """A counter of US dollars by workload, all its series together."""
    found: dict[str, float] = {}
    for labels, value in points.get(metric, ()):
        found[labels[0]] = found.get(labels[0], 0.0) + value
    return found


def since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """What counters gained; one that is not in `before` began since, one that fell began anew."""
    gained = {name: value - before.get(name, 0.0) for name, value in now.items()}
    return {name: now[name] if each < 0 else each for name, each in gained.items()}


def digest(costs: Mapping[str, float], wasted: Mapping[str, float], alerts: Sequence[Alert]) -> str:
    """In words, from what was gained since the last one."""
    return "\n".join(_lines(costs, wasted, alerts))


def _lines(
    costs: Mapping[str, float], wasted: Mapping[str, float], alerts: Sequence[Alert]
) -> Iterator[str]:
    total = sum(costs.values())
    yield f"{usd(total)} since the last digest"
    top = sorted((name for name in costs if costs[name] > 0), key=lambda each: -costs[each])
    yield from (f"{name}: {usd(costs[name])}, {costs[name] / total:.0%}" for name in top[:TOP])
    if len(top) > TOP:
        yield f"{len(top) - TOP} others: {usd(sum(costs[name] for name in top[TOP:]))}"
    if lost := sum(wasted.values()):
        yield f"of it went into requests that failed or were aborted: {usd(lost)}"
    yield from (f"now: {alert.headline}" for alert in alerts)
