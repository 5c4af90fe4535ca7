"""Figures as a person reads them."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo


def usd(amount: float) -> str:
    """An amount of US dollars; cents where they matter."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.0f}" if abs(amount) >= 100 else f"{sign}${abs(amount):,.2f}"


def time_of(seconds: float, zone: ZoneInfo) -> str:
    """An instant in local time."""
    return datetime.fromtimestamp(seconds, zone).strftime("%H:%M %Z on %d %b")


def hour_of(seconds: float, zone: ZoneInfo) -> str:
    """The time of an instant whose day is known."""
    return datetime.fromtimestamp(seconds, zone).strftime("%H:%M")


def named(labels: Sequence[str]) -> str:
    """A workload, with its model where it has one."""
    return f"{labels[0]} ({labels[1]})" if labels[1] else labels[0]


def change(ratio: float) -> str:
    """In words: 42 % more, 2.5 times as much."""
    if ratio >= 2:
        return f"{ratio:.1f} times as much"
    return f"{abs(ratio - 1):.0%} {'more' if ratio >= 1 else 'less'}".replace("%", " %")


def duration(seconds: float) -> str:
    """About how long: 95 days, 6 hours, 12 minutes."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}s"
    return f"{seconds:.0f} seconds"
